"""Sets of bits and random numbers of compiled loops against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.graphs import transitive_closure
from dag_gfn.mcmc.bitsets import (
    contains,
    descendants,
    lowest_bit,
    num_words,
    reaches,
    size,
    toggle,
)
from dag_gfn.mcmc.generator import generators, integer, uniform


@pytest.mark.parametrize("d", [5, 64, 70, 130])
def test_paths_are_those_of_the_closure(d):
    rng = np.random.default_rng(d)
    order = rng.permutation(d)
    adjacency = np.triu(rng.random((d, d)) < 1.5 / d, 1)[np.ix_(order, order)]
    children = np.zeros((d, num_words(d)), dtype=np.uint64)
    for cause, effect in np.argwhere(adjacency):
        toggle(children[cause], effect)
    reached, frontier = np.zeros((2, num_words(d)), dtype=np.uint64)
    closure = transitive_closure(adjacency.astype(np.int8))
    for start, target in rng.integers(d, size=(300, 2)):
        if start != target:
            found = reaches(children, start, target, reached, frontier)
            assert found == bool(closure[start, target])
    for start, without in rng.integers(d, size=(40, 2)):
        if start != without:
            rest = adjacency.copy()
            rest[without] = rest[:, without] = False
            descendants(children, start, without, reached, frontier)
            found = [contains(reached, variable) for variable in range(d)]
            assert found == transitive_closure(rest.astype(np.int8))[start].astype(bool).tolist()


def test_bits_of_masks():
    for mask in (1, 12, 2**62, 2**40 + 2**3, 2**63 - 1):
        assert size(mask) == mask.bit_count()
        assert lowest_bit(mask) == (mask & -mask).bit_length() - 1
    assert lowest_bit(np.uint64(2**63)) == 63 and size(0) == 0


def xoshiro(state: list[int]) -> int:
    """The reference implementation of Blackman and Vigna, in Python's integers."""
    limit = 2**64 - 1

    def rotated(word, places):
        return ((word << places) | (word >> (64 - places))) & limit

    word = (rotated((state[0] + state[3]) & limit, 23) + state[0]) & limit
    shifted = (state[1] << 17) & limit
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = rotated(state[3], 45)
    return word


def test_random_numbers_are_those_of_the_reference():
    states = generators(3, 2)
    for state in states:
        reference = [int(word) for word in state]
        for _ in range(1000):
            assert uniform(state) == (xoshiro(reference) >> 11) * 2.0**-53
    assert np.any(states[0] != states[1])
    np.testing.assert_array_equal(generators(3, 1)[0], generators(3, 2)[0])


def test_integers_are_uniform():
    state = generators(0, 1)[0]
    counts = np.bincount([integer(state, 7) for _ in range(70_000)], minlength=7)
    assert len(counts) == 7
    assert np.all(np.abs(counts - 10_000) < 5 * np.sqrt(10_000 * 6 / 7))
