"""Subsets in colexicographic order, the index of every score table.

The subsets of ``{0, ..., m - 1}`` with at most ``p`` members are numbered by size, and within a
size by the combinatorial number system: the set ``c_1 < c_2 < ... < c_k`` has rank
``C(c_1, 1) + C(c_2, 2) + ... + C(c_k, k)`` among the sets of size ``k`` (Knuth, The Art of Computer
Programming 4A, section 7.2.1.3). The numbering is perfect (no holes), and since the rank is a sum
over members, the ranks of all one-larger supersets follow from two cumulative sums.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import numpy as np

__all__ = [
    "binomials",
    "colex_order",
    "colex_subsets",
    "member_sums",
    "num_subsets",
    "size_offsets",
    "subset_masks",
    "subset_ranks",
]


def num_subsets(num_elements: int, max_size: int) -> int:
    """Count the subsets of ``num_elements`` things with at most ``max_size`` members.

    Examples
    --------
    >>> num_subsets(4, 2)
    11
    """
    return sum(comb(num_elements, size) for size in range(min(max_size, num_elements) + 1))


def size_offsets(num_elements: int, max_size: int) -> np.ndarray:
    """Return the number of the first set of each size, int64 [max_size + 2].

    The last entry is the number of all sets.

    Examples
    --------
    >>> size_offsets(4, 2)
    array([ 0,  1,  5, 11])
    """
    counts = [comb(num_elements, size) for size in range(max_size + 1)]
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def binomials(num_elements: int, max_size: int) -> np.ndarray:
    """Return the binomial coefficients C(c, k), int64 [num_elements, max_size + 1].

    Examples
    --------
    >>> binomials(4, 2)
    array([[1, 0, 0],
           [1, 1, 0],
           [1, 2, 1],
           [1, 3, 3]])
    """
    return np.array(
        [[comb(element, size) for size in range(max_size + 1)] for element in range(num_elements)],
        dtype=np.int64,
    ).reshape(num_elements, max_size + 1)


@lru_cache(maxsize=64)
def colex_subsets(num_elements: int, size: int) -> np.ndarray:
    """List the subsets of one size in colexicographic order.

    Returns
    -------
    ndarray of int32 [C(num_elements, size), size]
        Members in increasing order; read-only, since it is shared between callers.

    Examples
    --------
    >>> colex_subsets(4, 2).tolist()
    [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]]
    """
    if size == 0:
        members = np.zeros((1, 0), dtype=np.int32)
    else:
        smaller = colex_subsets(num_elements, size - 1)
        # The sets whose largest member is c are the first C(c, size - 1) smaller ones, plus c.
        blocks = [
            np.insert(smaller[: comb(largest, size - 1)], size - 1, largest, axis=1)
            for largest in range(size - 1, num_elements)
        ]
        members = np.concatenate(blocks) if blocks else np.zeros((0, size), dtype=np.int32)
    members.flags.writeable = False
    return members


@lru_cache(maxsize=4)
def colex_order(num_elements: int, max_size: int) -> np.ndarray:
    """Return the bit mask of every subset in colexicographic order.

    Within a size, colexicographic order is the increasing order of the bit masks.

    Returns
    -------
    ndarray of int64 [N]
        Member ``c`` is bit ``c``; read-only. For at most 30 elements.

    Examples
    --------
    >>> colex_order(3, 2)
    array([0, 1, 2, 4, 3, 5, 6])
    """
    size = np.bitwise_count(np.arange(2**num_elements, dtype=np.uint32))
    order = np.argsort(size, kind="stable")[: num_subsets(num_elements, max_size)]
    order.flags.writeable = False
    return order


def member_sums(values: np.ndarray, max_size: int) -> np.ndarray:
    """Return the sum of the members' values of every subset with at most ``max_size`` members.

    Parameters
    ----------
    values : array of float64 [m]
    max_size : int

    Returns
    -------
    ndarray of float64 [N]
        In the order of `subset_masks`.

    Examples
    --------
    >>> member_sums(np.array([1.0, 10.0, 100.0]), 2).astype(int).tolist()
    [0, 1, 10, 100, 11, 101, 110]
    """
    sums = [np.zeros(1)]
    for size in range(1, min(max_size, len(values)) + 1):
        # The sets whose largest member is c are the first C(c, size - 1) smaller ones, plus c.
        blocks = [
            sums[-1][: comb(largest, size - 1)] + values[largest]
            for largest in range(size - 1, len(values))
        ]
        sums.append(np.concatenate(blocks))
    return np.concatenate(sums)


def subset_masks(num_elements: int, max_size: int) -> np.ndarray:
    """Return every subset with at most ``max_size`` members as a row, bool [N, num_elements].

    Examples
    --------
    >>> subset_masks(2, 2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    offsets = size_offsets(num_elements, min(max_size, num_elements))
    masks = np.zeros((offsets[-1], num_elements), dtype=bool)
    for size in range(1, len(offsets) - 1):
        np.put_along_axis(
            masks[offsets[size] : offsets[size + 1]],
            colex_subsets(num_elements, size),
            True,
            axis=1,
        )
    return masks


def subset_ranks(masks: np.ndarray) -> np.ndarray:
    """Return the number of each subset, the inverse of `subset_masks`.

    Parameters
    ----------
    masks : array of bool [..., m]
        One row per subset.

    Returns
    -------
    ndarray of int64 [...]

    Examples
    --------
    >>> subset_ranks(subset_masks(4, 3))
    array([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14])
    """
    masks = np.asarray(masks, dtype=bool)
    num_elements = masks.shape[-1]
    position = np.cumsum(masks, axis=-1)
    size = position[..., -1] if num_elements else np.zeros(masks.shape[:-1], dtype=np.int64)
    largest = int(size.max(initial=0))
    terms = binomials(num_elements, largest)[np.arange(num_elements), position]
    return size_offsets(num_elements, largest)[size] + np.sum(terms * masks, axis=-1)
