"""Train a flow network on any space with any objective.

`train` does it on the network's own trajectories. What else there is to learn from, `roll_out` and
`walk_back` put into the form that `update` takes: trajectories from other states, those to objects
that are known already, those under a reward that is itself being learned.

The flagship, graphs with a policy that sees the scores, has a loop of its own (`training`), as have
orders (`dag_gfn.orderflow`); this one is for comparing spaces, objectives and policies.

Glossary: ``B`` batch, ``T`` actions of the longest trajectory, the one to stop included, ``A``
actions without it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import optax

from dag_gfn.gflownet.objectives import OBJECTIVES, Trajectories, Window, loss_along
from dag_gfn.gflownet.spaces.base import Space

LOG_Z_SCALE = 100.0  # so many times the learning rate of the network


class GenericSettings(NamedTuple):
    """What a compiled run is specialised to; hashable, static under jit."""

    objective: str = "trajectory_balance"  # a name of OBJECTIVES
    learned_backward: bool = False  # otherwise P_B is uniform
    forward_looking: bool = False  # the network learns log F - log R
    width: int = 128
    num_layers: int = 2
    batch_size: int = 64  # B
    exploration: float = 0.05  # share of actions that are drawn uniformly
    learning_rate: float = 1e-3


class PolicyOutput(NamedTuple):
    """What a network says of a batch of states."""

    log_forward: jax.Array  # float32 [B, A + 1], log P_F, the last to stop
    log_backward: jax.Array  # float32 [B, A], log P_B of undoing each action
    log_flow: jax.Array  # float32 [B], log F
    log_edge_flow: jax.Array  # float32 [B, A + 1], of each action; the reward where it is to stop


class GenericState(NamedTuple):
    """All that a run carries from one update to the next."""

    params: Any  # {"network": haiku parameters, "log_z": log Z over `LOG_Z_SCALE`}
    optimizer_state: Any
    key: jax.Array


class Rollout(NamedTuple):
    """Trajectories as they were walked."""

    states: Any  # leaves [T + 1, B, ...]; the last one again behind the action to stop
    action: jax.Array  # int32 [T, B]
    is_action: jax.Array  # bool [T, B], not padding


def network(settings: GenericSettings, num_actions: int) -> hk.Transformed:
    """Return a multilayer perceptron from observations to logits and log-flows."""

    def apply(seen: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        hidden = hk.nets.MLP(
            [settings.width] * settings.num_layers, activation=jax.nn.gelu, activate_final=True
        )(seen)
        out = hk.Linear(2 * num_actions + 2)(hidden)
        return out[:, : num_actions + 1], out[:, num_actions + 1 : -1], out[:, -1]

    return hk.without_apply_rng(hk.transform(apply))


def evaluate_policy(
    space: Space, settings: GenericSettings, params: Any, states: Any
) -> PolicyOutput:
    """Return what the network says of a batch of states.

    Parameters
    ----------
    space : Space
    settings : GenericSettings
    params : haiku parameters
    states : pytree, leaves [B, ...]

    Returns
    -------
    PolicyOutput
    """
    observed = space.observe(states)
    logits, back, log_flow = network(settings, space.num_actions).apply(params, observed)
    mask, backward_mask = space.mask(states), space.backward_mask(states)
    needs_reward = settings.forward_looking or settings.objective == "flow_matching"
    log_reward = space.log_reward(states) if needs_reward else jnp.zeros(len(mask))
    if settings.objective == "flow_matching":
        logits = logits.at[:, -1].set(log_reward)
    if settings.forward_looking:
        log_flow += log_reward
    if not settings.learned_backward:
        back = jnp.zeros_like(back)
    log_edge_flow = jnp.where(mask, logits, -jnp.inf)
    # The initial state has no action to undo: any finite numbers will do.
    possible = backward_mask | ~backward_mask.any(axis=1, keepdims=True)
    return PolicyOutput(
        log_forward=jax.nn.log_softmax(log_edge_flow),
        log_backward=jax.nn.log_softmax(jnp.where(possible, back, -jnp.inf)),
        log_flow=log_flow,
        log_edge_flow=log_edge_flow,
    )


def roll_out(
    space: Space, settings: GenericSettings, params: Any, key: jax.Array, start: Any
) -> Rollout:
    """Walk on until the action to stop, exploring as the settings say.

    Parameters
    ----------
    space : Space
    settings : GenericSettings
    params : haiku parameters
    key : key
    start : pytree, leaves [B, ...]
        States, as from ``space.initial(B)``.

    Returns
    -------
    Rollout
    """

    def walk(carry: tuple[Any, jax.Array], key: jax.Array) -> tuple[tuple[Any, jax.Array], tuple]:
        states, going = carry
        key_policy, key_uniform, key_choice = jax.random.split(key, 3)
        log_forward = evaluate_policy(space, settings, params, states).log_forward
        uniform = jnp.where(log_forward > -jnp.inf, 0.0, -jnp.inf)
        explore = jax.random.bernoulli(key_choice, settings.exploration, going.shape)
        action = jnp.where(
            explore,
            jax.random.categorical(key_uniform, uniform),
            jax.random.categorical(key_policy, log_forward),
        )
        action = jnp.where(going, action, space.num_actions).astype(jnp.int32)
        moves = action < space.num_actions
        moved = space.step(states, jnp.where(moves, action, 0))
        after = chosen_rows(moves, moved, states)
        return (after, moves), (states, action, going)

    everywhere = jnp.ones(len(jax.tree.leaves(start)[0]), bool)
    keys = jax.random.split(key, space.max_steps + 1)
    (last, _), (states, action, is_action) = jax.lax.scan(walk, (start, everywhere), keys)
    states = jax.tree.map(lambda row, end: jnp.concatenate([row, end[None]]), states, last)
    return Rollout(states, action, is_action)


def walk_back(
    space: Space, settings: GenericSettings, params: Any, key: jax.Array, final: Any
) -> Rollout:
    """Walk from given objects back to the initial state by the backward policy.

    Parameters
    ----------
    space : Space
    settings : GenericSettings
    params : haiku parameters
    key : key
    final : pytree, leaves [B, ...]
        States that may stop.

    Returns
    -------
    Rollout
        The trajectories as if they had been walked forward, to be learned from.
    """

    def walk(states: Any, key: jax.Array) -> tuple[Any, tuple[Any, jax.Array, jax.Array]]:
        possible = space.backward_mask(states)
        going = possible.any(axis=1)
        logits = jnp.zeros(possible.shape)
        if settings.learned_backward:
            logits = evaluate_policy(space, settings, params, states).log_backward
        action = jax.random.categorical(key, jnp.where(possible, logits, -jnp.inf))
        action = jnp.where(going, action, 0).astype(jnp.int32)
        before = chosen_rows(going, space.undo(states, action), states)
        return before, (states, action, going)

    keys = jax.random.split(key, space.max_steps)
    first, (states, undone, going) = jax.lax.scan(walk, final, keys)
    states = jax.tree.map(lambda row, end: jnp.concatenate([row, end[None]]), states, first)
    num_steps = going.sum(axis=0)
    # Place t is where n - t steps are undone; behind the action to stop the object stays.
    place = jnp.arange(space.max_steps + 2)[:, None]
    left = jnp.maximum(num_steps - place, 0)  # [T + 1, B]
    column = jnp.arange(left.shape[1])
    steps = undone[jnp.maximum(left[:-1] - 1, 0), column]
    return Rollout(
        states=jax.tree.map(lambda leaf: leaf[left, column], states),
        action=jnp.where(left[:-1] > 0, steps, space.num_actions).astype(jnp.int32),
        is_action=place[:-1] <= num_steps,
    )


def join(one: Rollout, other: Rollout) -> Rollout:
    """Return the trajectories of both, for one update."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), one, other)


