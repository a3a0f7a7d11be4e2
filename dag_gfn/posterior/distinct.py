"""Sums over distinct graphs: what is costly is computed once a graph, not once a draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dag_gfn import graphs

# Graphs are taken in chunks of about this many matrix entries, which keeps the float64 copy of a
# chunk near 64 MiB.
CHUNK_ENTRIES = 2**23


class Distinct(NamedTuple):
    """Which draws have the same graph."""

    first: NDArray[np.int64]  # [U], a draw that has the graph
    inverse: NDArray[np.int64]  # [S], which distinct graph each draw has
    probabilities: NDArray[np.float64]  # [U]
    counts: NDArray[np.int64]  # [U]


def distinct_graphs(adjacency: NDArray[np.int8], weights: NDArray[np.float64]) -> Distinct:
    """Sum weights [S] over equal graphs [S, d, d]."""
    _, first, inverse, counts = np.unique(
        graphs.dag_codes(adjacency), return_index=True, return_inverse=True, return_counts=True
    )
    probabilities = np.zeros(len(first))
    np.add.at(probabilities, inverse, weights)
    return Distinct(first, inverse, probabilities, counts)


def distinct_parent_sets(
    adjacency: NDArray[np.int8], node: int
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return the parent sets of a node in some graphs [S, d, d], each once.

    Returns
    -------
    parent_sets : int8 [K, d]
    which : int64 [S]
        Which of them each graph has.
    """
    parents = np.ascontiguousarray(adjacency[:, :, node])
    packed = np.packbits(parents, axis=1)
    words = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), np.uint8)
    words[:, : packed.shape[1]] = packed
    keys = words.view(np.uint64)
    # Numbers sort many times faster than rows do.
    _, first, which = np.unique(
        keys[:, 0] if keys.shape[1] == 1 else keys,
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    return parents[first], which.ravel()


def in_chunks(adjacency: NDArray[np.int8], draws: NDArray[np.int64]) -> Iterator[NDArray[np.int8]]:
    """Go through some of the graphs [S, d, d] a few megabytes at a time."""
    size = max(1, CHUNK_ENTRIES // max(1, adjacency[0].size))
    for start in range(0, len(draws), size):
        yield adjacency[draws[start : start + size]]


def weighted_sum(
    function: Callable,
    adjacency: NDArray[np.int8],
    draws: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum ``weights[u] * function(adjacency[draws])[u]`` over u.

    Parameters
    ----------
    function : callable
        Maps int8 [u, d, d] to [u, ...]. Not called for graphs of weight zero, where it may be
        infinite or undefined.
    adjacency : numpy.ndarray, int8, shape [S, d, d]
    draws : numpy.ndarray, int64, shape [U]
    weights : numpy.ndarray, float64, shape [U]

    Returns
    -------
    numpy.ndarray, float64, shape [...]

    Raises
    ------
    ValueError
        If ``function`` does not return one value for each graph.
    """
    kept = np.flatnonzero(weights)
    total = np.zeros(())
    start = 0
    for chunk in in_chunks(adjacency, draws[kept]):
        values = np.asarray(function(chunk))
        if values.shape[:1] != chunk.shape[:1]:
            raise ValueError(
                f"function returned shape {list(values.shape)} for {len(chunk)} graphs; it must "
                "return one value for each, along the first axis."
            )
        chunk_weights = weights[kept[start : start + len(chunk)]]
        total = total + np.tensordot(chunk_weights, values.astype(np.float64), axes=1)
        start += len(chunk)
    return np.asarray(total)
