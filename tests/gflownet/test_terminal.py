from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.exact import enumerate_posterior
from dag_gfn.gflownet import (
    POLICIES,
    draw_posterior,
    estimated_log_prob,
    exact_log_prob,
    terminal_distribution,
)
from dag_gfn.graphs import all_dags
from dag_gfn.metrics import total_variation

CONSTRAINED = {"forbidden_edges": [(0, 1)], "required_edges": [(2, 0)], "max_parents": 2}


def test_exact_flow_ends_in_the_posterior(tabular, gaussian_scores):
    for words in ({}, CONSTRAINED):
        scores = gaussian_scores(4, **words)
        table = tabular(scores)
        flow = table.flow(*table.exact())
        graphs, log_prob = terminal_distribution(flow, scores)
        expected = scores.log_score(graphs) - enumerate_posterior(scores).log_evidence
        allowed = np.isfinite(expected)
        np.testing.assert_allclose(log_prob[allowed], expected[allowed], atol=1e-4)
        np.testing.assert_array_equal(log_prob[~allowed], -np.inf)
        # All orders of the edges are then alike, so that one trajectory tells the probability.
        some = np.flatnonzero(allowed)[::40]
        estimate = estimated_log_prob(flow, scores, graphs[some], num_trajectories=2)
        np.testing.assert_allclose(estimate, expected[some], atol=1e-4)


@pytest.mark.parametrize("words", [{}, CONSTRAINED], ids=["none", "all"])
@pytest.mark.parametrize("policy", POLICIES)
def test_terminal_distribution_is_where_the_policy_ends(
    policy, words, small_of, gaussian_scores, untrained
):
    scores = gaussian_scores(4, num_rows=15, **words)
    flow = untrained(scores, small_of(policy), noise=0.1)
    graphs, log_prob = terminal_distribution(flow, scores)
    allowed = np.isfinite(scores.log_score(graphs))
    np.testing.assert_array_equal(np.isfinite(log_prob), allowed)
    probability = np.exp(log_prob)
    assert abs(probability.sum() - 1) < 1e-5
    np.testing.assert_array_equal(exact_log_prob(flow, scores, graphs[::-1]), log_prob[::-1])

    num_draws = 256 * 40
    drawn = draw_posterior(flow, scores, num_draws).adjacency.reshape(num_draws, -1)
    bit = 2 ** np.arange(16)
    code = graphs.reshape(len(graphs), -1) @ bit
    order = np.argsort(code)
    place = order[np.searchsorted(code, drawn @ bit, sorter=order)]
    frequency = np.bincount(place, minlength=len(graphs)) / num_draws
    # The total variation of that many draws from their own distribution is about
    # sum sqrt(p (1 - p) 2 / (pi N)) / 2, and deviates little.
    expected = np.sqrt(probability * (1 - probability) * 2 / (np.pi * num_draws)).sum() / 2
    distance = np.abs(frequency - probability).sum() / 2
    assert 0.5 * expected < distance < 1.5 * expected
    standard_error = np.sqrt(probability * (1 - probability) / num_draws)
    assert (np.abs(frequency - probability) <= 5 * standard_error + 5 / num_draws).all()

    # Trajectories drawn backward estimate the same, for graphs of all sizes.
    some = np.flatnonzero(allowed)
    some = some[np.argsort(graphs[some].sum(axis=(1, 2)), kind="stable")][:: len(some) // 5]
    repeats = np.exp(
        [estimated_log_prob(flow, scores, graphs[some], seed=seed) for seed in range(12)]
    )
    error = np.abs(repeats.mean(axis=0) - probability[some])
    standard_error = repeats.std(axis=0, ddof=1) / np.sqrt(12)
    # Twelve repeats: limits from Student's t with 11 degrees of freedom.
    assert (error <= 7 * standard_error + 1e-5 * probability[some]).all()
    assert (standard_error < 0.1 * probability[some]).all()


def test_graphs_that_break_the_constraints_are_never_reached(small, gaussian_scores, untrained):
    scores = gaussian_scores(4, num_rows=15, **CONSTRAINED)
    flow = untrained(scores, small, noise=0.1)
    graphs = all_dags(4)
    allowed = np.isfinite(scores.log_score(graphs))
    log_prob = exact_log_prob(flow, scores, graphs)
    np.testing.assert_array_equal(np.isfinite(log_prob), allowed)
    broken = graphs[~allowed][:3]
    np.testing.assert_array_equal(estimated_log_prob(flow, scores, broken), -np.inf)


def test_five_variables_are_propagated_and_six_refused(small, gaussian_scores, untrained):
    scores = gaussian_scores(5)
    flow = untrained(scores, small, noise=0.0)
    graphs, log_prob = terminal_distribution(flow, scores)
    assert len(graphs) == 29_281
    assert abs(np.exp(log_prob).sum() - 1) < 1e-5
    assert 0 < total_variation(log_prob, scores.log_score(graphs)) < 1
    scores = gaussian_scores(6)
    with pytest.raises(ValueError, match="at most 5 variables, and here are 6"):
        terminal_distribution(flow, scores)
