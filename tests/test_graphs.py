from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from dag_gfn.graphs import (
    all_dags,
    check_dag,
    cpdag,
    dag_codes,
    from_networkx,
    from_pgmpy,
    is_acyclic,
    markov_blankets,
    skeleton,
    to_networkx,
    to_pgmpy,
    topological_layers,
    topological_order,
    transitive_closure,
    v_structures,
)


def random_dags(num_graphs, num_variables, edge_probability, seed):
    rng = np.random.default_rng(seed)
    shape = (num_graphs, num_variables, num_variables)
    upper = np.triu(rng.random(shape) < edge_probability, 1).astype(np.int8)
    order = np.array([rng.permutation(num_variables) for _ in range(num_graphs)])
    upper = np.take_along_axis(upper, order[:, :, None], axis=1)
    return np.take_along_axis(upper, order[:, None, :], axis=2)


# --- theory: counts and invariances ------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_variables", "count"), [(1, 1), (2, 3), (3, 25), (4, 543), (5, 29_281)]
)
def test_number_of_labelled_dags(num_variables, count):
    graphs = all_dags(num_variables)
    assert graphs.shape == (count, num_variables, num_variables)
    assert graphs.dtype == np.int8
    assert len(np.unique(dag_codes(graphs))) == count
    assert not graphs[0].any()


@pytest.mark.parametrize(("num_variables", "count"), [(2, 2), (3, 11), (4, 185), (5, 8_782)])
def test_number_of_equivalence_classes(num_variables, count):
    assert len(np.unique(dag_codes(cpdag(all_dags(num_variables))))) == count


def test_same_cpdag_exactly_when_same_skeleton_and_v_structures():
    graphs = all_dags(4)
    by_cpdag = np.unique(dag_codes(cpdag(graphs)), return_inverse=True)[1]
    invariant = np.concatenate(
        [skeleton(graphs).reshape(543, -1), v_structures(graphs).reshape(543, -1)], axis=1
    )
    by_theorem = np.unique(invariant, axis=0, return_inverse=True)[1]
    pairs = np.unique(np.stack([by_cpdag, by_theorem]), axis=1)
    assert pairs.shape[1] == 185


def test_cpdag_commutes_with_renaming():
    graphs = random_dags(200, 9, 0.3, seed=0)
    order = np.random.default_rng(1).permutation(9)
    renamed = graphs[:, order][:, :, order]
    np.testing.assert_array_equal(cpdag(renamed), cpdag(graphs)[:, order][:, :, order])


# --- oracles -----------------------------------------------------------------------------------


def test_closure_acyclicity_and_order_agree_with_networkx_at_four_nodes():
    graphs = all_dags(4)
    closures, layers, orders = (
        transitive_closure(graphs),
        topological_layers(graphs),
        topological_order(graphs),
    )
    assert is_acyclic(graphs).all()
    for graph, closure, layer, order in zip(graphs, closures, layers, orders, strict=True):
        oracle = nx.DiGraph(graph)
        expected = nx.to_numpy_array(nx.transitive_closure_dag(oracle), nodelist=range(4))
        np.testing.assert_array_equal(closure, expected.astype(bool))
        for depth, nodes in enumerate(nx.topological_generations(oracle)):
            assert set(nodes) == set(np.flatnonzero(layer == depth))
        rank = np.argsort(order)
        assert all(rank[i] < rank[j] for i, j in oracle.edges)


def test_acyclicity_and_closure_of_any_digraph_agree_with_networkx():
    rng = np.random.default_rng(0)
    graphs = (rng.random((300, 12, 12)) < 0.08).astype(np.int8)
    acyclic = is_acyclic(graphs)
    expected = [nx.is_directed_acyclic_graph(nx.DiGraph(graph)) for graph in graphs]
    assert 0 < sum(expected) < 300
    np.testing.assert_array_equal(acyclic, expected)
    for graph, closure in zip(graphs[:50], transitive_closure(graphs[:50]), strict=True):
        oracle = nx.transitive_closure(nx.DiGraph(graph), reflexive=False)
        np.testing.assert_array_equal(closure, nx.to_numpy_array(oracle, nodelist=range(12)) > 0)


def test_markov_blankets_follow_the_definition():
    for graph, blankets in zip(all_dags(4), markov_blankets(all_dags(4)), strict=True):
        oracle = nx.DiGraph(graph)
        for node in range(4):
            children = set(oracle.successors(node))
            blanket = children | set(oracle.predecessors(node))
            blanket |= {parent for child in children for parent in oracle.predecessors(child)}
            assert set(np.flatnonzero(blankets[node])) == blanket - {node}


def pgmpy_cpdag(graph):
    pattern = to_pgmpy(graph).to_pdag()
    matrix = np.zeros(graph.shape, np.int8)
    for i, j in pattern.directed_edges:
        matrix[i, j] = 1
    for i, j in pattern.undirected_edges:
        matrix[i, j] = matrix[j, i] = 1
    return matrix


def test_cpdag_agrees_with_pgmpy_on_all_dags_of_four_nodes():
    expected = np.stack([pgmpy_cpdag(graph) for graph in all_dags(4)])
    np.testing.assert_array_equal(cpdag(all_dags(4)), expected)


