from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.mcmc.candidates import CandidateTable, candidate_table
from dag_gfn.mcmc.generator import generators
from dag_gfn.mcmc.parent_sums import (
    candidates_before,
    draw_parent_set,
    log_sum_meeting,
    parent_sums,
)
from dag_gfn.scores import local_scores


def subsets(mask):
    return [subset for subset in range(mask + 1) if subset & ~mask == 0]


def measurements(d, num_rows=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(num_rows, d)) @ (np.eye(d) + np.triu(np.ones((d, d)), 1) / 2)


def constrained_scores():
    return local_scores(
        measurements(5), required_edges=[("X0", "X1")], forbidden_edges=[("X3", "X1")],
        max_parents=2,
    )  # fmt: skip


# Scores of one node that span more than the numbers above zero in float64 do, some of them -inf.
STEEP = np.random.default_rng(1).normal(scale=600, size=(1, 16))
STEEP[0, [3, 9]] = -np.inf


@pytest.mark.parametrize(
    "table",
    [
        candidate_table(local_scores(measurements(5))),
        candidate_table(constrained_scores()),
        CandidateTable(np.arange(1, 5)[None], STEEP),
    ],
    ids=["all", "constrained", "steep"],
)
def test_every_sum_by_hand(table):
    sums = parent_sums(table)
    for node, log_scores in enumerate(table.log_scores):
        for mask in range(len(log_scores)):
            expected = logsumexp(log_scores[subsets(mask)])
            assert sums.log_sums[node, mask] == pytest.approx(expected, rel=1e-13, abs=1e-12)
            for part in subsets(mask):
                meeting = [subset for subset in subsets(mask) if subset & ~part]
                expected = logsumexp([-np.inf, *log_scores[meeting]])
                found = log_sum_meeting(sums.log_sums[node], mask, part)
                if expected == -np.inf:
                    assert found == -np.inf
                    continue
                share = np.exp(expected - sums.log_sums[node, mask])
                if share > 1e-11:  # smaller ones count as nothing
                    # Two logarithms of up to 2 000 are right to about 1e-12.
                    assert found == pytest.approx(expected, abs=1e-12 * (1 + 1 / share))


def test_padding_never_comes_before_the_node():
    table = CandidateTable(
        np.array([[1, 2], [0, -1], [-1, -1]]),
        np.array([[0.0, 1, 2, 3], [0, 1, -np.inf, -np.inf], [0, -np.inf, -np.inf, -np.inf]]),
    )
    sums = parent_sums(table)
    place = np.array([2, 0, 1])
    assert candidates_before(sums.candidates[0], place, 2) == 0b11
    assert candidates_before(sums.candidates[0], place, 1) == 0b01
    assert candidates_before(sums.candidates[1], place, 0) == 0
    for bound in range(3):
        assert candidates_before(sums.candidates[2], place, min(bound, 1)) == 0


@pytest.mark.parametrize(
    ("allowed", "distant"), [(15, 15), (13, 13), (15, 3), (14, 6), (0, 0), (9, 8)]
)
@pytest.mark.parametrize("steep", [False, True])
def test_parent_sets_are_drawn_by_weight(allowed, distant, steep):
    if steep:
        log_scores = np.random.default_rng(2).normal(scale=2, size=16) - 5_000
        log_scores[[5, 7]] = -np.inf
        sums = parent_sums(CandidateTable(np.arange(1, 5)[None], log_scores[None]))
        node = 0
    else:
        sums, node = parent_sums(candidate_table(constrained_scores())), 2
    log_scores = sums.log_scores[node]
    fitting = np.array([mask for mask in subsets(allowed) if allowed == distant or mask & ~distant])
    expected = np.zeros(16)
    expected[fitting] = np.exp(log_scores[fitting] - logsumexp(log_scores[fitting]))
    num_draws, generator = 4_000, generators(0, 1)[0]
    drawn = [
        draw_parent_set(log_scores, sums.log_sums[node], allowed, distant, generator)
        for _ in range(num_draws)
    ]
    found = np.bincount(drawn, minlength=16) / num_draws
    assert np.all(found[expected == 0] == 0)
    standard_error = np.sqrt(expected * (1 - expected) / num_draws)
    assert np.all(np.abs(found - expected) <= 5 * standard_error + 1 / num_draws)
