"""State-conditional flows: one network for the sampler that begins at any given state.

Given a state ``s``, the reward of what ``s`` does not reach is zero, and the flow through ``s``
itself is the total of the rest, ``F(s | s) = sum of R(x) over x reached from s`` (Bengio et al.
2021, arXiv 2111.09266, section 5). An unconditional flow does not have it: there, flow reaches
``x`` along trajectories that pass by ``s``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dag_gfn.gflownet.spaces.base import Space


class Conditional(NamedTuple):
    """States of the sampler that began at other states."""

    start: Any  # leaves [B, ...]
    state: Any  # leaves [B, ...], reached from there


def conditional(space: Space) -> Space:
    """Return the space whose states know where they began.

    Parameters
    ----------
    space : Space

    Returns
    -------
    Space
        Its states are `Conditional`. Trajectories that begin at states `begin_at` train the flow
        given those; ``initial`` begins where the unconditional sampler does. Objectives with one
        learned log Z do not apply, as there is one for each start.

    Examples
    --------
    >>> from dag_gfn.gflownet.spaces.hypergrid import hypergrid
    >>> grid = conditional(hypergrid(2, 4))
    >>> state = grid.step(begin_at(jnp.array([[2, 1]])), jnp.array([1]))
    >>> grid.backward_mask(state).tolist()  # the first coordinate was two from the start
    [[False, True]]
    """

    def backward_mask(states: Conditional) -> jax.Array:
        possible = space.backward_mask(states.state)

        def stays_above(action: jax.Array) -> jax.Array:
            actions = jnp.full(len(possible), action, jnp.int32)
            return space.reaches(states.start, space.undo(states.state, actions))

        above = jax.vmap(stays_above, out_axes=1)(jnp.arange(space.num_actions))
        return possible & above

    return Space(
        num_actions=space.num_actions,
        max_steps=space.max_steps,
        initial=lambda batch_size: begin_at(space.initial(batch_size)),
        step=lambda states, action: states._replace(state=space.step(states.state, action)),
        undo=lambda states, action: states._replace(state=space.undo(states.state, action)),
        mask=lambda states: space.mask(states.state),
        backward_mask=backward_mask,
        reaches=lambda states, later: space.reaches(states.state, later.state),
        log_reward=lambda states: space.log_reward(states.state),
        observe=lambda states: jnp.concatenate(
            [space.observe(states.state), space.observe(states.start)], axis=1
        ),
    )


def begin_at(states: Any) -> Conditional:
    """Return the states in which a sampler begins at given states, leaves [B, ...]."""
    return Conditional(states, states)
