"""Score tables: every local score up to an in-degree limit, and gains looked up in it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dag_gfn.scores.subsets import binomials, size_offsets, subset_masks, subset_ranks

if TYPE_CHECKING:
    from dag_gfn.scores.base import LocalScores

__all__ = ["ScoreTable", "constrained", "local_score_table", "score_table", "table_gains"]


class ScoreTable(NamedTuple):
    """All local scores of all nodes, on the device."""

    scores: jax.Array  # float32 [d, N], relative to each node with its required parents alone
    binomial: jax.Array  # int32 [d - 1, p + 1], C(c, k)
    offset: jax.Array  # int32 [p + 1], rank of the first set of each size
    forbidden: jax.Array  # bool [d, d], row causes column


def local_score_table(scores: LocalScores) -> np.ndarray:
    """Compute every local score of every node on the host.

    Parameters
    ----------
    scores : LocalScores

    Returns
    -------
    ndarray of float64 [d, N]
        Entry [j, r] is for the r-th parent set up to the in-degree limit, in the order of
        `dag_gfn.scores.subsets.subset_masks`, of the other d - 1 variables in increasing order.
        Required and forbidden edges are not looked at. Read-only.
    """
    num_variables, max_parents = scores.num_variables, scores.max_parents
    values = np.empty((num_variables, scores.num_parent_sets))

    def fill(node: int) -> None:
        others = np.delete(np.arange(num_variables), node)
        values[node] = scores.local_scores_of_subsets(node, others, max_parents)

    # Threads, since the kernels release the interpreter lock and share the output.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in pool.map(fill, range(num_variables)):
            pass
    values.flags.writeable = False
    return values


def constrained(scores: LocalScores, values: np.ndarray) -> np.ndarray:
    """Return a table with -inf where required or forbidden edges exclude the parent set."""
    num_variables = scores.num_variables
    if not np.any(scores.required) and np.sum(scores.forbidden) == num_variables:
        return values
    masks = subset_masks(num_variables - 1, scores.max_parents)
    values = values.copy()
    for node in range(num_variables):
        others = np.delete(np.arange(num_variables), node)
        excluded = np.any(masks[:, scores.forbidden[others, node]], axis=1)
        excluded |= ~np.all(masks[:, scores.required[others, node]], axis=1)
        values[node, excluded] = -np.inf
    values.flags.writeable = False
    return values


def score_table(scores: LocalScores) -> ScoreTable:
    """Return the table of `table_gains`.

    Scores are computed and referred to a common origin in float64, then rounded, so that gains keep
    the precision of float32 at the size of the differences, not of the log-likelihood.
    """
    num_variables, max_parents = scores.num_variables, scores.max_parents
    values = scores.unconstrained_table
    nodes = np.arange(num_variables)
    others = nodes[None, :-1] + (nodes[None, :-1] >= nodes[:, None])
    origin = subset_ranks(scores.required[others, nodes[:, None]])
    differences = np.empty(values.shape, dtype=np.float32)
    np.subtract(
        values,
        np.take_along_axis(values, origin[:, None], axis=1),
        out=differences,
        casting="same_kind",
    )
    return ScoreTable(
        scores=jnp.asarray(differences),
        binomial=jnp.asarray(binomials(num_variables - 1, max_parents).astype(np.int32)),
        offset=jnp.asarray(size_offsets(num_variables - 1, max_parents)[:-1].astype(np.int32)),
        forbidden=jnp.asarray(scores.forbidden),
    )


def table_gains(arrays: ScoreTable, node: jax.Array, parents: jax.Array) -> jax.Array:
    """Return the change of the log score with each added edge into a node.

    Parameters
    ----------
    arrays : ScoreTable
    node : array of int32 []
    parents : array of bool [d]
        Current parents, within the constraints.

    Returns
    -------
    array of float32 [d]
        Entry i for edge i -> node; -inf where there can be no such edge (see `LocalScores.gains`).

    Notes
    -----
    With members c_1 < ... < c_k, adding c moves each larger member from C(c_r, r) to C(c_r, r + 1)
    and contributes C(c, b + 1) itself, where b members are smaller. So the ranks of all supersets
    are a prefix sum of the old terms plus a suffix sum of the moved ones.
    """
    num_variables = len(parents)
    limit = len(arrays.offset) - 1
    variables = jnp.arange(num_variables)
    # Positions among the other variables; the node itself gets a neighbour's, and is masked below.
    position = jnp.clip(variables - (variables > node), 0, num_variables - 2)
    rank_among = jnp.cumsum(parents)
    size = rank_among[-1]
    kept = jnp.where(parents, _choose(arrays, position, rank_among), 0)
    moved = jnp.where(parents, _choose(arrays, position, rank_among + 1), 0)
    current = arrays.offset[jnp.minimum(size, limit)] + jnp.sum(kept)
    below = jnp.cumsum(kept)
    above = jnp.sum(moved) - jnp.cumsum(moved)
    added = _choose(arrays, position, rank_among + 1)
    larger = arrays.offset[jnp.minimum(size + 1, limit)] + below + added + above
    legal = ~parents & ~arrays.forbidden[:, node] & (size < limit)
    # One gather of d + 1 entries: indexing by node first would copy whole rows under vmap.
    gain = arrays.scores[node, jnp.where(legal, larger, 0)] - arrays.scores[node, current]
    return jnp.where(legal, gain, -jnp.inf)


def _choose(arrays: ScoreTable, element: jax.Array, size: jax.Array) -> jax.Array:
    """Return C(element, size), with sizes past the limit clipped (those sets are masked)."""
    return arrays.binomial[element, jnp.minimum(size, arrays.binomial.shape[1] - 1)]
