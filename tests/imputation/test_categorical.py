"""Missing categories, against the enumerated joint distribution."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.imputation import draw_missing_codes
from dag_gfn.posterior.categorical import CategoricalParameters

NUM_STATES = [2, 3, 2, 3]
NUM_ROWS = 20_000
OBSERVED = np.array([1, 2, 0, 1], np.int32)


@pytest.fixture(scope="module")
def network(graph) -> CategoricalParameters:
    """Return parameters drawn given two rows, which leave them to the prior."""
    table = pd.DataFrame(
        {
            name: pd.Categorical.from_codes([0, 1], range(size))
            for name, size in zip("abcd", NUM_STATES, strict=True)
        }
    )
    posterior = dg.ExactPosterior("bde", score_params={"equivalent_sample_size": 60.0})
    mechanisms = posterior.fit(table).posterior_.mechanisms
    return mechanisms.draw(graph[None], np.zeros(1), np.random.default_rng(3))


def conditional(network, missing, target) -> tuple[np.ndarray, np.ndarray]:
    """Return all states of the missing cells given the others, and their probabilities."""
    cells = np.flatnonzero(missing)
    states = np.array(list(product(*(range(NUM_STATES[cell]) for cell in cells))))
    joint = np.ones(len(states))
    for number, state in enumerate(states):
        row = OBSERVED.copy()
        row[cells] = state
        for node in range(4):
            if node != target:
                table = network.tables[node].of(np.array([0]))[0]
                joint[number] *= table[
                    (*row[np.flatnonzero(network.adjacency[0, :, node])], row[node])
                ]
    return states, joint / joint.sum()


def shares(drawn, missing, states):
    """Return how often each state of the missing cells occurs."""
    return (drawn[:, None, missing] == states).all(axis=2).mean(axis=0)


def test_draws_are_those_of_the_joint_distribution(network, pattern):
    _, missing, target = pattern
    states, probabilities = conditional(network, missing, target)
    codes = np.repeat(OBSERVED[None], NUM_ROWS, axis=0)
    codes[:, missing] = 0
    drawn = draw_missing_codes(codes, [pattern], network, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn[:, ~missing], codes[:, ~missing])
    limit = 5 * np.sqrt(probabilities * (1 - probabilities) / NUM_ROWS)
    assert (np.abs(shares(drawn, missing, states) - probabilities) <= limit).all()
    # A uniform draw would not pass.
    assert (np.abs(1 / len(states) - probabilities) > limit).any()


@pytest.mark.parametrize("max_states", [1, 4])
def test_blocks_leave_the_distribution_as_it_is(network, pattern, max_states):
    rows, missing, target = pattern
    states, probabilities = conditional(network, missing, target)
    rng = np.random.default_rng(1)
    codes = np.repeat(OBSERVED[None], NUM_ROWS, axis=0)
    codes[:, missing] = states[rng.choice(len(states), NUM_ROWS, p=probabilities)]
    drawn = draw_missing_codes(codes, [pattern], network, rng, max_states=max_states)
    limit = 5 * np.sqrt(probabilities * (1 - probabilities) / NUM_ROWS)
    assert (np.abs(shares(drawn, missing, states) - probabilities) <= limit).all()
    assert (drawn[:, missing] != codes[:, missing]).mean() > 0.1


def test_blocks_forget_where_they_started(network):
    missing = np.array([True, True, True, False])
    states, probabilities = conditional(network, missing, -1)
    pattern = (np.arange(NUM_ROWS), missing, -1)
    codes = np.repeat(OBSERVED[None], NUM_ROWS, axis=0)
    rng = np.random.default_rng(2)
    for _ in range(10):
        codes = draw_missing_codes(codes, [pattern], network, rng, max_states=1)
    limit = 5 * np.sqrt(probabilities * (1 - probabilities) / NUM_ROWS)
    assert (np.abs(shares(codes, missing, states) - probabilities) <= limit).all()
