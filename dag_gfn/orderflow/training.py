"""Training a policy over canonical orders, wholly on the device.

Glossary: ``B`` orders a batch, ``T`` places of an order (as many as variables), ``d`` variables,
``H`` width.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax.sharding import NamedSharding

from dag_gfn.devices import constrained
from dag_gfn.orderflow.space import Masses, OrderSpace, OrderState, initial, masses, step

_LINEAR_FROM = 3.0  # nats
_SOFT_FROM = 3.0  # nats
_WAVES = (1.0, 4.0)  # nats; wavelengths are 2 pi times these
_BALANCE_AT_MOST = 0.9  # of the weight of the likelihood that balance can take over


class OrderSettings(NamedTuple):
    """What a compiled training run is specialised to; hashable, static under jit."""

    width: int = 128  # H
    batch_size: int = 64  # B


class Observation(NamedTuple):
    """What the policy sees of a batch of orders."""

    placed: jax.Array  # bool [..., d]
    masses: Masses


class Trajectories(NamedTuple):
    """Orders, place by place, and how likely each step was."""

    variable: jax.Array  # int32 [T, B]
    log_forward: jax.Array  # float32 [T, B], log P_F of each step
    log_mass: jax.Array  # float32 [T, B], of each variable where it was placed
    dead_end: jax.Array  # bool [B], no graph has this canonical order


class OrderTrainingState(NamedTuple):
    """All that a run carries from one update to the next."""

    params: Any
    optimizer_state: Any
    key: jax.Array


class _Network(hk.Module):
    """Log-odds of the next variable: its mass, and a learned correction that starts at zero."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def __call__(self, observation: Observation) -> jax.Array:
        mass = observation.masses
        waiting = ~observation.placed
        features = [observation.placed, mass.legal, mass.constrained & waiting]
        next_mass = jnp.where(mass.legal, mass.log_mass, 0.0)
        any_mass = jnp.where(waiting, jnp.maximum(mass.log_mass_in_any_order, -1e3), 0.0)
        for log_mass in (next_mass, any_mass):
            features += [jnp.tanh(log_mass / 3.0), _compressed(log_mass) / 10.0]
        # Where several variables are far down, what counts is by how much each: waves tell 40 nats
        # from 42 as well as 0 from 2.
        for scale in _WAVES:
            features += [jnp.sin(next_mass / scale), jnp.cos(next_mass / scale)]
        flat = jnp.concatenate([feature.astype(jnp.float32) for feature in features], axis=-1)
        hidden = jax.nn.gelu(hk.Linear(self.width)(flat))
        hidden += jax.nn.gelu(hk.Linear(self.width)(hidden))
        zero = hk.initializers.Constant(0.0)
        correction = hk.Linear(observation.placed.shape[-1], w_init=zero)(hidden)
        # An order at a dead end goes on with any variable; it has no weight.
        stuck = ~mass.legal.any(axis=-1, keepdims=True)
        # A variable whose parents are missing can be hundreds of nats down, and yet be right, since
        # others will make up for it: more than a network could lift in a short training.
        logits = _compressed(next_mass) + correction
        return jax.nn.log_softmax(jnp.where(mass.legal | (stuck & waiting), logits, -jnp.inf))


def _compressed(log_mass: jax.Array) -> jax.Array:
    """Return numbers near zero as they are, and of large ones the logarithm."""
    return -_SOFT_FROM * jnp.log1p(-jnp.minimum(log_mass, 0.0) / _SOFT_FROM)


def make_policy(settings: OrderSettings) -> hk.Transformed:
    """Return the network: an `Observation` in, log P_F of each variable out, float32 [..., d]."""
    return hk.without_apply_rng(hk.transform(lambda seen: _Network(settings.width)(seen)))


def _optimizer() -> optax.GradientTransformation:
    # Muon (Jordan et al. 2024) for the matrices, Adam for the rest. The rate follows in `train`.
    # Changes are scaled to the size of Adam's (Liu et al. 2025, arXiv 2502.16982).
    return optax.contrib.muon(1.0, adam_b2=0.99, consistent_rms=0.2)


@partial(jax.jit, static_argnames="settings")
def init(space: OrderSpace, settings: OrderSettings, key: jax.Array) -> OrderTrainingState:
    """Return the state before the first update; everything random follows from the key."""
    key, key_params = jax.random.split(key)
    start = initial(space, 1)
    params = make_policy(settings).init(key_params, Observation(start.placed, masses(space, start)))
    return OrderTrainingState(params, _optimizer().init(params), key)


@partial(jax.jit, static_argnames=("settings", "batch_size"))
def sample_orders(
    space: OrderSpace, settings: OrderSettings, params: Any, key: jax.Array, *, batch_size: int
) -> Trajectories:
    """Draw orders from the policy.

    Parameters
    ----------
    space : OrderSpace
    settings : OrderSettings
    params : haiku parameters
    key : key
    batch_size : int

    Returns
    -------
    Trajectories
    """
    policy = make_policy(settings)

    def place_one(state: OrderState, key: jax.Array) -> tuple[OrderState, tuple]:
        observation = Observation(state.placed, masses(space, state))
        log_policy = policy.apply(params, observation)
        variable = jax.random.categorical(key, log_policy).astype(jnp.int32)
        return step(space, state, variable), (observation, variable, log_policy)

    keys = jax.random.split(key, space.bit_values.shape[0])
    _, (observation, variable, log_policy) = jax.lax.scan(
        place_one, initial(space, batch_size), keys
    )
    return _trajectories(observation, variable, log_policy)


