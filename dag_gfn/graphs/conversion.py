"""Graphs to and from networkx and pgmpy, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dag_gfn.graphs.algebra import check_dag

if TYPE_CHECKING:
    from pgmpy.base import DAG


def to_networkx(
    adjacency: ArrayLike | pd.DataFrame, names: Sequence[str] | None = None
) -> nx.DiGraph:
    """Convert one graph to networkx.

    Parameters
    ----------
    adjacency : array_like or DataFrame, shape [d, d]
        Entry ``[i, j]`` is 1 when ``i -> j`` is an edge.
    names : sequence of str, optional
        Names of the nodes; those of the DataFrame, else 0 to d - 1, when left out.

    Returns
    -------
    networkx.DiGraph
        All nodes in order, those without edges too.

    Raises
    ------
    ValueError
        If the matrix is not the adjacency matrix of one DAG, or the names do not fit it.

    Examples
    --------
    >>> to_networkx([[0, 1], [0, 0]], names=["rain", "wet"]).edges
    OutEdgeView([('rain', 'wet')])
    """
    array, nodes = _nodes_of(adjacency, names)
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((nodes[i], nodes[j]) for i, j in np.argwhere(array))
    return graph


def from_networkx(graph: nx.DiGraph, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Convert a networkx (or pgmpy) graph to a named adjacency matrix.

    Parameters
    ----------
    graph : networkx.DiGraph
    names : sequence of str, optional
        The order of the rows and columns; that of ``graph.nodes`` when left out.

    Returns
    -------
    DataFrame, int8, shape [d, d]
        Row causes column.

    Raises
    ------
    TypeError
        If ``graph`` is not a directed networkx graph.
    ValueError
        If ``names`` are not the names of the nodes, or the graph has a cycle.

    Examples
    --------
    >>> import networkx as nx
    >>> from_networkx(nx.DiGraph([("rain", "wet")]))
          rain  wet
    rain     0    1
    wet      0    0
    """
    if not isinstance(graph, nx.DiGraph):
        raise TypeError(f"graph must be a networkx.DiGraph; it is a {type(graph).__name__}.")
    nodes = list(graph.nodes if names is None else names)
    if names is not None:
        if len(set(nodes)) != len(nodes):
            raise ValueError("names holds a name twice; give each node of the graph once.")
        for name in set(nodes).symmetric_difference(graph.nodes):
            where = (
                "the names but not in the graph" if name in nodes else "the graph but not in names"
            )
            raise ValueError(f"The variable {name!r} is in {where}.")
    position = {node: i for i, node in enumerate(nodes)}
    array = np.zeros((len(nodes), len(nodes)), np.int8)
    for cause, effect in graph.edges():
        array[position[cause], position[effect]] = 1
    return pd.DataFrame(check_dag(array, nodes, what="graph"), index=nodes, columns=nodes)


def to_pgmpy(adjacency: ArrayLike | pd.DataFrame, names: Sequence[str] | None = None) -> DAG:
    """Convert one graph to a pgmpy DAG.

    Parameters
    ----------
    adjacency : array_like or DataFrame, shape [d, d]
        Entry ``[i, j]`` is 1 when ``i -> j`` is an edge.
    names : sequence of str, optional
        Names of the nodes; those of the DataFrame, else 0 to d - 1, when left out.

    Returns
    -------
    pgmpy.base.DAG

    Raises
    ------
    ValueError
        If the matrix is not the adjacency matrix of one DAG, or the names do not fit it.

    Examples
    --------
    >>> sorted(to_pgmpy([[0, 1], [0, 0]], names=["rain", "wet"]).edges())
    [('rain', 'wet')]
    """
    from pgmpy.base import DAG  # takes seconds to import

    array, nodes = _nodes_of(adjacency, names)
    graph = DAG()
    graph.add_nodes_from(nodes)
    graph.add_edges_from([(nodes[i], nodes[j]) for i, j in np.argwhere(array)])
    return graph


def from_pgmpy(model: DAG, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Convert a pgmpy DAG or Bayesian network to a named adjacency matrix.

    Parameters
    ----------
    model : pgmpy.base.DAG
        Or any of its subclasses, such as a Bayesian network.
    names : sequence of str, optional
        The order of the rows and columns; that of ``model.nodes()`` when left out.

    Returns
    -------
    DataFrame, int8, shape [d, d]
        Row causes column.

    Raises
    ------
    TypeError
        If ``model`` is not a directed graph.
    ValueError
        If ``names`` are not the names of the nodes.

    Examples
    --------
    >>> from pgmpy.base import DAG
    >>> from_pgmpy(DAG([("rain", "wet")]))
          rain  wet
    rain     0    1
    wet      0    0
    """
    return from_networkx(model, names)


def _nodes_of(adjacency, names):
    """Return the checked matrix of one graph, int8 [d, d], and the list of its nodes."""
    if isinstance(adjacency, pd.DataFrame):
        if list(adjacency.index) != list(adjacency.columns):
            raise ValueError("The rows and columns of adjacency must have the same names in order.")
        names = list(adjacency.columns) if names is None else names
    array = check_dag(adjacency, names)
    if array.ndim != 2:
        raise ValueError(f"adjacency has shape {list(array.shape)}; give one graph, [d, d].")
    nodes = list(range(len(array))) if names is None else list(names)
    if len(set(nodes)) != len(nodes):
        raise ValueError("names holds a name twice; give each variable its own.")
    return array, nodes
