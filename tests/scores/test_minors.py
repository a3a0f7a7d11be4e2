"""Principal minors against determinants of submatrices."""

from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.scores.minors import (
    as_correlation,
    log_minors,
    subset_minors,
    subset_sums,
    unexplained_shares,
)


@pytest.fixture
def scale() -> np.ndarray:
    factor = np.random.default_rng(0).normal(size=(6, 9))
    return factor @ factor.T


def log_det(scale: np.ndarray, members: np.ndarray) -> float:
    return np.linalg.slogdet(scale[np.ix_(members, members)])[1] if len(members) else 0.0


@pytest.mark.parametrize("num_fixed", [0, 2])
def test_every_subset(scale: np.ndarray, num_fixed: int) -> None:
    found = subset_minors(scale, num_fixed)
    for mask in range(2 ** (5 - num_fixed)):
        free = num_fixed + np.flatnonzero([mask >> bit & 1 for bit in range(5 - num_fixed)])
        members = np.concatenate([np.arange(num_fixed), free])
        expected = log_det(scale, members)
        assert found[0][mask] == pytest.approx(expected, abs=1e-11)
        expected = log_det(scale, np.append(members, 5)) - expected
        assert found[1][mask] == pytest.approx(expected, abs=1e-11)


def test_listed_families(scale: np.ndarray) -> None:
    families = np.array([[0, 3, 1], [5, 4, 2]])
    found = log_minors(scale, families)
    for k, family in enumerate(families):
        assert found[0][k] == pytest.approx(log_det(scale, family[:2]), abs=1e-11)
        expected = log_det(scale, family) - log_det(scale, family[:2])
        assert found[1][k] == pytest.approx(expected, abs=1e-11)


def test_sums_of_every_subset() -> None:
    np.testing.assert_array_equal(subset_sums(np.array([1.0, 2, 4])), np.arange(8))


def test_shares_are_one_minus_the_multiple_correlation(scale: np.ndarray) -> None:
    weights = np.linalg.solve(scale[:5, :5], scale[:5, 5])
    expected = 1 - weights @ scale[:5, 5] / scale[5, 5]
    assert unexplained_shares(scale)[5] == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(unexplained_shares(np.diag([1.0, 1e9, 1e-9])), 1, rtol=1e-12)
    np.testing.assert_array_equal(unexplained_shares(np.ones((2, 2))), 0)


def test_correlations_have_unit_diagonal(scale: np.ndarray) -> None:
    stacked = as_correlation(np.stack([scale, 4 * scale]))
    np.testing.assert_allclose(np.diagonal(stacked, axis1=1, axis2=2), 1)
    np.testing.assert_allclose(stacked[0], stacked[1])