@partial(jax.jit, static_argnames="settings")
def follow_orders(
    space: OrderSpace, settings: OrderSettings, params: Any, orders: jax.Array
) -> Trajectories:
    """Return what the policy makes of given orders, int32 [B, T]."""
    observation = _observe_along(space, orders)
    return _trajectories(observation, orders.T, make_policy(settings).apply(params, observation))


def _observe_along(space: OrderSpace, orders: jax.Array) -> Observation:
    """Return what is seen before each step of given orders, leaves [T, B, d]."""

    def place_one(state: OrderState, variable: jax.Array) -> tuple[OrderState, Observation]:
        return step(space, state, variable), Observation(state.placed, masses(space, state))

    return jax.lax.scan(place_one, initial(space, len(orders)), orders.T)[1]


def _trajectories(
    observation: Observation, variable: jax.Array, log_policy: jax.Array
) -> Trajectories:
    return Trajectories(
        variable=variable,
        log_forward=_chosen(log_policy, variable),
        log_mass=_chosen(observation.masses.log_mass, variable),
        dead_end=~_chosen(observation.masses.legal, variable).all(axis=0),
    )


def _chosen(values: jax.Array, variable: jax.Array) -> jax.Array:
    """Return the value [T, B, d] of each variable that was placed, [T, B]."""
    return jnp.take_along_axis(values, variable[..., None], axis=-1)[..., 0]


def _divergence(log_weights: jax.Array) -> jax.Array:
    """Return the mean of ``w - 1 - log w``, which is linear in ``log w`` where that is large."""
    bounded = jnp.minimum(log_weights, _LINEAR_FROM)
    linear = jnp.exp(bounded) * (1.0 + log_weights - bounded)
    return jnp.mean(linear - 1.0 - log_weights)


@partial(jax.jit, static_argnames=("settings", "sharding"), donate_argnames="state")
def train(
    space: OrderSpace,
    settings: OrderSettings,
    state: OrderTrainingState,
    orders: jax.Array,
    learning_rates: jax.Array,
    *,
    balance: float | jax.Array,
    sharding: NamedSharding | None = None,
) -> tuple[OrderTrainingState, jax.Array]:
    """Run a chunk of updates, one for each learning rate.

    An update is one step of Muon on the trajectories ``tau`` to a batch of graphs drawn from the
    posterior by Markov chains. The loss is the sum of two. The mean of ``-log P_F(tau)``: since a
    graph has one trajectory, that is its own log-probability, and the expectation is least where
    the policy draws from the posterior. And the mean of ``w - 1 - log w`` over the importance
    weights ``w = R(tau) / P_F(tau)``, relative to their geometric mean in the batch: for small
    ``log w`` this is half its variance, as in trajectory balance with the batch's own constant
    (Malkin et al. 2022, arXiv 2201.13259; Richter et al. 2020, arXiv 2010.10436), and graphs that
    the policy draws too seldom, on which the effective sample size hangs, count by their weight:
    the mean of ``w`` over draws from the posterior is one plus the chi-squared divergence. The
    first loss holds the policy down where no graph is, but its gradient is never still; that of the
    second vanishes for every graph at the solution, and is worth following once that is near.

    Parameters
    ----------
    space : OrderSpace
    settings : OrderSettings
    state : OrderTrainingState
        Donated: it is not to be used again.
    orders : int32 [N, T]
        Canonical orders of draws from the posterior; batches are drawn from them.
    learning_rates : float32 [updates]
    balance : float
        In [0, 1], the weight of the second loss; that of the first is 1 less 0.9 times this.
    sharding : NamedSharding, optional
        Of `dag_gfn.devices.batch_sharding`: how batches are shared out among devices, which have
        all else in full.

    Returns
    -------
    state : OrderTrainingState
    losses : float32 [updates]
        The first loss alone, in nats.
    """
    policy, optimizer = make_policy(settings), _optimizer()

    def loss_of(
        params: Any, observation: Observation, variable: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        log_policy = policy.apply(params, observation)
        log_forward = _chosen(log_policy, variable).sum(axis=0)
        residual = log_forward - _chosen(observation.masses.log_mass, variable).sum(axis=0)
        residual -= jax.lax.stop_gradient(residual.mean())
        likelihood = -log_forward.mean()
        share = _BALANCE_AT_MOST * balance
        return (1.0 - share) * likelihood + balance * _divergence(-residual), likelihood

    def update(
        state: OrderTrainingState, learning_rate: jax.Array
    ) -> tuple[OrderTrainingState, jax.Array]:
        key, key_batch = jax.random.split(state.key)
        rows = jax.random.randint(key_batch, (settings.batch_size,), 0, len(orders))
        batch = constrained(orders[rows], sharding)
        observation = _observe_along(space, batch)
        gradient, loss = jax.grad(loss_of, has_aux=True)(state.params, observation, batch.T)
        change, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.params)
        params = jax.tree.map(
            lambda leaf, direction: leaf + learning_rate * direction, state.params, change
        )
        return OrderTrainingState(params, optimizer_state, key), loss

    return jax.lax.scan(update, state, learning_rates)
