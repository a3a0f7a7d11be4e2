"""The space of directed acyclic graphs, built one edge at a time, batched on the device.

An action is an integer: ``i * d + j`` adds the edge ``i -> j``, ``d * d`` stops. Edges that are
required stand in the initial graph and are never added or removed; forbidden edges, edges that
would close a cycle and edges into a variable that has all the parents it may have are masked.

Everything here is a pure function of a `DAGSpace` (the arrays that a posterior is defined by) and
a `DAGState` (a batch of graphs), so that it can be jitted and scanned.

Glossary: ``B`` batch, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dag_gfn.graphs import transitive_closure
from dag_gfn.scores import LocalScores

GainsFunction = Callable[[Any, jax.Array, jax.Array], jax.Array]


class DAGSpace(NamedTuple):
    """The arrays that define the state space of one table."""

    initial_adjacency: jax.Array  # bool [d, d], the required edges
    initial_descendants: jax.Array  # bool [d, d], see DAGState.descendants
    forbidden: jax.Array  # bool [d, d], the diagonal included
    initial_gains: jax.Array  # float32 [d, d]
    score_arrays: Any  # what the gains function reads


class DAGState(NamedTuple):
    """A batch of graphs under construction."""

    adjacency: jax.Array  # bool [B, d, d], [i, j]: the edge i -> j
    descendants: jax.Array  # bool [B, d, d], [i, j]: j reaches i, or i == j
    gains: jax.Array  # float32 [B, d, d], log R after adding i -> j minus log R before
    local_scores: jax.Array  # float32 [B, d], of each variable, relative to the initial graph
    num_added: jax.Array  # int32 [B], edges that were added to the initial graph


def dag_space(scores: LocalScores) -> tuple[DAGSpace, GainsFunction]:
    """Put the local scores of a table on the device, as a space to sample in.

    Parameters
    ----------
    scores : LocalScores
        The log-score of every graph, with its constraints.

    Returns
    -------
    space : DAGSpace
        Arrays that travel through jit.
    gains_function : callable
        ``gains_function(space.score_arrays, node, parents) -> float32 [d]``: what each candidate
        parent adds to the log-score of ``node``. Static under jit.

    Examples
    --------
    >>> import numpy as np
    >>> from dag_gfn.scores import local_scores
    >>> table = np.random.default_rng(0).normal(size=(50, 3))
    >>> space, gains_function = dag_space(local_scores(table))
    >>> space.initial_gains.shape
    (3, 3)
    """
    gains_function, score_arrays = scores.gains()
    required = np.asarray(scores.required, dtype=bool)
    initial_descendants = transitive_closure(required).T | np.eye(scores.num_variables, dtype=bool)
    space = DAGSpace(
        initial_adjacency=jnp.asarray(required),
        initial_descendants=jnp.asarray(initial_descendants),
        forbidden=jnp.asarray(scores.forbidden, dtype=bool),
        initial_gains=_all_gains(gains_function, score_arrays, jnp.asarray(required)),
        score_arrays=score_arrays,
    )
    return space, gains_function


@partial(jax.jit, static_argnums=0)
def _all_gains(gains_function: GainsFunction, score_arrays: Any, adjacency: jax.Array) -> jax.Array:
    """Return the gain of every edge at one graph, float32 [d, d]."""
    of_node = jax.vmap(gains_function, in_axes=(None, 0, 1), out_axes=1)
    return of_node(score_arrays, jnp.arange(adjacency.shape[0]), adjacency)


def initial(space: DAGSpace, batch_size: int) -> DAGState:
    """Return a batch of initial graphs: empty, or the required edges alone."""
    d = space.forbidden.shape[0]

    def repeat(array: jax.Array) -> jax.Array:
        return jnp.broadcast_to(array, (batch_size, *array.shape))

    return DAGState(
        adjacency=repeat(space.initial_adjacency),
        descendants=repeat(space.initial_descendants),
        gains=repeat(space.initial_gains),
        local_scores=jnp.zeros((batch_size, d), jnp.float32),
        num_added=jnp.zeros(batch_size, jnp.int32),
    )


def from_adjacency(
    space: DAGSpace, gains_function: GainsFunction, adjacency: jax.Array, local_scores: jax.Array
) -> DAGState:
    """Return the states of given graphs.

    Parameters
    ----------
    space : DAGSpace
    gains_function : callable
        From `dag_space`.
    adjacency : bool [B, d, d]
        Acyclic, the required edges included.
    local_scores : float32 [B, d]
        Of each variable, relative to the initial graph.

    Returns
    -------
    DAGState
    """
    d = adjacency.shape[1]
    reached = adjacency.swapaxes(1, 2) | jnp.eye(d, dtype=bool)
    for _ in range(max(d - 1, 1).bit_length()):
        reached = jnp.einsum("bij,bjk->bik", reached.astype(jnp.float32), reached) > 0
    gains = jax.vmap(partial(_all_gains, gains_function, space.score_arrays))(adjacency)
    num_added = adjacency.sum(axis=(1, 2)) - space.initial_adjacency.sum()
    return DAGState(adjacency, reached, gains, local_scores, num_added.astype(jnp.int32))


def legal_edges(state: DAGState) -> jax.Array:
    """Return which edges may be added, bool [B, d, d].

    The edge ``i -> j`` is legal iff ``j`` does not already reach ``i`` and its gain is finite:
    gains are minus infinity for edges that are present or forbidden and where the in-degree limit
    is reached.
    """
    return ~state.descendants & (state.gains > -jnp.inf)


def step(
    space: DAGSpace, gains_function: GainsFunction, state: DAGState, action: jax.Array
) -> tuple[DAGState, jax.Array, jax.Array]:
    """Take one action in every graph of the batch; graphs that stop begin again.

    The transitive closure is kept by a rank-one update (DESIGN: every ``b`` that ``j`` reaches
    becomes a descendant of every ``a`` that reaches ``i``).

    Parameters
    ----------
    space : DAGSpace
    gains_function : callable
        From `dag_space`.
    state : DAGState
        Batch of ``B`` graphs.
    action : int32 [B]
        A legal action for each graph.

    Returns
    -------
    state : DAGState
        After the action; the initial graph where the action was to stop.
    delta : float32 [B]
        Difference of log R; 0 where stopped.
    stopped : bool [B]
    """
    d = space.forbidden.shape[0]
    stopped = action == d * d
    source, target = jnp.divmod(jnp.where(stopped, 0, action), d)
    is_source = jax.nn.one_hot(source, d, dtype=bool)  # [B, d]
    is_target = jax.nn.one_hot(target, d, dtype=bool)  # [B, d]
    edge = is_source[:, :, None] & is_target[:, None, :]

    delta = jnp.sum(jnp.where(edge, state.gains, 0.0), axis=(1, 2))
    adjacency = state.adjacency | edge
    reaches_source = jnp.any(state.descendants & is_source[:, :, None], axis=1)  # [B, d]
    below_target = jnp.any(state.descendants & is_target[:, None, :], axis=2)  # [B, d]
    descendants = state.descendants | (below_target[:, :, None] & reaches_source[:, None, :])
    parents = jnp.any(adjacency & is_target[:, None, :], axis=2)  # [B, d]
    column = jax.vmap(gains_function, in_axes=(None, 0, 0))(space.score_arrays, target, parents)
    gains = jnp.where(is_target[:, None, :], column[:, :, None], state.gains)
    grown = DAGState(
        adjacency=adjacency,
        descendants=descendants,
        gains=gains,
        local_scores=state.local_scores + jnp.where(is_target, delta[:, None], 0.0),
        num_added=state.num_added + 1,
    )
    restarted = initial(space, action.shape[0])
    after = jax.tree.map(
        lambda old, new: jnp.where(stopped.reshape(-1, *[1] * (new.ndim - 1)), old, new),
        restarted,
        grown,
    )
    return after, jnp.where(stopped, 0.0, delta), stopped
