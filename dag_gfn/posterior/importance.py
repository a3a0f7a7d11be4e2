"""Importance weights: how many draws they are worth, and whether their tail can be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

# Log-weights that differ by less than this are equal for every purpose: the difference is below
# the rounding of the float32 log-probabilities they come from.
FLAT = 1e-6


def normalised_weights(log_weights: ArrayLike) -> NDArray[np.float64]:
    """Turn log-weights into weights that sum to one.

    Parameters
    ----------
    log_weights : array_like, shape [S]
        Natural logarithms, up to a constant; -inf for a draw that does not count.

    Returns
    -------
    numpy.ndarray, float64, shape [S]

    Examples
    --------
    >>> normalised_weights([1000.0, 1000.0])
    array([0.5, 0.5])
    """
    log_weights = np.asarray(log_weights, np.float64)
    return np.exp(log_weights - logsumexp(log_weights))


def effective_sample_size(log_weights: ArrayLike) -> float:
    """Compute Kish's effective sample size, ``(sum w)^2 / sum w^2`` (Kish 1965).

    Parameters
    ----------
    log_weights : array_like, shape [S]
        Natural logarithms, up to a constant.

    Returns
    -------
    float
        Between 1 and S: how many equally weighted draws have the same variance.

    Examples
    --------
    >>> round(effective_sample_size([0.0, 0.0, 0.0]), 6)
    3.0
    """
    log_weights = np.asarray(log_weights, np.float64)
    return float(np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights)))


def log_mean_weight(log_weights: ArrayLike) -> float:
    """Estimate a log normalising constant as the log of the mean weight.

    Parameters
    ----------
    log_weights : array_like, shape [S]
        Logs of unbiased importance weights.

    Returns
    -------
    float
        In nats.

    Examples
    --------
    >>> round(log_mean_weight([-3.0, -3.0]), 6)
    -3.0
    """
    log_weights = np.asarray(log_weights, np.float64)
    return float(logsumexp(log_weights) - np.log(len(log_weights)))


def pareto_khat(log_weights: ArrayLike) -> float:
    """Estimate the shape of the generalised Pareto tail of importance weights.

    The largest ``M = min(S / 5, 3 sqrt(S))`` weights are compared with the next one below, and a
    generalised Pareto distribution is fitted to what they exceed it by (Vehtari et al. 2024)
    with the quasi-Bayesian estimator of Zhang and Stephens (2009), its shape drawn towards 0.5 by
    a prior worth ten draws.

    Parameters
    ----------
    log_weights : array_like, shape [S]
        Natural logarithms, up to a constant. Draws at -inf are left out of the fit: they lower
        the effective sample size, not the weight of the tail.

    Returns
    -------
    float
        k-hat. Below 0.7 the weighted means can be trusted. ``-inf`` when the largest weights are
        all equal, so that there is no tail; ``inf`` when there are fewer than 25 unequal
        weights, or when they differ by so much that one or two outweigh all others.

    References
    ----------
    Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance
    sampling. JMLR 25(72). Zhang, J. and Stephens, M. A. (2009). A new and efficient estimation
    method for the generalized Pareto distribution. Technometrics 51(3).

    Examples
    --------
    >>> pareto_khat([0.0] * 100)
    -inf
    >>> import numpy as np
    >>> heavy = np.random.default_rng(0).pareto(1 / 0.9, size=10_000)
    >>> round(pareto_khat(np.log(heavy)), 1)
    0.9
    """
    log_weights = np.asarray(log_weights, np.float64)
    ordered = np.sort(log_weights[log_weights > -np.inf])
    if len(ordered) == 0:
        return np.inf
    ordered -= ordered[-1]
    num_tail = int(min(len(ordered) / 5, 3 * np.sqrt(len(ordered))))
    if num_tail < 5:
        return -np.inf if ordered[0] > -FLAT else np.inf
    log_cutoff = ordered[-num_tail - 1]
    if log_cutoff > -FLAT:
        return -np.inf
    tail = ordered[-num_tail:]
    tail = tail[tail > log_cutoff]
    # exp(tail) - exp(log_cutoff), without the cancellation when the two are close
    return _pareto_shape(-np.exp(tail) * np.expm1(log_cutoff - tail))


def _pareto_shape(excess: NDArray[np.float64]) -> float:
    """Fit the shape of a generalised Pareto distribution to ascending positive values [n]."""
    num = len(excess)
    quartile = excess[max(int(num / 4 + 0.5) - 1, 0)]
    if quartile <= 0:
        # Three quarters of the tail vanish beside its maximum in float64.
        return np.inf
    grid_size = 30 + int(np.sqrt(num))
    grid = np.arange(1, grid_size + 1) - 0.5
    theta = 1 / excess[-1] + (1 - np.sqrt(grid_size / grid)) / (3 * quartile)  # [grid]
    theta = theta[theta != 0]  # the fit at 0 is a limit; a tail of equal values can hit it exactly
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    log_likelihood = num * (np.log(-theta / shape) - shape - 1)
    theta_mean = theta @ normalised_weights(log_likelihood)
    khat = np.log1p(-theta_mean * excess).mean()
    return float((num * khat + 10 * 0.5) / (num + 10))
