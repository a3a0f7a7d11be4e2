"""Study of sequences: rounds of measurements, with a flow network or without as the generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from dag_gfn.gflownet.active import (
    EnsembleSettings,
    choose_batch,
    expected_improvement,
    fit_ensemble,
    predict,
    train_on_both,
    upper_confidence_bound,
)
from dag_gfn.gflownet.generic import GenericSettings, init, roll_out
from dag_gfn.gflownet.spaces import Space, sequences
from dag_gfn.gflownet.spaces.sequences import Sequence
from experiments.active_learning.landscape import (
    LANDSCAPE,
    Landscape,
    arrangements,
    arrangements_of,
    score,
    start_set,
)

# How each method proposes: its generator, acquisition function, and share of offline data.
METHODS: dict[str, tuple[str, str, float]] = {
    "GFlowNet, UCB": ("flow", "UCB", 0.5),
    "GFlowNet, EI": ("flow", "EI", 0.5),
    "GFlowNet, UCB, no offline data": ("flow", "UCB", 0.0),
    "evolution on the proxy, UCB": ("evolution on proxy", "UCB", 0.0),
    "evolution, no proxy": ("evolution", "", 0.0),
    "uniform": ("uniform", "", 0.0),
}

# Of each acquisition function: the power of the reward, and the least value that is told apart, as
# a share of the best known one. Improvements span many more orders of magnitude than bounds do.
REWARDS: dict[str, tuple[float, float]] = {"UCB": (24.0, 0.3), "EI": (4.0, 1e-6)}


@dataclass(frozen=True)
class SequenceSettings:
    """How large the study is; hashable, static under jit."""

    landscape: Landscape = LANDSCAPE
    num_start: int = 300  # sequences of D0
    ceiling: float = 0.3  # their highest score
    num_rounds: int = 8
    batch_size: int = 64  # measurements a round
    num_candidates: int = 1024  # draws of which the batch is chosen
    min_distance: int = 6  # of two sequences in a batch, in tokens
    num_updates: int = 800  # of the generator, a round
    policy: GenericSettings = GenericSettings(
        width=128, batch_size=64, exploration=0.02, learning_rate=5e-3
    )
    ensemble: EnsembleSettings = EnsembleSettings(width=128, num_updates=500)
    top: int = 50  # sequences that the metrics are about
    num_generations: int = 20  # of the evolution on the proxy, a round
    seeds: tuple[int, ...] = (0, 1, 2)  # of campaigns, for each method


class Known(NamedTuple):
    """What was measured, in arrays of one capacity so that nothing is compiled anew."""

    tokens: NDArray[np.int32]  # [N, L]
    values: NDArray[np.float32]  # [N]
    number: int  # only the first so many count

    def add(self, landscape: Landscape, tokens: NDArray[np.integer]) -> Known:
        """Measure sequences [B, L], and write them behind the others."""
        new = slice(self.number, self.number + len(tokens))
        written, values = self.tokens.copy(), self.values.copy()
        written[new], values[new] = tokens, score(landscape, tokens)
        return Known(written, values, new.stop)


@lru_cache
def empty_space(landscape: Landscape) -> Space:
    """Return the space of sequences without a reward, the same object each time."""
    return sequences(
        landscape.length, landscape.alphabet_size, lambda tokens: jnp.zeros(len(tokens))
    )


@partial(jax.jit, static_argnames="settings")
def fit_proxy(settings: SequenceSettings, key: jax.Array, known: Known) -> Any:
    """Fit the ensemble to what was measured."""
    features = _features(settings, known.tokens)
    return fit_ensemble(settings.ensemble, key, features, known.values, num_known=known.number)


@partial(jax.jit, static_argnames=("settings", "acquisition"))
def acquire(
    settings: SequenceSettings, acquisition: str, proxy: Any, known: Known, tokens: jax.Array
) -> jax.Array:
    """Return the acquisition of sequences [B, L], float32 [B]."""
    mean, deviation = predict(settings.ensemble, proxy, _features(settings, tokens))
    if acquisition == "UCB":
        return upper_confidence_bound(mean, deviation)
    counts = jnp.arange(len(known.values)) < known.number
    best = jnp.max(jnp.where(counts, known.values, -jnp.inf))
    return expected_improvement(mean, deviation, best=best)


@partial(jax.jit, static_argnames=("settings", "acquisition", "offline_share"))
def generate(
    settings: SequenceSettings,
    acquisition: str,
    offline_share: float,
    proxy: Any,
    known: Known,
    state: Any,
) -> tuple[jax.Array, jax.Array]:
    """Train a flow network on the acquisition and draw from it: tokens [C, L], losses."""
    landscape = settings.landscape
    of_known = acquire(settings, acquisition, proxy, known, known.tokens)
    counts = jnp.arange(len(of_known)) < known.number
    power, floor = REWARDS[acquisition]
    least = floor * jnp.max(jnp.where(counts, of_known, -jnp.inf))

    def log_reward(state: Sequence) -> jax.Array:
        value = acquire(settings, acquisition, proxy, known, state.tokens)
        return power * jnp.log(jnp.maximum(value, least))

    space = empty_space(landscape)._replace(log_reward=log_reward)
    whole = jnp.full(len(known.values), landscape.length, jnp.int32)
    state, losses = train_on_both(
        space,
        settings.policy,
        state,
        Sequence(jnp.asarray(known.tokens), whole),
        num_objects=known.number,
        offline_share=offline_share,
        num_updates=settings.num_updates,
    )
    greedy = settings.policy._replace(exploration=0.0)
    start = space.initial(settings.num_candidates)
    drawn = roll_out(space, greedy, state.params["network"], state.key, start)
    return drawn.states.tokens[-1], losses


def _features(settings: SequenceSettings, tokens: Any) -> jax.Array:
    return jax.nn.one_hot(tokens, settings.landscape.alphabet_size).reshape(len(tokens), -1)


def offspring(
    settings: SequenceSettings, parents: NDArray, number: int, rng: np.random.Generator
) -> NDArray[np.integer]:
    """Return children of two parents each, with one mutation on average, [B, L]."""
    mother, father = parents[rng.integers(len(parents), size=(2, number))]
    child = np.where(rng.random(mother.shape) < 0.5, mother, father)
    mutated = rng.random(child.shape) < 1 / settings.landscape.length
    return np.where(
        mutated, rng.integers(settings.landscape.alphabet_size, size=child.shape), child
    )


def evolve(
    settings: SequenceSettings,
    judge: Callable[[NDArray], jax.Array],
    population: NDArray[np.integer],
    rng: np.random.Generator,
) -> NDArray[np.integer]:
    """Return the candidates that an evolution under a judge leads to, [C, L], all different."""
    for _ in range(settings.num_generations):
        parents = population[: settings.batch_size]
        children = offspring(settings, parents, settings.num_candidates, rng)
        pool = np.unique(np.concatenate([population, children]), axis=0)
        # Filled up to one length, so that nothing is compiled anew.
        filled = np.resize(pool, (2 * settings.num_candidates, pool.shape[1]))
        value = np.asarray(judge(filled))[: len(pool)]
        population = pool[np.argsort(-value)][: settings.num_candidates]
    return population


def propose(
    settings: SequenceSettings, method: str, known: Known, seed: list[int]
) -> NDArray[np.integer]:
    """Return the batch that a method wants measured, [batch, L]."""
    generator, acquisition, offline_share = METHODS[method]
    rng = np.random.default_rng(seed)
    key_proxy, key_flow = jax.random.split(jax.random.key(rng.integers(2**31)))
    landscape = settings.landscape
    best = np.argsort(-known.values[: known.number])[: settings.batch_size]
    if generator == "uniform":
        shape = (settings.num_candidates, landscape.length)
        candidates = rng.integers(landscape.alphabet_size, size=shape)
    elif generator == "evolution":
        candidates = offspring(settings, known.tokens[best], settings.num_candidates, rng)
    value = np.zeros(settings.num_candidates)  # without a proxy, candidates are taken as they come
    if acquisition:
        proxy = fit_proxy(settings, key_proxy, known)
        if generator == "flow":
            state = init(empty_space(landscape), settings.policy, key_flow)
            drawn, _ = generate(settings, acquisition, offline_share, proxy, known, state)
            candidates = np.asarray(drawn)
        else:
            judge = partial(acquire, settings, acquisition, proxy, known)
            candidates = evolve(settings, judge, known.tokens[best], rng)
        value = np.array(acquire(settings, acquisition, proxy, known, candidates))
    old = {row.tobytes() for row in known.tokens[: known.number]}
    is_old = [row.tobytes() in old for row in candidates.astype(np.int32)]
    value[is_old] = -np.inf
    chosen = choose_batch(
        value, candidates, settings.batch_size, min_distance=settings.min_distance
    )
    return candidates[chosen]


def metrics(landscape: Landscape, queried: NDArray, start: NDArray, top: int) -> dict[str, float]:
    """Return the metrics of the paper for the best queries, and how many optima were found."""
    values = score(landscape, queried)
    shuffled = np.random.default_rng(0).permutation(len(queried))  # ties are broken at random
    best = queried[shuffled[np.argsort(-values[shuffled], kind="stable")[:top]]]
    apart = (best[:, None] != best[None]).sum(axis=2)
    from_start = (best[:, None] != start[None]).sum(axis=2)
    return {
        "performance": float(np.sort(values)[-top:].mean()),
        "diversity": float(apart.sum() / (len(best) * (len(best) - 1))),
        "novelty": float(from_start.min(axis=1).mean()),
        "optima": len(arrangements_of(landscape, queried)) / len(arrangements(landscape)),
        "highest": float(values.max()),
    }


def campaign(settings: SequenceSettings, method: str, seed: int) -> Iterator[dict[str, Any]]:
    """Run all rounds of one method; the seed fixes the sequences that it begins with."""
    landscape = settings.landscape
    start = start_set(
        landscape, settings.num_start, settings.ceiling, np.random.default_rng([seed, 0])
    )
    capacity = settings.num_start + settings.num_rounds * settings.batch_size
    nothing = Known(
        np.zeros((capacity, landscape.length), np.int32), np.zeros(capacity, np.float32), 0
    )
    known = nothing.add(landscape, start)
    for number in range(1, settings.num_rounds + 1):
        batch = propose(settings, method, known, [seed, number])
        known = known.add(landscape, batch)
        queried = known.tokens[settings.num_start : known.number]
        yield {
            "method": method,
            "seed": seed,
            "round": number,
            "batch_mean": float(score(landscape, batch).mean()),
            **metrics(landscape, queried, start, settings.top),
        }
