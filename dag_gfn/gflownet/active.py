"""Active learning with a flow network as the generator (Jain et al. 2022, arXiv 2203.04115).

Where a measurement is dear, a round goes: fit an ensemble of networks to what was measured, whose
disagreement is an uncertainty; score objects by an acquisition function of both; train a flow
network to draw objects in proportion to a power of it; measure a batch of its draws. Its updates
mix trajectories of its own with trajectories to objects that were measured already, walked back.

The ensemble changes from round to round while its shape does not, so it is an argument of whatever
is compiled, and the space is made inside: ``space._replace(log_reward=...)``. `fit_ensemble` and
`train_on_both` are not compiled themselves, and take arrays of one capacity of which the first so
many count; compile the function of a round that calls them, and it is compiled once.

Glossary: ``B`` batch, ``F`` features, ``M`` members of the ensemble, ``N`` capacity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.stats import norm
from numpy.typing import NDArray

from dag_gfn.gflownet.generic import (
    GenericSettings,
    GenericState,
    join,
    roll_out,
    update,
    walk_back,
)
from dag_gfn.gflownet.spaces.base import Space


class EnsembleSettings(NamedTuple):
    """What a compiled ensemble is specialised to; hashable, static under jit."""

    num_members: int = 5  # M
    width: int = 128
    num_layers: int = 2
    batch_size: int = 128
    num_updates: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4


def upper_confidence_bound(
    mean: jax.Array, deviation: jax.Array, *, kappa: float = 0.1
) -> jax.Array:
    """Return ``mean + kappa deviation`` (Srinivas et al. 2010, arXiv 0912.3995).

    Parameters
    ----------
    mean, deviation : float32 [B]
        Of the prediction.
    kappa : float
        How much uncertainty is worth; 0.1 in the paper on sequences.

    Returns
    -------
    float32 [B]

    Examples
    --------
    >>> round(float(upper_confidence_bound(jnp.array(0.5), jnp.array(0.25), kappa=2.0)), 4)
    1.0
    """
    return mean + kappa * deviation


def expected_improvement(
    mean: jax.Array, deviation: jax.Array, *, best: jax.Array | float
) -> jax.Array:
    """Return by how much a normal variable is expected to exceed the best value so far.

    With ``z = (mean - best) / deviation`` that is ``deviation (z Phi(z) + phi(z))`` (Jones,
    Schonlau and Welch 1998, "Efficient global optimization of expensive black-box functions").

    Parameters
    ----------
    mean, deviation : float32 [B]
        Of the prediction; where the deviation is 0 there is no doubt, and the improvement is
        that of the mean.
    best : float32 scalar

    Returns
    -------
    float32 [B]

    Examples
    --------
    >>> value = expected_improvement(jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0]), best=0.5)
    >>> [round(float(one), 4) for one in value]
    [0.1978, 0.5]
    """
    doubtful = deviation > 0
    safe = jnp.where(doubtful, deviation, 1.0)
    z = (mean - best) / safe
    in_doubt = safe * (z * norm.cdf(z) + norm.pdf(z))
    return jnp.where(doubtful, in_doubt, jnp.maximum(mean - best, 0.0))


def fit_ensemble(
    settings: EnsembleSettings,
    key: jax.Array,
    features: jax.Array,
    values: jax.Array,
    *,
    num_known: jax.Array | int,
) -> Any:
    """Fit networks that differ in their initial parameters and in the rows they see.

    Each member minimises the mean squared error on a bootstrap sample of its own
    (Lakshminarayanan et al. 2017, arXiv 1612.01474, leave the bootstrap out).

    Parameters
    ----------
    settings : EnsembleSettings
    key : key
    features : float32 [N, F]
    values : float32 [N]
    num_known : int32 scalar
        Only the first so many rows count.

    Returns
    -------
    haiku parameters
        Each leaf with a leading axis [M].

    Examples
    --------
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> settings = EnsembleSettings(width=16, num_updates=300, learning_rate=1e-2)
    >>> fit = jax.jit(fit_ensemble, static_argnums=0)
    >>> params = fit(settings, jax.random.key(0), x, x[:, 0] ** 2, num_known=64)
    >>> mean, deviation = predict(settings, params, jnp.array([[0.5], [8.0]]))
    >>> bool(abs(mean[0] - 0.25) < 0.05), bool(deviation[1] > deviation[0])
    (True, True)
    """
    model, optimizer = _model(settings), _optimizer(settings)

    def fit_member(key: jax.Array) -> Any:
        key_params, key_rows, key_batches = jax.random.split(key, 3)
        params = model.init(key_params, features[:1])
        rows = jax.random.randint(key_rows, values.shape, 0, num_known)
        shape = (settings.num_updates, settings.batch_size)
        batches = rows[jax.random.randint(key_batches, shape, 0, num_known)]

        def loss_of(params: Any, batch: jax.Array) -> jax.Array:
            return jnp.mean((model.apply(params, features[batch]) - values[batch]) ** 2)

        def learn(carry: tuple[Any, Any], batch: jax.Array) -> tuple[tuple[Any, Any], None]:
            params, optimizer_state = carry
            gradient = jax.grad(loss_of)(params, batch)
            change, optimizer_state = optimizer.update(gradient, optimizer_state, params)
            return (optax.apply_updates(params, change), optimizer_state), None

        (params, _), _ = jax.lax.scan(learn, (params, optimizer.init(params)), batches)
        return params

    return jax.vmap(fit_member)(jax.random.split(key, settings.num_members))


def predict(
    settings: EnsembleSettings, params: Any, features: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the mean and the standard deviation of the members' predictions.

    Parameters
    ----------
    settings : EnsembleSettings
    params : haiku parameters
        Of `fit_ensemble`.
    features : float32 [B, F]

    Returns
    -------
    mean, deviation : float32 [B]
    """
    by_member = jax.vmap(_model(settings).apply, in_axes=(0, None))(params, features)
    return by_member.mean(axis=0), by_member.std(axis=0)


