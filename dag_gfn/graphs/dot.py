"""Graphs as text for GraphViz, which lays them out and draws them."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
import pandas as pd
from numpy.typing import ArrayLike

from dag_gfn.graphs.conversion import to_networkx

__all__ = ["to_dot"]


def to_dot(graph: ArrayLike | pd.DataFrame | nx.Graph, names: Sequence[str] | None = None) -> str:
    """Write one graph in the DOT language of GraphViz.

    Parameters
    ----------
    graph : array_like or DataFrame [d, d], or networkx.DiGraph or networkx.Graph
        Row causes column. Edges of a networkx graph that have a ``probability``, as those of
        `dag_gfn.Posterior.consensus`, are labelled with it.
    names : sequence of str, optional
        Names of the nodes of a matrix; those of a DataFrame, else 0 to d - 1, when left out.

    Returns
    -------
    str
        For ``dot -Tsvg``, say. Nodes keep their order and names, whatever signs these have.

    Raises
    ------
    TypeError
        If ``names`` are given for a networkx graph, which has its own.
    ValueError
        If a matrix is not the adjacency matrix of one DAG, or the names do not fit it.

    References
    ----------
    The DOT language, https://graphviz.org/doc/info/lang.html.

    Examples
    --------
    >>> print(to_dot([[0, 1], [0, 0]], names=["rain", "wet"]))
    digraph {
      "rain";
      "wet";
      "rain" -> "wet";
    }
    """
    if not isinstance(graph, nx.Graph):
        graph = to_networkx(graph, names)
    elif names is not None:
        raise TypeError("names are of a matrix; a networkx graph has its own.")
    kind, arrow = ("digraph", "->") if graph.is_directed() else ("graph", "--")
    lines = [f"{kind} {{"]
    lines += [f"  {_quoted(node)};" for node in graph.nodes]
    for first, second, probability in graph.edges(data="probability"):
        label = "" if probability is None else f' [label="{probability:.2f}"]'
        lines.append(f"  {_quoted(first)} {arrow} {_quoted(second)}{label};")
    return "\n".join([*lines, "}"])


def _quoted(node: object) -> str:
    # In DOT a backslash stays one, but before a quotation mark, and begins an escape in a label: a
    # node is labelled with its name, so that it is doubled to be shown.
    text = str(node).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
