"""Where the nodes of a layered drawing go, and which way its edges bend.

The four steps of Sugiyama, Tagawa and Toda (1981): give each node a layer; cut edges that span
several layers into pieces by invisible nodes, so that room is kept for them; order each layer to
have few crossings; move nodes sideways to make edges straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

NUM_SWEEPS = 24
NUM_STARTS = 8
INVISIBLE_WIDTH = 0.12


class Layout(NamedTuple):
    """Positions in the units of the widths that were given; y points up."""

    position: NDArray[np.float64]  # [d, 2]
    bends: dict[tuple[int, int], NDArray[np.float64]]  # the points an edge passes, [m, 2]


class _Pieces(NamedTuple):
    layers: list[list[int]]  # the nodes of each layer, d and above for the invisible ones
    links: list[tuple[int, int]]  # from each layer to the next
    chains: dict[tuple[int, int], list[int]]  # the invisible nodes of each edge
    widths: NDArray[np.float64]  # [nodes]


def layered_layout(
    edges: Sequence[tuple[int, int]],
    order: Sequence[int],
    widths: Sequence[float],
    *,
    gap: float,
    layer_height: float,
) -> Layout:
    """Lay a graph out in layers, from causes at the top to effects at the bottom.

    Parameters
    ----------
    edges : sequence of (int, int)
        Each pair of joined nodes, once, the earlier in ``order`` first.
    order : sequence of int, length d
        The nodes, top to bottom.
    widths : sequence of float, length d
        How much room each node needs sideways.
    gap : float
        The least room between two nodes of a layer.
    layer_height : float
        The distance between layers.

    Returns
    -------
    Layout
        Nodes without edges stand in rows of their own, below the others.
    """
    sizes = np.asarray(widths, np.float64)
    position = np.zeros((len(sizes), 2))
    bends: dict[tuple[int, int], NDArray[np.float64]] = {}
    right = 0.0
    depth = 0
    for component in _components(edges, order):
        inside = [edge for edge in edges if edge[0] in component]
        pieces = _cut(inside, _layers(inside, component), sizes)
        layers = _fewest_crossings(pieces)
        x = _straighten(layers, pieces, gap)
        nodes = [node for layer in layers for node in layer]
        x += right - (x[nodes] - pieces.widths[nodes] / 2).min()
        right = (x[nodes] + pieces.widths[nodes] / 2).max() + 2 * gap
        y = np.zeros(len(x))
        for i, layer in enumerate(layers):
            y[layer] = -i * layer_height
        depth = max(depth, len(layers))
        points = np.stack([x, y], axis=1)
        position[component] = points[component]
        bends |= {edge: points[chain] for edge, chain in pieces.chains.items()}
    alone = [node for node in order if not any(node in edge for edge in edges)]
    top = -(depth - 0.2) * layer_height if depth else 0.0
    room = right - 2 * gap if depth else 0.0
    _place_rows(alone, position, sizes, gap=gap, row_height=0.55 * layer_height, top=top, room=room)
    return Layout(position, bends)


def _components(edges: Sequence[tuple[int, int]], order: Sequence[int]) -> list[list[int]]:
    """Split the joined nodes into connected components, largest first, each in order."""
    graph = nx.Graph(edges)
    rank = {node: i for i, node in enumerate(order)}
    components = [sorted(nodes, key=rank.__getitem__) for nodes in nx.connected_components(graph)]
    return sorted(components, key=lambda nodes: (-len(nodes), rank[nodes[0]]))


def _layers(edges: Sequence[tuple[int, int]], joined: Sequence[int]) -> dict[int, int]:
    """Give each joined node a layer, below its parents, so that edges are short."""
    parents = {node: [i for i, j in edges if j == node] for node in joined}
    children = {node: [j for i, j in edges if i == node] for node in joined}
    layer: dict[int, int] = {}
    for node in joined:
        layer[node] = max((layer[parent] + 1 for parent in parents[node]), default=0)
    for _ in range(len(joined)):
        before = dict(layer)
        # A node pulled down by more children than parents moves down, if its children let it.
        for node in reversed(joined):
            if len(children[node]) > len(parents[node]):
                layer[node] = min(layer[child] for child in children[node]) - 1
        if layer == before:
            break
    return layer


def _cut(
    edges: Sequence[tuple[int, int]], layer: dict[int, int], widths: NDArray[np.float64]
) -> _Pieces:
    """Put an invisible node into every layer that an edge passes through."""
    first = min(layer.values(), default=0)
    layers: list[list[int]] = [[] for _ in range(max(layer.values(), default=-1) - first + 1)]
    for node, depth in layer.items():
        layers[depth - first].append(node)
    links, chains, num_nodes = [], {}, len(widths)
    for cause, effect in edges:
        chain = []
        for depth in range(layer[cause] + 1, layer[effect]):
            layers[depth - first].append(num_nodes)
            chain.append(num_nodes)
            num_nodes += 1
        stops = [cause, *chain, effect]
        links += list(zip(stops[:-1], stops[1:], strict=True))
        chains[cause, effect] = chain
    invisible = np.full(num_nodes - len(widths), INVISIBLE_WIDTH)
    return _Pieces(layers, links, chains, np.concatenate([widths, invisible]))


def _fewest_crossings(pieces: _Pieces) -> list[list[int]]:
    """Order the layers by sweeps of barycentres from several starts; keep the best seen."""
    rng = np.random.default_rng(0)
    above, below = _neighbours(pieces)
    best, fewest = pieces.layers, _num_crossings(pieces.layers, below)
    for start in range(NUM_STARTS):
        layers = [list(layer) for layer in pieces.layers]
        if start:
            layers = [list(rng.permutation(layer)) for layer in layers]
        for sweep in range(NUM_SWEEPS):
            downwards = sweep % 2 == 0
            depths = range(1, len(layers)) if downwards else range(len(layers) - 2, -1, -1)
            neighbours = above if downwards else below
            for depth in depths:
                fixed = layers[depth - 1] if downwards else layers[depth + 1]
                place = {node: i / max(len(fixed) - 1, 1) for i, node in enumerate(fixed)}
                own = {
                    node: i / max(len(layers[depth]) - 1, 1) for i, node in enumerate(layers[depth])
                }
                centre = {
                    node: np.mean([place[other] for other in neighbours[node]])
                    if neighbours[node]
                    else own[node]
                    for node in layers[depth]
                }
                layers[depth].sort(key=centre.__getitem__)
            _swap_neighbours(layers, above, below)
            crossings = _num_crossings(layers, below)
            if crossings < fewest:
                best, fewest = [list(layer) for layer in layers], crossings
        if fewest == 0:
            break
    return best


def _neighbours(pieces: _Pieces) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in pieces.widths]
    below: list[list[int]] = [[] for _ in pieces.widths]
    for upper, lower in pieces.links:
        above[lower].append(upper)
        below[upper].append(lower)
    return above, below


def _num_crossings(layers: list[list[int]], below: list[list[int]]) -> int:
    total = 0
    for upper, lower in zip(layers[:-1], layers[1:], strict=True):
        place = {node: i for i, node in enumerate(lower)}
        ends = [
            place[child] for node in upper for child in sorted(below[node], key=place.__getitem__)
        ]
        total += sum(left > right for i, left in enumerate(ends) for right in ends[i + 1 :])
    return total


def _swap_neighbours(
    layers: list[list[int]], above: list[list[int]], below: list[list[int]]
) -> None:
    """Swap nodes side by side as long as that removes crossings."""
    place = {node: i for layer in layers for i, node in enumerate(layer)}

    def crossings(left: int, right: int) -> int:
        return sum(
            place[a] > place[b]
            for neighbours in (above, below)
            for a in neighbours[left]
            for b in neighbours[right]
        )

    improved = True
    while improved:
        improved = False
        for layer in layers:
            for i in range(len(layer) - 1):
                left, right = layer[i], layer[i + 1]
                if crossings(left, right) > crossings(right, left):
                    layer[i], layer[i + 1] = right, left
                    place[left], place[right] = i + 1, i
                    improved = True


def _straighten(layers: list[list[int]], pieces: _Pieces, gap: float) -> NDArray[np.float64]:
    """Move nodes towards the mean of their neighbours, never closer than they may be."""
    above, below = _neighbours(pieces)
    widths = pieces.widths
    num_named = len(widths) - sum(map(len, pieces.chains.values()))
    x = np.zeros(len(widths))
    offsets = []
    for layer in layers:
        half = widths[layer] / 2
        least = np.concatenate([[0], np.cumsum(half[:-1] + half[1:] + gap)])
        offsets.append(least)
        x[layer] = least - least[-1] / 2
    for sweep in range(4 * NUM_SWEEPS):
        sides = (above, below) if sweep % 2 == 0 else (below, above)
        for depth in range(len(layers)) if sweep % 2 == 0 else reversed(range(len(layers))):
            layer = layers[depth]
            # A bend in a long edge is seen more than a node off its centre.
            weight = np.where(np.asarray(layer) >= num_named, 4.0, 1.0)
            wanted = []
            for node in layer:
                near = sides[0][node] or sides[1][node]
                if sweep >= NUM_SWEEPS:
                    near = above[node] + below[node]
                wanted.append(np.mean(x[near]))
            least = offsets[depth]
            x[layer] = isotonic_regression(np.array(wanted) - least, weights=weight).x + least
    return x


def _place_rows(
    nodes: Sequence[int],
    position: NDArray[np.float64],
    widths: NDArray[np.float64],
    *,
    gap: float,
    row_height: float,
    top: float,
    room: float,
) -> None:
    """Place nodes, in place, in rows that are centred below a drawing as wide as ``room``."""
    fit = max(room, np.sqrt((widths[list(nodes)] + gap).sum() * row_height), 3.0)
    rows: list[list[int]] = [[]]
    for node in nodes:
        if rows[-1] and (widths[[*rows[-1], node]] + gap).sum() > fit:
            rows.append([])
        rows[-1].append(node)
    for i, row in enumerate(rows):
        ends = np.cumsum(widths[row] + gap)
        total = (widths[row] + gap).sum() - gap
        position[row, 0] = (room - total) / 2 + ends - gap - widths[row] / 2
        position[row, 1] = top - row_height * i