def follow(
    space: Space, settings: GenericSettings, params: Any, log_z: jax.Array, rollout: Rollout
) -> Trajectories:
    """Return what objectives need of given trajectories, differentiable in the parameters."""
    num_places, batch_size = rollout.action.shape[0] + 1, rollout.action.shape[1]
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), rollout.states)
    output = jax.tree.map(
        lambda leaf: leaf.reshape(num_places, batch_size, *leaf.shape[1:]),
        evaluate_policy(space, settings, params, flat),
    )
    is_stop = rollout.is_action & (rollout.action == space.num_actions)
    undone = jnp.minimum(rollout.action, space.num_actions - 1)
    log_backward = chosen_entry(output.log_backward[1:], undone)
    if OBJECTIVES[settings.objective].of is Window:
        log_reward = space.log_reward(flat).reshape(num_places, batch_size)
    else:  # rewards can be costly, and only the last is looked at
        last = jax.tree.map(lambda leaf: leaf[-1], rollout.states)
        log_reward = jnp.broadcast_to(space.log_reward(last), (num_places, batch_size))
    inflow = outflow = jnp.zeros((num_places, batch_size))
    if settings.objective == "flow_matching":
        inflow = _log_inflow(space, settings, params, flat).reshape(inflow.shape)
        outflow = jax.nn.logsumexp(output.log_edge_flow, axis=-1)
    by_place = Trajectories(
        log_forward=chosen_entry(output.log_forward[:-1], rollout.action),
        log_backward=jnp.where(rollout.is_action & ~is_stop, log_backward, 0.0),
        is_action=rollout.is_action,
        is_stop=is_stop,
        log_flow=output.log_flow,
        log_stop=output.log_forward[..., -1],
        log_reward=log_reward,
        log_inflow=inflow,
        log_outflow=outflow,
        log_z=log_z,
    )
    return jax.tree.map(lambda leaf: leaf.T, by_place)


