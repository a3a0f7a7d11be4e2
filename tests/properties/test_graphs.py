"""The algebra of graphs, on random ones of up to seven nodes."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as arrays

from dag_gfn import graphs


@st.composite
def dags(draw, max_nodes: int = 7) -> np.ndarray:
    """Draw an order, and edges along it."""
    size = draw(st.integers(1, max_nodes))
    edges = np.triu(draw(arrays.arrays(np.int8, (size, size), elements=st.integers(0, 1))), k=1)
    order = draw(st.permutations(range(size)))
    return edges[np.ix_(order, order)]


SQUARES = st.integers(1, 6).flatmap(
    lambda size: arrays.arrays(np.int8, (size, size), elements=st.integers(0, 1))
)


@given(matrix=SQUARES)
def test_acyclic_as_networkx_says(matrix: np.ndarray) -> None:
    acyclic = nx.is_directed_acyclic_graph(nx.DiGraph(matrix))
    assert graphs.is_acyclic(matrix) == acyclic
    if acyclic:
        np.testing.assert_array_equal(graphs.check_dag(matrix), matrix)
        return
    with pytest.raises(ValueError, match="contains the cycle") as refusal:
        graphs.check_dag(matrix)
    cycle = [
        int(node) for node in str(refusal.value).split("cycle ")[1].split(";")[0].split(" -> ")
    ]
    assert cycle[0] == cycle[-1] and len(set(cycle)) == len(cycle) - 1
    assert all(matrix[i, j] for i, j in zip(cycle[:-1], cycle[1:], strict=True))


@given(matrix=SQUARES)
def test_closure_is_the_least_transitive_graph(matrix: np.ndarray) -> None:
    closure = graphs.transitive_closure(matrix)
    reaches = nx.transitive_closure(nx.DiGraph(matrix))
    expected = nx.to_numpy_array(reaches, nodelist=range(len(matrix))) > 0
    np.testing.assert_array_equal(closure, expected)
    np.testing.assert_array_equal(graphs.transitive_closure(closure), closure)


@given(dag=dags())
def test_edges_go_forward_in_the_order(dag: np.ndarray) -> None:
    place = np.argsort(graphs.topological_order(dag))
    layer = graphs.topological_layers(dag)
    assert sorted(place) == list(range(len(dag)))
    for i, j in np.argwhere(dag):
        assert place[i] < place[j] and layer[i] < layer[j]
    for j in range(len(dag)):
        assert layer[j] == max((layer[i] + 1 for i in np.flatnonzero(dag[:, j])), default=0)


@given(dag=dags(), data=st.data())
def test_names_of_nodes_do_not_matter(dag: np.ndarray, data) -> None:
    order = np.array(data.draw(st.permutations(range(len(dag)))))
    places = np.ix_(order, order)
    for function in (
        graphs.transitive_closure,
        graphs.markov_blankets,
        graphs.skeleton,
        graphs.cpdag,
    ):
        np.testing.assert_array_equal(function(dag[places]), function(dag)[places])


@given(dag=dags(), other=dags())
def test_a_batch_is_its_graphs(dag: np.ndarray, other: np.ndarray) -> None:
    size = min(len(dag), len(other))
    batch = np.stack([dag[:size, :size], other[:size, :size]] * 5).reshape(2, 5, size, size)
    for function in (graphs.transitive_closure, graphs.cpdag, graphs.topological_order):
        each = [[function(graph) for graph in row] for row in batch]
        np.testing.assert_array_equal(function(batch), each)


@given(dag=dags(), data=st.data())
def test_a_class_has_one_pattern(dag: np.ndarray, data) -> None:
    pattern = graphs.cpdag(dag)
    np.testing.assert_array_equal(graphs.skeleton(pattern), graphs.skeleton(dag))
    seed = data.draw(st.integers(0, 2**32 - 1))
    for member in (
        graphs.consistent_extension(pattern),
        graphs.random_member(pattern, np.random.default_rng(seed)),
    ):
        np.testing.assert_array_equal(graphs.cpdag(member), pattern)
        np.testing.assert_array_equal(graphs.v_structures(member), graphs.v_structures(dag))
    # A covered edge may be turned around, and only such a one (Chickering 1995, lemma 1).
    for i, j in np.argwhere(dag):
        turned = dag.copy()
        turned[i, j], turned[j, i] = 0, 1
        into_j = dag[:, j].copy()
        into_j[i] = 0
        if graphs.is_acyclic(turned):
            same = np.array_equal(graphs.cpdag(turned), pattern)
            assert same == np.array_equal(into_j, dag[:, i])


@given(dag=dags(max_nodes=4))
def test_a_class_has_as_many_members_as_there_are(dag: np.ndarray) -> None:
    pattern = graphs.cpdag(dag)
    members = np.all(graphs.cpdag(graphs.all_dags(len(dag))) == pattern, axis=(1, 2))
    assert graphs.num_members(pattern) == members.sum()


@given(dag=dags(max_nodes=6), data=st.data())
def test_separation_is_symmetric_and_as_networkx_says(dag: np.ndarray, data) -> None:
    home = data.draw(st.lists(st.integers(0, 3), min_size=len(dag), max_size=len(dag)))
    first, second, third = (
        {node for node, place in enumerate(home) if place == number} for number in range(3)
    )
    separated = graphs.d_separated(dag, first, second, third)
    assert separated == graphs.d_separated(dag, second, first, third)
    if first and second:
        assert separated == nx.is_d_separator(nx.DiGraph(dag), first, second, third)
    # Separation from a set is separation from each of its members (decomposition, composition).
    assert separated == all(graphs.d_separated(dag, first, node, third) for node in second)


@given(dag=dags())
def test_the_blanket_separates(dag: np.ndarray) -> None:
    blankets = graphs.markov_blankets(dag)
    np.testing.assert_array_equal(blankets, blankets.T)
    for node, blanket in enumerate(blankets):
        rest = set(range(len(dag))) - {node} - set(np.flatnonzero(blanket).tolist())
        assert graphs.d_separated(dag, node, rest, np.flatnonzero(blanket).tolist())


@given(dag=dags())
def test_conversion_there_and_back(dag: np.ndarray) -> None:
    names = [f"x{node}" for node in range(len(dag))]
    there = graphs.to_networkx(dag, names)
    np.testing.assert_array_equal(graphs.from_networkx(there, names), dag)


@given(first=SQUARES, second=SQUARES)
def test_keys_are_equal_when_graphs_are(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape == second.shape:
        same = graphs.dag_codes(first).tobytes() == graphs.dag_codes(second).tobytes()
        assert same == np.array_equal(first, second)


@example(matrix=np.zeros((0, 0)))
@given(
    matrix=arrays.arrays(
        st.sampled_from([np.float64, np.int64, bool, np.complex128, "U1", object]),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
        fill=st.nothing(),
    )
)
def test_any_array_is_checked_or_refused(matrix: np.ndarray) -> None:
    try:
        checked = graphs.check_dag(matrix)
    except ValueError as error:
        assert str(error).endswith(".")
        return
    assert checked.dtype == np.int8 and checked.shape == matrix.shape
    np.testing.assert_array_equal(checked, matrix)
