"""Sums over sets of variables against enumeration, closed forms and other orders of the columns."""

from __future__ import annotations

import itertools
from math import log

import numpy as np
import pytest

from dag_gfn.exact import enumerate_posterior, exact_marginals, subset_sums
from dag_gfn.exact.parent_sums import node_scores, parent_sums, zeta_stages
from dag_gfn.exact.subset_dp import blocks
from dag_gfn.graphs import all_dags
from dag_gfn.scores import PRIORS, local_scores

CONSTRAINTS = {
    "required": {"required_edges": [(0, 2), (3, 1)]},
    "forbidden": {"forbidden_edges": [(0, 1), (2, 0), (4, 3)]},
    "one parent": {"max_parents": 1},
    "no parents": {"max_parents": 0},
    "all": {"required_edges": [(4, 0)], "forbidden_edges": [(0, 1), (1, 0)], "max_parents": 2},
    "no edge but one": {"forbidden_edges": np.eye(5) == 0, "prior": "edge"},
    "interventions": {"interventions": [0] * 10 + [3] * 10 + [None] * 20},
}


class AllEqual:
    """A score that says nothing, so that the evidence counts DAGs."""

    def __init__(self, num_variables):
        self.num_variables = num_variables

    def prepare(self, frame, targets):
        return self

    def log_marginals(self, node, parent_sets):
        return np.zeros(len(parent_sets))

    def log_marginals_of_subsets(self, node, candidates, max_size, base=()):
        from dag_gfn.scores.subsets import num_subsets

        return np.zeros(num_subsets(len(candidates), max_size))


def assert_agree(scores, tolerance=1e-9):
    expected = enumerate_posterior(scores)
    sums = subset_sums(scores)
    marginals = exact_marginals(scores.num_variables, sums)
    np.testing.assert_allclose(sums.log_evidence, expected.log_evidence, rtol=0, atol=tolerance)
    np.testing.assert_allclose(marginals.edges, expected.edge_marginals(), rtol=0, atol=tolerance)
    np.testing.assert_allclose(marginals.paths, expected.path_marginals(), rtol=0, atol=tolerance)
    assert 0 < marginals.error_estimate < 1e-10


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("score", ["bge", "bde"])
def test_five_variables_agree_with_enumeration(score, seed, measurements, categories):
    table = {"bge": measurements, "bde": categories}[score](5, 20 * 3 ** (seed % 4), seed)
    assert_agree(local_scores(table, score, prior=list(PRIORS)[seed % len(PRIORS)]))


@pytest.mark.parametrize("d", [2, 3, 4])
def test_fewer_variables_agree_with_enumeration(d, measurements, categories):
    assert_agree(local_scores(measurements(d)))
    assert_agree(local_scores(categories(d), "bde", prior="fair"))


