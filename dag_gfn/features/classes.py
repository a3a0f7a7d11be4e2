"""The feature of being in a Markov equivalence class."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dag_gfn import graphs
from dag_gfn.features.feature import Feature, Truth, position


def in_class(graph: ArrayLike | pd.DataFrame | nx.DiGraph) -> Feature:
    """Ask whether a DAG is in a Markov equivalence class.

    Parameters
    ----------
    graph : DataFrame, networkx.DiGraph, or array_like [d, d]
        Any DAG of the class, or its CPDAG, in which ``i - j`` is an edge both ways. Matched by
        name; an array, which has no names, by position.

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If the graph is neither a DAG nor the CPDAG of a class.

    Examples
    --------
    A chain is equivalent to the same chain turned around.

    >>> import pandas as pd
    >>> chain = pd.DataFrame([[0, 1, 0], [0, 0, 1], [0, 0, 0]], index=list("abc"),
    ...                      columns=list("abc"))
    >>> same = in_class(chain)
    >>> same
    in_class(a - b, b - c)
    >>> same.evaluate([[0, 0, 0], [1, 0, 0], [0, 1, 0]], ["a", "b", "c"])
    np.True_
    """
    array, labels = _matrix_and_labels(graph)
    pattern = _pattern(array)
    shown = range(len(pattern)) if labels is None else labels
    written = [
        f"{shown[i]} {'-' if pattern[j, i] else '->'} {shown[j]}"
        for i, j in np.argwhere(pattern)
        if i < j or not pattern[j, i]
    ]

    def test(some: NDArray[np.int8], names: tuple[str, ...]) -> Truth:
        expected = pattern
        if labels is not None:
            for name in names:
                if name not in labels:
                    raise ValueError(f"the graph of in_class has no variable {name!r}; add it.")
            order = np.empty(len(names), int)
            order[[position(label, names) for label in labels]] = np.arange(len(names))
            expected = pattern[np.ix_(order, order)]
        elif len(pattern) != len(names):
            raise ValueError(
                f"the graph of in_class has {len(pattern)} variables, but there are {len(names)}."
            )
        # Few graphs have the skeleton, and only of them the pattern is worth finding.
        joined = graphs.skeleton(some) == graphs.skeleton(expected)
        inside = np.asarray(joined.all(axis=(-2, -1)))
        inside[inside] = (graphs.cpdag(some[inside]) == expected).all(axis=(-2, -1))
        return inside[()]

    return Feature(f"in_class({', '.join(written) or 'no edges'})", test)


def _matrix_and_labels(
    graph: ArrayLike | pd.DataFrame | nx.DiGraph,
) -> tuple[NDArray, list | None]:
    """Return a graph as a 0/1 matrix [d, d] and its labels, None where it has none."""
    if isinstance(graph, nx.DiGraph):
        graph = nx.to_pandas_adjacency(graph, weight=None)
    labels = None
    if isinstance(graph, pd.DataFrame):
        labels = list(graph.columns)
        unique = graph.columns.is_unique and graph.index.is_unique
        if not unique or set(graph.index) != set(labels):
            raise ValueError(
                "the rows and columns of graph must have the same names, each of them once."
            )
        graph = graph.loc[labels]
    array = np.asarray(graph)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"graph has shape {list(array.shape)}; give one graph, [d, d].")
    if not np.isin(array, (0, 1)).all():
        raise ValueError("graph holds values other than 0 and 1; entry [i, j] is 1 for i -> j.")
    return array, labels


def _pattern(array: NDArray) -> NDArray[np.int8]:
    """Return the CPDAG of a DAG, or a CPDAG as it is."""
    if graphs.is_acyclic(array):
        return graphs.cpdag(array)
    member = graphs.consistent_extension(array)
    if member is None or not np.array_equal(graphs.cpdag(member), array):
        raise ValueError(
            "graph is neither a DAG nor the CPDAG of a class; give any DAG of the class."
        )
    return array.astype(np.int8)
