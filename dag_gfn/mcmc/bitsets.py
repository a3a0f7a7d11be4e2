"""Sets of variables as words of 64 bits, in compiled loops.

Variable ``i`` is bit ``i % 64`` of word ``i // 64``. Glossary: ``d`` variables, ``W`` words.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

__all__ = ["contains", "descendants", "lowest_bit", "num_words", "reaches", "size", "toggle"]


def num_words(num_variables: int) -> int:
    """Return the number of words of a set of variables.

    Examples
    --------
    >>> num_words(64), num_words(65)
    (1, 2)
    """
    return -(-num_variables // 64)


@intrinsic
def _count_trailing_zeros(typingctx, word):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], context.get_constant(types.boolean, 1))

    return word(word), generate


@numba.njit(nogil=True)
def lowest_bit(word):
    """Return the position of the lowest bit that is set, int64; the word must not be zero."""
    return np.int64(_count_trailing_zeros(np.uint64(word)))


@intrinsic
def _count_ones(typingctx, word):
    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return word(word), generate


@numba.njit(nogil=True)
def size(mask):
    """Return how many bits are set, int64."""
    return np.int64(_count_ones(np.uint64(mask)))


@numba.njit(nogil=True)
def contains(words, variable):
    """Return whether a set, uint64 [W], has the variable."""
    return (words[variable >> 6] >> np.uint64(variable & 63)) & np.uint64(1) != np.uint64(0)


@numba.njit(nogil=True)
def toggle(words, variable):
    """Put the variable into a set, uint64 [W], or take it out."""
    words[variable >> 6] ^= np.uint64(1) << np.uint64(variable & 63)


@numba.njit(nogil=True)
def reaches(children, start, target, reached, frontier):
    """Return whether there is a directed path from `start` to another variable, `target`.

    Parameters
    ----------
    children : uint64 [d, W]
    start, target : int
    reached, frontier : uint64 [W]
        Scratch.

    Returns
    -------
    bool
    """
    count = len(reached)
    for index in range(count):
        reached[index] = children[start, index]
        frontier[index] = reached[index]
    index = 0
    while not contains(reached, target):
        while index < count and frontier[index] == 0:
            index += 1
        if index == count:
            return False
        index = _grow(children, index, reached, frontier)
    return True


@numba.njit(nogil=True)
def descendants(children, start, without, reached, frontier):
    """Write the descendants of `start` in the graph that has lost the variable `without`.

    Parameters
    ----------
    children : uint64 [d, W]
    start, without : int
    reached : uint64 [W]
        Written to.
    frontier : uint64 [W]
        Scratch.
    """
    count = len(reached)
    reached[:] = 0
    toggle(reached, without)
    for index in range(count):
        frontier[index] = children[start, index] & ~reached[index]
        reached[index] |= frontier[index]
    index = 0
    while index < count:
        if frontier[index] == 0:
            index += 1
        else:
            index = _grow(children, index, reached, frontier)
    toggle(reached, without)


@numba.njit(nogil=True)
def _grow(children, index, reached, frontier):
    """Add the children of a variable in one word of the frontier; return the first word to do."""
    variable = 64 * index + lowest_bit(frontier[index])
    frontier[index] &= frontier[index] - np.uint64(1)
    first = index
    for other in range(len(reached)):
        new = children[variable, other] & ~reached[other]
        if new != 0:
            reached[other] |= new
            frontier[other] |= new
            first = min(first, other)
    return first
