"""Every space, against what is known of it: how many states, and that backward undoes forward."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dag_gfn.gflownet.enumeration import enumerate_states, terminal_log_prob
from dag_gfn.gflownet.spaces import SPACES, binary_vectors, dag_edges, hypergrid, sequences
from dag_gfn.graphs import all_dags
from dag_gfn.scores import local_scores


def number_of_ones(tokens: jax.Array) -> jax.Array:
    return (tokens == 1).sum(axis=1).astype(jnp.float32)


def scores(**constraints):
    values = np.random.default_rng(0).normal(size=(30, 3))
    values[:, 1] += values[:, 0]
    return local_scores(values, **constraints)


# Of which entry of the registry, made how, with how many states, of which how many may stop.
EXAMPLES = {
    "hypergrid": ("hypergrid", lambda make: make(2, 5), 25, 25),
    "left to right": ("sequences", lambda make: make(3, 2, number_of_ones), 15, 8),
    "both ends": ("sequences", lambda make: make(3, 2, number_of_ones, both_ends=True), 15, 8),
    "binary vectors": ("binary_vectors", lambda make: make(3, number_of_ones), 27, 8),
    "graphs": ("dags", lambda make: make(scores()), 25, 25),
    # Of the 25 graphs, those with the edge from 0 to 2 and without that from 1 to 2.
    "constrained graphs": (
        "dags",
        lambda make: make(scores(required_edges=[(0, 2)], forbidden_edges=[(1, 2)])),
        5,
        5,
    ),
}


@pytest.fixture(params=EXAMPLES, scope="module")
def listed(request):
    entry, example, num_states, num_terminal = EXAMPLES[request.param]
    space = example(SPACES[entry])
    return space, enumerate_states(space), num_states, num_terminal


def test_the_example_in_the_guide_is_a_space(names_in_the_guide):
    space = names_in_the_guide["subsets"](4, 2, number_of_ones)
    found = enumerate_states(space)
    assert len(found.depth) == 1 + 4 + 6
    assert np.isfinite(found.log_reward).sum() == 6
    before = space.undo(at(found.states, found.target), jnp.asarray(found.action, jnp.int32))
    np.testing.assert_array_equal(before, at(found.states, found.source))
    assert space.reaches(at(found.states, found.source), at(found.states, found.target)).all()


def test_every_space_has_an_example():
    assert {entry for entry, *_ in EXAMPLES.values()} == set(SPACES)


def at(states, rows):
    return jax.tree.map(lambda leaf: leaf[rows], states)


def test_all_states_are_reached(listed):
    space, found, num_states, num_terminal = listed
    assert len(found.depth) == num_states
    assert np.isfinite(found.log_reward).sum() == num_terminal
    assert found.depth.max() == space.max_steps
    assert np.all(found.depth[found.target] == found.depth[found.source] + 1)


def test_undoing_an_action_returns_to_the_state_before(listed):
    space, found, _, _ = listed
    before = space.undo(at(found.states, found.target), jnp.asarray(found.action, jnp.int32))
    for undone, original in zip(
        jax.tree.leaves(before), jax.tree.leaves(at(found.states, found.source)), strict=True
    ):
        np.testing.assert_allclose(undone, original, atol=1e-4)


def test_backward_actions_are_the_transitions_that_lead_to_a_state(listed):
    space, found, num_states, _ = listed
    expected = np.zeros((num_states, space.num_actions), bool)
    expected[found.target, found.action] = True
    np.testing.assert_array_equal(space.backward_mask(found.states), expected)


def test_a_state_reaches_what_some_actions_lead_to(listed):
    space, found, num_states, _ = listed
    expected = np.eye(num_states, dtype=bool)
    for source, target in zip(found.source[::-1], found.target[::-1], strict=True):
        expected[source] |= expected[target]
    first, second = np.divmod(np.arange(num_states**2), num_states)
    reached = space.reaches(at(found.states, first), at(found.states, second))
    np.testing.assert_array_equal(np.asarray(reached).reshape(num_states, -1), expected)


def test_no_state_is_a_dead_end(listed):
    space, found, _, _ = listed
    assert np.asarray(space.mask(found.states)).any(axis=1).all()
    assert np.all(np.isfinite(np.asarray(space.observe(found.states))))


def test_the_uniform_policy_stops_somewhere_with_certainty(listed):
    space, found, _, _ = listed
    mask = np.asarray(space.mask(found.states))
    with np.errstate(divide="ignore"):
        uniform = np.log(mask / mask.sum(axis=1, keepdims=True))
    assert np.exp(terminal_log_prob(found, uniform)).sum() == pytest.approx(1.0)


def test_the_reward_of_the_hypergrid_is_that_of_the_paper():
    found = enumerate_states(hypergrid(2, 8, least_reward=0.01))
    reward = dict(zip(map(tuple, np.asarray(found.states)), np.exp(found.log_reward), strict=True))
    assert reward[0, 0] == pytest.approx(0.51, rel=1e-5)  # both 0.5 from the centre
    assert reward[1, 6] == pytest.approx(2.51, rel=1e-5)  # both 0.357
    assert reward[3, 3] == pytest.approx(0.01, rel=1e-5)
    assert sum(value > 2 for value in reward.values()) == 4


def test_the_reward_of_a_graph_is_its_score():
    found = enumerate_states(dag_edges(scores()))
    graphs = np.asarray(found.states.adjacency, np.int8)
    assert {graph.tobytes() for graph in graphs} == {graph.tobytes() for graph in all_dags(3)}
    expected = scores().log_score(graphs) - scores().log_score(graphs[:1])
    np.testing.assert_allclose(found.log_reward, expected, atol=1e-4)


def test_spaces_that_are_too_large_are_refused():
    with pytest.raises(ValueError, match="more than 100 states"):
        enumerate_states(hypergrid(4, 8), max_states=100)


@pytest.mark.parametrize(
    "make",
    [
        lambda: hypergrid(0, 8),
        lambda: hypergrid(2, 1),
        lambda: hypergrid(2, 8, least_reward=0.0),
        lambda: sequences(0, 2, number_of_ones),
        lambda: binary_vectors(0, number_of_ones),
    ],
)
def test_sizes_that_make_no_space_are_refused(make):
    with pytest.raises(ValueError, match="at least 1"):
        make()
