"""Canonical orders: every DAG has one, and the masses of an order sum over its graphs."""

from __future__ import annotations

from itertools import permutations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.graphs import all_dags
from dag_gfn.mcmc.candidates import candidate_table
from dag_gfn.mcmc.parent_sums import parent_sums
from dag_gfn.orderflow.space import (
    bit_values,
    canonical_orders,
    initial,
    masses,
    order_space,
    rank_by_degree,
    step,
)
from dag_gfn.scores import LocalScores

RANK = np.array([2, 0, 3, 1], np.int32)


def log_mass(scores: LocalScores, orders: np.ndarray) -> np.ndarray:
    """Log weight of all graphs of each order, walked through on the device."""
    sums = parent_sums(candidate_table(scores))
    space = order_space(sums, RANK)
    state = initial(space, len(orders))
    total = np.zeros(len(orders))
    for place in range(orders.shape[1]):
        variable = jnp.asarray(orders[:, place])
        seen = masses(space, state)
        rows = np.arange(len(orders))
        chosen = np.where(seen.legal, seen.log_mass, -np.inf)[rows, orders[:, place]]
        total += chosen
        state = step(space, state, variable)
    return total + sums.log_sums[:, -1].sum()


CONSTRAINTS = [
    {},
    {"max_parents": 1},
    {"required_edges": [(2, 0)], "forbidden_edges": [(0, 1), (3, 1)]},
]


@pytest.mark.parametrize("constraints", CONSTRAINTS, ids=["free", "in-degree", "edges"])
def test_the_mass_of_an_order_sums_over_the_graphs_that_have_it(scores_of, constraints):
    scores = scores_of(4, **constraints)
    graphs = all_dags(4)
    log_scores = scores.log_score(graphs)
    orders = np.array(list(permutations(range(4))), np.int32)
    code = canonical_orders(graphs.astype(np.int8), RANK) @ 4 ** np.arange(4)
    expected = []
    for one in orders @ 4 ** np.arange(4):
        ours = log_scores[code == one]
        expected.append(logsumexp(ours) if len(ours) else -np.inf)
    found = log_mass(scores, orders)
    assert np.all(np.isfinite(found) == np.isfinite(expected))
    # Of a sum, float32 on the device cannot tell what is below exp(-15).
    least = np.max(expected) - 15.0
    np.testing.assert_allclose(
        np.maximum(found, least), np.maximum(np.array(expected), least), atol=1e-3
    )
    np.testing.assert_allclose(logsumexp(found), logsumexp(log_scores), atol=1e-4)


def test_canonical_orders_are_topological_and_take_the_lowest_rank_they_can():
    graphs = all_dags(4).astype(np.int8)
    orders = canonical_orders(graphs, RANK)
    place = np.argsort(orders, axis=1)
    _, parent, child = np.nonzero(graphs)
    row = np.nonzero(graphs)[0]
    assert np.all(place[row, parent] < place[row, child])
    # Behind each variable, none of lower rank could have gone first: all have a parent missing.
    for graph, order in zip(graphs, orders, strict=True):
        for at, variable in enumerate(order):
            lower = [other for other in order[at:] if RANK[other] < RANK[variable]]
            assert np.all(graph[order[at:]][:, lower].any(axis=0))


def test_variables_are_ranked_by_their_edges():
    graphs = np.zeros((2, 4, 4), np.int8)
    graphs[0, 0, 1] = graphs[1, 0, 1] = graphs[1, 3, 0] = 1
    np.testing.assert_array_equal(rank_by_degree(graphs), [3, 2, 0, 1])


def test_masks_are_those_of_the_candidate_table(scores_of):
    sums = parent_sums(candidate_table(scores_of(4)))
    values = bit_values(sums)
    for child in range(4):
        for bit, parent in enumerate(sums.candidates[child]):
            assert values[child, parent] == 1 << bit
    assert not values.diagonal().any()
