"""Features of graphs against loops over all DAGs of four variables, by networkx."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from dag_gfn import graphs
from dag_gfn.features import (
    Feature,
    adjacent,
    contains,
    d_separated,
    edge,
    in_class,
    in_markov_blanket,
    num_edges,
    path,
    v_structure,
)

# The order of the columns is not that of the letters, so that a mix-up of the two shows.
NAMES = ["c", "a", "d", "b"]
ALL = graphs.all_dags(4)
CHAIN = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])


@pytest.fixture(scope="module")
def networks():
    found = []
    for graph in ALL:
        network = nx.DiGraph()
        network.add_nodes_from(NAMES)
        network.add_edges_from((NAMES[i], NAMES[j]) for i, j in np.argwhere(graph))
        found.append(network)
    return found


def equivalent(one, other):
    """The theorem of Verma and Pearl: the same skeleton and the same v-structures."""
    return nx.utils.edges_equal(
        one.to_undirected().edges, other.to_undirected().edges
    ) and colliders(one) == colliders(other)


def colliders(network):
    return {(frozenset((i, j)), k) for i, k, j in nx.dag.v_structures(network)}


FORK = nx.DiGraph([("b", "a"), ("a", "c"), ("b", "d")])
CASES = [
    (edge("a", "b"), lambda g: g.has_edge("a", "b")),
    (path("a", "b"), lambda g: "b" in nx.descendants(g, "a")),
    (adjacent("d", "c"), lambda g: g.has_edge("c", "d") or g.has_edge("d", "c")),
    # The blanket separates a variable from all the rest; so what it is not separated from by all
    # the others is in it (Pearl 1988).
    (
        in_markov_blanket("d", of="b"),
        lambda g: not nx.is_d_separator(g, {"d"}, {"b"}, {"a", "c"}),
    ),
    (v_structure("a", "d", "b"), lambda g: (frozenset("ab"), "d") in colliders(g)),
    (d_separated("a", "b"), lambda g: nx.is_d_separator(g, {"a"}, {"b"}, set())),
    (d_separated("c", "b", given="d"), lambda g: nx.is_d_separator(g, {"c"}, {"b"}, {"d"})),
    (
        d_separated(["a", "d"], "c", given=["b"]),
        lambda g: nx.is_d_separator(g, {"a", "d"}, {"c"}, {"b"}),
    ),
    (in_class(FORK), lambda g: equivalent(g, FORK)),
    (contains([("a", "b"), ("c", "b")]), lambda g: g.has_edge("a", "b") and g.has_edge("c", "b")),
    (contains([]), lambda g: True),
    (num_edges(at_most=2), lambda g: g.number_of_edges() <= 2),
    (num_edges(at_least=3, at_most=4), lambda g: 3 <= g.number_of_edges() <= 4),
    (
        path("a", "b") & ~edge("a", "b") | v_structure("a", "d", "b"),
        lambda g: (
            ("b" in nx.descendants(g, "a") and not g.has_edge("a", "b"))
            or (frozenset("ab"), "d") in colliders(g)
        ),
    ),
]


@pytest.mark.parametrize(("feature", "oracle"), CASES, ids=[str(case[0]) for case in CASES])
def test_features_agree_with_a_loop_over_all_graphs(feature, oracle, networks):
    found = feature.evaluate(ALL, NAMES)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, [oracle(network) for network in networks])


@pytest.mark.parametrize("feature", [case[0] for case in CASES], ids=str)
def test_the_order_of_the_columns_does_not_matter(feature):
    order = [2, 0, 3, 1]
    moved = ALL[:, order][:, :, order]
    found = feature.evaluate(moved, [NAMES[i] for i in order])
    np.testing.assert_array_equal(found, feature.evaluate(ALL, NAMES))


@pytest.mark.parametrize("feature", [case[0] for case in CASES], ids=str)
def test_one_graph_none_and_a_grid_of_them(feature):
    some = ALL[:540].reshape(60, 9, 4, 4)
    found = feature.evaluate(some, NAMES)
    assert found.shape == (60, 9)
    np.testing.assert_array_equal(found.ravel(), feature.evaluate(ALL[:540], NAMES))
    assert feature.evaluate(ALL[100], NAMES) == feature.evaluate(ALL, NAMES)[100]
    assert feature.evaluate(ALL[:0], NAMES).shape == (0,)


# --- classes -----------------------------------------------------------------------------------


def test_every_graph_is_in_one_class():
    patterns = np.unique(graphs.cpdag(ALL), axis=0)
    inside = np.stack([in_class(pattern).evaluate(ALL, NAMES) for pattern in patterns])
    assert inside.shape == (185, 543)
    np.testing.assert_array_equal(inside.sum(axis=0), 1)
    np.testing.assert_array_equal(
        inside.sum(axis=1), [graphs.num_members(pattern) for pattern in patterns]
    )


@pytest.mark.parametrize("number", [7, 200, 377, 542])
def test_a_class_is_given_by_any_member_or_its_pattern_in_any_form(number):
    expected = (graphs.cpdag(ALL) == graphs.cpdag(ALL[number])).all(axis=(1, 2))
    for graph in (*ALL[expected], graphs.cpdag(ALL[number])):
        frame = pd.DataFrame(graph, index=NAMES, columns=NAMES)
        forms = [
            graph,
            graph.tolist(),
            graph.astype(bool),
            frame,
            frame.loc[sorted(NAMES), sorted(NAMES)],
            frame.loc[sorted(NAMES)],
            nx.from_pandas_adjacency(frame.loc[sorted(NAMES), sorted(NAMES)], nx.DiGraph),
        ]
        for form in forms:
            np.testing.assert_array_equal(in_class(form).evaluate(ALL, NAMES), expected)


def test_a_pattern_of_pgmpy_is_a_class():
    pattern = graphs.to_pgmpy(ALL[200], NAMES).to_pdag()
    np.testing.assert_array_equal(
        in_class(pattern).evaluate(ALL, NAMES), in_class(ALL[200]).evaluate(ALL, NAMES)
    )


def test_a_class_does_not_change_with_the_array_it_was_made_from():
    pattern = graphs.cpdag(ALL[200])
    feature = in_class(pattern)
    before = feature.evaluate(ALL, NAMES)
    pattern[:] = 0
    np.testing.assert_array_equal(feature.evaluate(ALL, NAMES), before)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        # 0 -> 1 - 2, whose last edge can go one way alone
        ([[0, 1, 0], [0, 0, 1], [0, 1, 0]], "neither a DAG nor the CPDAG"),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], "neither a DAG nor the CPDAG"),
        ([[1, 0], [0, 0]], "neither a DAG nor the CPDAG"),
        ([[0, 2], [0, 0]], "other than 0 and 1"),
        ([[0, 0.5], [0, 0]], "other than 0 and 1"),
        ([CHAIN, CHAIN], r"shape \[2, 3, 3\]; give one graph"),
        ([[0, 1, 0]], "give one graph"),
        (pd.DataFrame(CHAIN, index=list("abc"), columns=list("abd")), "the same names"),
        (pd.DataFrame(CHAIN, index=list("aba"), columns=list("aba")), "each of them once"),
    ],
)
def test_graphs_that_are_no_class(graph, message):
    with pytest.raises(ValueError, match=message):
        in_class(graph)


# --- composition -------------------------------------------------------------------------------


def test_operators_are_those_of_logic():
    one, other = edge("a", "b"), path("c", "d")
    first, second = one.evaluate(ALL, NAMES), other.evaluate(ALL, NAMES)
    np.testing.assert_array_equal((one & other).evaluate(ALL, NAMES), first & second)
    np.testing.assert_array_equal((one | other).evaluate(ALL, NAMES), first | second)
    np.testing.assert_array_equal((~one).evaluate(ALL, NAMES), ~first)
    assert isinstance(one & ~other, Feature)


@pytest.mark.parametrize(
    "text",
    [
        "edge('a', 'b')",
        "~edge('a', 'b')",
        "~~edge('a', 'b')",
        "path('a', 'b') & ~edge('a', 'b')",
        "~(path('a', 'b') & edge('a', 'b'))",
        "~(path('a', 'b') | edge('a', 'b')) & adjacent('c', 'd')",
        "(path('a', 'b') | edge('c', 'b')) & adjacent('c', 'd')",
        "path('a', 'b') | edge('c', 'b') & adjacent('c', 'd')",
        "edge('a', 'b') & edge('b', 'c') & edge('c', 'd')",
        "edge('a', 'b') | edge('b', 'c') | edge('c', 'd')",
        "in_markov_blanket('a', of='b')",
        "v_structure('a', 'b', 'c')",
        "d_separated('a', 'b')",
        "d_separated(['a', 'd'], 'b', given='c')",
        "d_separated('a', 'b', given=['c', 'd'])",
        "contains([('a', 'b'), ('b', 'c')])",
        "num_edges(at_least=1, at_most=3)",
        "num_edges(at_most=3)",
        "num_edges(at_least=2)",
    ],
)
def test_a_feature_is_written_as_it_was_made(text):
    assert repr(eval(text)) == text


def test_a_class_is_written_as_its_pattern():
    assert repr(in_class(FORK)) == "in_class(b - a, b - d, a - c)"
    assert repr(in_class([[0, 0, 1], [0, 0, 1], [0, 0, 0]])) == "in_class(0 -> 2, 1 -> 2)"
    assert repr(in_class(np.zeros((2, 2)))) == "in_class(no edges)"


def test_python_s_own_and_or_not_are_refused():
    for combine in (lambda: edge("a", "b") and path("a", "c"), lambda: not edge("a", "b")):
        with pytest.raises(TypeError, match=r"edge\('a', 'b'\) is true or false of a graph, not"):
            combine()
    with pytest.raises(TypeError, match="unsupported operand"):
        edge("a", "b") & (lambda graph: True)
    with pytest.raises(TypeError, match="unsupported operand"):
        edge("a", "b") | True


def test_a_feature_cannot_be_changed():
    with pytest.raises(AttributeError):
        edge("a", "b").text = "path('a', 'b')"


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "feature",
    [
        edge("a", "x"),
        path("x", "a"),
        adjacent("x", "a"),
        in_markov_blanket("a", of="x"),
        in_markov_blanket("x", of="a"),
        v_structure("a", "x", "b"),
        d_separated("a", "b", given=["c", "x"]),
        contains([("a", "b"), ("a", "x")]),
        in_class(nx.DiGraph([("a", "b"), ("c", "d"), ("a", "x")])),
        ~edge("x", "a"),
        edge("a", "b") & edge("x", "a"),
    ],
    ids=str,
)
def test_unknown_names_are_refused(feature):
    with pytest.raises(ValueError, match="no variable 'x'; there are c, a, d, b"):
        feature.evaluate(ALL, NAMES)


def test_classes_that_do_not_fit_the_variables():
    with pytest.raises(ValueError, match="in_class has no variable 'd'; add it"):
        in_class(nx.DiGraph([("a", "b"), ("b", "c")])).evaluate(ALL, NAMES)
    with pytest.raises(ValueError, match="in_class has 3 variables, but there are 4"):
        in_class(CHAIN).evaluate(ALL, NAMES)


def test_shapes_that_do_not_fit_the_names():
    for adjacency in (ALL[0, 0], ALL[:, :3], 1):
        with pytest.raises(ValueError, match=r"must be \[..., d, d\] with d the 4 names"):
            edge("a", "b").evaluate(adjacency, NAMES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: edge("a", "a"), "edge is about different variables, but 'a' occurs twice"),
        (lambda: path("a", "a"), "path is about"),
        (lambda: adjacent("b", "b"), "adjacent is about"),
        (lambda: in_markov_blanket("b", "b"), "in_markov_blanket is about"),
        (lambda: v_structure("a", "b", "a"), "'a' occurs twice"),
        (lambda: d_separated(["a", "b"], "c", given="a"), "'a' occurs twice"),
        (lambda: contains([("a", "b"), ("c", "c")]), "an edge is about different variables"),
        (lambda: contains([("a", "b", "c")]), "not a pair"),
        (lambda: contains(("a", "b")), "edges holds 'a', which is not a pair"),
        (lambda: num_edges(), "give at_least=, at_most= or both"),
    ],
)
def test_features_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()
