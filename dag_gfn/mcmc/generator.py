"""Random numbers inside compiled loops: one generator a chain, so that any run can be repeated.

The generator is xoshiro256++ (Blackman and Vigna 2021, "Scrambled linear pseudorandom number
generators", ACM TOMS 47).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["generators", "integer", "uniform"]


def generators(seed: int, num_chains: int) -> NDArray[np.uint64]:
    """Return the states of independent generators, uint64 [C, 4].

    Examples
    --------
    >>> generators(0, 3).shape
    (3, 4)
    """
    sequences = np.random.SeedSequence(seed).spawn(num_chains)
    return np.array([sequence.generate_state(4, np.uint64) for sequence in sequences])


@numba.njit(nogil=True)
def _rotated(word, places):
    return (word << np.uint64(places)) | (word >> np.uint64(64 - places))


@numba.njit(nogil=True)
def uniform(generator):
    """Draw a number from [0, 1); `generator` is uint64 [4] and moves on."""
    first, second, third, fourth = generator[0], generator[1], generator[2], generator[3]
    word = _rotated(first + fourth, 23) + first
    third ^= first
    fourth ^= second
    generator[0] = first ^ fourth
    generator[1] = second ^ third
    generator[2] = third ^ (second << np.uint64(17))
    generator[3] = _rotated(fourth, 45)
    return np.int64(word >> np.uint64(11)) * 2.0**-53


@numba.njit(nogil=True)
def integer(generator, bound):
    """Draw an integer from 0 to bound - 1."""
    return np.int64(uniform(generator) * bound)
