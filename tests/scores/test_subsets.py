"""The numbering of subsets is a bijection."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from dag_gfn.scores.subsets import (
    binomials,
    colex_order,
    colex_subsets,
    num_subsets,
    size_offsets,
    subset_masks,
    subset_ranks,
)


@pytest.mark.parametrize(
    ("num_elements", "max_size"), [(0, 0), (1, 0), (1, 1), (5, 2), (7, 7), (30, 3)]
)
def test_ranks_invert_masks(num_elements: int, max_size: int) -> None:
    masks = subset_masks(num_elements, max_size)
    expected = {
        chosen for size in range(max_size + 1) for chosen in combinations(range(num_elements), size)
    }
    assert {tuple(np.flatnonzero(mask)) for mask in masks} == expected
    assert len(masks) == len(expected) == num_subsets(num_elements, max_size)
    np.testing.assert_array_equal(subset_ranks(masks), np.arange(len(masks)))


def test_ranks_of_any_shape() -> None:
    masks = np.random.default_rng(0).random((3, 4, 9)) < 0.5
    ranks = subset_ranks(masks)
    np.testing.assert_array_equal(subset_masks(9, 9)[ranks], masks)


@pytest.mark.parametrize("max_size", [0, 2, 6])
def test_bit_masks_have_the_same_order(max_size: int) -> None:
    bits = subset_masks(6, max_size) @ (1 << np.arange(6))
    np.testing.assert_array_equal(colex_order(6, max_size), bits)


def test_binomials_and_offsets() -> None:
    assert all(binomials(8, 4)[c, k] == comb(c, k) for c in range(8) for k in range(5))
    assert size_offsets(8, 4)[-1] == num_subsets(8, 4)


def test_too_few_elements_for_the_size() -> None:
    assert colex_subsets(2, 3).shape == (0, 3)
    assert num_subsets(2, 5) == 4
