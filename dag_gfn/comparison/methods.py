"""The methods that can be compared, by name, and how one of them is run."""

from __future__ import annotations

import importlib
import importlib.util
import time
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd
from sklearn.base import clone

from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.scores import LocalScores

__all__ = ["METHODS", "Method", "Run", "prepared", "resolve_methods", "run_method"]


class Method(NamedTuple):
    """Where an estimator lives, and what it needs beyond this package."""

    module: str
    estimator: str
    requires: str = ""  # a package that is not among the dependencies
    extra: str = ""  # the extra of this package that installs it


METHODS: Mapping[str, Method] = {
    "flow": Method("dag_gfn.estimators", "DAGGFlowNet"),
    "independence": Method("dag_gfn.estimators", "IndependenceMCMC"),
    "structure": Method("dag_gfn.estimators", "StructureMCMC"),
    "order": Method("dag_gfn.estimators", "OrderMCMC"),
    "partition": Method("dag_gfn.estimators", "PartitionMCMC"),
    "order_flow": Method("dag_gfn.estimators", "OrderGFlowNet"),
    "exact": Method("dag_gfn.estimators", "ExactPosterior"),
    "bootstrap_ges": Method("dag_gfn.estimators", "BootstrapGES", "ges", "bootstrap"),
    "bootstrap_pc": Method("dag_gfn.estimators", "BootstrapPC"),
    "sumu": Method("dag_gfn.comparison.peers", "SumuGadget", "sumu", "peers"),
    "dibs": Method("dag_gfn.comparison.peers", "MarginalDiBS", "dibs", "peers"),
}


class Run(NamedTuple):
    """What came of one method."""

    estimator: PosteriorEstimator  # fitted, unless there is a refusal
    seconds: float  # wall time, without that of the scores
    refusal: str  # why there is no result, or ""


def resolve_methods(
    methods: Iterable[str | tuple[str, PosteriorEstimator]],
) -> dict[str, PosteriorEstimator]:
    """Return a fresh estimator for each method.

    Parameters
    ----------
    methods : iterable of str or (str, estimator)
        Names of `METHODS`, or pairs of a name of your own and an estimator, which is copied.

    Returns
    -------
    dict of str to estimator

    Raises
    ------
    ValueError
        If there is no method, a name is unknown or occurs twice.
    TypeError
        If what stands beside a name is not an estimator of this package's kind.
    ModuleNotFoundError
        If a method needs a package that is not installed.

    Examples
    --------
    >>> list(resolve_methods(["flow", "exact"]))
    ['flow', 'exact']
    """
    if isinstance(methods, str):
        methods = [methods]
    found: dict[str, PosteriorEstimator] = {}
    for item in methods:
        if isinstance(item, str):
            name, estimator = item, _by_name(item)
        else:
            name, given = item
            if not isinstance(given, PosteriorEstimator):
                raise TypeError(
                    f"method {name!r} must be an estimator such as DAGGFlowNet(), not {given!r}."
                )
            estimator = clone(given)
        if name in found:
            raise ValueError(
                f"two methods are called {name!r}; give pairs of a name and an estimator to tell "
                "them apart."
            )
        found[name] = estimator
    if not found:
        raise ValueError(f"give at least one method, of {_listed()}.")
    return found


def _by_name(name: str) -> PosteriorEstimator:
    if name not in METHODS:
        raise ValueError(f"method must be one of {_listed()}, not {name!r}.")
    method = METHODS[name]
    if method.requires and importlib.util.find_spec(method.requires) is None:
        raise ModuleNotFoundError(
            f"the method {name!r} needs the package {method.requires}, which is not installed; "
            f"pip install 'dag_gfn[{method.extra}]', or leave the method out."
        )
    return getattr(importlib.import_module(method.module), method.estimator)()


def _listed() -> str:
    return ", ".join(METHODS)


def prepared(
    estimator: PosteriorEstimator,
    *,
    budget: float,
    model: Mapping[str, Any],
    seed: int,
    progress: bool,
) -> PosteriorEstimator:
    """Give an estimator the time budget, a seed, and the score that all methods share.

    What the user set is kept: a time limit or a seed that is not None.

    Parameters
    ----------
    estimator : PosteriorEstimator
    budget : float
        Seconds.
    model : mapping
        Arguments of `dag_gfn.local_scores`; only a method that needs the table looks at them.
    seed : int
    progress : bool

    Returns
    -------
    PosteriorEstimator
        The same one.
    """
    known = estimator.get_params(deep=False)
    chosen: dict[str, Any] = {"progress": progress}
    if known.get("max_seconds") is None:
        chosen["max_seconds"] = budget
    if known.get("random_state") is None:
        chosen["random_state"] = seed
    if estimator.needs_table:
        chosen |= model
    return estimator.set_params(**{key: chosen[key] for key in chosen if key in known})


def run_method(
    estimator: PosteriorEstimator,
    scores: LocalScores,
    *,
    table: pd.DataFrame,
    constraints: Mapping[str, Any],
) -> Run:
    """Run a method, and note it down where the method refuses.

    Parameters
    ----------
    estimator : PosteriorEstimator
        Fitted in place.
    scores : LocalScores
        Shared by all methods.
    table : DataFrame [n, d]
        For a method that draws rows or makes scores of its own.
    constraints : mapping
        Arguments of ``fit``, for the same.

    Returns
    -------
    Run
    """
    refusal = ""
    begin = time.perf_counter()
    with warnings.catch_warnings():
        # The table of results says how far each method is to be trusted.
        warnings.simplefilter("ignore", UntrustedPosteriorWarning)
        try:
            if estimator.needs_table:
                estimator.fit(table, **constraints)
            else:
                estimator.infer(scores)
        except (ValueError, RuntimeError, MemoryError) as error:
            refusal = str(error) or type(error).__name__
    return Run(estimator, time.perf_counter() - begin, refusal)
