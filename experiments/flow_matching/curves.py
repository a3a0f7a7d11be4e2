"""How close a sampler of the hypergrid is to its target, along the states that it visits.

Glossary: ``N`` cells of the grid, ``B`` batch.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from dag_gfn.gflownet.enumeration import Enumeration, enumerate_states, terminal_log_prob
from dag_gfn.gflownet.generic import (
    GenericSettings,
    GenericState,
    evaluate_policy,
    init,
    roll_out,
    update,
)
from dag_gfn.gflownet.spaces import Space, hypergrid

WINDOW = 200_000  # last objects that the empirical distribution is of, as in the paper


class Grid(NamedTuple):
    """A hypergrid and its exact target."""

    space: Space
    enumeration: Enumeration
    place: NDArray[np.int64]  # [N], where a cell, as a number in base `height`, is listed
    weights: NDArray[np.int64]  # [D], of the coordinates in that number
    target: NDArray[np.float64]  # [N]
    is_mode: NDArray[np.bool_]  # [N]


class Checkpoint(NamedTuple):
    """Where a sampler stands."""

    states: int  # visited, all those on the way counted
    objects: int  # drawn
    empirical: float  # mean |p - q| over cells, q of the last `WINDOW` objects
    exact: float | None  # the same with the q of the policy
    modes: int  # met so far


def grid(least_reward: float, *, dimension: int = 4, height: int = 8) -> Grid:
    """List the cells of a hypergrid."""
    space = hypergrid(dimension, height, least_reward=least_reward)
    enumeration = enumerate_states(space)
    weights = height ** np.arange(dimension)
    number = np.asarray(enumeration.states) @ weights
    place = np.empty(len(number), np.int64)
    place[number] = np.arange(len(number))
    reward = np.exp(enumeration.log_reward)
    return Grid(
        space=space,
        enumeration=enumeration,
        place=place,
        weights=weights,
        target=reward / reward.sum(),
        is_mode=np.isclose(reward, reward.max()),
    )


def policy_distribution(made: Grid, log_forward: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the probability that a policy, float [N, A + 1], stops in each cell."""
    return np.exp(terminal_log_prob(made.enumeration, log_forward))


def uniform_policy(made: Grid) -> NDArray[np.float64]:
    """Return the log-probabilities of a policy that takes each legal action alike."""
    legal = np.asarray(made.space.mask(made.enumeration.states))
    return np.where(legal, -np.log(legal.sum(axis=1, keepdims=True)), -np.inf)


def mean_error(target: NDArray[np.float64], distribution: NDArray[np.float64]) -> float:
    """Return the L1 error of the paper, the mean of |p - q| over cells."""
    return float(np.abs(target - distribution).mean())


def sampling_floor(target: NDArray[np.float64], objects: int, *, repeats: int = 20) -> float:
    """Return the mean empirical error of so many exact draws, or of `WINDOW` where there are more.

    No sampler of independent objects gets below it on average, however well it has learned.
    """
    num = min(objects, WINDOW)
    counts = np.random.default_rng(0).multinomial(num, target, size=repeats)
    return float(np.mean([mean_error(target, row / num) for row in counts]))


class Visits:
    """The objects that a sampler has drawn, and the states that it has visited for them."""

    def __init__(self, made: Grid) -> None:
        self.made = made
        self.drawn: list[NDArray[np.int64]] = []
        self.states = 0

    def add(self, cells: NDArray[np.integer], states: int) -> None:
        """Take in more objects, integers [..., D], in the order in which they were drawn."""
        numbers = (cells @ self.made.weights).ravel()
        self.drawn.append(self.made.place[numbers])
        self.states += states

    def checkpoint(self, exact: float | None = None) -> Checkpoint:
        """Compare what was drawn with the target."""
        drawn = np.concatenate(self.drawn)
        num_cells = len(self.made.target)
        last = drawn[-WINDOW:]
        empirical = np.bincount(last, minlength=num_cells) / len(last)
        met = np.bincount(drawn, minlength=num_cells) > 0
        return Checkpoint(
            states=self.states,
            objects=len(drawn),
            empirical=mean_error(self.made.target, empirical),
            exact=exact,
            modes=int((met & self.made.is_mode).sum()),
        )


@partial(jax.jit, static_argnames=("space", "settings", "num_updates"))
def _learn(
    space: Space, settings: GenericSettings, state: GenericState, *, num_updates: int
) -> tuple[GenericState, tuple[jax.Array, jax.Array]]:
    """Train, and return the objects on the way, int32 [updates, B, D], and how many states."""

    def walk_and_learn(
        state: GenericState, _: None
    ) -> tuple[GenericState, tuple[jax.Array, jax.Array]]:
        key, key_walk = jax.random.split(state.key)
        start = space.initial(settings.batch_size)
        rollout = roll_out(space, settings, state.params["network"], key_walk, start)
        state, _ = update(space, settings, state._replace(key=key), rollout)
        # The action to stop visits no state, but the initial state is visited by no action.
        return state, (rollout.states[-1], rollout.is_action.sum())

    return jax.lax.scan(walk_and_learn, state, None, length=num_updates)


def learning_curve(
    made: Grid, settings: GenericSettings, seed: int, *, num_updates: int, every: int
) -> list[Checkpoint]:
    """Train on a grid, and look where the sampler stands ever less often.

    Parameters
    ----------
    made : Grid
    settings : GenericSettings
    seed : int
    num_updates : int
        A multiple of `every`.
    every : int
        Updates between two looks at first; there are about 40 in all.

    Returns
    -------
    list of Checkpoint
    """
    space = made.space
    state = init(space, settings, jax.random.key(seed))
    log_forward = jax.jit(
        lambda params: evaluate_policy(space, settings, params, made.enumeration.states).log_forward
    )
    visits, looks = Visits(made), checkpoints_at(num_updates // every)
    curve = []
    for chunk in range(1, num_updates // every + 1):
        state, (cells, states) = _learn(space, settings, state, num_updates=every)
        visits.add(np.asarray(cells), int(jnp.sum(states)))
        if chunk in looks:
            distribution = policy_distribution(
                made, np.asarray(log_forward(state.params["network"]))
            )
            curve.append(visits.checkpoint(mean_error(made.target, distribution)))
    return curve


def checkpoints_at(last: int, *, num: int = 40) -> list[int]:
    """Return about so many different numbers from 1 to the last, evenly spread on a log scale."""
    return sorted({int(round(number)) for number in np.geomspace(1, last, num)})


def columns(curve: list[Checkpoint]) -> dict[str, list[Any]]:
    """Return a curve as lists, for a row of results."""
    return {
        name: [getattr(checkpoint, name) for checkpoint in curve] for name in Checkpoint._fields
    }
