"""Gains on the device against differences of local scores on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

from dag_gfn.scores import BGe, LocalScores, local_scores
from dag_gfn.scores.schur import schur_arrays, schur_gains
from dag_gfn.scores.subsets import subset_masks
from dag_gfn.scores.table import score_table, table_gains

Gains = Callable[[LocalScores], tuple[Callable, Any]]


def by_table(scores: LocalScores) -> tuple[Callable, Any]:
    return table_gains, score_table(scores)


def by_schur(scores: LocalScores) -> tuple[Callable, Any]:
    arguments = scores.likelihood, scores.log_prior, scores.forbidden, scores.max_parents
    return schur_gains, schur_arrays(*arguments)


def host_gains(scores: LocalScores, node: int, parents: np.ndarray) -> np.ndarray:
    """Return float64 [d]: differences of local scores, -inf where the edge is not to be added."""
    larger = parents | np.eye(scores.num_variables, dtype=bool)
    legal = ~parents & ~scores.forbidden[:, node] & (np.sum(parents) < scores.max_parents)
    gains = np.full(scores.num_variables, -np.inf)
    gains[legal] = scores.local_scores_of(node, larger[legal])
    gains[legal] -= scores.local_scores_of(node, parents[None])
    return gains


def allowed_families(scores: LocalScores) -> Iterator[tuple[int, np.ndarray]]:
    """Yield every node with every parent set that the constraints allow."""
    masks = subset_masks(scores.num_variables - 1, scores.max_parents)
    for node in range(scores.num_variables):
        parent_sets = np.insert(masks, node, False, axis=1)
        for parents in parent_sets[scores.allows(node, parent_sets)]:
            yield node, parents


def all_gains(scores: LocalScores, way: Gains) -> tuple[np.ndarray, np.ndarray]:
    """Return device and host gains of every allowed family, float [N, d] each."""
    function, arrays = way(scores)
    nodes, parent_sets = map(np.stack, zip(*allowed_families(scores), strict=True))
    found = jax.jit(jax.vmap(function, (None, 0, 0)))(arrays, nodes.astype(np.int32), parent_sets)
    expected = [host_gains(scores, *family) for family in zip(nodes, parent_sets, strict=True)]
    return np.asarray(found), np.stack(expected)


def gaussian_table(num_rows: int, num_variables: int, seed: int = 0) -> np.ndarray:
    """Return correlated columns of unit variance."""
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.normal(size=(num_variables, num_variables)), 1)
    values = rng.normal(size=(num_rows, num_variables)) @ (np.eye(num_variables) + 0.5 * weights)
    return values / values.std(axis=0)


FULL_SCALE = BGe(T=np.eye(6) + 0.3, nu=0.5)
CASES = {
    "plain": {},
    "scale matrix": {"score": FULL_SCALE},
    "fair prior, few parents": {"prior": "fair", "max_parents": 3},
    "one parent": {"prior": "edge", "max_parents": 1},
    "no parents": {"max_parents": 0},
    "forbidden": {"forbidden_edges": [(0, 1), (2, 1), (5, 0)]},
    "required": {"required_edges": [(0, 1), (2, 1), (5, 0)], "max_parents": 3},
    "interventions": {"interventions": [0] * 20 + [4] * 10 + [None] * 70},
}


@pytest.mark.parametrize("way", [by_table, by_schur])
@pytest.mark.parametrize("case", CASES)
def test_gains_of_bge(case: str, way: Gains) -> None:
    scores = local_scores(gaussian_table(100, 6), **CASES[case])
    found, expected = all_gains(scores, way)
    assert found.dtype == np.float32
    # Gains reach 100 nats here and are sums of a few terms of that size in float32.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("max_parents", [None, 2])
def test_gains_of_bde(max_parents: int | None) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(0, [2, 3, 2, 4, 2], size=(100, 5)))
    scores = local_scores(table, "bde", "erdos_renyi", max_parents=max_parents)
    found, expected = all_gains(scores, by_table)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


def test_gains_of_two_variables() -> None:
    scores = local_scores(gaussian_table(30, 2))
    for way in (by_table, by_schur):
        found, expected = all_gains(scores, way)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_schur_gains_of_many_variables() -> None:
    scores = local_scores(gaussian_table(300, 60), "bge", "fair")
    function, arrays = scores.gains()
    assert function is schur_gains
    compiled = jax.jit(function)
    rng = np.random.default_rng(0)
    for num_parents in (0, 1, 7, 30, 58):
        node, *chosen = rng.permutation(60)[: num_parents + 1]
        parents = np.isin(np.arange(60), chosen)
        found = np.asarray(compiled(arrays, node, parents))
        expected = host_gains(scores, node, parents)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=5e-3)


def test_gains_choose_the_table_when_it_fits() -> None:
    scores = local_scores(gaussian_table(30, 30), max_parents=2)
    function, arrays = scores.gains()
    assert function is table_gains
    assert arrays.scores.shape == (30, scores.num_parent_sets)
    assert scores.gains()[1] is arrays


@pytest.mark.parametrize("way", [by_table, by_schur])
def test_one_trace_serves_every_state(way: Gains) -> None:
    function, arrays = way(local_scores(gaussian_table(50, 5)))
    num_traces = 0

    def counted(*arguments: Any) -> jax.Array:
        nonlocal num_traces
        num_traces += 1
        return function(*arguments)

    compiled = jax.jit(counted)
    for node in range(5):
        for other in range(5):
            parents = np.arange(5) == (node + other) % 5 if other else np.zeros(5, dtype=bool)
            compiled(arrays, np.int32(node), parents)
    assert num_traces == 1


def test_collinear_columns_are_finite_and_warned_of() -> None:
    values = gaussian_table(100, 5)
    values[:, 4] = values[:, 0] - values[:, 1] + 1e-4 * values[:, 4]
    scores = local_scores(values, BGe(T=1e-9))
    with pytest.warns(UserWarning, match="linear combination of the others"):
        function, arrays = by_schur(scores)
    parents = np.array([True, True, False, False, False])
    gains = np.asarray(function(arrays, 4, parents))
    assert np.all(np.isfinite(gains[2:4])) and np.all(np.isneginf(gains[[0, 1, 4]]))
