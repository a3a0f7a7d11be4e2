"""Principal minors and conditional variances of positive-definite matrices."""

from __future__ import annotations

import numpy as np

__all__ = ["as_correlation", "log_minors", "subset_minors", "subset_sums", "unexplained_shares"]


def unexplained_shares(scale: np.ndarray) -> np.ndarray:
    """Return the share of each variance that all other columns leave, M_jj|rest / M_jj.

    Parameters
    ----------
    scale : array of float64 [..., d, d]
        Positive definite.

    Returns
    -------
    ndarray of float64 [..., d]
        Zero where rounding leaves nothing.
    """
    correlation = as_correlation(scale)
    try:
        inverse = np.linalg.inv(correlation)
    except np.linalg.LinAlgError:
        return np.zeros(scale.shape[:-1])
    # At least one in exact arithmetic; far less, or negative, only when rounding took over.
    precision = np.diagonal(inverse, axis1=-2, axis2=-1)
    return np.where(precision > 0.5, 1 / np.maximum(precision, 1), 0.0)


def as_correlation(scale: np.ndarray) -> np.ndarray:
    """Return the matrices scaled to unit diagonal, float64 [..., d, d]."""
    deviation = np.sqrt(np.diagonal(scale, axis1=-2, axis2=-1))
    return scale / (deviation[..., :, None] * deviation[..., None, :])


def log_minors(scale: np.ndarray, families: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log |M_PP| and log M_jj|P for families (P, j).

    Parameters
    ----------
    scale : array of float64 [d, d]
        Positive definite.
    families : array of int [K, k + 1]
        The parents, then the node.

    Returns
    -------
    log_det, log_variance : ndarray of float64 [K]
    """
    factor = np.linalg.cholesky(scale[families[:, :, None], families[:, None, :]])
    log_pivots = 2 * np.log(np.diagonal(factor, axis1=1, axis2=2))
    return np.sum(log_pivots[:, :-1], axis=1), log_pivots[:, -1]


def subset_minors(scale: np.ndarray, num_fixed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return log |M_PP| and log M_jj|P for every subset of the rows before the last, j.

    Parameters
    ----------
    scale : array of float64 [f + m + 1, f + m + 1]
        Positive definite; the first f rows are in every subset.
    num_fixed : int
        f.

    Returns
    -------
    log_det, log_variance : ndarray of float64 [2^m]
        Entry b is for the subset whose bit mask is b.
    """
    schur = scale[None]
    log_det = np.zeros(1)
    for index in range(len(scale) - 1):
        pivot, row, rest = schur[:, 0, 0], schur[:, 0, 1:], schur[:, 1:, 1:]
        conditioned = rest - row[:, :, None] * (row / pivot[:, None])[:, None, :]
        log_det_with = log_det + np.log(pivot)
        if index < num_fixed:
            schur, log_det = conditioned, log_det_with
        else:
            schur = np.concatenate([rest, conditioned])
            log_det = np.concatenate([log_det, log_det_with])
    return log_det, np.log(schur[:, 0, 0])


def subset_sums(values: np.ndarray) -> np.ndarray:
    """Return the sum of every subset, float64 [2^m]; entry b is for the bit mask b."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums
