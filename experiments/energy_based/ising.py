"""Recover the couplings of an Ising model from draws: p(x) ~ exp(x^T J x), x in {-1, 1}^d."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from dag_gfn.gflownet.energy import EnergyModel, EnergySettings, EnergyState, init, train
from dag_gfn.gflownet.generic import GenericSettings
from dag_gfn.gflownet.spaces import binary_vectors

REFIT = "EB-GFN, then without penalty on the large ones"


@dataclass(frozen=True)
class IsingSettings:
    """What the study of couplings depends on."""

    energy: EnergySettings = EnergySettings(
        GenericSettings(width=64, num_layers=2, batch_size=8, exploration=0.0),
        num_back=16,
        data_batch_size=512,
        steps_back=10,
    )
    side: int = 10  # of the torus; even, so that it has the colours of a chequerboard
    sigma: float = 0.1  # coupling of neighbours
    penalty: float = 0.005  # on the sum of |J|, in training the energy
    logistic_penalty: float = 0.05  # the same for pseudo-likelihood
    num_rows: int = 2000  # each from a Gibbs chain of its own
    num_sweeps: int = 300  # of such a chain
    num_chunks: int = 14  # with the penalty, and as many without; each half of them is averaged
    chunk: int = 50  # updates
    seed: int = 0  # of the chains and the networks


def torus(side: int) -> NDArray[np.float64]:
    """Return the adjacency of a square lattice with periodic boundaries, [d, d]."""
    ring = np.roll(np.eye(side), 1, axis=1)
    ring = np.maximum(ring, ring.T)
    return np.kron(ring, np.eye(side)) + np.kron(np.eye(side), ring)


def gibbs(
    side: int, sigma: float, num_rows: int, *, num_sweeps: int = 300, seed: int = 0
) -> NDArray[np.int64]:
    """Draw spins, [num_rows, d], each row from a chain of its own."""
    rng = np.random.default_rng(seed)
    colour = np.indices((side, side)).sum(axis=0) % 2
    spins = rng.choice([-1, 1], size=(num_rows, side, side))
    for _ in range(num_sweeps):
        for turn in (0, 1):
            near = sum(np.roll(spins, by, axis) for by in (-1, 1) for axis in (1, 2))
            up = rng.random(spins.shape) < expit(4 * sigma * near)
            spins = np.where(colour == turn, np.where(up, 1, -1), spins)
    return spins.reshape(num_rows, -1)


@jax.jit
def couplings(params: jax.Array) -> jax.Array:
    """Return a symmetric matrix without a diagonal."""
    symmetric = (params + params.T) / 2
    return symmetric - jnp.diag(jnp.diag(symmetric))


def ising_model(d: int, penalty: float, support: NDArray[np.bool_]) -> EnergyModel:
    """Return E(x) = -x^T J x with J learned on the support, and penalty times the sum of |J|."""
    allowed = jnp.asarray(support, jnp.float32)

    def apply(params: jax.Array, bits: jax.Array) -> jax.Array:
        spins = 2.0 * bits - 1.0
        return -jnp.einsum("bi,ij,bj->b", spins, allowed * couplings(params), spins)

    return EnergyModel(
        init=lambda key: jnp.zeros((d, d)),
        apply=apply,
        penalty=lambda params: penalty * jnp.abs(allowed * couplings(params)).sum(),
    )


def log_rmse(learned: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Return -log of the root mean square error over all entries."""
    return -0.5 * float(np.log(np.mean((np.asarray(learned, float) - truth) ** 2)))


