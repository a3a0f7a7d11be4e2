"""The edge marginals that all methods are measured against."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dag_gfn.comparison.methods import METHODS, prepared, resolve_methods, run_method
from dag_gfn.convergence import RHAT_LIMIT
from dag_gfn.estimators.base import PosteriorEstimator, marginals_of
from dag_gfn.scores import LocalScores

__all__ = ["LONGER", "Reference", "exact_reference", "find_reference", "worst"]

# The reference chain runs so many times the budget. With errors that fall with the square root of
# the time, its own is then less than half of that of a chain within the budget.
LONGER = 5.0


class Reference(NamedTuple):
    """Edge marginals that others are compared with."""

    marginals: pd.DataFrame  # [d, d]
    name: str  # what it is, in words
    exact: bool
    estimator: PosteriorEstimator
    seconds: float  # that it took


def find_reference(
    scores: LocalScores, *, budget: float, seed: int, progress: bool = False
) -> Reference:
    """Compute the exact edge marginals, or those of a long partition chain where that is too much.

    Parameters
    ----------
    scores : LocalScores
    budget : float
        Seconds that each method has; the chain runs `LONGER` times as long.
    seed : int
    progress : bool

    Returns
    -------
    Reference

    Raises
    ------
    ValueError
        If neither can be had.
    """
    exact = exact_reference(scores, progress=progress)
    if exact is not None:
        return exact
    chain = resolve_methods(["partition"])["partition"]
    prepared(chain, budget=LONGER * budget, model={}, seed=seed, progress=progress)
    run = run_method(chain, scores, table=pd.DataFrame(), constraints={})
    if run.refusal:
        raise ValueError(f"there is no reference to compare with: {run.refusal}")
    rhat = worst(getattr(chain, "rhat_", np.nan), np.nanmax)
    settled = "" if rhat <= RHAT_LIMIT else ", which has not settled"
    return Reference(
        marginals_of(chain),
        f"a partition chain of {run.seconds:.0f} s (R-hat {rhat:.3f}{settled}), not exact",
        False,
        chain,
        run.seconds,
    )


def exact_reference(scores: LocalScores, *, progress: bool = False) -> Reference | None:
    """Return the exact edge marginals, or None where they are out of reach.

    Parameters
    ----------
    scores : LocalScores
    progress : bool

    Returns
    -------
    Reference or None
    """
    estimator = resolve_methods(["exact"])["exact"]
    estimator.set_params(progress=progress)
    begin = time.perf_counter()
    try:
        estimator.infer(scores)
    except (ValueError, MemoryError):
        return None
    seconds = time.perf_counter() - begin
    return Reference(
        marginals_of(estimator),
        f"the exact posterior ({METHODS['exact'].estimator})",
        True,
        estimator,
        seconds,
    )


def worst(values: Any, choose: Any) -> float:
    """Return the worst of some diagnostics, NaN where there is none.

    Parameters
    ----------
    values : float, array or DataFrame
    choose : callable
        ``numpy.nanmax`` or ``numpy.nanmin``.
    """
    numbers = np.asarray(values, dtype=np.float64)
    return np.nan if np.isnan(numbers).all() else float(choose(numbers))
