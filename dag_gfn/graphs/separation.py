"""Which conditional independences a DAG implies."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dag_gfn.graphs.algebra import _pack, check_dag


def d_separated(
    adjacency: ArrayLike,
    first: int | Iterable[int],
    second: int | Iterable[int],
    given: int | Iterable[int] = (),
) -> NDArray[np.bool_] | np.bool_:
    """Tell whether one set of nodes is d-separated from another, given a third.

    The graph is cut down to the three sets and their ancestors, the parents of every common child
    are joined, and directions are dropped. The sets are d-separated exactly when all paths that are
    left between the first two pass through the third (Lauritzen et al. 1990, proposition 3). The
    graphs are searched in step, eight to a byte.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]
        Directed acyclic graphs.
    first, second, given : int or iterable of int
        Positions of nodes, 0 to d - 1; no node is in two of the sets. An empty ``first`` or
        ``second`` is separated from anything.

    Returns
    -------
    numpy.ndarray, bool, shape [...]

    Raises
    ------
    ValueError
        If a graph has a cycle, there is no such node, or a node is in two of the sets.
    TypeError
        If a position is not an integer.

    References
    ----------
    Lauritzen, S. L., Dawid, A. P., Larsen, B. N. and Leimer, H.-G. (1990). Independence properties
    of directed Markov fields. Networks 20.

    Examples
    --------
    The middle of a chain blocks it; the middle of a collider opens it.

    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> collider = [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
    >>> d_separated([chain, collider], 0, 2)
    array([False,  True])
    >>> d_separated([chain, collider], 0, 2, given=1)
    array([ True, False])
    """
    array = check_dag(adjacency)
    sources, targets, blocked = _disjoint_sets(first, second, given, array.shape[-1])
    edges = _pack(array)  # [d, d, bytes]

    relevant = np.zeros(edges.shape[1:], np.uint8)  # [d, bytes]
    relevant[sources + targets + blocked] = 0xFF
    relevant = _closed(lambda nodes: _parents(edges, nodes), relevant)
    edges &= relevant

    passable = np.full_like(relevant, 0xFF)
    passable[blocked] = 0

    def joined(reached: NDArray[np.uint8]) -> NDArray[np.uint8]:
        passing = reached & passable
        children = np.bitwise_or.reduce(edges & passing[:, None], axis=0)
        # The parents of the children are joined to the node even where the child is blocked.
        return children | _parents(edges, passing | children)

    reached = np.zeros_like(relevant)
    reached[sources] = 0xFF
    reached = _closed(joined, reached)
    connected = np.unpackbits(
        np.bitwise_or.reduce(reached[targets], axis=0),
        count=int(np.prod(array.shape[:-2], dtype=int)),
    )
    return ~connected.astype(bool).reshape(array.shape[:-2])[()]


def _parents(edges: NDArray[np.uint8], nodes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mark the nodes with an edge to a marked node, all as bits [d, bytes]."""
    return np.bitwise_or.reduce(edges & nodes, axis=1)


def _closed(step, nodes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add ``step(nodes)`` to the marked nodes until nothing is new."""
    while True:
        grown = nodes | step(nodes)
        if np.array_equal(grown, nodes):
            return nodes
        nodes = grown


def _disjoint_sets(
    first: int | Iterable[int], second: int | Iterable[int], given: int | Iterable[int], size: int
) -> tuple[list[int], list[int], list[int]]:
    """Return the three sets as lists of positions that are in range and in one list each."""
    home: dict[int, str] = {}
    sets: list[list[int]] = []
    for what, nodes in (("first", first), ("second", second), ("given", given)):
        found = list(nodes) if isinstance(nodes, Iterable) else [nodes]
        for node in found:
            if not isinstance(node, Integral) or isinstance(node, bool):
                raise TypeError(
                    f"{what} holds {node!r}; give the positions of nodes, 0 to {size - 1}."
                )
            if not 0 <= node < size:
                raise ValueError(
                    f"{what} holds {node}, but the nodes of the graphs are numbered 0 to "
                    f"{size - 1}."
                )
            if home.setdefault(node, what) != what:
                raise ValueError(
                    f"node {node} is in both {home[node]} and {what}; leave it out of one."
                )
        sets.append(found)
    return sets[0], sets[1], sets[2]
