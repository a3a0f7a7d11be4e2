"""Sums over parent sets, and sets drawn by them, against lists of all sets."""

from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.mcmc.candidates import CandidateTable
from dag_gfn.mcmc.generator import generators
from dag_gfn.mcmc.reversal import _drawn, _log_sum_with, _mass, parent_sums

MASKS = np.arange(2**6)


@pytest.fixture(params=[1.0, 10.0, 1000.0], ids=lambda spread: f"spread {spread:g}")
def table(request) -> CandidateTable:
    """Two nodes with six candidates, scores spread over nats, some of them excluded."""
    rng = np.random.default_rng(0)
    log_scores = rng.normal(size=(2, 2**6)) * request.param - 5000
    log_scores[rng.random((2, 2**6)) < 0.2] = -np.inf
    log_scores[:, 0] = -5000
    candidates = np.array([[1, 2, 3, 4, 5, 6], [0, 2, 3, 4, 5, 6]])
    return CandidateTable(candidates, log_scores)


def sets_between(forced: int, within: int) -> np.ndarray:
    return MASKS[((MASKS & forced) == forced) & ((MASKS & ~within) == 0)]


def test_sums_over_all_subsets(table):
    log_sums = parent_sums(table).log_sums
    for node in range(2):
        for within in MASKS:
            values = table.log_scores[node, sets_between(0, within)]
            expected = np.logaddexp.reduce(values)
            np.testing.assert_allclose(log_sums[node, within], expected, rtol=1e-15)


def test_sums_with_forced_members(table):
    log_sums = parent_sums(table).log_sums[0]
    log_scores = table.log_scores[0]
    for within in MASKS:
        for forced in MASKS[(MASKS & within) == MASKS]:
            terms = np.exp(log_scores[sets_between(forced, within)] - log_sums[within])
            mass = _mass(log_scores, log_sums, forced, within ^ forced, log_sums[within])
            assert abs(mass - terms.sum()) < 1e-10
        for bit in range(6):
            flag = 1 << bit
            if within & flag:
                expected = np.logaddexp.reduce(log_scores[sets_between(flag, within)])
                found = _log_sum_with(log_sums, within, flag)
                if found == -np.inf:
                    assert expected < log_sums[within] + np.log(1.01e-6)
                else:
                    assert abs(found - expected) < 1e-5


@pytest.mark.parametrize(("forced", "within"), [(0, 63), (2, 63), (2, 0b10111), (0, 0b11)])
def test_sets_are_drawn_in_proportion(table, forced, within):
    sums = parent_sums(table)
    possible = sets_between(forced, within)
    log_weights = table.log_scores[0, possible]
    if np.logaddexp.reduce(log_weights) < sums.log_sums[0, within] + np.log(1e-6):
        return  # the move is refused there
    probability = np.exp(log_weights - np.logaddexp.reduce(log_weights))
    generator = generators(1, 1)[0]
    num_draws = 20_000
    drawn = [
        _drawn(
            table.log_scores[0],
            sums.log_sums[0],
            sums.order[0],
            np.int64(forced),
            np.int64(within ^ forced),
            generator,
        )
        for _ in range(num_draws)
    ]
    counts = np.bincount(drawn, minlength=2**6)
    assert counts[possible].sum() == num_draws
    error = np.sqrt(probability * (1 - probability) * num_draws)
    assert np.all(np.abs(counts[possible] - probability * num_draws) <= 5 * error + 2)
