"""Directed acyclic graphs, one edge at a time, as a `Space` for any objective and policy.

`dag_gfn.gflownet.spaces.dag` holds the functions; the flagship's training calls them directly, and
has a policy that sees more of the scores.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dag_gfn.gflownet.spaces import dag
from dag_gfn.gflownet.spaces.base import Space
from dag_gfn.scores import LocalScores


def dag_edges(scores: LocalScores) -> Space:
    """Return the DAGs on a table's variables, all of which are terminal.

    Parameters
    ----------
    scores : LocalScores
        The log-reward is the log-score relative to that of the initial graph, which is empty or
        has the required edges.

    Returns
    -------
    Space
        States are `dag_gfn.gflownet.spaces.dag.DAGState`; action ``i d + j`` adds the edge
        ``i -> j``.

    Examples
    --------
    >>> import numpy as np
    >>> from dag_gfn.scores import local_scores
    >>> space = dag_edges(local_scores(np.random.default_rng(0).normal(size=(50, 3))))
    >>> int(space.mask(space.initial(1)).sum())  # six edges, and to stop
    7
    """
    d = scores.num_variables
    arrays, gains_function = dag.dag_space(scores)

    def step(state: dag.DAGState, action: jax.Array) -> dag.DAGState:
        return dag.step(arrays, gains_function, state, action)[0]

    def undo(state: dag.DAGState, action: jax.Array) -> dag.DAGState:
        edge = jax.nn.one_hot(action, d * d, dtype=bool).reshape(-1, d, d)
        before = dag.from_adjacency(
            arrays, gains_function, state.adjacency & ~edge, state.local_scores
        )
        gain = jnp.where(edge, before.gains, 0.0).sum(axis=1)  # [B, d], of the edge's target
        return before._replace(local_scores=state.local_scores - gain)

    def mask(state: dag.DAGState) -> jax.Array:
        legal = dag.legal_edges(state).reshape(len(state.num_added), -1)
        return jnp.pad(legal, ((0, 0), (0, 1)), constant_values=True)

    def observe(state: dag.DAGState) -> jax.Array:
        gains = jnp.where(dag.legal_edges(state), jnp.tanh(state.gains / 6.0), 0.0)
        seen = jnp.stack([state.adjacency, state.descendants, gains], axis=1)
        return seen.reshape(len(gains), -1)

    return Space(
        num_actions=d * d,
        max_steps=d * (d - 1) // 2 - int(scores.required.sum()),
        initial=lambda batch_size: dag.initial(arrays, batch_size),
        step=step,
        undo=undo,
        mask=mask,
        backward_mask=lambda state: (state.adjacency & ~arrays.initial_adjacency).reshape(
            len(state.num_added), -1
        ),
        reaches=lambda state, later: jnp.all(later.adjacency | ~state.adjacency, axis=(1, 2)),
        log_reward=lambda state: state.local_scores.sum(axis=1),
        observe=observe,
    )
