from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from dag_gfn.mcmc.linear_extensions import (
    _component_count,
    _log_construction,
    count_linear_extensions,
    log_inverse_extensions,
)


def random_dag(d, share, seed):
    rng = np.random.default_rng(seed)
    shuffle = rng.permutation(d)
    return np.triu(rng.random((d, d)) < share, 1).astype(np.int8)[np.ix_(shuffle, shuffle)]


def extensions(adjacency):
    """Positions of the nodes in every order that the graph agrees with."""
    orders = np.array(list(itertools.permutations(range(len(adjacency)))))
    before = orders[:, :, None] < orders[:, None, :]
    return orders[np.all(before | (adjacency == 0), axis=(1, 2))]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("d", "share"), [(1, 0.5), (4, 0.4), (6, 0.2), (7, 0.4)])
def test_counts_by_listing_all_orders(d, share, seed):
    adjacency = random_dag(d, share, seed)
    positions = extensions(adjacency)
    assert count_linear_extensions(adjacency) == len(positions)
    for position in positions[:2]:
        assert log_inverse_extensions(adjacency, position) == pytest.approx(
            -np.log(len(positions)), abs=1e-12
        )


@pytest.mark.parametrize("seed", range(5))
def test_the_construction_is_a_distribution_over_the_orders(seed):
    # Its sum over all extensions is one, so its mean over them is 1 / their number.
    adjacency = random_dag(6, 0.4, seed)
    total = sum(
        np.exp(_log_construction(adjacency, np.arange(6), position))
        for position in extensions(adjacency)
    )
    assert total == pytest.approx(1, rel=1e-12)


def test_large_components_are_estimated_and_trees_exactly():
    # The binary tree: d! over the product of the sizes of all subtrees (the hook formula).
    d = 127
    adjacency = np.zeros((d + 1, d + 1), dtype=np.int8)
    for node in range(1, d):
        adjacency[(node - 1) // 2, node] = 1
    hooks = sum(2**level * math.log(2 ** (7 - level) - 1) for level in range(7))
    expected = hooks - math.lgamma(d + 1) - math.log(d + 1)  # the last node is free
    position = np.arange(d + 1)
    assert log_inverse_extensions(adjacency, position) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="at most 62 nodes and this graph has one of 127"):
        count_linear_extensions(adjacency)


def test_sparse_components_of_many_nodes_are_counted():
    # Orders of a zigzag are alternating permutations, counted by the Euler zigzag numbers.
    d = 40
    adjacency = np.zeros((d, d), dtype=np.int8)
    for node in range(d - 1):
        low, high = (node, node + 1) if node % 2 == 0 else (node + 1, node)
        adjacency[low, high] = 1
    zigzag = [1, 1]
    for n in range(1, d):
        zigzag.append(sum(math.comb(n, k) * zigzag[k] * zigzag[n - k] for k in range(n + 1)) // 2)
    assert count_linear_extensions(adjacency) == pytest.approx(zigzag[d], rel=1e-12)


def test_the_work_is_bounded():
    adjacency = random_dag(12, 0.3, 0)
    assert _component_count(adjacency, np.arange(12), 3) == -1
