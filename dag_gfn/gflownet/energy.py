"""Learn an energy function and its sampler at the same time, from data.

The energy-based generative flow network of Zhang et al. 2022 (arXiv 2202.01361): objects have the
probability ``exp(-E(x)) / Z`` under a learned energy ``E``, which a flow network is trained to
sample, so that draws of the network can stand in for those of the model in the gradient of the
likelihood. The space is one whose objects all take ``max_steps`` actions, as binary vectors and
sequences do.

Glossary: ``B`` batch, ``n`` rows of data, ``T`` actions to an object.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dag_gfn.gflownet import generic
from dag_gfn.gflownet.generic import (
    GenericSettings,
    GenericState,
    Rollout,
    chosen_entry,
    chosen_rows,
)
from dag_gfn.gflownet.spaces.base import Space


class EnergyModel(NamedTuple):
    """An energy function with parameters; hashable, static under jit."""

    init: Callable[[jax.Array], Any]  # key -> parameters
    apply: Callable[[Any, Any], jax.Array]  # parameters, objects -> E, float32 [B]
    penalty: Callable[[Any], jax.Array | float] = lambda params: 0.0  # added to the energy's loss


class EnergySettings(NamedTuple):
    """What a compiled run is specialised to; hashable, static under jit."""

    policy: GenericSettings = GenericSettings()  # its batch is the network's own trajectories
    num_back: int = 64  # trajectories from data that the policy learns from, too
    data_batch_size: int = 64  # B rows for the energy, against as many negative samples
    steps_back: int = 1  # K, the steps that a proposal undoes
    warmup: int = 0  # the updates over which K grows from 1; 0 has it there from the start
    energy_learning_rate: float = 1e-3


class EnergyState(NamedTuple):
    """All that a run carries from one update to the next."""

    policy: GenericState
    energy_params: Any
    optimizer_state: Any  # of the energy
    num_updates: jax.Array  # int32 []


class Proposal(NamedTuple):
    """Where walks some steps back and forth led to."""

    objects: Any  # leaves [B, ...]
    log_ratio: jax.Array  # float32 [B], log of the odds of the way back over the way there


class Progress(NamedTuple):
    """What happened in each update."""

    policy_loss: jax.Array  # float32 [num_updates]
    energy_gap: jax.Array  # float32 [num_updates], mean E of data less that of negative samples
    acceptance: jax.Array  # float32 [num_updates], share of proposals that were accepted


def propose(
    space: Space,
    settings: GenericSettings,
    params: Any,
    key: jax.Array,
    objects: Any,
    *,
    num_steps: int | jax.Array,
) -> Proposal:
    """Walk from objects K steps back by P_B, and K steps forward by P_F to others.

    With ``tau`` the steps undone and ``tau'`` those taken, the odds of the way back over the way
    there are ``P_B(tau' | x') P_F(tau) / (P_B(tau | x) P_F(tau'))`` (Zhang et al.
    2022). All ``max_steps`` steps make independent draws of the network.

    Parameters
    ----------
    space : Space
        All objects take ``max_steps`` actions.
    settings : GenericSettings
    params : haiku parameters
    key : key
    objects : pytree, leaves [B, ...]
    num_steps : int or int32 []
        K, from 1 to ``max_steps``; one program serves all.

    Returns
    -------
    Proposal
    """
    batch_size = len(jax.tree.leaves(objects)[0])
    num_steps = jnp.asarray(num_steps, jnp.int32)
    key_back, key_forward = jax.random.split(key)

    def undo(index: jax.Array, carry: tuple[Any, jax.Array, jax.Array]) -> tuple:
        states, undone, log_ratio = carry
        # Where P_B is uniform the compiler drops the network from here.
        log_backward = generic.evaluate_policy(space, settings, params, states).log_backward
        key = jax.random.fold_in(key_back, index)
        action = jax.random.categorical(key, log_backward).astype(jnp.int32)
        log_ratio -= chosen_entry(log_backward, action)
        return space.undo(states, action), undone.at[index].set(action), log_ratio

    def redo(index: jax.Array, carry: tuple[Any, Any, jax.Array]) -> tuple:
        states, known, log_ratio = carry
        both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), states, known)
        log_forward = generic.evaluate_policy(space, settings, params, both).log_forward
        key = jax.random.fold_in(key_forward, index)
        action = jax.random.categorical(key, log_forward[:batch_size]).astype(jnp.int32)
        again = undone[num_steps - 1 - index]
        states, known = space.step(states, action), space.step(known, again)
        log_backward = generic.evaluate_policy(space, settings, params, states).log_backward
        log_ratio += chosen_entry(log_forward[batch_size:], again) + chosen_entry(
            log_backward, action
        )
        return states, known, log_ratio - chosen_entry(log_forward[:batch_size], action)

    none = jnp.zeros((space.max_steps, batch_size), jnp.int32)
    start = (objects, none, jnp.zeros(batch_size))
    start, undone, log_ratio = jax.lax.fori_loop(0, num_steps, undo, start)
    found, _, log_ratio = jax.lax.fori_loop(0, num_steps, redo, (start, start, log_ratio))
    return Proposal(found, log_ratio)


def metropolis(
    energy: Callable[[Any], jax.Array], key: jax.Array, objects: Any, proposal: Proposal
) -> tuple[Any, jax.Array]:
    """Accept proposals such that ``exp(-E)`` is left as it is.

    The Metropolis-Hastings rule: with probability ``min(1, exp(E(x) - E(x')) times the odds of the
    proposal)`` (Zhang et al. 2022).

    Parameters
    ----------
    energy : callable
        Of objects, float32 [B].
    key : key
    objects : pytree, leaves [B, ...]
        Where the proposals began.
    proposal : Proposal

    Returns
    -------
    objects : pytree, leaves [B, ...]
        Those proposed where they were accepted.
    accepted : bool [B]
    """
    log_odds = energy(objects) - energy(proposal.objects) + proposal.log_ratio
    accepted = jnp.log(jax.random.uniform(key, log_odds.shape)) < log_odds
    return chosen_rows(accepted, proposal.objects, objects), accepted


def init(space: Space, settings: EnergySettings, model: EnergyModel, key: jax.Array) -> EnergyState:
    """Return the state before the first update; everything random follows from the key.

    The policy begins uniform, and its log Z as if the energy were zero: balanced from the start.

    Parameters
    ----------
    space : Space
        All objects take ``max_steps`` actions.
    settings : EnergySettings
    model : EnergyModel
    key : key

    Returns
    -------
    EnergyState

    Raises
    ------
    ValueError
        If a proposal cannot undo so many steps, the policy is to learn from more rows than there
        are in a batch, or the space may stop at its initial state.
    """
    if not 1 <= settings.steps_back <= space.max_steps:
        raise ValueError(
            f"steps_back must be from 1 to {space.max_steps}, the steps of the space, not "
            f"{settings.steps_back}."
        )
    if bool(space.mask(space.initial(1))[0, -1]):
        raise ValueError(
            "all objects must take max_steps actions, but the space may stop at its initial state; "
            "take one of binary vectors or sequences."
        )
    if not 1 <= settings.num_back <= settings.data_batch_size:
        raise ValueError(
            f"num_back must be from 1 to data_batch_size, which is {settings.data_batch_size}, not "
            f"{settings.num_back}."
        )
    return _init(space, settings, model, key)


@partial(jax.jit, static_argnames=("space", "settings", "model"))
def _init(
    space: Space, settings: EnergySettings, model: EnergyModel, key: jax.Array
) -> EnergyState:
    key_policy, key_energy, key_walk = jax.random.split(key, 3)
    policy = generic.init(space, settings.policy, key_policy)
    network = policy.params["network"]
    network = network | {"linear": jax.tree.map(jnp.zeros_like, network["linear"])}
    start = space.initial(settings.policy.batch_size)
    rollout = generic.roll_out(space, settings.policy, network, key_walk, start)
    log_z = _log_mean_exp(_log_odds_back(space, settings.policy, network, rollout))
    params = {"network": network, "log_z": log_z / generic.LOG_Z_SCALE}
    energy_params = model.init(key_energy)
    return EnergyState(
        policy=policy._replace(params=params),
        energy_params=energy_params,
        optimizer_state=_optimizer(settings).init(energy_params),
        num_updates=jnp.zeros((), jnp.int32),
    )


def _optimizer(settings: EnergySettings) -> optax.GradientTransformation:
    return optax.adam(settings.energy_learning_rate)


def _log_odds_back(
    space: Space, settings: GenericSettings, params: Any, rollout: Rollout
) -> jax.Array:
    """Return log P_B - log P_F of whole trajectories, float32 [B]."""
    log_z = jnp.zeros(())
    along = generic.follow(space, settings, params, log_z, rollout)
    odds = jnp.where(along.is_action, along.log_backward - along.log_forward, 0.0)
    return odds.sum(axis=1)


def _log_mean_exp(values: jax.Array) -> jax.Array:
    """Average over the first axis."""
    return jax.nn.logsumexp(values, axis=0) - jnp.log(len(values))


def update(
    space: Space, settings: EnergySettings, model: EnergyModel, *, state: EnergyState, data: Any
) -> tuple[EnergyState, Progress]:
    """Run one update of the policy and one of the energy.

    The policy learns by its objective, with ``log R = -E``, from trajectories of its own and from
    walks back from the batch of data (their shares are the paper's alpha and 1 - alpha). The energy
    descends ``mean E(data) - mean E(negative samples)``, the gradient of the negative
    log-likelihood (Zhang et al. 2022); negative samples are Metropolis-Hastings steps
    from the data.

    Parameters
    ----------
    space : Space
        Its own log-reward is not looked at.
    settings : EnergySettings
    model : EnergyModel
    state : EnergyState
    data : pytree, leaves [B, ...]
        Objects.

    Returns
    -------
    state : EnergyState
    progress : Progress
        Of scalars.
    """
    keys = jax.random.split(state.policy.key, 5)
    key, key_walk, key_path, key_propose, key_accept = keys
    network = state.policy.params["network"]

    def energy(objects: Any) -> jax.Array:
        return model.apply(state.energy_params, objects)

    num_steps = jnp.asarray(settings.steps_back, jnp.int32)
    if settings.warmup:
        grown = 1 + settings.steps_back * state.num_updates // settings.warmup
        num_steps = jnp.minimum(num_steps, grown)
    proposal = propose(space, settings.policy, network, key_propose, data, num_steps=num_steps)
    negative, accepted = metropolis(energy, key_accept, data, proposal)

    rewarded = space._replace(log_reward=lambda objects: -energy(objects))
    start = space.initial(settings.policy.batch_size)
    own = generic.roll_out(rewarded, settings.policy, network, key_walk, start)
    known = jax.tree.map(lambda leaf: leaf[: settings.num_back], data)
    path = generic.walk_back(rewarded, settings.policy, network, key_path, known)
    policy, policy_loss = generic.update(
        rewarded,
        settings.policy,
        state.policy._replace(key=key),
        generic.join(own, path),
    )

    def loss_of(params: Any) -> tuple[jax.Array, jax.Array]:
        gap = model.apply(params, data).mean() - model.apply(params, negative).mean()
        return gap + model.penalty(params), gap

    gradient, gap = jax.grad(loss_of, has_aux=True)(state.energy_params)
    change, optimizer_state = _optimizer(settings).update(gradient, state.optimizer_state)
    energy_params = optax.apply_updates(state.energy_params, change)
    state = EnergyState(policy, energy_params, optimizer_state, state.num_updates + 1)
    return state, Progress(policy_loss, gap, accepted.mean())


@partial(jax.jit, static_argnames=("space", "settings", "model", "num_updates"))
def train(
    space: Space,
    settings: EnergySettings,
    model: EnergyModel,
    *,
    state: EnergyState,
    data: Any,
    num_updates: int,
) -> tuple[EnergyState, Progress]:
    """Run updates, each on a batch of rows drawn from the data.

    Parameters
    ----------
    space : Space
        The same object compiles once. Its own log-reward is not looked at.
    settings : EnergySettings
    model : EnergyModel
    state : EnergyState
    data : pytree, leaves [n, ...]
        Objects.
    num_updates : int

    Returns
    -------
    state : EnergyState
    progress : Progress

    Examples
    --------
    Three coins that mostly agree, in eight parameters.

    >>> from dag_gfn.gflownet.spaces import binary_vectors
    >>> model = EnergyModel(
    ...     init=lambda key: jnp.zeros((2, 2, 2)),
    ...     apply=lambda table, coins: table[coins[:, 0], coins[:, 1], coins[:, 2]],
    ... )
    >>> space = binary_vectors(3, lambda coins: jnp.zeros(len(coins)))
    >>> settings = EnergySettings(GenericSettings(width=16), energy_learning_rate=1e-2)
    >>> data = jnp.array([[0, 0, 0], [1, 1, 1], [0, 0, 1]])
    >>> state = init(space, settings, model, jax.random.key(0))
    >>> state, _ = train(space, settings, model, state=state, data=data, num_updates=100)
    >>> bool(state.energy_params[0, 0, 0] < state.energy_params[1, 0, 1])
    True
    """

    def learn(state: EnergyState, _: None) -> tuple[EnergyState, Progress]:
        key, key_rows = jax.random.split(state.policy.key)
        num_rows = len(jax.tree.leaves(data)[0])
        rows = jax.random.randint(key_rows, (settings.data_batch_size,), 0, num_rows)
        batch = jax.tree.map(lambda leaf: leaf[rows], data)
        state = state._replace(policy=state.policy._replace(key=key))
        return update(space, settings, model, state=state, data=batch)

    return jax.lax.scan(learn, state, None, length=num_updates)


@partial(jax.jit, static_argnames=("space", "settings", "num_trajectories"))
def log_likelihood(
    space: Space,
    settings: GenericSettings,
    params: Any,
    key: jax.Array,
    *,
    objects: Any,
    num_trajectories: int = 20,
) -> jax.Array:
    """Estimate the log-probability that the policy ends at given objects.

    ``log mean P_F(tau) / P_B(tau | x)`` over walks back from the object; the mean is unbiased, and
    its logarithm too low on average (Zhang et al. 2022).

    Parameters
    ----------
    space : Space
    settings : GenericSettings
    params : haiku parameters
    key : key
    objects : pytree, leaves [B, ...]
    num_trajectories : int
        For each object.

    Returns
    -------
    float32 [B]
    """

    def one(key: jax.Array) -> jax.Array:
        path = generic.walk_back(space, settings, params, key, objects)
        return -_log_odds_back(space, settings, params, path)

    return _log_mean_exp(jax.lax.map(one, jax.random.split(key, num_trajectories)))


@partial(jax.jit, static_argnames=("space", "settings", "energy", "num_draws"))
def log_weights(
    space: Space,
    settings: GenericSettings,
    params: Any,
    key: jax.Array,
    *,
    energy: Callable[[Any, Any], jax.Array],
    energy_params: Any,
    num_draws: int,
) -> tuple[Any, jax.Array]:
    """Draw from the policy, with the importance weights of ``exp(-E)``.

    The mean of ``w = exp(-E(x)) P_B(tau | x) / P_F(tau)`` is unbiased for Z.

    Parameters
    ----------
    space : Space
    settings : GenericSettings
        Its exploration is not looked at.
    params : haiku parameters
    key : key
    energy : callable
        Of its parameters and objects, float32 [B].
    energy_params : pytree
    num_draws : int

    Returns
    -------
    objects : pytree, leaves [num_draws, ...]
    log_weights : float32 [num_draws]
    """
    settings = settings._replace(exploration=0.0)
    rollout = generic.roll_out(space, settings, params, key, space.initial(num_draws))
    objects = jax.tree.map(lambda leaf: leaf[-1], rollout.states)
    odds = _log_odds_back(space, settings, params, rollout)
    return objects, odds - energy(energy_params, objects)
