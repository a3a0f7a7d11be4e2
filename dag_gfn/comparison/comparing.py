"""The same table, the same scores, the same time: what each method makes of it."""

from __future__ import annotations

import html
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from tqdm import tqdm

from dag_gfn.comparison.budget import parse_budget
from dag_gfn.comparison.methods import Run, prepared, resolve_methods, run_method
from dag_gfn.comparison.paths import errors_of
from dag_gfn.comparison.reference import Reference, find_reference, worst
from dag_gfn.estimators.base import PosteriorEstimator, marginals_of
from dag_gfn.estimators.exact import ExactPosterior
from dag_gfn.metrics import edge_error
from dag_gfn.posterior import Posterior
from dag_gfn.scores import local_scores
from dag_gfn.scores.constraints import EdgeSet
from dag_gfn.scores.knowledge import EdgeProbabilities, Tiers
from dag_gfn.tables import as_frame

__all__ = ["Comparison", "compare"]

_FORMATS = {
    "wall_seconds": "{:.1f}",
    "num_draws": "{:.0f}",
    "ess": "{:.0f}",
    "ess_per_second": "{:.1f}",
    "max_error": "{:.4f}",
    "mean_error": "{:.4f}",
    "khat": "{:.2f}",
    "rhat": "{:.3f}",
}


@dataclass(frozen=True, repr=False)
class Comparison:
    """What several methods made of one table.

    Attributes
    ----------
    summary : DataFrame
        One row a method, its name as the index: ``wall_seconds``, without the local scores, which
        all share; ``num_draws``; ``ess``, the effective sample size of the weights or, for chains,
        the smallest of all edges; ``ess_per_second``; ``max_error`` and ``mean_error`` of the edge
        marginals against the reference; ``khat`` of unequal weights; ``rhat``, the largest of all
        edges; ``remark``. NaN where a method has no such number.
    reference : DataFrame [d, d]
        Edge marginals; row causes column.
    reference_name : str
        What the reference is.
    reference_is_exact : bool
    marginals : dict of str to DataFrame [d, d]
        Edge marginals of each method.
    errors_over_time : DataFrame
        ``method``, ``seconds``, ``max_error``, ``mean_error``. Chains and bootstraps have a path:
        all steps, or the pooled draws, so far. The last point of a method is its final answer; a
        sampler with weights has a point without them too, called ``<method>, unweighted``.
    posteriors : dict of str to Posterior
    budget : float
        Seconds.
    """

    summary: pd.DataFrame
    reference: pd.DataFrame
    reference_name: str
    reference_is_exact: bool
    marginals: dict[str, pd.DataFrame]
    errors_over_time: pd.DataFrame
    posteriors: dict[str, Posterior]
    budget: float

    def __str__(self) -> str:
        """Return the table of results and what it is measured against."""
        return "\n".join([self._formatted().to_string(na_rep="-"), "", *self._notes()])

    def __repr__(self) -> str:
        """Return a one-line summary."""
        return f"<Comparison of {', '.join(self.summary.index)} with {self.reference_name}>"

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self._notes())
        return self._formatted().to_html(na_rep="-", border=0) + notes

    def _formatted(self) -> pd.DataFrame:
        shown = {
            name: ["-" if pd.isna(value) else form.format(value) for value in self.summary[name]]
            for name, form in _FORMATS.items()
        }
        return pd.DataFrame(shown, index=self.summary.index)

    def _notes(self) -> list[str]:
        notes = [f"Errors are against {self.reference_name}; each method had {self.budget:g} s."]
        remarks = self.summary["remark"]
        return notes + [f"{name}: {remark}" for name, remark in remarks.items() if remark]


