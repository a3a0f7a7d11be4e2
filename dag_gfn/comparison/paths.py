"""How far the edge marginals of a method were from a reference at each time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.metrics import edge_error

__all__ = ["Path", "error_path", "errors_of", "path_of"]

_POINTS = 40


class Path(NamedTuple):
    """Draws in the order in which they were made."""

    adjacency: NDArray[np.int8]  # [C, S, d, d]
    log_weights: NDArray[np.float64]  # [C, S]
    seconds: NDArray[np.float64]  # [S]


def path_of(estimator: PosteriorEstimator) -> Path | None:
    """Return the draws of a fitted estimator with their times, None where they have none."""
    chains = getattr(estimator, "chains_", None)
    if chains is not None:
        return Path(chains.draws.adjacency, chains.draws.log_weights, chains.seconds)
    replicates = getattr(estimator, "replicates_", None)
    if replicates is not None:
        adjacency = replicates.adjacency[None]
        return Path(adjacency, np.zeros(adjacency.shape[:2]), replicates.seconds)
    return None


def errors_of(estimator: PosteriorEstimator, reference: pd.DataFrame) -> pd.DataFrame | None:
    """Compare the marginals that a fitted estimator had at each time with a reference.

    Parameters
    ----------
    estimator : PosteriorEstimator
    reference : DataFrame [d, d]

    Returns
    -------
    DataFrame or None
        As of `error_path`. Of chains whose draws weigh the same, the marginals of all steps so far,
        of which the draws are but some.
    """
    chains = getattr(estimator, "chains_", None)
    if chains is not None and np.ptp(chains.draws.log_weights) == 0:
        errors = [edge_error(marginals, reference.to_numpy()) for marginals in chains.path]
        return pd.DataFrame(
            {
                "seconds": chains.path_seconds,
                "max_error": [error.max for error in errors],
                "mean_error": [error.mean for error in errors],
            }
        )
    path = path_of(estimator)
    return None if path is None else error_path(path, reference)


def error_path(path: Path, reference: pd.DataFrame) -> pd.DataFrame:
    """Compare the marginals of all draws up to a time with a reference.

    Parameters
    ----------
    path : Path
    reference : DataFrame [d, d]
        Edge marginals, the variables in the order of the draws.

    Returns
    -------
    DataFrame
        ``seconds``, ``max_error``, ``mean_error`` at no more than 40 times, evenly spaced in the
        logarithm of the number of draws; at each the draws of all chains so far are pooled. Draws
        that were there at the same time count together.

    Examples
    --------
    >>> reference = pd.DataFrame([[0, 0.5], [0, 0]])
    >>> draws = np.array([[[[0, 1], [0, 0]], [[0, 0], [0, 0]]]])
    >>> error_path(Path(draws, np.zeros((1, 2)), np.array([1.0, 2.0])), reference)["max_error"]
    0    0.5
    1    0.0
    Name: max_error, dtype: float64
    """
    num_draws = len(path.seconds)
    ends = np.geomspace(1, num_draws, _POINTS).round().astype(int)
    ends = np.unique(np.searchsorted(path.seconds, path.seconds[ends - 1], side="right"))
    weights = np.exp(path.log_weights - path.log_weights.max())
    total = np.zeros(path.adjacency.shape[2:])
    weight = 0.0
    rows, begin = [], 0
    for end in ends:
        part = weights[:, begin:end]
        total += np.einsum("cs,csij->ij", part, path.adjacency[:, begin:end])
        weight += part.sum()
        begin = end
        if weight > 0:
            error = edge_error(total / weight, reference.to_numpy())
            rows.append((path.seconds[end - 1], error.max, error.mean))
    return pd.DataFrame(rows, columns=["seconds", "max_error", "mean_error"])
