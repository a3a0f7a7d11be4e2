"""The number of orders that a DAG agrees with, which a chain over orders must divide by."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types
from numba.typed import Dict

from dag_gfn.mcmc.bitsets import size

__all__ = ["count_linear_extensions", "log_inverse_extensions"]

# Subproblems of one connected component; at some microseconds each this is some milliseconds.
_MAX_SUBPROBLEMS = 2**11
# Nodes of a component that fit in a mask of 64 bits with a sign.
_MAX_MASK = 62


def count_linear_extensions(adjacency: np.ndarray) -> float:
    """Count the orders of the nodes in which every edge points forward.

    A connected component of n nodes is taken apart by its first elements or its last, whichever
    are fewer, e(P) = sum of e(P without x) over them, and what falls into components is counted
    apart, e(P + Q) = C(|P| + |Q|, |P|) e(P) e(Q). Sparse graphs fall apart soon [1]_.

    Parameters
    ----------
    adjacency : array of int8 or bool [d, d]
        An acyclic graph.

    Returns
    -------
    float
        Rounded to float64 where it is above 2^53.

    Raises
    ------
    ValueError
        If a connected component has more than 62 nodes.

    References
    ----------
    .. [1] K. Kangas, T. Hankala, T. Niinimäki and M. Koivisto. "Counting linear extensions of
       sparse posets." IJCAI 2016.

    Examples
    --------
    A collider on three nodes, and a fourth that is free to be anywhere.

    >>> adjacency = np.zeros((4, 4), dtype=np.int8)
    >>> adjacency[0, 2] = adjacency[1, 2] = 1
    >>> count_linear_extensions(adjacency)
    8.0
    """
    adjacency = np.ascontiguousarray(adjacency, dtype=np.int8)
    d = len(adjacency)
    component = _components(adjacency)
    largest = int(np.bincount(component, minlength=1).max())
    if largest > _MAX_MASK:
        raise ValueError(
            f"linear extensions are counted for components of at most {_MAX_MASK} nodes and this "
            f"graph has one of {largest}."
        )
    total, placed = 1.0, 0
    for label in range(d):
        nodes = np.flatnonzero(component == label)
        placed += len(nodes)
        total *= math.comb(placed, len(nodes))
        if len(nodes) > 1:
            total *= _component_count(adjacency, nodes, np.iinfo(np.int64).max)
    return float(total)


@njit(cache=True, nogil=True)
def log_inverse_extensions(adjacency, position):
    r"""Return the logarithm of an unbiased estimate of 1 / (number of linear extensions).

    Components are counted exactly where that takes at most 2^11 subproblems. For a larger one the
    estimate is the probability q that a simple random construction of an order, from the first
    node to the last, gives the component's own order: the next node is one whose parents are all
    placed, with probability proportional to its number of descendants, itself included. (For a
    rooted tree that is the uniform distribution.) If the order is uniform over the extensions of
    the graph, as it is in a chain over orders once the graph is drawn, then

    .. math:: E\,q = \sum_\prec \frac{1}{\#} q(\prec) = \frac{1}{\#}.

    Which way is taken depends on the graph alone, so the whole is unbiased as well.

    Parameters
    ----------
    adjacency : array of int8 [d, d]
        An acyclic graph.
    position : array of int64 [d]
        Position of each node in an order that the graph agrees with.

    Returns
    -------
    float
    """
    d = len(adjacency)
    component = _components(adjacency)
    result = 0.0
    for label in range(d):
        nodes = np.flatnonzero(component == label)
        if len(nodes) > 1:
            count = -1.0
            if len(nodes) <= _MAX_MASK:
                count = _component_count(adjacency, nodes, _MAX_SUBPROBLEMS)
            if count > 0:
                result -= np.log(count)
            else:
                result += _log_construction(adjacency, nodes, position)
            for factor in range(2, len(nodes) + 1):
                result += np.log(factor)
    for factor in range(2, d + 1):
        result -= np.log(factor)
    return result


@njit(cache=True, nogil=True)
def _components(adjacency):
    """Return a label of the connected component of each node, int64 [d]."""
    d = len(adjacency)
    label = np.full(d, -1, dtype=np.int64)
    stack = np.empty(d, dtype=np.int64)
    num_labels = 0
    for start in range(d):
        if label[start] >= 0:
            continue
        label[start] = num_labels
        stack[0] = start
        height = 1
        while height:
            height -= 1
            node = stack[height]
            for other in range(d):
                if label[other] < 0 and (adjacency[node, other] or adjacency[other, node]):
                    label[other] = num_labels
                    stack[height] = other
                    height += 1
        num_labels += 1
    return label


@njit(cache=True, nogil=True)
def _component_count(adjacency, nodes, max_subproblems):
    """Count the linear extensions of a connected component, or return -1 when it takes too long."""
    num_nodes = len(nodes)
    before = np.zeros(num_nodes, dtype=np.int64)
    after = np.zeros(num_nodes, dtype=np.int64)
    for a in range(num_nodes):
        for b in range(num_nodes):
            if adjacency[nodes[a], nodes[b]]:
                before[b] |= 1 << a
                after[a] |= 1 << b
    memo = Dict.empty(types.int64, types.float64)
    everything = (1 << num_nodes) - 1
    return _count_connected(everything, before, after, memo, max_subproblems)


@njit(cache=True, nogil=True)
def _count_connected(mask, before, after, memo, max_subproblems):
    """Count the linear extensions of a connected set of nodes; -1 when it takes too long."""
    if mask & (mask - 1) == 0:
        return 1.0
    if mask in memo:
        return memo[mask]
    if len(memo) >= max_subproblems:
        return -1.0
    # Taking away first or last elements never breaks a path between two that remain.
    first, last, num_first, num_last = 0, 0, 0, 0
    for node in range(len(before)):
        if (mask >> node) & 1:
            if before[node] & mask == 0:
                first |= 1 << node
                num_first += 1
            if after[node] & mask == 0:
                last |= 1 << node
                num_last += 1
    chosen = first if num_first <= num_last else last
    total = 0.0
    for node in range(len(before)):
        if (chosen >> node) & 1:
            rest = mask ^ (1 << node)
            ways, placed = 1.0, 0
            while rest:
                part = _connected_part(rest, before, after)
                rest ^= part
                found = _count_connected(part, before, after, memo, max_subproblems)
                if found < 0:
                    return -1.0
                for k in range(1, size(part) + 1):  # C(placed + size, size)
                    ways *= (placed + k) / k
                placed += size(part)
                ways *= found
            total += ways
    memo[mask] = total
    return total


@njit(cache=True, nogil=True)
def _connected_part(mask, before, after):
    """Return the connected component of the lowest node of a set."""
    reached = mask & -mask
    grown = True
    while grown:
        grown = False
        for node in range(len(before)):
            if (reached >> node) & 1:
                wider = reached | ((before[node] | after[node]) & mask)
                grown = grown or wider != reached
                reached = wider
    return reached


@njit(cache=True, nogil=True)
def _log_construction(adjacency, nodes, position):
    """Return the log-probability of a component's own order under the random construction."""
    num_nodes = len(nodes)
    order = nodes[np.argsort(position[nodes])]
    reaches = np.zeros(
        (num_nodes, num_nodes), dtype=np.bool_
    )  # by place in the order, itself included
    for a in range(num_nodes - 1, -1, -1):
        reaches[a, a] = True
        for b in range(a + 1, num_nodes):
            if adjacency[order[a], order[b]]:
                reaches[a] |= reaches[b]
    num_waiting = np.zeros(num_nodes, dtype=np.int64)  # parents that are not placed yet
    for a in range(num_nodes):
        for b in range(a + 1, num_nodes):
            num_waiting[b] += adjacency[order[a], order[b]]
    result = 0.0
    for a in range(num_nodes):
        total = 0
        for b in range(a, num_nodes):
            if num_waiting[b] == 0:
                total += reaches[b].sum()
        result += np.log(reaches[a].sum() / total)
        for b in range(a + 1, num_nodes):
            num_waiting[b] -= adjacency[order[a], order[b]]
    return result
