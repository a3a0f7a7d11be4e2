"""Columns, edges and interventions as users give them, by name or by position."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias

import networkx as nx
import numpy as np
import pandas as pd

__all__ = [
    "EdgeSet",
    "column_index",
    "edge_ends",
    "edge_mask",
    "intervention_targets",
    "is_missing",
    "matrix_places",
]

EdgeSet: TypeAlias = Iterable[tuple[str | int, str | int]] | np.ndarray | pd.DataFrame | nx.DiGraph


def column_index(column: str | int, names: Sequence[str], what: str = "column") -> int:
    """Return the position of a column given by name or position.

    Raises
    ------
    TypeError
        If it is neither a string nor an integer.
    ValueError
        If there is no such column, or an integer is the name of one column and the position of
        another.

    Examples
    --------
    >>> column_index("b", ("a", "b"))
    1
    """
    if isinstance(column, str):
        if column not in names:
            raise ValueError(
                f"{what} {column!r} is not in the table, whose columns are {_list(names)}."
            )
        return list(names).index(column)
    if isinstance(column, Integral) and not isinstance(column, (bool, np.bool_)):
        if not 0 <= column < len(names):
            raise ValueError(
                f"{what} {column} is not in the table, whose columns are numbered 0 to "
                f"{len(names) - 1}."
            )
        if str(column) in names and names[column] != str(column):
            raise ValueError(
                f"{what} {column} could mean the column called {str(column)!r} or the one at "
                f"position {column}, {names[column]!r}; give the name as a string."
            )
        return int(column)
    raise TypeError(f"{what} must be a column name or position, not {column!r}.")


def edge_mask(edges: EdgeSet | None, names: Sequence[str], what: str) -> np.ndarray:
    """Return a set of edges as a matrix.

    Parameters
    ----------
    edges : iterable of (cause, effect), array or DataFrame of bool [d, d], networkx.DiGraph or None
        Pairs of names or positions; or a matrix in which row causes column, matched by name when it
        is a DataFrame; or a graph of networkx or pgmpy, whose nodes are columns.
    names : sequence of str
    what : str
        What the edges are called in errors, such as "required".

    Returns
    -------
    ndarray of bool [d, d]

    Raises
    ------
    TypeError, ValueError
        If a column is unknown, an edge is not a pair or joins a column to itself, or a matrix has
        the wrong shape or entries other than zero and one.

    Examples
    --------
    >>> edge_mask([("a", "b")], ("a", "b"), "required").astype(int).tolist()
    [[0, 1], [0, 0]]
    """
    num_variables = len(names)
    mask = np.zeros((num_variables, num_variables), dtype=bool)
    if edges is None:
        return mask
    if isinstance(edges, nx.Graph):
        edges = _pairs_of(edges, what)
    if isinstance(edges, pd.DataFrame):
        mask[matrix_places(edges, names, what)] = _as_bool(edges.to_numpy(), what)
    elif (
        isinstance(edges, np.ndarray)
        and edges.ndim == 2
        and edges.shape == mask.shape
        and (edges.dtype == bool or num_variables != 2)
    ):
        mask = _as_bool(edges, what)
    elif isinstance(edges, np.ndarray) and edges.dtype == bool:
        raise ValueError(
            f"the matrix of {what} edges must be {num_variables} x {num_variables}, but its shape "
            f"is {edges.shape}."
        )
    else:
        mask = _mask_of_pairs(edges, names, what)
    loops = np.flatnonzero(np.diag(mask))
    if len(loops):
        raise ValueError(f"{what} edge {names[loops[0]]!r} -> {names[loops[0]]!r} is a self-loop.")
    return mask


def edge_ends(edge: object, names: Sequence[str], what: str) -> tuple[int, int]:
    """Return the positions of the cause and the effect of an edge.

    Parameters
    ----------
    edge : (cause, effect)
        Names or positions.
    names : sequence of str
    what : str
        What the edge is called in errors, such as "required".

    Raises
    ------
    TypeError, ValueError
        If it is not a pair, or a column is unknown.

    Examples
    --------
    >>> edge_ends(("a", 1), ("a", "b"), "required")
    (0, 1)
    """
    if isinstance(edge, str) or not isinstance(edge, Iterable) or len(pair := list(edge)) != 2:
        raise ValueError(f"{what} edge {edge!r} is not a pair (cause, effect).")
    cause, effect = (column_index(end, names, f"{what} edge end") for end in pair)
    return cause, effect


def matrix_places(frame: pd.DataFrame, names: Sequence[str], what: str) -> tuple[np.ndarray, ...]:
    """Return where the entries of a matrix with names go in one with all columns in their order.

    Parameters
    ----------
    frame : DataFrame
        Row causes column; columns may be left out.
    names : sequence of str [d]
    what : str
        What the edges are called in errors, such as "required".

    Returns
    -------
    tuple of two arrays
        An index of arrays [d, d], as of `numpy.ix_`.

    Raises
    ------
    ValueError
        If a column is unknown or named twice.

    Examples
    --------
    >>> matrix = np.zeros((2, 2), dtype=int)
    >>> matrix[matrix_places(pd.DataFrame([[1]], ["b"], ["a"]), ("a", "b"), "required")] = 1
    >>> matrix.tolist()
    [[0, 0], [1, 0]]
    """
    rows = [column_index(str(name), names, f"{what} edge end") for name in frame.index]
    columns = [column_index(str(name), names, f"{what} edge end") for name in frame.columns]
    if len(set(rows)) < len(rows) or len(set(columns)) < len(columns):
        raise ValueError(f"the matrix of {what} edges names a column twice.")
    return np.ix_(rows, columns)


def intervention_targets(
    interventions: Iterable[str | int | None] | None, names: Sequence[str], num_rows: int
) -> np.ndarray:
    """Return the column that was set in each row, -1 for none.

    Parameters
    ----------
    interventions : sequence [n] of column names or positions, or None
        None, "" and NaN stand for rows without intervention. A Series is matched by position.
    names : sequence of str
    num_rows : int

    Returns
    -------
    ndarray of int64 [n]

    Raises
    ------
    TypeError, ValueError
        If a target is not a column, or the number of targets is not the number of rows.

    Examples
    --------
    >>> intervention_targets([None, "b", ""], ("a", "b"), 3)
    array([-1,  1, -1])
    """
    targets = np.full(num_rows, -1, dtype=np.int64)
    if interventions is None:
        return targets
    if isinstance(interventions, str):
        raise TypeError(
            f"interventions must have one target per row, not the single name {interventions!r}."
        )
    if not isinstance(interventions, Iterable):
        raise TypeError(f"interventions must have one target per row, not {interventions!r}.")
    listed = list(interventions)
    if len(listed) != num_rows:
        raise ValueError(
            f"interventions has {len(listed)} targets for {num_rows} rows; give one per row, None "
            "for a row without."
        )
    known: dict[tuple[type, str | int], int] = {}
    for row, target in enumerate(listed):
        if isinstance(target, Hashable) and is_missing(target):
            continue
        what = f"intervention target of row {row},"
        if not isinstance(target, (str, Integral)):
            raise TypeError(f"{what} must be a column name or position, not {target!r}.")
        key = type(target), target  # True equals 1, but is no position
        if key not in known:
            known[key] = column_index(target, names, what)
        targets[row] = known[key]
    return targets


def is_missing(label: Any) -> bool:
    """Return whether a label of a row stands for none: None, "", NaN or NA."""
    return label is None or label is pd.NA or bool(label == "") or bool(label != label)


def _pairs_of(graph: nx.Graph, what: str) -> list[tuple[Any, Any]]:
    """Return the edges of a graph, which says which end is the cause."""
    if not graph.is_directed():
        raise TypeError(
            f"the graph of {what} edges has no directions; give a networkx.DiGraph, or pairs of a "
            "cause and an effect."
        )
    return list(graph.edges())


def _mask_of_pairs(edges: EdgeSet, names: Sequence[str], what: str) -> np.ndarray:
    """Return pairs of names or positions as a matrix, bool [d, d]."""
    mask = np.zeros((len(names), len(names)), dtype=bool)
    if isinstance(edges, str) or not isinstance(edges, Iterable):
        raise TypeError(f"{what} edges must be pairs (cause, effect), not {edges!r}.")
    for edge in edges:
        mask[edge_ends(edge, names, what)] = True
    return mask


def _as_bool(values: np.ndarray, what: str) -> np.ndarray:
    """Return a matrix of zeros and ones as bool."""
    # Objects such as NA cannot be compared.
    comparable = values.dtype != object or all(
        isinstance(value, (Real, np.bool_)) for value in values.flat
    )
    if not comparable or not np.isin(values, (0, 1)).all():
        raise ValueError(f"the matrix of {what} edges must hold only 0 and 1 (or False and True).")
    return values.astype(bool)


def _list(names: Sequence[str]) -> str:
    """Return the first names for a message."""
    shown = ", ".join(repr(name) for name in names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"
