"""BGe gains without a table: a masked Cholesky factorisation, for any number of variables."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dag_gfn.scores.bge import BGeLikelihood
from dag_gfn.scores.minors import as_correlation, unexplained_shares

__all__ = ["SchurArrays", "schur_arrays", "schur_gains"]

# Smallest conditional variance, as a share of the marginal one, that float32 tells from zero.
_FLOOR = 1e-6


class SchurArrays(NamedTuple):
    """Posterior (and prior) scale matrices as correlations, on the device.

    V is 1, or d when interventions give each node rows of its own; p is the in-degree limit.
    """

    posterior: jax.Array  # float32 [V, d, d], R_ab / sqrt(R_aa R_bb)
    prior: jax.Array | None  # float32 [d, d], the same for T; None when T is diagonal
    log_scale: jax.Array  # float32 [V, d], log(T_aa / R_aa) / 2
    size_gain: jax.Array  # float32 [V, p], change of all that depends on the parent count alone
    posterior_weight: jax.Array  # float32 [V, p], (N + alpha_w - d + k) / 2 + 1 for k parents
    prior_weight: jax.Array  # float32 [p], alpha_w - d + k likewise
    forbidden: jax.Array  # bool [d, d], row causes column


def schur_arrays(
    likelihood: BGeLikelihood, log_prior: np.ndarray, forbidden: np.ndarray, max_parents: int
) -> SchurArrays:
    """Return the arrays of `schur_gains`.

    Parameters
    ----------
    likelihood : BGeLikelihood
    log_prior : array of float64 [d]
        Log-prior of a node with 0, ..., d - 1 parents.
    forbidden : array of bool [d, d]
    max_parents : int

    Warns
    -----
    UserWarning
        If a column is so nearly a linear combination of others that float32 cannot resolve what is
        left of it.
    """
    # One version of the posterior per node, unless all nodes share one.
    shared = len(likelihood.num_rows) == 1
    nodes = np.zeros(1, dtype=np.int64) if shared else np.arange(likelihood.num_variables)
    version = likelihood.version[nodes]
    constant = np.stack([likelihood.log_constant(one) for one in version]) + log_prior
    degrees = likelihood.degrees_of_freedom[:max_parents]
    prior_variance = np.diag(likelihood.prior_scale)
    posterior_variance = np.diagonal(likelihood.posterior_scale, axis1=1, axis2=2)[version]
    prior = None if likelihood.prior_is_diagonal else as_correlation(likelihood.prior_scale)
    _warn_if_collinear(likelihood)
    correlation = as_correlation(likelihood.posterior_scale)
    as_device = jnp.asarray
    return SchurArrays(
        posterior=as_device(correlation[version].astype(np.float32)),
        prior=None if prior is None else as_device(prior.astype(np.float32)),
        log_scale=as_device(0.5 * np.log(prior_variance / posterior_variance).astype(np.float32)),
        size_gain=as_device(np.diff(constant)[:, :max_parents].astype(np.float32)),
        posterior_weight=as_device(
            (0.5 * (likelihood.num_rows[version][:, None] + degrees) + 1).astype(np.float32)
        ),
        prior_weight=as_device((0.5 * degrees + 1).astype(np.float32)),
        forbidden=as_device(forbidden),
    )


def schur_gains(arrays: SchurArrays, node: jax.Array, parents: jax.Array) -> jax.Array:
    """Return the change of the log score with each added edge into a node.

    Parameters
    ----------
    arrays : SchurArrays
    node : array of int32 []
    parents : array of bool [d]
        Current parents, within the constraints.

    Returns
    -------
    array of float32 [d]
        Entry i for edge i -> node; -inf where there can be no such edge (see `LocalScores.gains`).

    Notes
    -----
    With k parents P, S = R - R[:, P] R[P, P]^-1 R[P, :] and q_i = S_ij^2 / (S_ii S_jj), adding i
    multiplies the variance of j by 1 - q_i and the determinant of the parents by S_ii, so the
    posterior part of the score (see `BGe`) changes by
    -((N + alpha_w - d + k) / 2 + 1) log(1 - q_i) - log(S_ii S_jj) / 2, and the prior part by the
    same in T with N = 0 and opposite sign.
    """
    num_variables = len(parents)
    limit = arrays.size_gain.shape[-1]
    if limit == 0:
        return jnp.full(num_variables, -jnp.inf, dtype=jnp.float32)
    version = jnp.where(len(arrays.posterior) == 1, 0, node)
    size = jnp.sum(parents)
    slot = jnp.minimum(size, limit - 1)
    log_share, log_variances = _conditional(arrays.posterior[version], node, parents, limit)
    gain = (
        arrays.size_gain[version, slot]
        + arrays.log_scale[version]
        + arrays.log_scale[version, node]
        - arrays.posterior_weight[version, slot] * log_share
        - 0.5 * log_variances
    )
    if arrays.prior is not None:
        log_share, log_variances = _conditional(arrays.prior, node, parents, limit)
        gain += arrays.prior_weight[slot] * log_share + 0.5 * log_variances
    legal = ~parents & ~arrays.forbidden[:, node] & (size < limit)
    return jnp.where(legal, gain, -jnp.inf)


def _conditional(
    correlation: jax.Array, node: jax.Array, parents: jax.Array, limit: int
) -> tuple[jax.Array, jax.Array]:
    """Return log(1 - q_i) and log(S_ii S_jj) given the parents, float32 [d] each.

    Row r of the Cholesky factor is computed from the rows before it; the loop runs once per parent
    and pivots are bounded away from zero, so that a near-singular table gives finite values.
    """
    num_variables = len(parents)
    order = jnp.cumsum(parents)

    def add_row(index: jax.Array, rows: jax.Array) -> jax.Array:
        parent = jnp.argmax(order == index + 1)
        row = correlation[parent] - jnp.sum(rows[:, parent, None] * rows, axis=0)
        return rows.at[index].set(row * jax.lax.rsqrt(jnp.maximum(row[parent], _FLOOR)))

    rows = jax.lax.fori_loop(
        0, order[-1], add_row, jnp.zeros((limit, num_variables), correlation.dtype)
    )
    # Sums of products, not matrix products: accelerators round the factors of those.
    variance = jnp.maximum(1 - jnp.sum(rows * rows, axis=0), _FLOOR)
    covariance = correlation[:, node] - jnp.sum(rows * rows[:, node, None], axis=0)
    pair = variance * variance[node]
    share = jnp.clip(covariance**2 / pair, 0, 1 - _FLOOR)
    return jnp.log1p(-share), jnp.log(pair)


def _warn_if_collinear(likelihood: BGeLikelihood) -> None:
    """Warn when float32 cannot hold the smallest conditional variance."""
    shares = np.min(unexplained_shares(likelihood.posterior_scale), axis=0)
    if np.min(shares) < 10 * _FLOOR:
        warnings.warn(
            f"column {likelihood.names[np.argmin(shares)]!r} is a linear combination of the others "
            f"up to a share of {np.min(shares):.1g} of its variance, which float32 on the "
            "accelerator cannot resolve; drop it, or set max_parents low enough for a table of "
            "scores.",
            UserWarning,
            stacklevel=2,
        )