def train_on_both(
    space: Space,
    settings: GenericSettings,
    state: GenericState,
    objects: Any,
    *,
    num_objects: jax.Array | int,
    offline_share: float,
    num_updates: int,
) -> tuple[GenericState, jax.Array]:
    """Run updates on trajectories of which some lead to objects that are known already.

    Of each batch, ``offline_share`` are walked back from objects that are drawn uniformly from the
    known ones, the others are drawn by the network as it explores (Jain et al. 2022).

    Parameters
    ----------
    space : Space
        Its ``log_reward`` may depend on arrays that are being traced.
    settings : GenericSettings
    state : GenericState
    objects : pytree, leaves [N, ...]
        States that may stop.
    num_objects : int32 scalar
        Only the first so many count.
    offline_share : float
        Between 0 and 1.
    num_updates : int

    Returns
    -------
    state : GenericState
    losses : float32 [num_updates]

    Raises
    ------
    ValueError
        If the share is out of range.

    Examples
    --------
    >>> from dag_gfn.gflownet.generic import init
    >>> from dag_gfn.gflownet.spaces.hypergrid import hypergrid
    >>> space, settings = hypergrid(2, 4), GenericSettings(width=16)
    >>> state = init(space, settings, jax.random.key(0))
    >>> corners = jnp.array([[0, 0], [0, 3], [3, 0], [3, 3]])
    >>> state, losses = train_on_both(
    ...     space, settings, state, corners, num_objects=4, offline_share=0.5, num_updates=200
    ... )
    >>> bool(losses[-20:].mean() < losses[:20].mean())
    True
    """
    if not 0 <= offline_share <= 1:
        raise ValueError(f"offline_share must be between 0 and 1, not {offline_share}.")
    num_offline = round(offline_share * settings.batch_size)

    def learn(state: GenericState, _: None) -> tuple[GenericState, jax.Array]:
        key, key_walk, key_choice, key_back = jax.random.split(state.key, 4)
        params, rollouts = state.params["network"], []
        if num_offline < settings.batch_size:
            start = space.initial(settings.batch_size - num_offline)
            rollouts.append(roll_out(space, settings, params, key_walk, start))
        if num_offline > 0:
            chosen = jax.random.randint(key_choice, (num_offline,), 0, num_objects)
            final = jax.tree.map(lambda leaf: leaf[chosen], objects)
            rollouts.append(walk_back(space, settings, params, key_back, final))
        rollout = rollouts[0] if len(rollouts) == 1 else join(*rollouts)
        return update(space, settings, state._replace(key=key), rollout)

    return jax.lax.scan(learn, state, None, length=num_updates)


def choose_batch(
    values: NDArray[np.floating], tokens: NDArray[np.integer], size: int, *, min_distance: int = 1
) -> NDArray[np.int64]:
    """Return which candidates to measure: the best, but none too close to a better one.

    Parameters
    ----------
    values : float [B]
        Acquisition of each candidate; minus infinity for one to take only if there is no other.
    tokens : int [B, L]
        Candidates, compared by how many tokens differ (Hamming).
    size : int
        How many to choose. If too few are far enough apart, the best of the others fill up.
    min_distance : int, default 1
        Least distance between two; 1 forbids copies.

    Returns
    -------
    int64 [size]
        The best first among those far apart.

    Raises
    ------
    ValueError
        If there are fewer candidates than wanted.

    Examples
    --------
    >>> tokens = np.array([[0, 0], [0, 1], [1, 1]])
    >>> choose_batch(np.array([3.0, 2.0, 1.0]), tokens, 2, min_distance=2)
    array([0, 2])
    """
    if len(values) < size:
        raise ValueError(f"there are {len(values)} candidates, fewer than the {size} to choose.")
    chosen: list[int] = []
    skipped: list[int] = []
    for candidate in np.argsort(-np.asarray(values), kind="stable").tolist():
        if len(chosen) == size:
            break
        distances = (tokens[chosen] != tokens[candidate]).sum(axis=1)
        wanted = np.isfinite(values[candidate]) and (distances >= min_distance).all()
        (chosen if wanted else skipped).append(candidate)
    return np.array([*chosen, *skipped][:size], np.int64)


def _model(settings: EnsembleSettings) -> hk.Transformed:
    """Return a multilayer perceptron from features to one number."""

    def apply(features: jax.Array) -> jax.Array:
        widths = [settings.width] * settings.num_layers
        return hk.nets.MLP([*widths, 1], activation=jax.nn.gelu)(features)[:, 0]

    return hk.without_apply_rng(hk.transform(apply))


def _optimizer(settings: EnsembleSettings) -> optax.GradientTransformation:
    return optax.adamw(settings.learning_rate, weight_decay=settings.weight_decay)