def pseudo_likelihood(
    spins: NDArray[np.int64], penalty: float, support: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Fit each spin to the others by logistic regression, and average both values of a coupling."""
    num_rows, d = spins.shape
    weights = np.zeros((d, d))
    for i in range(d):
        others = np.flatnonzero(support[i])
        if len(others) == 0:
            continue
        # The logit is 4 J_i x; a penalty of half the size holds back the same correlations.
        strength = 2 / (num_rows * penalty) if penalty else 1e6
        regression = LogisticRegression(
            C=strength, l1_ratio=1.0, solver="liblinear", fit_intercept=False
        )
        weights[i, others] = regression.fit(spins[:, others], spins[:, i]).coef_[0] / 4
    return (weights + weights.T) / 2


def large(learned: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which couplings are in the upper of two groups, each closest to its own mean."""
    sizes = np.abs(learned)
    middle = sizes.max() / 2
    for _ in range(100):
        above = sizes > middle
        middle = (sizes[above].mean() + sizes[~above].mean()) / 2
    return sizes > middle


class Learned(NamedTuple):
    """A matrix, and how it came about."""

    couplings: NDArray[np.float64]  # [d, d], averaged over the second half of the updates
    state: EnergyState
    acceptance: float  # of proposals, over the same updates
    curve: list[list[float]]  # updates and -log RMSE of the matrix after each chunk


def learn(
    settings: IsingSettings,
    spins: NDArray[np.int64],
    *,
    penalty: float,
    support: NDArray[np.bool_],
    state: EnergyState | None = None,
) -> Learned:
    """Train energy and sampler on the couplings of a support, on from a state if there is one."""
    d = settings.side**2
    truth = settings.sigma * torus(settings.side)
    space = binary_vectors(d, lambda bits: jnp.zeros(len(bits)))
    model = ising_model(d, penalty, support)
    state = state or init(space, settings.energy, model, jax.random.key(settings.seed))
    data = jnp.asarray((spins + 1) // 2, jnp.int32)
    matrices, acceptance, curve = [], [], []
    for _ in range(settings.num_chunks):
        state, progress = train(
            space, settings.energy, model, state=state, data=data, num_updates=settings.chunk
        )
        matrices.append(np.where(support, np.asarray(couplings(state.energy_params)), 0.0))
        acceptance.append(float(progress.acceptance.mean()))
        curve.append([float(state.num_updates), log_rmse(matrices[-1], truth)])
    half = settings.num_chunks // 2
    average = np.mean(matrices[half:], axis=0)
    return Learned(average, state, float(np.mean(acceptance[half:])), curve)


class Study(NamedTuple):
    """What was learned, for the table and the picture."""

    rows: list[dict[str, Any]]
    matrices: dict[str, NDArray[np.float64]]


def study(settings: IsingSettings) -> Study:
    """Learn couplings with the penalty, then the large ones without it; so too by regression."""
    spins = gibbs(
        settings.side,
        settings.sigma,
        settings.num_rows,
        num_sweeps=settings.num_sweeps,
        seed=settings.seed,
    )
    truth = settings.sigma * torus(settings.side)
    everywhere = ~np.eye(settings.side**2, dtype=bool)
    regress = partial(pseudo_likelihood, spins)
    begin = time.process_time()
    first = learn(settings, spins, penalty=settings.penalty, support=everywhere)
    middle = time.process_time()
    second = learn(
        settings,
        spins,
        penalty=0.0,
        support=large(first.couplings),
        state=first.state,
    )
    end = time.process_time()
    logistic = regress(settings.logistic_penalty, everywhere)
    matrices = {
        "EB-GFN": first.couplings,
        REFIT: second.couplings,
        "pseudo-likelihood": logistic,
        "pseudo-likelihood, then without penalty on the large ones": regress(0.0, large(logistic)),
        "pseudo-likelihood, neighbours known": regress(0.0, truth > 0),
        "zero": np.zeros_like(truth),
    }
    rows = [
        {
            "method": method,
            "log_rmse": log_rmse(matrix, truth),
            "neighbours": float(matrix[truth > 0].mean()),
            "others": float(np.sqrt(np.mean(matrix[(truth == 0) & everywhere] ** 2))),
            "pairs": int((matrix != 0).sum() // 2),
        }
        for method, matrix in matrices.items()
    ]
    costs = [
        {"seconds": middle - begin, "acceptance": first.acceptance, "curve": first.curve},
        {"seconds": end - begin, "acceptance": second.acceptance, "curve": second.curve},
    ]
    for row, cost in zip(rows, costs, strict=False):
        row |= cost
    return Study(rows, matrices | {"truth": truth})
