"""The parts of the chain that are not draws."""

from __future__ import annotations

import numpy as np
import pytest

import dag_gfn as dg
from dag_gfn.imputation import missing_patterns, starting_cells
from dag_gfn.imputation.networks import stacked


def test_every_missing_cell_is_in_one_pattern():
    rng = np.random.default_rng(0)
    missing, targets = rng.random((60, 3)) < 0.3, rng.integers(-1, 3, 60)
    seen = np.zeros_like(missing, dtype=int)
    for rows, columns, target in missing_patterns(missing, targets):
        assert (missing[rows] == columns).all() and (targets[rows] == target).all()
        assert columns.any()
        seen[rows] += columns
    np.testing.assert_array_equal(seen, missing)


def test_cells_start_from_observed_values_of_their_column():
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(50, 3))
    missing = np.zeros((50, 3), bool)
    missing[10:, 1] = missing[49, 2] = True
    cells[missing] = np.nan
    filled = starting_cells(cells, missing, rng)
    np.testing.assert_array_equal(filled[~missing], cells[~missing])
    assert set(filled[:, 1]) == set(cells[:10, 1])
    assert filled[49, 2] in cells[:49, 2]
    assert np.isnan(cells[missing]).all()


@pytest.mark.parametrize("score", ["bge", "bde"])
def test_stacked_networks_are_those_that_went_in(score):
    if score == "bge":
        table = dg.datasets.simulate_linear_gaussian(3, 10, random_state=0).table
    else:
        table = dg.datasets.simulate_categorical(3, 10, num_states=[2, 3, 2], random_state=0).table
    posterior = dg.ExactPosterior(score).fit(table).posterior_
    networks = [posterior.sample_parameters(1, random_state=seed) for seed in range(20)]
    together = stacked(networks)
    assert len(together) == 20 and not together.log_weights.any()
    rows = together.simulate(5, random_state=0)
    for number, network in enumerate(networks):
        np.testing.assert_array_equal(together.adjacency[number], network.adjacency[0])
        if score == "bge":
            for name in ("coefficients", "intercepts", "variances"):
                one, other = getattr(together, name)[number], getattr(network, name)[0]
                np.testing.assert_array_equal(one, other)
            continue
        for node in range(3):
            one = together.tables[node].of(np.array([number]))
            np.testing.assert_array_equal(one, network.tables[node].of(np.array([0])))
    assert rows.shape == (20, 5, 3)
