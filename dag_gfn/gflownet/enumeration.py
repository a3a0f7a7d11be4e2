"""All states of a small space, and where a policy ends: what every objective is held against.

Glossary: ``N`` states, ``M`` transitions, ``A`` actions without the one to stop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from dag_gfn.gflownet.spaces.base import Space


class Enumeration(NamedTuple):
    """The graph of a space's states."""

    states: Any  # leaves [N, ...], the initial state first, by depth
    depth: NDArray[np.int64]  # [N], actions from the initial state
    source: NDArray[np.int64]  # [M], the state before each transition
    action: NDArray[np.int64]  # [M]
    target: NDArray[np.int64]  # [M], the state after it
    log_reward: NDArray[np.float64]  # [N], minus infinity where a state may not stop


def enumerate_states(space: Space, *, max_states: int = 100_000) -> Enumeration:
    """List all states that can be reached, and all transitions between them.

    Parameters
    ----------
    space : Space
        Two states are the same where all that is not floating-point is.
    max_states : int

    Returns
    -------
    Enumeration

    Raises
    ------
    ValueError
        If there are more than ``max_states``.

    Examples
    --------
    >>> from dag_gfn.gflownet.spaces.hypergrid import hypergrid
    >>> len(enumerate_states(hypergrid(2, 8)).depth)
    64
    """
    layer = space.initial(1)
    layers, transitions, known = [layer], [], 1
    while True:
        first = known - len(_keys(layer))
        source, action = np.nonzero(np.asarray(space.mask(layer))[:, :-1])
        if not len(source):
            break
        after = space.step(_rows(layer, source), jnp.asarray(action, jnp.int32))
        _, representative, target = np.unique(
            _keys(after), axis=0, return_index=True, return_inverse=True
        )
        transitions.append(np.stack([source + first, action, target.ravel() + known]))
        layer = _rows(after, representative)
        known += len(representative)
        if known > max_states:
            raise ValueError(f"the space has more than {max_states} states; make it smaller.")
        layers.append(layer)
    states = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *layers)
    sizes = [len(_keys(layer)) for layer in layers]
    source, action, target = np.concatenate(transitions, axis=1)
    may_stop = np.asarray(space.mask(states))[:, -1]
    return Enumeration(
        states=states,
        depth=np.repeat(np.arange(len(layers)), sizes),
        source=source,
        action=action,
        target=target,
        log_reward=np.where(may_stop, np.asarray(space.log_reward(states), float), -np.inf),
    )


def terminal_log_prob(
    enumeration: Enumeration, log_forward: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the log-probability that a policy stops at each state.

    Parameters
    ----------
    enumeration : Enumeration
    log_forward : float [N, A + 1]
        log P_F of each action at each state, the last to stop.

    Returns
    -------
    float64 [N]
    """
    log_reach = np.full(len(enumeration.depth), -np.inf)
    log_reach[0] = 0.0
    flow = np.asarray(log_forward, float)
    for depth in range(enumeration.depth[-1]):
        (along,) = np.nonzero(enumeration.depth[enumeration.source] == depth)
        source = enumeration.source[along]
        flowing = log_reach[source] + flow[source, enumeration.action[along]]
        np.logaddexp.at(log_reach, enumeration.target[along], flowing)
    return log_reach + flow[:, -1]


def _rows(states: Any, rows: NDArray[np.int64]) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], states)


def _keys(states: Any) -> NDArray[np.int64]:
    """Return what tells states apart, [N, ...]: rounding differs between ways to a state."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(states)]
    exact = [leaf.reshape(len(leaf), -1) for leaf in leaves if leaf.dtype.kind != "f"]
    return np.concatenate(exact, axis=1).astype(np.int64)
