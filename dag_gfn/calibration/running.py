"""Run a calibration: many tables from the prior, one fit each."""

from __future__ import annotations

import time
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone
from tqdm import tqdm

from dag_gfn.calibration.result import Calibration
from dag_gfn.calibration.truth import (
    MAX_VARIABLES,
    Truth,
    blank_scores,
    draw_truth,
    graphs_from_prior,
)
from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import PosteriorEstimator, marginals_of
from dag_gfn.posterior import Posterior
from dag_gfn.posterior.effects import CausalEffects
from dag_gfn.scores import BDe, LocalScores

_LEVEL = 0.9


class _Fitted(NamedTuple):
    """What one table contributes."""

    pairs: pd.DataFrame  # [d (d - 1)]
    fit: dict[str, float]


def calibrate(
    estimator: PosteriorEstimator,
    *,
    num_variables: int = 5,
    num_rows: int = 100,
    num_tables: int = 100,
    num_states: int = 3,
    n_jobs: int | None = None,
    progress: bool = True,
    random_state: int = 0,
) -> Calibration:
    """Draw networks and tables from the model, fit each, and count what comes true.

    If graphs and parameters are drawn from the prior, and the posterior is right, then among edges
    of probability p a share p exists, and the truth is as likely in any tenth of its posterior as
    in any other (Cook, Gelman and Rubin 2006; Talts et al. 2018, arXiv 1804.06788).

    Parameters
    ----------
    estimator : estimator of this package
        With its score, prior and hyper-parameters, which are those of the truth too.
    num_variables : int, default 5
        At most 20, up to which graphs can be drawn from the prior.
    num_rows : int, default 100
        Rows of each table.
    num_tables : int, default 100
    num_states : int, default 3
        Of each column, with the score "bde".
    n_jobs : int, optional
        Fits at once, as of joblib, whose backend may be a cluster.
    progress : bool, default True
    random_state : int, default 0
        Same seed, same tables.

    Returns
    -------
    Calibration

    Raises
    ------
    TypeError
        If the estimator is one around another.
    ValueError
        If the estimator standardises its table, since there is no prior of the units then; its
        score has no known prior; or a number is out of range.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> result = dg.calibrate(dg.ExactPosterior(), num_variables=3, num_tables=5, progress=False)
    >>> len(result.pairs), len(result.fits)
    (30, 5)
    """
    if "standardize" not in estimator.get_params():
        raise TypeError(
            f"{type(estimator).__name__} has no score of its own to draw the truth from; calibrate "
            "the estimator inside."
        )
    if estimator.standardize:
        raise ValueError(
            "the truth has units of its own, which standardize=True takes away; calibrate without."
        )
    if not 2 <= num_variables <= MAX_VARIABLES:
        raise ValueError(
            f"num_variables must be from 2 to {MAX_VARIABLES}, up to which graphs can be drawn "
            f"from the prior, not {num_variables}."
        )
    for name, number in (("num_rows", num_rows), ("num_tables", num_tables)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, not {number}.")
    settings = {
        name: value
        for name, value in estimator.get_params().items()
        if name in ("score", "prior", "max_parents", "score_params", "prior_params")
    }
    is_categorical = settings["score"] == "bde" or isinstance(settings["score"], BDe)
    scores = blank_scores(num_variables, num_states if is_categorical else None, **settings)
    graphs = graphs_from_prior(scores, num_tables, random_state)
    seeds = np.random.SeedSequence(random_state).spawn(num_tables)
    jobs = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_fit)(estimator, scores, graph, num_rows, seed)
        for graph, seed in zip(graphs, seeds, strict=True)
    )
    fitted = list(tqdm(jobs, total=num_tables, unit="table", disable=not progress))
    pairs = [one.pairs.assign(table=number) for number, one in enumerate(fitted)]
    return Calibration(
        pairs=pd.concat(pairs, ignore_index=True),
        fits=pd.DataFrame([one.fit for one in fitted]),
        level=_LEVEL,
    )


def _fit(
    estimator: PosteriorEstimator,
    scores: LocalScores,
    graph: NDArray[np.int8],
    num_rows: int,
    seed: np.random.SeedSequence,
) -> _Fitted:
    """Fit one table from the prior, and say where the truth lies in the posterior."""
    rng = np.random.default_rng(seed)
    truth = draw_truth(scores, graph, num_rows, rng)
    model = clone(estimator).set_params(random_state=int(rng.integers(2**31)))
    if "progress" in model.get_params():
        model.set_params(progress=False)
    started = time.perf_counter()
    with warnings.catch_warnings():
        # The prior makes columns of very different scales, and the score knows.
        warnings.filterwarnings("ignore", message="the standard deviations of the columns")
        warnings.simplefilter("ignore", UntrustedPosteriorWarning)
        model.fit(truth.table)
    seconds = time.perf_counter() - started
    posterior: Posterior = model.posterior_
    effects = posterior.causal_effects(random_state=rng, progress=False)
    edges = marginals_of(model).to_numpy()
    log_scores = model.scores_.log_score(posterior.adjacency)
    fit = {
        "seconds": seconds,
        "khat": posterior.khat,
        "efficiency": posterior.efficiency,
        "place_of_num_edges": _place(
            posterior.adjacency.sum(axis=(1, 2)), posterior.weights, graph.sum(), rng
        ),
        "place_of_log_score": _place(
            log_scores, posterior.weights, float(model.scores_.log_score(graph)), rng
        ),
    }
    return _Fitted(_pairs(truth, edges, effects, rng), fit)


def _pairs(
    truth: Truth, edges: NDArray[np.float64], effects: CausalEffects, rng: np.random.Generator
) -> pd.DataFrame:
    """Return what was said of each ordered pair, and what is true of it."""
    off_diagonal = ~np.eye(len(truth.adjacency), dtype=bool)
    causes, of = np.nonzero(off_diagonal)
    lower, upper = (bound.to_numpy()[off_diagonal] for bound in effects.interval(_LEVEL))
    true_effect = truth.effects[off_diagonal]
    weights = effects.weights
    places = [
        _place(effects.draws[:, cause, effect], weights, true, rng)
        for cause, effect, true in zip(causes, of, true_effect, strict=True)
    ]
    names = np.array(effects.names)
    return pd.DataFrame(
        {
            "cause": names[causes],
            "effect": names[of],
            "probability": edges[off_diagonal],
            "exists": truth.adjacency[off_diagonal].astype(bool),
            "no_effect": effects.no_effect[off_diagonal],
            "mean": effects.means[off_diagonal],
            "lower": lower,
            "upper": upper,
            "true_effect": true_effect,
            "place": places,
        }
    )


def _place(
    draws: NDArray, weights: NDArray[np.float64], truth: float, rng: np.random.Generator
) -> float:
    """Return where the truth lies in its posterior, from 0 to 1, uniform if the posterior is right.

    What has a probability of its own, such as no effect, has an interval of places, of which one is
    drawn (the randomised probability integral transform).
    """
    # Equal up to rounding: scores are summed in different orders.
    gap = 1e-9 * max(1.0, abs(truth))
    below = weights[draws < truth - gap].sum()
    at = weights[np.abs(draws - truth) <= gap].sum()
    return float(below + rng.random() * at)