def chosen_entry(values: jax.Array, action: jax.Array) -> jax.Array:
    """Return the value [..., A] of each action, [...]."""
    return jnp.take_along_axis(values, action[..., None], axis=-1)[..., 0]


def chosen_rows(chosen: jax.Array, new: Any, old: Any) -> Any:
    """Return the new states where they are chosen, bool [B], and the old ones elsewhere."""
    return jax.tree.map(
        lambda one, other: jnp.where(chosen.reshape(-1, *[1] * (one.ndim - 1)), one, other),
        new,
        old,
    )


def _log_inflow(space: Space, settings: GenericSettings, params: Any, states: Any) -> jax.Array:
    """Return the log of the sum of the edge flows into each state, float32 [B]."""
    possible = space.backward_mask(states)
    batch_size = len(possible)
    actions = jnp.tile(jnp.arange(space.num_actions, dtype=jnp.int32), batch_size)
    repeated = jax.tree.map(lambda leaf: jnp.repeat(leaf, space.num_actions, axis=0), states)
    # Where there is nothing to undo any state will do, so long as it is one.
    undone = chosen_rows(possible.ravel(), space.undo(repeated, actions), repeated)
    flows = chosen_entry(evaluate_policy(space, settings, params, undone).log_edge_flow, actions)
    flows = jnp.where(possible, flows.reshape(possible.shape), -jnp.inf)
    any_parent = possible.any(axis=1)
    safe = jnp.where(any_parent[:, None], flows, 0.0)
    return jnp.where(any_parent, jax.nn.logsumexp(safe, axis=1), 0.0)


def _optimizer(settings: GenericSettings) -> optax.GradientTransformation:
    return optax.adam(settings.learning_rate)


@partial(jax.jit, static_argnames=("space", "settings"))
def init(space: Space, settings: GenericSettings, key: jax.Array) -> GenericState:
    """Return the state before the first update; everything random follows from the key."""
    key, key_params = jax.random.split(key)
    seen = space.observe(space.initial(1))
    params = {
        "network": network(settings, space.num_actions).init(key_params, seen),
        "log_z": jnp.zeros(()),
    }
    return GenericState(params, _optimizer(settings).init(params), key)


def update(
    space: Space, settings: GenericSettings, state: GenericState, rollout: Rollout
) -> tuple[GenericState, jax.Array]:
    """Run one update of Adam on given trajectories.

    Parameters
    ----------
    space : Space
    settings : GenericSettings
    state : GenericState
    rollout : Rollout

    Returns
    -------
    state : GenericState
    loss : float32 scalar
    """

    def loss_of(params: Any) -> jax.Array:
        log_z = LOG_Z_SCALE * params["log_z"]
        trajectories = follow(space, settings, params["network"], log_z, rollout)
        return loss_along(settings.objective, trajectories)

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    change, optimizer_state = _optimizer(settings).update(gradient, state.optimizer_state)
    params = optax.apply_updates(state.params, change)
    return GenericState(params, optimizer_state, state.key), loss


@partial(jax.jit, static_argnames=("space", "settings", "num_updates"))
def train(
    space: Space, settings: GenericSettings, state: GenericState, *, num_updates: int
) -> tuple[GenericState, jax.Array]:
    """Run updates, each on a batch of new trajectories.

    Parameters
    ----------
    space : Space
        The same object compiles once.
    settings : GenericSettings
    state : GenericState
    num_updates : int

    Returns
    -------
    state : GenericState
    losses : float32 [num_updates]

    Examples
    --------
    >>> from dag_gfn.gflownet.spaces.hypergrid import hypergrid
    >>> space, settings = hypergrid(2, 4), GenericSettings(width=16)
    >>> state = init(space, settings, jax.random.key(0))
    >>> state, losses = train(space, settings, state, num_updates=200)
    >>> bool(losses[-20:].mean() < losses[:20].mean())
    True
    """

    def walk_and_learn(state: GenericState, _: None) -> tuple[GenericState, jax.Array]:
        key, key_walk = jax.random.split(state.key)
        start = space.initial(settings.batch_size)
        rollout = roll_out(space, settings, state.params["network"], key_walk, start)
        return update(space, settings, state._replace(key=key), rollout)

    return jax.lax.scan(walk_and_learn, state, None, length=num_updates)
