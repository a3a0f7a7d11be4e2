"""From partially directed graphs to the DAGs they stand for.

A pattern is an int8 array ``[d, d]`` as `dag_gfn.graphs.cpdag` returns it: ``i -> j`` is
``[i, j] = 1, [j, i] = 0``, and ``i - j`` is 1 both ways.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dag_gfn.graphs.algebra import is_acyclic

# The neighbours of every node of an undirected graph.
_Neighbours = dict[int, set[int]]


def num_members(pattern: ArrayLike) -> int:
    """Count the DAGs of a Markov equivalence class.

    Each undirected component of the class is oriented on its own, and its orientations are counted
    by their root: the rooted subclasses of He, Jia and Yu (2015, theorem 5).

    Parameters
    ----------
    pattern : array_like, shape [d, d]
        The completed partially directed graph of the class, as `cpdag` returns it.

    Returns
    -------
    int

    References
    ----------
    He, Y., Jia, J. and Yu, B. (2015). Counting and exploring sizes of Markov equivalence classes of
    directed acyclic graphs. JMLR 16.

    Examples
    --------
    A chain of three nodes can have its root at each of them.

    >>> num_members([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    3
    """
    neighbours = _undirected(np.asarray(pattern))
    sizes: dict[frozenset[int], int] = {}
    total = 1
    for component in _components(neighbours, set(neighbours)):
        total *= _size(neighbours, component, sizes)
    return total


def random_member(pattern: ArrayLike, rng: np.random.Generator) -> NDArray[np.int8]:
    """Draw a DAG of a Markov equivalence class, all with the same probability.

    A root is drawn in proportion to the number of orientations that have it, and the components
    that its choice leaves undirected are oriented in the same way (He, Jia and Yu 2015).

    Parameters
    ----------
    pattern : array_like, shape [d, d]
        The completed partially directed graph of the class, as `cpdag` returns it.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, int8, shape [d, d]

    Examples
    --------
    >>> int(random_member([[0, 1], [1, 0]], np.random.default_rng(0)).sum())
    1
    """
    dag = np.asarray(pattern).astype(np.int8)
    neighbours = _undirected(dag)
    sizes: dict[frozenset[int], int] = {}
    waiting = _components(neighbours, set(neighbours))
    while waiting:
        component = waiting.pop()
        if len(component) == 1:
            continue
        roots = sorted(component)
        counts = [_rooted_size(neighbours, component, root, sizes) for root in roots]
        # Python's integers, since the counts can pass 64 bits.
        shares = [count / sum(counts) for count in counts]
        root = roots[int(rng.choice(len(roots), p=np.array(shares) / sum(shares)))]
        directed, rest = _oriented_from(neighbours, component, root)
        for cause, effect in directed:
            dag[effect, cause] = 0
        waiting += rest
    return dag


def consistent_extension(pattern: ArrayLike) -> NDArray[np.int8] | None:
    """Find a DAG with the directed edges, the skeleton and the v-structures of a pattern.

    Sinks are taken away one at a time (Dor and Tarsi 1992).

    Parameters
    ----------
    pattern : array_like, shape [d, d]
        Any partially directed graph, such as the output of the PC algorithm on a sample, which need
        not be that of an equivalence class.

    Returns
    -------
    numpy.ndarray, int8, shape [d, d], or None
        None where there is no such DAG.

    References
    ----------
    Dor, D. and Tarsi, M. (1992). A simple algorithm to construct a consistent extension of a
    partially oriented graph. Technical report R-185, UCLA.

    Examples
    --------
    >>> consistent_extension([[0, 1, 0], [0, 0, 1], [0, 1, 0]])
    array([[0, 1, 0],
           [0, 0, 1],
           [0, 0, 0]], dtype=int8)
    """
    edges = np.asarray(pattern).astype(bool)
    dag = edges & ~edges.T
    left = edges.copy()
    nodes = set(range(len(edges)))
    while nodes:
        sink = next((node for node in sorted(nodes) if _removable(left, node)), None)
        if sink is None:
            return None
        undirected = left[sink] & left[:, sink]
        dag[undirected, sink] = True
        left[sink] = left[:, sink] = False
        nodes.remove(sink)
    # A directed cycle or a v-structure that the pattern has not got was there to begin with.
    if not is_acyclic(dag):
        return None
    return dag.astype(np.int8)


def _removable(edges: NDArray[np.bool_], node: int) -> bool:
    """Whether no edge leaves a node, and its undirected neighbours see all its other ones."""
    if np.any(edges[node] & ~edges[:, node]):
        return False
    adjacent = edges[node] | edges[:, node]
    joined = edges | edges.T
    for other in np.flatnonzero(edges[node] & edges[:, node]):
        missing = adjacent & ~joined[other]
        missing[other] = False
        if missing.any():
            return False
    return True


def _undirected(pattern: NDArray) -> _Neighbours:
    both = (pattern != 0) & (pattern.T != 0)
    return {node: set(np.flatnonzero(row).tolist()) for node, row in enumerate(both)}


def _components(neighbours: _Neighbours, nodes: set[int]) -> list[frozenset[int]]:
    """List the connected components of the graph on some of the nodes."""
    left, found = set(nodes), []
    while left:
        component, border = set(), {min(left)}
        while border:
            component |= border
            border = {other for node in border for other in neighbours[node] & left} - component
        left -= component
        found.append(frozenset(component))
    return found


def _size(neighbours: _Neighbours, component: frozenset[int], sizes: dict) -> int:
    """Count the orientations of a connected chordal graph without cycle or v-structure."""
    if component not in sizes:
        num_nodes = len(component)
        num_edges = sum(len(neighbours[node] & component) for node in component) // 2
        if num_edges == num_nodes - 1:
            size = num_nodes  # a tree
        elif num_edges == num_nodes * (num_nodes - 1) // 2:
            size = factorial(num_nodes)
        else:
            size = sum(_rooted_size(neighbours, component, root, sizes) for root in component)
        sizes[component] = size
    return sizes[component]


def _rooted_size(neighbours: _Neighbours, component: frozenset[int], root: int, sizes: dict) -> int:
    size = 1
    for rest in _oriented_from(neighbours, component, root)[1]:
        size *= _size(neighbours, rest, sizes)
    return size


def _oriented_from(
    neighbours: _Neighbours, component: frozenset[int], root: int
) -> tuple[set[tuple[int, int]], list[frozenset[int]]]:
    """Direct what follows from a root; return those edges and the components left undirected."""
    directed: set[tuple[int, int]] = set()
    rest: list[frozenset[int]] = []
    layer, left = {root}, set(component) - {root}
    while left:
        following = {node for node in left if neighbours[node] & layer}
        directed |= {(x, y) for y in following for x in neighbours[y] & layer}
        # x -> y - z becomes x -> y -> z where x and z are not joined.
        inner = {(y, z) for y in following for z in neighbours[y] & following}
        causes = {y: neighbours[y] & layer for y in following}
        waiting = [(y, z) for y, z in inner if causes[y] - neighbours[z] - {z}]
        while waiting:
            y, z = waiting.pop()
            if (y, z) in directed or (z, y) in directed:
                continue
            directed.add((y, z))
            causes[z] = causes[z] | {y}
            waiting += [
                (z, other)
                for other in neighbours[z] & following
                if y not in neighbours[other] and other != y
            ]
        free = {
            y: {
                z
                for z in neighbours[y] & following
                if (y, z) not in directed and (z, y) not in directed
            }
            for y in following
        }
        rest += _components(free, following)
        layer, left = following, left - following
    return directed, rest
