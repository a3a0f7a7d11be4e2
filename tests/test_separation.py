"""d-separation against all DAGs of four nodes, and against networkx."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest

from dag_gfn.graphs import all_dags, cpdag, d_separated, dag_codes, transitive_closure


def statements(num_variables):
    """All ways to ask whether one node is separated from another, given some of the rest."""
    for first, second in itertools.combinations(range(num_variables), 2):
        rest = [node for node in range(num_variables) if node not in (first, second)]
        for size in range(len(rest) + 1):
            for given in itertools.combinations(rest, size):
                yield first, second, list(given)


def disjoint_sets(num_variables):
    """All pairs of sets that are not empty, and a third, as lists of nodes."""
    for homes in itertools.product(range(4), repeat=num_variables):
        sets = [[i for i, home in enumerate(homes) if home == part] for part in range(3)]
        if sets[0] and sets[1]:
            yield sets


def random_dags(num_graphs, num_variables, edge_probability, seed):
    rng = np.random.default_rng(seed)
    shape = (num_graphs, num_variables, num_variables)
    upper = np.triu(rng.random(shape) < edge_probability, 1).astype(np.int8)
    orders = np.array([rng.permutation(num_variables) for _ in range(num_graphs)])
    return np.stack(
        [graph[np.ix_(order, order)] for graph, order in zip(upper, orders, strict=True)]
    )


# --- theory ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_variables", "num_classes"), [(3, 11), (4, 185)])
def test_graphs_imply_the_same_independences_exactly_when_they_are_equivalent(
    num_variables, num_classes
):
    graphs = all_dags(num_variables)
    implied = np.stack([d_separated(graphs, *statement) for statement in statements(num_variables)])
    by_independences = np.unique(implied.T, axis=0, return_inverse=True)[1]
    by_cpdag = np.unique(dag_codes(cpdag(graphs)), return_inverse=True)[1]
    pairs = np.unique(np.stack([by_independences, by_cpdag]), axis=1)
    assert pairs.shape[1] == by_independences.max() + 1 == num_classes


def test_sets_are_separated_exactly_when_all_pairs_are():
    graphs = all_dags(4)
    for first, second, given in disjoint_sets(4):
        pairs = [d_separated(graphs, i, j, given) for i in first for j in second]
        np.testing.assert_array_equal(d_separated(graphs, first, second, given), np.all(pairs, 0))


def test_a_node_is_separated_from_what_it_does_not_reach_given_its_parents():
    for graph in random_dags(30, 9, 0.3, seed=0):
        reached = transitive_closure(graph)
        for node in range(9):
            parents = np.flatnonzero(graph[:, node]).tolist()
            others = np.flatnonzero(~reached[node] & ~graph[:, node].astype(bool))
            assert d_separated(graph, node, [i for i in others.tolist() if i != node], parents)


def test_nothing_is_separated_from_an_empty_set_by_less():
    graphs = all_dags(3)
    assert d_separated(graphs, [], [0, 1]).all()
    assert d_separated(graphs, [0, 1], [], given=2).all()


# --- oracles -----------------------------------------------------------------------------------


def test_all_statements_about_four_nodes_agree_with_networkx():
    graphs = all_dags(4)
    oracles = [nx.DiGraph(graph) for graph in graphs]
    for first, second, given in statements(4):
        expected = [nx.is_d_separator(oracle, {first}, {second}, set(given)) for oracle in oracles]
        np.testing.assert_array_equal(d_separated(graphs, first, second, given), expected)


def test_sets_in_larger_graphs_agree_with_networkx():
    graphs = random_dags(60, 12, 0.2, seed=1)
    rng = np.random.default_rng(2)
    true = 0
    for _ in range(40):
        homes = rng.choice(4, size=12, p=[0.1, 0.1, 0.3, 0.5])
        first, second, given = (np.flatnonzero(homes == part).tolist() for part in range(3))
        if not first or not second:
            continue
        found = d_separated(graphs, first, second, given)
        expected = [
            nx.is_d_separator(nx.DiGraph(graph), set(first), set(second), set(given))
            for graph in graphs
        ]
        np.testing.assert_array_equal(found, expected)
        true += found.sum()
    assert 100 < true < 2_000


# --- batches and bad input ---------------------------------------------------------------------


def test_batches_agree_with_single_graphs():
    graphs = random_dags(30, 7, 0.25, seed=3).reshape(5, 6, 7, 7)
    batched = d_separated(graphs, [0, 1], 2, given=[3])
    assert batched.shape == (5, 6)
    assert 0 < batched.sum() < 30
    for i, j in np.ndindex(5, 6):
        assert batched[i, j] == d_separated(graphs[i, j], [0, 1], 2, given=[3])
    assert d_separated(np.zeros((0, 3, 3), np.int8), 0, 1).shape == (0,)


def test_graphs_are_left_as_they_are():
    graphs = all_dags(4).copy()
    d_separated(graphs, 0, 1, given=[2])
    np.testing.assert_array_equal(graphs, all_dags(4))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0, 1], [1, 0]], 0, 1), ValueError, "cycle 0 -> 1 -> 0"),
        (([[0, 1], [0, 0]], 0, 2), ValueError, "second holds 2, but .* numbered 0 to 1"),
        (([[0, 1], [0, 0]], -1, 0), ValueError, "first holds -1"),
        (([[0, 1], [0, 0]], 0, 0), ValueError, "node 0 is in both first and second"),
        (([[0, 1], [0, 0]], 0, 1, [1]), ValueError, "node 1 is in both second and given"),
        (([[0, 1], [0, 0]], "a", 1), TypeError, "first holds 'a'; give the positions"),
        (([[0, 1], [0, 0]], [True, False], 1), TypeError, "first holds True"),
        (([[0, 1], [0, 0]], 0.0, 1), TypeError, "first holds 0.0"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        d_separated(*arguments)