def test_cpdag_agrees_with_pgmpy_on_larger_dags():
    graphs = random_dags(40, 12, 0.25, seed=3)
    expected = np.stack([pgmpy_cpdag(graph) for graph in graphs])
    np.testing.assert_array_equal(cpdag(graphs), expected)


# --- batching and keys -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        transitive_closure,
        markov_blankets,
        skeleton,
        v_structures,
        cpdag,
        topological_layers,
        topological_order,
        is_acyclic,
        dag_codes,
    ],
)
def test_batches_agree_with_single_graphs(function):
    graphs = random_dags(30, 7, 0.3, seed=5).reshape(5, 6, 7, 7)
    batched = function(graphs)
    assert batched.shape[:2] == (5, 6)
    for i in range(5):
        for j in range(6):
            np.testing.assert_array_equal(batched[i, j], function(graphs[i, j]))
    assert function(np.zeros((0, 3, 3), np.int8)).shape[0] == 0


def test_codes_tell_graphs_apart_and_can_be_searched():
    graphs = all_dags(4)
    codes = dag_codes(graphs)
    order = np.argsort(codes)
    picked = np.random.default_rng(0).integers(543, size=100)
    found = order[np.searchsorted(codes[order], dag_codes(graphs[picked]))]
    np.testing.assert_array_equal(found, picked)
    assert len({code.tobytes() for code in codes}) == 543


def test_enumeration_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match="read-only"):
        all_dags(3)[0, 0, 1] = 1


# --- conversion --------------------------------------------------------------------------------


def test_networkx_round_trip_keeps_names_and_isolated_nodes():
    matrix = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    graph = to_networkx(matrix, names=["a", "b", "c"])
    assert list(graph.nodes) == ["a", "b", "c"]
    back = from_networkx(graph)
    assert list(back.columns) == list(back.index) == ["a", "b", "c"]
    np.testing.assert_array_equal(back, matrix)
    reordered = from_networkx(graph, names=["c", "b", "a"])
    assert reordered.loc["a", "b"] == 1
    assert reordered.to_numpy().sum() == 1
    assert nx.utils.graphs_equal(to_networkx(reordered.loc[list("abc"), list("abc")]), graph)


def test_pgmpy_round_trip():
    graph = random_dags(1, 6, 0.4, seed=8)[0]
    names = list("uvwxyz")
    model = to_pgmpy(graph, names)
    pd.testing.assert_frame_equal(
        from_pgmpy(model, names), pd.DataFrame(graph, index=names, columns=names)
    )


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 1, 0], [0, 0, 1]], "one row and one column for each variable"),
        ([0, 1], "one row and one column for each variable"),
        ([[0, 2], [0, 0]], "other than 0 and 1"),
        ([[0, np.nan], [0, 0]], "other than 0 and 1"),
        ([["0", "1"], ["0", "0"]], "other than 0 and 1"),
        ([[1, 0], [0, 0]], "cycle a -> a;"),
        ([[0, 1], [1, 0]], "cycle a -> b -> a;"),
        ([[0]], "1 variables but 2 names"),
    ],
)
def test_matrices_that_are_no_dags(matrix, message):
    with pytest.raises(ValueError, match=message):
        check_dag(matrix, names=["a", "b"])


def test_the_named_cycle_is_a_cycle():
    rng = np.random.default_rng(0)
    for _ in range(20):
        matrix = (rng.random((8, 8)) < 0.25).astype(int)
        if is_acyclic(matrix):
            continue
        with pytest.raises(ValueError, match="contains the cycle") as error:
            check_dag(np.stack([np.zeros_like(matrix), matrix]))
        cycle = [
            int(node) for node in str(error.value).split("cycle ")[1].split(";")[0].split(" -> ")
        ]
        assert cycle[0] == cycle[-1]
        assert all(matrix[i, j] for i, j in zip(cycle[:-1], cycle[1:], strict=True))


@pytest.mark.parametrize("function", [topological_layers, topological_order, cpdag])
def test_cyclic_graphs_are_refused(function):
    with pytest.raises(ValueError, match="cycle 0 -> 1 -> 0"):
        function([[0, 1], [1, 0]])


@pytest.mark.parametrize("num_variables", [0, 6])
def test_enumeration_is_for_one_to_five(num_variables):
    with pytest.raises(ValueError, match=f"DAGs of {num_variables} variables"):
        all_dags(num_variables)


def test_conversion_refuses_what_does_not_fit():
    graph = nx.DiGraph([("a", "b")])
    with pytest.raises(TypeError, match="networkx.DiGraph"):
        from_networkx(nx.Graph([("a", "b")]))
    with pytest.raises(ValueError, match="'c' is in the names but not in the graph"):
        from_networkx(graph, names=["a", "b", "c"])
    with pytest.raises(ValueError, match="'b' is in the graph but not in names"):
        from_networkx(graph, names=["a"])
    with pytest.raises(ValueError, match="a name twice"):
        from_networkx(graph, names=["a", "b", "b"])
    with pytest.raises(ValueError, match="cycle"):
        from_networkx(nx.DiGraph([("a", "b"), ("b", "a")]))
    with pytest.raises(ValueError, match="one graph"):
        to_networkx(np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="a name twice"):
        to_networkx(np.zeros((2, 2)), names=["a", "a"])
    with pytest.raises(ValueError, match="same names in order"):
        to_networkx(pd.DataFrame(np.zeros((2, 2)), index=["a", "b"], columns=["b", "a"]))
