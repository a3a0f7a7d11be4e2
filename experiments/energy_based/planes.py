"""Learn a density in the plane by an energy and a flow network, and measure how close they are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from dag_gfn.gflownet.energy import (
    EnergyModel,
    EnergySettings,
    EnergyState,
    init,
    log_likelihood,
    log_weights,
    train,
)
from dag_gfn.gflownet.generic import GenericSettings
from dag_gfn.gflownet.spaces import binary_vectors
from experiments.energy_based.densities import BITS, DENSITIES, Grid, entropy, grid_of

VIEW = 4.2  # what is drawn reaches from minus this to this
SPACE = binary_vectors(2 * BITS, lambda bits: jnp.zeros(len(bits)))


@dataclass(frozen=True)
class PlaneSettings:
    """What the study of densities depends on."""

    energy: EnergySettings = EnergySettings(
        GenericSettings(width=128, num_layers=3, batch_size=32, exploration=0.0),
        num_back=32,
        data_batch_size=64,
        steps_back=32,
        warmup=2000,
    )
    num_updates: int = 4000
    num_last: int = 1000  # updates after those, with a tenth of both learning rates
    width: int = 128  # of the energy's network
    num_layers: int = 3
    num_rows: int = 200_000  # to train on
    num_held_out: int = 4000
    num_draws: int = 10_000  # of the flow network, for log Z
    num_pixels: int = 120  # of a side of the picture of the energy
    seed: int = 0  # of the points and the networks


class Plane(NamedTuple):
    """A line of the table, and what is drawn."""

    row: dict[str, Any]
    points: NDArray[np.float64]  # [n, 2], of the density
    draws: NDArray[np.float64]  # [n, 2], of the flow network
    model: NDArray[np.float64]  # [pixels, pixels], exp(-E) over the view, y by x


def energy_model(width: int, num_layers: int) -> EnergyModel:
    """Return a multilayer perceptron of bits."""

    def energy(bits: jax.Array) -> jax.Array:
        sizes = [width] * num_layers + [1]
        return hk.nets.MLP(sizes, activation=jax.nn.gelu)(2.0 * bits - 1.0)[:, 0]

    transformed = hk.without_apply_rng(hk.transform(energy))
    empty = jnp.zeros((1, 2 * BITS))
    return EnergyModel(lambda key: transformed.init(key, empty), transformed.apply)


def study(name: str, settings: PlaneSettings) -> Plane:
    """Train on a density, and measure on points that were held out."""
    grid, rng = grid_of(name), np.random.default_rng(settings.seed)
    model = energy_model(settings.width, settings.num_layers)
    rows = DENSITIES[name](settings.num_rows, rng)
    data = jnp.asarray(grid.encode(rows), jnp.int32)
    begin = time.process_time()
    state = init(SPACE, settings.energy, model, jax.random.key(settings.seed))
    stages = [(settings.energy, settings.num_updates)]
    if settings.num_last:
        stages.append((_slower(settings.energy), settings.num_last))
    for stage, num_updates in stages:
        state, progress = train(
            SPACE, stage, model, state=state, data=data, num_updates=num_updates
        )
    jax.block_until_ready(state)
    seconds = time.process_time() - begin
    held_out = grid.encode(DENSITIES[name](settings.num_held_out, rng))
    scores, draws = score(settings, model, state, held_out)
    row = {
        "density": name,
        "limit": grid.limit,
        "best": entropy(name, num_points=20 * settings.num_rows) - 2 * float(np.log(grid.cell)),
        **scores,
        "acceptance": float(progress.acceptance.mean()),
        "updates": int(state.num_updates),
        "seconds": seconds,
    }
    pixels = picture(grid, model, state.energy_params, num=settings.num_pixels)
    return Plane(row, rows[:4000], grid.decode(draws)[:4000], pixels)


def _slower(settings: EnergySettings) -> EnergySettings:
    policy = settings.policy._replace(learning_rate=settings.policy.learning_rate / 10)
    rate = settings.energy_learning_rate / 10
    return settings._replace(policy=policy, energy_learning_rate=rate)


def score(
    settings: PlaneSettings, model: EnergyModel, state: EnergyState, held_out: NDArray[np.int64]
) -> tuple[dict[str, float], NDArray[np.int64]]:
    """Return negative log-likelihoods in nats, and draws of the flow network."""
    policy, params = settings.energy.policy, state.policy.params["network"]
    keys = jax.random.split(jax.random.key(1), 2)
    parts = np.array_split(held_out, max(len(held_out) // 500, 1))  # for the memory
    log_flow = np.concatenate(
        [
            log_likelihood(SPACE, policy, params, key, objects=jnp.asarray(part, jnp.int32))
            for part, key in zip(parts, jax.random.split(keys[0], len(parts)), strict=True)
        ]
    )
    draws, weights = log_weights(
        SPACE,
        policy,
        params,
        keys[1],
        energy=model.apply,
        energy_params=state.energy_params,
        num_draws=settings.num_draws,
    )
    weights = np.asarray(weights, float)
    log_z = logsumexp(weights) - np.log(len(weights))
    efficiency = np.exp(2 * logsumexp(weights) - logsumexp(2 * weights)) / len(weights)
    energies = np.asarray(model.apply(state.energy_params, jnp.asarray(held_out)), float)
    scores = {
        "flow": -float(log_flow.mean()),
        "energy": float(energies.mean() + log_z),
        "error": float(log_flow.std() / np.sqrt(len(held_out))),
        "efficiency": float(efficiency),
    }
    return scores, np.asarray(draws)


def picture(grid: Grid, model: EnergyModel, params: Any, *, num: int) -> NDArray[np.float64]:
    """Return exp(-E) in each pixel of the view, up to a factor, averaged over four cells."""
    rng = np.random.default_rng(0)
    corner = np.stack(np.meshgrid(np.arange(num), np.arange(num)), axis=-1).reshape(-1, 2)
    total = np.zeros(len(corner))
    for _ in range(4):
        points = ((corner + rng.random(corner.shape)) / num * 2 - 1) * VIEW
        energies = model.apply(params, jnp.asarray(grid.encode(points), jnp.int32))
        total += np.exp(-np.asarray(energies, float))
    return total.reshape(num, num)
