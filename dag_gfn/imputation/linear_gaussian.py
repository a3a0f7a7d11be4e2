"""Missing measurements, drawn from what a linear-Gaussian network says of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dag_gfn.imputation.patterns import Pattern
from dag_gfn.posterior.linear_gaussian import LinearGaussianParameters

__all__ = ["draw_missing_values"]


def draw_missing_values(
    values: NDArray[np.float64],
    patterns: Iterable[Pattern],
    network: LinearGaussianParameters,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    r"""Draw the missing values of each row from p(missing | observed, G, theta).

    With the residuals :math:`x_j - a_j - \sum_i b_{ij} x_i` of variance :math:`v_j`, and
    :math:`U = I - B`, the missing values M of a row with the observed ones O are normal with

    .. math::

        Q = U_{M} V^{-1} U_{M}^T, \qquad Q \mu = U_{M} V^{-1} (a - U_{O}^T x_O)

    for the precision Q and the mean :math:`\mu` (Rue and Held 2005, "Gaussian Markov random
    fields", theorem 2.5). A variable that was set has no mechanism, so its residual is left out of
    the sums, which leave it a constant for the others.

    Parameters
    ----------
    values : float64 [n, d]
        What stands in the missing cells is not looked at.
    patterns : iterable of Pattern
        As of `missing_patterns`.
    network : LinearGaussianParameters
        One draw, in the units of the values.
    rng : numpy.random.Generator

    Returns
    -------
    float64 [n, d]
        A copy with other values in the missing cells.

    Examples
    --------
    >>> adjacency = np.array([[[0, 1], [0, 0]]], np.int8)
    >>> network = LinearGaussianParameters(
    ...     names=("a", "b"),
    ...     adjacency=adjacency,
    ...     coefficients=2.0 * adjacency,
    ...     intercepts=np.array([[0.0, 1.0]]),
    ...     variances=np.array([[1.0, 1e-12]]),
    ...     log_weights=np.zeros(1),
    ... )
    >>> pattern = Pattern(np.array([0]), np.array([False, True]), -1)
    >>> values = np.array([[3.0, np.nan]])
    >>> draw_missing_values(values, [pattern], network, np.random.default_rng(0)).round(3)
    array([[3., 7.]])
    """
    values = values.copy()
    contrasts = np.eye(values.shape[1]) - network.coefficients[0]
    intercepts, variances = network.intercepts[0], network.variances[0]
    for rows, missing, target in patterns:
        own = np.arange(len(missing)) != target
        free = contrasts[np.ix_(missing, own)]
        scaled = free / variances[own]
        fixed = intercepts[own] - values[np.ix_(rows, ~missing)] @ contrasts[np.ix_(~missing, own)]
        factor = np.linalg.cholesky(scaled @ free.T)
        mean = np.linalg.solve(factor, scaled @ fixed.T)
        standard = rng.standard_normal(mean.shape)
        values[np.ix_(rows, missing)] = np.linalg.solve(factor.T, mean + standard).T
    return values