def compare(
    table: pd.DataFrame | ArrayLike,
    methods: Iterable[str | tuple[str, PosteriorEstimator]] = (
        "order_flow",
        "structure",
        "partition",
    ),
    *,
    budget: str | float = "60s",
    score: Any = "bge",
    prior: Any = "uniform",
    standardize: bool = False,
    max_parents: int | None = None,
    score_params: Mapping[str, Any] | None = None,
    prior_params: Mapping[str, Any] | None = None,
    interventions: Iterable[str | int | None] | None = None,
    conditions: Iterable[Hashable] | None = None,
    required_edges: EdgeSet | None = None,
    forbidden_edges: EdgeSet | None = None,
    tiers: Tiers | None = None,
    edge_probabilities: EdgeProbabilities | None = None,
    random_state: int | None = None,
    progress: bool = True,
) -> Comparison:
    """Run several methods on one table with the same scores and the same time budget.

    The local scores are computed once and shared. The reference is the exact posterior where that
    is possible, else a partition chain that runs five times the budget; the result says which.

    Parameters
    ----------
    table : DataFrame or array [n, d]
    methods : iterable of str or (str, estimator)
        Names of `dag_gfn.comparison.METHODS`: "order_flow" (a flow over canonical orders), "flow"
        (one over edges), "independence" (chains with the flow over orders as their proposal),
        "structure", "order", "partition", "exact", "bootstrap_ges", "bootstrap_pc", and the peers
        "sumu" and "dibs" where they are installed. Or pairs of a name of your own and an estimator;
        its score and prior are not looked at.
    budget : str or float, default "60s"
        Time for each method: seconds, or "60s", "2min", "1h".
    score, prior, standardize, max_parents, score_params, prior_params
        As of `dag_gfn.local_scores`.
    interventions, conditions, required_edges, forbidden_edges, tiers, edge_probabilities
        As of `dag_gfn.local_scores`. A method that cannot honour one is left out, with a remark.
    random_state : int, optional
        Every method gets a seed of its own from it. What a time limit ends is not reproducible.
    progress : bool, default True
        Show the progress bars of the methods.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError, ValueError
        If the table, a method or the budget is not fit.
    ModuleNotFoundError
        If a method needs a package that is not installed.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0).table
    >>> methods = ["exact", ("pc", dg.BootstrapPC(n_samples=5))]
    >>> comparison = compare(table, methods, budget="10s", random_state=0, progress=False)
    >>> comparison.reference_name
    'the exact posterior (ExactPosterior)'
    >>> float(comparison.summary.loc["exact", "max_error"])
    0.0
    """
    seconds = parse_budget(budget)
    estimators = resolve_methods(methods)
    frame = as_frame(table)
    model: dict[str, Any] = {
        "score": score,
        "prior": prior,
        "standardize": standardize,
        "max_parents": max_parents,
        "score_params": score_params,
        "prior_params": prior_params,
    }
    constraints: dict[str, Any] = {
        "interventions": _kept(interventions),
        "conditions": _kept(conditions),
        "required_edges": _kept(required_edges),
        "forbidden_edges": _kept(forbidden_edges),
        "tiers": _kept(tiers),
        "edge_probabilities": _kept(edge_probabilities),
    }
    scores = local_scores(frame, **model, **constraints)
    if scores.has_table:
        scores.unconstrained_table  # noqa: B018 (computed now, so that no method pays for it)
    seeds = np.random.SeedSequence(random_state).generate_state(len(estimators) + 1) >> 1
    reference = find_reference(scores, budget=seconds, seed=int(seeds[0]), progress=progress)
    runs = {}
    bar = tqdm(estimators.items(), unit="method", disable=not progress)
    for (name, estimator), seed in zip(bar, seeds[1:], strict=True):
        bar.set_description(name)
        if reference.exact and isinstance(estimator, ExactPosterior):
            runs[name] = Run(reference.estimator, reference.seconds, "")
            continue
        prepared(estimator, budget=seconds, model=model, seed=int(seed), progress=progress)
        runs[name] = run_method(estimator, scores, table=frame, constraints=constraints)
    return _comparison(runs, reference, seconds)


