"""Distances of a posterior from a reference posterior, and from a graph known to be true.

The second kind misleads on its own: when data are few the true graph need not be probable, and a
sampler that is wrong can be closer to it than the exact posterior is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, rel_entr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dag_gfn.posterior import Posterior


class EdgeError(NamedTuple):
    """Errors of edge probabilities, over all ordered pairs of different variables."""

    max: float
    mean: float
    rms: float


def total_variation(log_p: ArrayLike, log_q: ArrayLike) -> float:
    """Compute the total variation distance ``sum |p - q| / 2``.

    Parameters
    ----------
    log_p, log_q : array_like, shape [N]
        Natural logarithms of the probabilities of the same N things in the same order. Each is
        normalised first, so log-scores of all the graphs will do.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the shapes differ, or either holds NaN or +inf, or has no mass at all.

    Examples
    --------
    >>> import numpy as np
    >>> round(total_variation(np.log([0.5, 0.5]), np.log([0.9, 0.1])), 6)
    0.4
    """
    p, q = _probabilities(log_p, log_q)
    return float(np.abs(p - q).sum() / 2)


def jensen_shannon(log_p: ArrayLike, log_q: ArrayLike) -> float:
    """Compute the Jensen-Shannon divergence in nats.

    That is ``(KL(p | m) + KL(q | m)) / 2`` with ``m = (p + q) / 2`` (Lin 1991).

    Parameters
    ----------
    log_p, log_q : array_like, shape [N]
        Natural logarithms of the probabilities of the same N things in the same order. Each is
        normalised first, so log-scores of all the graphs will do.

    Returns
    -------
    float
        Between 0 and log 2 = 0.693.

    Raises
    ------
    ValueError
        If the shapes differ, or either holds NaN or +inf, or has no mass at all.

    Examples
    --------
    >>> round(jensen_shannon([0.0, -float("inf")], [-float("inf"), 0.0]), 3)
    0.693
    """
    p, q = _probabilities(log_p, log_q)
    middle = (p + q) / 2
    return float((rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / 2)


def edge_error(
    marginals: ArrayLike | pd.DataFrame, reference: ArrayLike | pd.DataFrame
) -> EdgeError:
    """Compare edge probabilities with those of a reference.

    Parameters
    ----------
    marginals, reference : DataFrame or array_like, shape [d, d]
        Probabilities that row causes column. Two DataFrames are matched by name, else both are
        taken by position. The diagonal does not count.

    Returns
    -------
    EdgeError
        The largest, mean, and root mean square absolute difference.

    Raises
    ------
    ValueError
        If the shapes or the names differ, or there are fewer than two variables.

    Examples
    --------
    >>> edge_error([[0.0, 0.5], [0.25, 0.0]], [[0.0, 0.75], [0.25, 0.0]]).max
    0.25
    """
    names = list(marginals.columns) if isinstance(marginals, pd.DataFrame) else None
    values = _matrix(marginals, names, "marginals")
    expected = _matrix(reference, names, "reference", num_variables=len(values))
    difference = np.abs(values - expected)[_off_diagonal(len(values))]
    return EdgeError(
        float(difference.max()), float(difference.mean()), float(np.sqrt((difference**2).mean()))
    )


def expected_shd(posterior: Posterior, true_graph: ArrayLike | pd.DataFrame | nx.DiGraph) -> float:
    """Compute the expected structural Hamming distance from a true graph.

    The distance counts the pairs of variables that are joined otherwise than in the true graph:
    an edge too many, too few, or reversed counts one (Tsamardinos, Brown and Aliferis 2006, for
    DAGs).

    Parameters
    ----------
    posterior : Posterior
    true_graph : DataFrame, networkx.DiGraph, or array_like [d, d]
        Matched by name; an array, which has no names, by position.

    Returns
    -------
    float
        The posterior mean, between 0 and d (d - 1) / 2.

    Raises
    ------
    ValueError
        If the names or the shape do not fit, or an entry is neither 0 nor 1.

    Examples
    --------
    >>> from dag_gfn.posterior import Posterior
    >>> posterior = Posterior([[[0, 1], [0, 0]], [[0, 0], [1, 0]]], [0.0, 0.0], ["a", "b"])
    >>> expected_shd(posterior, [[0, 1], [0, 0]])
    0.5
    """
    truth = _truth(true_graph, posterior.names)
    forward = posterior.edge_marginals().to_numpy()
    backward = forward.T
    # The three ways to join a pair exclude each other in a DAG, so their probabilities follow from
    # the edge marginals. A pair joined both ways in true_graph is never matched.
    agreement = np.select(
        [truth & ~truth.T, truth.T & ~truth, ~truth & ~truth.T],
        [forward, backward, 1 - forward - backward],
        default=0.0,
    )
    upper = np.triu_indices(len(truth), k=1)
    return float((1 - agreement[upper]).sum())


def auroc(posterior: Posterior, true_graph: ArrayLike | pd.DataFrame | nx.DiGraph) -> float:
    """Compute the area under the ROC curve of the edge marginals as predictors of true edges.

    Parameters
    ----------
    posterior : Posterior
    true_graph : DataFrame, networkx.DiGraph, or array_like [d, d]
        Matched by name; an array, which has no names, by position. The diagonal does not count.

    Returns
    -------
    float
        The probability that a true edge has a higher marginal than a pair that is none; 0.5 is
        chance.

    Raises
    ------
    ValueError
        If the names or the shape do not fit, or the true graph has no edge (or every edge).

    Examples
    --------
    >>> from dag_gfn.posterior import Posterior
    >>> posterior = Posterior([[[0, 1], [0, 0]]], [0.0], ["a", "b"])
    >>> auroc(posterior, [[0, 1], [0, 0]])
    1.0
    """
    from sklearn.metrics import roc_auc_score  # takes a second to import

    return float(roc_auc_score(*_labels_and_marginals(posterior, true_graph)))


def auprc(posterior: Posterior, true_graph: ArrayLike | pd.DataFrame | nx.DiGraph) -> float:
    """Compute the average precision of the edge marginals as predictors of true edges.

    Parameters
    ----------
    posterior : Posterior
    true_graph : DataFrame, networkx.DiGraph, or array_like [d, d]
        Matched by name; an array, which has no names, by position. The diagonal does not count.

    Returns
    -------
    float
        ``sum_n (recall_n - recall_{n - 1}) precision_n`` over the thresholds, without
        interpolation; chance is the share of pairs that are true edges.

    Raises
    ------
    ValueError
        If the names or the shape do not fit, or the true graph has no edge (or every edge).

    Examples
    --------
    >>> from dag_gfn.posterior import Posterior
    >>> posterior = Posterior([[[0, 1], [0, 0]]], [0.0], ["a", "b"])
    >>> auprc(posterior, [[0, 1], [0, 0]])
    1.0
    """
    from sklearn.metrics import average_precision_score  # takes a second to import

    return float(average_precision_score(*_labels_and_marginals(posterior, true_graph)))


def _probabilities(log_p: ArrayLike, log_q: ArrayLike) -> list[NDArray[np.float64]]:
    arrays = [np.asarray(log_p, np.float64), np.asarray(log_q, np.float64)]
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(
            f"log_p has shape {list(arrays[0].shape)} and log_q {list(arrays[1].shape)}; both must "
            "list the same things in the same order."
        )
    for name, array in zip(("log_p", "log_q"), arrays, strict=True):
        if np.isnan(array).any() or np.isposinf(array).any():
            raise ValueError(f"{name} holds NaN or +inf; log-probabilities are finite or -inf.")
        if not np.isfinite(array).any():
            raise ValueError(f"{name} has no mass; at least one entry must be above -inf.")
    return [np.exp(array - logsumexp(array)) for array in arrays]


def _off_diagonal(num_variables: int) -> NDArray[np.bool_]:
    if num_variables < 2:
        raise ValueError("Edges need at least two variables.")
    return ~np.eye(num_variables, dtype=bool)


def _labels_and_marginals(
    posterior: Posterior, true_graph: ArrayLike | pd.DataFrame | nx.DiGraph
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    pairs = _off_diagonal(posterior.num_variables)
    labels = _truth(true_graph, posterior.names)[pairs]
    if labels.all() or not labels.any():
        raise ValueError(
            f"The true graph has {'every' if labels.all() else 'no'} edge, so there is nothing to "
            "tell apart; use expected_shd."
        )
    return labels, posterior.edge_marginals().to_numpy()[pairs]


def _truth(
    true_graph: ArrayLike | pd.DataFrame | nx.DiGraph, names: Sequence[str]
) -> NDArray[np.bool_]:
    if isinstance(true_graph, nx.DiGraph):
        true_graph = nx.to_pandas_adjacency(true_graph, weight=None)
    matrix = _matrix(true_graph, names, "true_graph", num_variables=len(names))
    if not np.isin(matrix, (0, 1)).all() or matrix.diagonal().any():
        raise ValueError("true_graph must hold 0 and 1, and 0 on the diagonal.")
    return matrix.astype(bool)


def _matrix(
    values: ArrayLike | pd.DataFrame,
    names: Sequence[str] | None,
    what: str,
    *,
    num_variables: int | None = None,
) -> NDArray[np.float64]:
    """Return values as float64 [d, d], in the order of names where both have names."""
    if isinstance(values, pd.DataFrame):
        if names is None:
            names = list(values.columns)
        for axis in (values.index, values.columns):
            for name in names:
                if name not in axis:
                    raise ValueError(f"{what} has no variable {name!r}; its names must match.")
            if len(axis) != len(names):
                extra = next((name for name in axis if name not in set(names)), axis[-1])
                raise ValueError(f"{what} has a variable {extra!r} too many; leave it out.")
        values = values.loc[list(names), list(names)]
    matrix = np.asarray(values, np.float64)
    size = len(matrix) if num_variables is None and matrix.ndim else num_variables
    if matrix.shape != (size, size):
        raise ValueError(f"{what} has shape {list(matrix.shape)}; it must be [{size}, {size}].")
    return matrix
