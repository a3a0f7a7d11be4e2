"""Every objective on every space: zero at the solution, and training comes close to it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.gflownet.enumeration import enumerate_states, terminal_log_prob
from dag_gfn.gflownet.generic import (
    GenericSettings,
    evaluate_policy,
    init,
    train,
    walk_back,
)
from dag_gfn.gflownet.objectives import OBJECTIVES, Trajectories, loss_along
from dag_gfn.gflownet.spaces import binary_vectors, dag_edges, hypergrid, sequences
from dag_gfn.scores import local_scores


def pairs_that_agree(tokens: jax.Array) -> jax.Array:
    return 1.5 * (tokens[:, 1:] == tokens[:, :-1]).sum(axis=1) - tokens[:, 0]


def graphs():
    values = np.random.default_rng(0).normal(size=(15, 3))
    values[:, 1] += values[:, 0]
    return dag_edges(local_scores(values))


SPACES = {
    "hypergrid": lambda: hypergrid(2, 5),
    "left to right": lambda: sequences(3, 2, pairs_that_agree),
    "both ends": lambda: sequences(3, 2, pairs_that_agree, both_ends=True),
    "binary vectors": lambda: binary_vectors(3, pairs_that_agree),
    "graphs": graphs,
}
ALL_TERMINAL = ("hypergrid", "graphs")
COMBINATIONS = [
    (objective, space)
    for space in SPACES
    for objective, (_, of) in OBJECTIVES.items()
    if of is Trajectories or space in ALL_TERMINAL
]


@pytest.fixture(scope="module")
def listed():
    spaces = {name: make() for name, make in SPACES.items()}
    return {name: (space, enumerate_states(space)) for name, space in spaces.items()}


class Solution:
    """The flow of a space under uniform backward steps, summed from the deepest states up."""

    def __init__(self, space, found):
        num_states = len(found.depth)
        num_parents = np.asarray(space.backward_mask(found.states)).sum(axis=1)
        with np.errstate(divide="ignore"):
            log_backward = -np.log(num_parents[found.target])
        self.log_flow = found.log_reward.copy()
        for depth in range(found.depth[-1] - 1, -1, -1):
            along = found.depth[found.source] == depth
            flowing = self.log_flow[found.target[along]] + log_backward[along]
            np.logaddexp.at(self.log_flow, found.source[along], flowing)
        self.log_forward = np.full((num_states, space.num_actions + 1), -np.inf)
        self.log_forward[:, -1] = found.log_reward - self.log_flow
        self.log_forward[found.source, found.action] = (
            self.log_flow[found.target] + log_backward - self.log_flow[found.source]
        )
        self.log_backward, self.found, self.space = log_backward, found, space

    def trajectories(self, num: int) -> Trajectories:
        """Walk uniformly, and fill in what the solution says."""
        rng, found, length = np.random.default_rng(0), self.found, self.space.max_steps + 1
        rows = {name: np.zeros((num, length)) for name in ("forward", "backward")}
        is_action, is_stop = np.zeros((num, length), bool), np.zeros((num, length), bool)
        visited = np.zeros((num, length + 1), int)
        for row in range(num):
            state = 0
            for place in range(length):
                legal = np.flatnonzero(self.log_forward[state] > -np.inf)
                action = rng.choice(legal)
                rows["forward"][row, place] = self.log_forward[state, action]
                is_action[row, place] = True
                visited[row, place:] = state
                if action == self.space.num_actions:
                    is_stop[row, place] = True
                    break
                (along,) = np.nonzero((found.source == state) & (found.action == action))
                rows["backward"][row, place] = self.log_backward[along[0]]
                state = found.target[along[0]]
        log_flow = jnp.asarray(self.log_flow[visited], jnp.float32)
        return Trajectories(
            log_forward=jnp.asarray(rows["forward"], jnp.float32),
            log_backward=jnp.asarray(rows["backward"], jnp.float32),
            is_action=jnp.asarray(is_action),
            is_stop=jnp.asarray(is_stop),
            log_flow=log_flow,
            log_stop=jnp.asarray(self.log_forward[visited, -1], jnp.float32),
            log_reward=jnp.asarray(
                np.where(np.isfinite(found.log_reward), found.log_reward, 7.0)[visited], jnp.float32
            ),
            log_inflow=log_flow,
            log_outflow=log_flow,
            log_z=jnp.asarray(self.log_flow[0], jnp.float32),
        )


@pytest.mark.parametrize(("objective", "name"), COMBINATIONS)
def test_the_solution_has_no_loss(listed, objective, name):
    solution = Solution(*listed[name])
    assert solution.log_flow[0] == pytest.approx(logsumexp(solution.found.log_reward))
    trajectories = solution.trajectories(50)
    assert float(loss_along(objective, trajectories)) < 1e-6
    # And another sampler has one.
    tilted = trajectories.log_forward.at[:, 0].add(jnp.linspace(-1.0, 0.0, 50))
    elsewhere = trajectories._replace(
        log_forward=tilted,
        log_stop=trajectories.log_stop.at[:, 0].add(0.3),
        log_inflow=trajectories.log_inflow + 0.1,
    )
    assert float(loss_along(objective, elsewhere)) > 1e-4


def test_the_objective_in_the_guide_vanishes_at_the_solution(listed, names_in_the_guide):
    median_balance = names_in_the_guide["median_balance"]
    trajectories = Solution(*listed["both ends"]).trajectories(51)
    assert float(median_balance(trajectories)) < 1e-5
    tilted = trajectories.log_forward.at[:, 0].add(jnp.linspace(-1.0, 0.0, 51))
    assert float(median_balance(trajectories._replace(log_forward=tilted))) > 0.1


def total_variation(space, settings, found, params) -> float:
    output = evaluate_policy(space, settings, params["network"], found.states)
    log_prob = terminal_log_prob(found, np.asarray(output.log_forward))
    target = np.exp(found.log_reward - logsumexp(found.log_reward))
    return 0.5 * float(np.abs(np.exp(log_prob) - target).sum())


@pytest.mark.parametrize(("objective", "name"), COMBINATIONS)
def test_training_comes_close_to_the_target(listed, objective, name):
    space, found = listed[name]
    settings = GenericSettings(objective, width=32, batch_size=32, learning_rate=5e-3)
    state = init(space, settings, jax.random.key(0))
    before = total_variation(space, settings, found, state.params)
    state, losses = train(space, settings, state, num_updates=1000)
    after = total_variation(space, settings, found, state.params)
    assert np.all(np.isfinite(losses))
    assert after < 0.05 < before
    if objective == "trajectory_balance":
        log_z = 100.0 * float(state.params["log_z"])
        assert log_z == pytest.approx(logsumexp(found.log_reward), abs=0.1)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("trajectory_balance", {"learned_backward": True}),
        ("detailed_balance", {"forward_looking": True}),
    ],
)
def test_backward_policies_can_be_learned_and_flows_look_forward(listed, objective, words):
    space, found = listed["graphs"]
    settings = GenericSettings(objective, width=32, batch_size=32, learning_rate=5e-3, **words)
    state = init(space, settings, jax.random.key(0))
    state, _ = train(space, settings, state, num_updates=600)
    assert total_variation(space, settings, found, state.params) < 0.05


@pytest.mark.parametrize("learned_backward", [False, True])
@pytest.mark.parametrize("name", SPACES)
def test_walking_back_gives_trajectories_to_the_same_objects(listed, name, learned_backward):
    space, found = listed[name]
    settings = GenericSettings(learned_backward=learned_backward, width=8)
    params = init(space, settings, jax.random.key(0)).params["network"]
    (objects,) = np.nonzero(found.log_reward > -np.inf)
    final = jax.tree.map(lambda leaf: leaf[objects], found.states)
    rollout = walk_back(space, settings, params, jax.random.key(1), final)
    assert rollout.action.shape == (space.max_steps + 1, len(objects))
    np.testing.assert_array_equal(rollout.is_action.sum(axis=0), found.depth[objects] + 1)
    state = space.initial(len(objects))
    for place, (action, is_action) in enumerate(
        zip(rollout.action, rollout.is_action, strict=True)
    ):
        here = jax.tree.map(lambda leaf, place=place: leaf[place], rollout.states)
        for one, other in zip(jax.tree.leaves(here), jax.tree.leaves(state), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)
        assert np.asarray(space.mask(state))[np.arange(len(objects)), action][is_action].all()
        moved = space.step(state, jnp.minimum(action, space.num_actions - 1))
        moves = action < space.num_actions
        state = jax.tree.map(
            lambda new, old, moves=moves: jnp.where(
                moves.reshape(-1, *[1] * (new.ndim - 1)), new, old
            ),
            moved,
            state,
        )
    for one, other in zip(jax.tree.leaves(final), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_backward_walks_are_uniform(listed):
    space, _ = listed["binary vectors"]
    final = jnp.ones((6000, 3), jnp.int32)
    settings = GenericSettings(width=8)
    rollout = walk_back(space, settings, None, jax.random.key(0), final)
    # The last of the coordinates to be set is each with probability 1 / 3.
    counts = np.bincount(np.asarray(rollout.action[2]) // 2, minlength=3)
    assert np.abs(counts / 6000 - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 6000)
