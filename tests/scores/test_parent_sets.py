"""Lists of parent sets against exhaustive tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from dag_gfn.scores import (
    LocalScores,
    base as base_module,
    local_scores,
    parent_set_list,
    parent_sets as parent_sets_module,
)


def sparse_table(num_rows: int, num_variables: int, seed: int = 0) -> np.ndarray:
    """Return standardised columns of a random linear-Gaussian DAG with two parents per node."""
    rng = np.random.default_rng(seed)
    present = rng.random((num_variables, num_variables)) < 4 / num_variables
    weights = np.triu(rng.normal(size=(num_variables, num_variables)) * present, 1)
    values = rng.normal(size=(num_rows, num_variables)) @ np.linalg.inv(
        np.eye(num_variables) - weights
    )
    return values / values.std(axis=0)


def check_list(scores: LocalScores, num_sets: int) -> None:
    """Assert what every list must be: sorted, distinct, allowed, with the right scores."""
    masks, log_scores = parent_set_list(scores, num_sets)
    assert masks.shape == (*log_scores.shape, scores.num_variables)
    assert masks.shape[1] <= num_sets
    assert np.all(log_scores[:, :-1] >= log_scores[:, 1:])
    for node in range(scores.num_variables):
        filled = np.isfinite(log_scores[node])
        listed = masks[node, filled]
        assert len(np.unique(listed, axis=0)) == len(listed)
        assert np.any(np.all(listed == scores.required[:, node], axis=1))
        assert not np.any(masks[node, ~filled])
        expected = scores.local_scores_of(node, listed)
        np.testing.assert_allclose(log_scores[node, filled], expected, rtol=1e-10)


@pytest.fixture
def searching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every list come from the search, whose answers a table can then judge."""
    monkeypatch.setattr(base_module, "MAX_TABLE_ENTRIES", 0)
    monkeypatch.setattr(parent_sets_module, "_EXHAUSTIVE", 0)


@pytest.mark.parametrize("num_sets", [1, 7, 32, 100])
@pytest.mark.parametrize(
    "constraints",
    [
        {},
        {"max_parents": 2},
        {"required_edges": [(0, 1), (2, 1)], "forbidden_edges": [(3, 1), (1, 4)]},
        {"required_edges": [(0, 1), (2, 1)], "max_parents": 2},
    ],
)
def test_exhaustive_lists_are_the_best(num_sets: int, constraints: dict) -> None:
    scores = local_scores(sparse_table(80, 6), prior="fair", **constraints)
    check_list(scores, num_sets)
    _, log_scores = parent_set_list(scores, num_sets)
    best = -np.sort(-scores.table(), axis=1)[:, : log_scores.shape[1]]
    # All but the last, which makes room for the required parents.
    np.testing.assert_allclose(log_scores[:, :-1], best[:, :-1], rtol=1e-10)
    assert log_scores.shape[1] == min(num_sets, np.sum(np.isfinite(scores.table()), axis=1).max())


@pytest.mark.parametrize(
    "constraints",
    [
        {},
        {"max_parents": 3},
        {"required_edges": [(0, 1), (2, 1)], "forbidden_edges": [(3, 1), (1, 4)]},
        {"required_edges": [(0, 1), (2, 1)], "max_parents": 2},
        {"max_parents": 0},
    ],
)
def test_searched_lists(searching: None, constraints: dict) -> None:
    check_list(local_scores(sparse_table(80, 18), **constraints), 200)


@pytest.mark.parametrize("num_rows", [50, 500])
def test_search_finds_the_best_sets(num_rows: int, request: pytest.FixtureRequest) -> None:
    scores = local_scores(sparse_table(num_rows, 16, seed=num_rows), prior="fair")
    table = scores.table()
    request.getfixturevalue("searching")
    _, log_scores = parent_set_list(scores, 300)
    np.testing.assert_allclose(log_scores[:, 0], np.max(table, axis=1), rtol=1e-10)
    # Those found hold nine tenths of the mass of the best 300 of 2^15 sets, for every node.
    best = -np.sort(-table, axis=1)[:, :300]
    assert np.all(logsumexp(log_scores, axis=1) > logsumexp(best, axis=1) + np.log(0.9))


def test_search_with_categories(searching: None) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, size=(200, 17))
    codes[:, 3] = (codes[:, 1] ^ codes[:, 2]) ^ (rng.random(200) < 0.05)
    scores = local_scores(pd.DataFrame(codes), "bde", "fair", max_parents=4)
    check_list(scores, 50)


def test_many_columns() -> None:
    scores = local_scores(sparse_table(100, 40))
    assert not scores.has_table
    check_list(scores, 64)


def test_no_sets() -> None:
    with pytest.raises(ValueError, match="num_sets must be at least 1, not 0"):
        parent_set_list(local_scores(sparse_table(20, 3)), 0)
