"""Training wholly on the device: act, store, draw windows and update, in one scan over updates.

The host sees the state between chunks of updates alone; everything within a chunk is compiled
once. Keys are split in a fixed order, so that a seed reproduces a run bit for bit.

Glossary: ``B`` environments, ``N`` windows a batch, ``K`` steps in a window, ``d`` variables.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from dag_gfn.devices import constrained, placed, replicated
from dag_gfn.gflownet.lookahead import ParentSetArrays, lookahead, parent_set_arrays
from dag_gfn.gflownet.objectives import OBJECTIVES, Window
from dag_gfn.gflownet.optimizer import scale_by_soap
from dag_gfn.gflownet.policy import POLICIES, Observation, PolicyOutput
from dag_gfn.gflownet.replay import Replay, Step, empty, sample_windows, write
from dag_gfn.gflownet.spaces.dag import (
    DAGSpace,
    DAGState,
    GainsFunction,
    dag_space,
    initial,
    step,
)
from dag_gfn.scores import LocalScores


class Settings(NamedTuple):
    """What a compiled training run is specialised to; hashable, static under jit.

    The training of Deleu et al. 2022 has ``objective="modified_detailed_balance"``, ``window=1``,
    ``num_environments=8``, ``batch_size=32`` and ``target_period=1000``.
    """

    policy: str = "node"  # a name of POLICIES
    objective: str = "windowed_balance"  # a name of OBJECTIVES, of one of windows
    lambda_: float = 0.5  # weight of longer stretches
    huber_delta: float = 1.0  # nats
    window: int = 12  # K
    batch_size: int = 16  # N
    num_environments: int = 16  # B
    replay_rows: int = 1024  # steps kept of each environment
    exploration: float = 0.1  # share of uniformly drawn actions
    target_period: int = 0  # updates between copies to the target network; 0: no target network
    num_parent_sets: int = 512  # a variable, in the lookahead


class Problem(NamedTuple):
    """The arrays of one table; another table of the same shape costs no compilation."""

    space: DAGSpace
    parent_sets: ParentSetArrays


class TrainingState(NamedTuple):
    """All that a run carries from one update to the next."""

    params: Any
    target_params: Any
    optimizer_state: Any
    replay: Replay
    environments: DAGState
    highest: jax.Array  # float32 [], of log R of all graphs met, less that of the initial graph
    key: jax.Array


def make_problem(scores: LocalScores, settings: Settings) -> tuple[Problem, GainsFunction]:
    """Put a table's local scores on the device.

    Parameters
    ----------
    scores : LocalScores
    settings : Settings

    Returns
    -------
    problem : Problem
    gains_function : callable
        Static under jit.
    """
    space, gains_function = dag_space(scores)
    return Problem(space, parent_set_arrays(scores, settings.num_parent_sets)), gains_function


def make_policy(settings: Settings) -> hk.Transformed:
    """Return the policy that the settings name."""
    return POLICIES[settings.policy]()


def observe(problem: Problem, state: DAGState) -> Observation:
    """Return what a policy sees of a batch of states."""
    return Observation(
        adjacency=state.adjacency,
        descendants=state.descendants,
        gains=state.gains,
        num_added=state.num_added,
        lookahead=lookahead(problem.parent_sets, state),
    )


def draw_action(key: jax.Array, output: PolicyOutput, exploration: float | jax.Array) -> jax.Array:
    """Draw a legal action for each state, int32 [B]: the policy's, or now and then a uniform one.

    Illegal actions have log-probability minus infinity and stay there, so none is ever drawn.
    """
    key_policy, key_uniform, key_choice = jax.random.split(key, 3)
    logits = jnp.concatenate([output.log_edges, output.log_stop[:, None]], axis=1)
    from_policy = jax.random.categorical(key_policy, logits)
    legal = jnp.where(logits > -jnp.inf, 0.0, -jnp.inf)
    uniform = jax.random.categorical(key_uniform, legal)
    explore = jax.random.bernoulli(key_choice, exploration, from_policy.shape)
    return jnp.where(explore, uniform, from_policy).astype(jnp.int32)


@partial(jax.jit, static_argnames=("settings",))
def init(problem: Problem, settings: Settings, key: jax.Array) -> TrainingState:
    """Return the state before the first update.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    key : key
        Everything random in the run follows from it.

    Returns
    -------
    TrainingState
    """
    key, key_params = jax.random.split(key)
    environments = initial(problem.space, settings.num_environments)
    shapes = jax.eval_shape(observe, problem, environments)
    observation = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    params = make_policy(settings).init(key_params, observation)
    example = Step(
        observation=observation,
        action=jnp.zeros(settings.num_environments, jnp.int32),
        delta=jnp.zeros(settings.num_environments, jnp.float32),
    )
    return TrainingState(
        params=params,
        target_params=params,
        optimizer_state=scale_by_soap().init(params),
        replay=empty(example, settings.replay_rows),
        environments=environments,
        highest=jnp.zeros((), jnp.float32),
        key=key,
    )


def on_devices(
    problem: Problem, state: TrainingState, sharding: NamedSharding | None
) -> tuple[Problem, TrainingState]:
    """Share out environments and replay among devices; everything else is on all of them.

    Parameters
    ----------
    problem : Problem
    state : TrainingState
    sharding : NamedSharding, optional
        Of `dag_gfn.devices.batch_sharding`; everything stays where it is without.

    Returns
    -------
    problem : Problem
    state : TrainingState
    """
    everywhere = replicated(state, sharding)
    return replicated(problem, sharding), everywhere._replace(
        environments=placed(state.environments, sharding),
        replay=everywhere.replay._replace(ring=placed(state.replay.ring, sharding)),
    )


@partial(
    jax.jit,
    static_argnames=("gains_function", "settings", "sharding"),
    donate_argnames=("state",),
)
def train(
    problem: Problem,
    gains_function: GainsFunction,
    settings: Settings,
    state: TrainingState,
    learning_rates: jax.Array,
    *,
    sharding: NamedSharding | None = None,
) -> tuple[TrainingState, jax.Array]:
    """Run a chunk of updates, one for each learning rate.

    An update is one step in every environment, written to the replay, and one step of SOAP on a
    batch of windows drawn from it. Until the replay holds a window, the network stays as it is.

    Parameters
    ----------
    problem : Problem
    gains_function : callable
        From `make_problem`.
    settings : Settings
    state : TrainingState
        Donated: it is not to be used again.
    learning_rates : float32 [updates]
    sharding : NamedSharding, optional
        Of `dag_gfn.devices.batch_sharding`, for a state that `on_devices` has placed.

    Returns
    -------
    state : TrainingState
    losses : float32 [updates]
    """
    optimizer = scale_by_soap()

    def update(state: TrainingState, learning_rate: jax.Array) -> tuple[TrainingState, jax.Array]:
        key, key_act, key_window = jax.random.split(state.key, 3)
        environments, acted = _act(problem, gains_function, settings, state, key_act)
        replay = write(state.replay, acted)
        batch = sample_windows(replay, key_window, settings.batch_size, settings.window, like=acted)
        environments, batch = constrained((environments, batch), sharding)
        loss, gradient = jax.value_and_grad(balance_loss)(
            state.params, state.target_params, settings, batch
        )
        ready = replay.written > settings.window
        loss, gradient = jax.tree.map(lambda leaf: jnp.where(ready, leaf, 0.0), (loss, gradient))
        direction, optimizer_state = optimizer.update(gradient, state.optimizer_state)
        params = jax.tree.map(
            lambda leaf, change: leaf - learning_rate * change, state.params, direction
        )
        target_params = state.target_params
        if settings.target_period:
            refresh = replay.written % settings.target_period == 0
            target_params = jax.tree.map(
                lambda old, new: jnp.where(refresh, new, old), target_params, params
            )
        met = environments.local_scores.sum(axis=1).max()
        after = TrainingState(
            params=params,
            target_params=target_params,
            optimizer_state=optimizer_state,
            replay=replay,
            environments=environments,
            highest=jnp.maximum(state.highest, met),
            key=key,
        )
        return after, loss

    return jax.lax.scan(update, state, learning_rates)


def _act(
    problem: Problem,
    gains_function: GainsFunction,
    settings: Settings,
    state: TrainingState,
    key: jax.Array,
) -> tuple[DAGState, Step]:
    observation = observe(problem, state.environments)
    output = make_policy(settings).apply(state.params, observation)
    action = draw_action(key, output, settings.exploration)
    environments, delta, _ = step(problem.space, gains_function, state.environments, action)
    return environments, Step(observation, action, delta)


def balance_loss(params: Any, target_params: Any, settings: Settings, batch: Step) -> jax.Array:
    """Return the loss of a batch of windows.

    Parameters
    ----------
    params, target_params : haiku parameters
        Of the online network, and of the one that judges where a stretch ends; the latter is
        not looked at when ``settings.target_period`` is 0.
    settings : Settings
    batch : Step
        Leaves [N, K + 1, ...].

    Returns
    -------
    float32 scalar
    """
    policy = make_policy(settings)
    num_windows, num_rows = batch.action.shape
    observation = jax.tree.map(
        lambda leaf: leaf.reshape(num_windows * num_rows, *leaf.shape[2:]), batch.observation
    )
    output = policy.apply(params, observation)
    log_stop = output.log_stop.reshape(num_windows, num_rows)
    log_stop_target = log_stop
    if settings.target_period:
        log_stop_target = policy.apply(target_params, observation).log_stop
        log_stop_target = log_stop_target.reshape(num_windows, num_rows)
    log_edges = output.log_edges.reshape(num_windows, num_rows, -1)[:, :-1]
    action = batch.action[:, :-1]
    is_edge = action < log_edges.shape[-1]
    chosen = jnp.where(is_edge, action, 0)[..., None]
    # Illegal entries are -inf; reading one where no edge was added would make 0 * inf.
    log_forward = jnp.take_along_axis(jnp.maximum(log_edges, -1e30), chosen, axis=2)[..., 0]
    window = Window(
        log_stop=log_stop,
        log_stop_target=log_stop_target,
        log_forward=jnp.where(is_edge, log_forward, 0.0),
        delta=batch.delta[:, :-1],
        log_backward=-jnp.log(batch.observation.num_added[:, :-1] + 1.0),
        is_edge=is_edge,
    )
    return OBJECTIVES[settings.objective].loss(
        window, lambda_=settings.lambda_, huber_delta=settings.huber_delta
    )