def _kept(given: Any) -> Any:
    """Return a constraint in a form that can be looked at more than once."""
    if given is None or isinstance(given, str | Mapping | np.ndarray | pd.Series | pd.DataFrame):
        return given
    return list(given)


def _comparison(runs: dict[str, Run], reference: Reference, budget: float) -> Comparison:
    rows: dict[str, dict[str, Any]] = {}
    marginals: dict[str, pd.DataFrame] = {}
    posteriors: dict[str, Posterior] = {}
    paths: list[pd.DataFrame] = []
    for name, run in runs.items():
        rows[name] = {"wall_seconds": run.seconds, "remark": run.refusal}
        if run.refusal:
            continue
        posterior: Posterior = run.estimator.posterior_  # type: ignore[attr-defined]
        posteriors[name] = posterior
        marginals[name] = marginals_of(run.estimator)
        rows[name] = _figures(run, posterior, marginals[name], reference)
        paths += [
            points.assign(method=label)
            for label, points in _paths(name, run, posterior, rows[name], reference)
        ]
    columns = [*_FORMATS, "remark"]
    summary = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    summary.index.name = "method"
    names = ["method", "seconds", "max_error", "mean_error"]
    return Comparison(
        summary=summary,
        reference=reference.marginals,
        reference_name=reference.name,
        reference_is_exact=reference.exact,
        marginals=marginals,
        errors_over_time=(
            pd.concat(paths, ignore_index=True)[names] if paths else pd.DataFrame(columns=names)
        ),
        posteriors=posteriors,
        budget=budget,
    )


def _figures(
    run: Run, posterior: Posterior, marginals: pd.DataFrame, reference: Reference
) -> dict[str, Any]:
    """Return a row of the summary."""
    error = edge_error(marginals, reference.marginals)
    weighted = not posterior.exact and np.ptp(posterior.weights) > 0
    if isinstance(run.estimator, ExactPosterior):
        ess = np.inf  # whatever it drew, its marginals are exact
    elif hasattr(run.estimator, "ess_"):
        ess = worst(run.estimator.ess_, np.nanmin)
    else:
        # Draws that depend on each other, as an evidence of NaN says, are worth less than this.
        ess = posterior.ess if not np.isnan(posterior.log_evidence) else np.nan
    return {
        "wall_seconds": run.seconds,
        "num_draws": len(posterior),
        "ess": ess,
        "ess_per_second": ess / run.seconds,
        "max_error": error.max,
        "mean_error": error.mean,
        "khat": posterior.khat if weighted else np.nan,
        "rhat": worst(getattr(run.estimator, "rhat_", np.nan), np.nanmax),
        "remark": _remark(run, posterior),
    }


def _remark(run: Run, posterior: Posterior) -> str:
    limited = "max_seconds" in run.estimator.get_params(deep=False)
    remarks = [
        posterior.method if "not a posterior" in posterior.method else "",
        "" if limited or isinstance(run.estimator, ExactPosterior) else "has no time limit",
    ]
    return "; ".join(filter(None, remarks))


def _paths(
    name: str,
    run: Run,
    posterior: Posterior,
    figures: Mapping[str, Any],
    reference: Reference,
) -> list[tuple[str, pd.DataFrame]]:
    """Return the errors over time of a method, and of its draws without their weights."""
    end = pd.DataFrame([figures]).rename(columns={"wall_seconds": "seconds"})
    path = errors_of(run.estimator, reference.marginals)
    if path is not None:
        return [(name, pd.concat([path, end], join="inner"))]
    found = [(name, end)]
    if not np.isnan(figures["khat"]):
        plain = pd.DataFrame(
            posterior.adjacency.mean(axis=0), index=posterior.names, columns=posterior.names
        )
        error = edge_error(plain, reference.marginals)
        point = {"seconds": run.seconds, "max_error": error.max, "mean_error": error.mean}
        found.append((f"{name}, unweighted", pd.DataFrame([point])))
    return found