@pytest.mark.parametrize("words", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_constraints_agree_with_enumeration(words, measurements):
    assert_agree(local_scores(measurements(5), **words))


def test_scores_far_apart_neither_overflow_nor_vanish(measurements):
    table = measurements(5, num_rows=20_000)
    scores = local_scores(table)
    assert np.ptp(scores.table()) > 5000  # nats; float64 ends at about 700
    assert_agree(scores)


def test_evidence_of_a_constant_score_counts_dags():
    # 1, 3, 25, 543, 29 281, 3 781 503, 1 138 779 265: OEIS A003024.
    for d, count in ((4, 543), (5, 29_281), (6, 3_781_503), (7, 1_138_779_265)):
        table = np.random.default_rng(0).normal(size=(10, d))
        scores = local_scores(table, score=AllEqual(d))
        sums = subset_sums(scores)
        assert sums.log_evidence == pytest.approx(log(count), abs=1e-12)
        # By symmetry all edges are as probable; the known number of edges gives how probable.
        edges = exact_marginals(d, sums).edges[~np.eye(d, dtype=bool)]
        assert np.ptp(edges) < 1e-13
        if d <= 5:
            np.testing.assert_allclose(edges, all_dags(d).sum() / count / (d * (d - 1)), rtol=1e-12)


def test_independent_parts_factorise(measurements):
    first, second = measurements(4, seed=1), measurements(3, seed=2)
    apart = np.zeros((7, 7), dtype=bool)
    apart[:4, 4:] = apart[4:, :4] = True
    both = np.column_stack([first, second])
    words = {"prior": "edge", "score_params": {"alpha_w": 12.0, "T": 0.5}}
    whole = local_scores(both, forbidden_edges=apart, **words)
    sums = subset_sums(whole)
    marginals = exact_marginals(7, sums)
    total = 0.0
    for part in (range(4), range(4, 7)):
        # The other columns stay in the table, cut off: BGe depends on their number.
        cut = np.ones((7, 7), dtype=bool)
        cut[np.ix_(part, part)] = False
        alone = subset_sums(
            local_scores(both, forbidden_edges=cut & ~np.eye(7, dtype=bool), **words)
        )
        np.testing.assert_allclose(
            exact_marginals(7, alone).edges[np.ix_(part, part)],
            marginals.edges[np.ix_(part, part)],
            atol=1e-12,
        )
        total += alone.log_evidence
    empty = sum(whole.local_score(j, []) for j in range(7))
    assert sums.log_evidence == pytest.approx(total - empty, abs=1e-9)
    assert np.all(marginals.paths[:4, 4:] <= marginals.error_estimate)


@pytest.mark.parametrize("d", [8, 11])
@pytest.mark.parametrize("prior", ["uniform", "fair"])
def test_order_of_the_columns_changes_nothing_beyond_the_reported_error(d, prior, measurements):
    table = measurements(d, num_rows=60)
    order = np.random.default_rng(1).permutation(d)
    sums, shuffled = (
        subset_sums(local_scores(t, prior=prior, max_parents=6))
        for t in (table, table.iloc[:, order])
    )
    assert shuffled.log_evidence == pytest.approx(sums.log_evidence, abs=1e-10)
    one, other = (exact_marginals(d, s) for s in (sums, shuffled))
    error = one.error_estimate + other.error_estimate
    assert error < 1e-9
    assert np.abs(one.edges[np.ix_(order, order)] - other.edges).max() <= error
    assert np.abs(one.paths[np.ix_(order, order)] - other.paths).max() <= error


def test_error_estimate_grows_with_cancellation(measurements):
    # Where hardly anything has a parent, sums over sets of roots are of 2^d terms near one.
    noise = np.random.default_rng(0).normal(size=(50, 10))
    chain = np.cumsum(noise, axis=1)
    errors = []
    for table in (noise, chain):
        sums = subset_sums(local_scores(table, prior="fair"))
        errors.append(exact_marginals(10, sums).error_estimate)
    assert errors[0] > 10 * errors[1]


def test_ancestral_sets_have_the_probability_that_enumeration_gives(measurements):
    scores = local_scores(measurements(4))
    posterior = enumerate_posterior(scores)
    ancestral = exact_marginals(4, subset_sums(scores)).ancestral
    for mask in range(16):
        inside = np.array([mask >> j & 1 for j in range(4)], dtype=bool)
        enters = posterior.adjacency[:, ~inside][:, :, inside].any(axis=(1, 2))
        assert ancestral[mask] == pytest.approx(posterior.weights[~enters].sum(), abs=1e-12)


def test_parent_sums_by_hand(measurements):
    scores = local_scores(
        measurements(5), required_edges=[(0, 2)], forbidden_edges=[(3, 2)], max_parents=2
    )
    values = node_scores(scores, 2)  # free candidates 1 and 4, with 0 always a parent
    expected = [scores.local_score(2, parents) for parents in ([0], [0, 1], [0, 4])]
    np.testing.assert_allclose(values, [*expected, -np.inf], rtol=1e-12)
    stages = zeta_stages(values)
    assert stages.shape == (3, 4)
    np.testing.assert_array_equal(stages[0], values)
    np.testing.assert_allclose(stages[1, 3], expected[2], rtol=1e-12)
    np.testing.assert_allclose(stages[2, 3], np.logaddexp.reduce(expected), rtol=1e-12)
    sums = parent_sums(scores)
    start = sums.start[2]
    np.testing.assert_allclose(sums.log_sums[start : start + 4] + sums.log_scale[2], stages[2])


@pytest.mark.parametrize("d", [2, 5, 9])
def test_blocks_hold_all_sets_and_count_their_terms(d):
    found = blocks(d)
    assert list(itertools.chain(*(range(first, last) for first, last, _ in found))) == list(
        range(2**d)
    )
    assert sum(num_terms for _, _, num_terms in found) == 3**d
    for first, last, num_terms in found:
        assert num_terms == sum(2 ** (d - mask.bit_count()) for mask in range(first, last))
