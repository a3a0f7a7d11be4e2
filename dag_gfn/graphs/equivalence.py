"""Markov equivalence classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dag_gfn.graphs.algebra import _pack, _unpack, check_dag, topological_order


def cpdag(adjacency: ArrayLike) -> NDArray[np.int8]:
    """Find the completed partially directed graph that stands for a DAG's equivalence class.

    An edge keeps its direction when it has that direction in every DAG of the Markov equivalence
    class (it is compelled), and loses it otherwise. The edges are visited and labelled in the
    order of Chickering (1995, section 4), in all graphs of the batch at once.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]
        Directed acyclic graphs.

    Returns
    -------
    numpy.ndarray, int8, shape [..., d, d]
        ``i -> j`` as ``[i, j] = 1, [j, i] = 0``; ``i - j`` as 1 both ways.

    Raises
    ------
    ValueError
        If a graph has a cycle.

    References
    ----------
    Chickering, D. M. (1995). A transformational characterization of equivalent Bayesian network
    structures. UAI.

    Examples
    --------
    A chain can be turned around; a collider cannot.

    >>> cpdag([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]], dtype=int8)
    >>> cpdag([[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    array([[0, 0, 1],
           [0, 0, 1],
           [0, 0, 0]], dtype=int8)
    """
    array = check_dag(adjacency)
    order = topological_order(array)
    array = np.take_along_axis(array, order[..., :, None], axis=-2)
    array = np.take_along_axis(array, order[..., None, :], axis=-1)
    edges = _pack(array)  # [d, d, bytes], every edge from a lower to a higher number
    compelled = _compelled_edges(edges)
    reversible = edges & ~compelled
    pattern = _unpack(compelled | reversible | reversible.swapaxes(0, 1), array.shape)
    rank = np.argsort(order, axis=-1)
    pattern = np.take_along_axis(pattern, rank[..., :, None], axis=-2)
    return np.take_along_axis(pattern, rank[..., None, :], axis=-1).astype(np.int8)


def _compelled_edges(edges: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mark the compelled edges of bit-packed DAGs ``[d, d, bytes]`` in topological order."""
    compelled = np.zeros_like(edges)
    for y in range(1, len(edges)):
        parents = edges[:y, y]  # [y, bytes]
        labelled = compelled[:y, y]
        unknown = parents.copy()
        for x in reversed(range(y)):
            asked = unknown[x].copy()
            if not asked.any():
                continue
            into_x = compelled[:x, x]
            # w -> x compelled, and w not a parent of y: every edge into y is compelled.
            all_compelled = asked & np.bitwise_or.reduce(into_x & ~parents[:x], axis=0)
            labelled |= all_compelled & parents
            unknown &= ~all_compelled
            # w -> x compelled and w a parent of y: w -> y is compelled.
            asked &= ~all_compelled
            labelled[:x] |= into_x & asked
            unknown[:x] &= ~(into_x & asked)
            # z -> y with z not a parent of x: what is still unknown is compelled, else reversible.
            others = parents & ~edges[:y, x]
            others[x] = 0
            labelled |= asked & np.bitwise_or.reduce(others, axis=0) & unknown
            unknown &= ~asked
    return compelled
