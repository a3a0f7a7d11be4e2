"""Flows over canonical orders: densities, weights and training, against enumeration."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.graphs import all_dags
from dag_gfn.orderflow import (
    OrderSettings,
    draw_order_posterior,
    fit_order_flow,
    order_log_prob,
)
from dag_gfn.orderflow.training import init

SETTINGS = OrderSettings(width=16, batch_size=32)


@pytest.fixture(scope="module")
def trained(scores_of):
    scores = scores_of(4)
    return scores, fit_order_flow(scores, SETTINGS, num_updates=1000, seed=0)


def test_probabilities_of_all_graphs_sum_to_one(trained):
    scores, flow = trained
    log_prob = order_log_prob(flow, scores, all_dags(4))
    assert logsumexp(log_prob) == pytest.approx(0.0, abs=1e-4)


def test_probabilities_are_those_of_the_draws(trained):
    scores, flow = trained
    num_draws = 20_000
    draws = draw_order_posterior(flow, scores, num_draws, seed=1)
    graphs = all_dags(4)
    expected = np.exp(order_log_prob(flow, scores, graphs))
    bits = 1 << np.arange(16)
    code = graphs.reshape(-1, 16).astype(int) @ bits
    drawn = draws.adjacency.reshape(-1, 16).astype(int) @ bits
    count = np.array([np.sum(drawn == one) for one in code])
    assert count.sum() == num_draws
    often = num_draws * expected > 5
    statistic = np.sum((count - num_draws * expected)[often] ** 2 / (num_draws * expected)[often])
    # Chi-squared: its mean is the number of terms, its variance twice that.
    assert statistic < often.sum() + 5 * np.sqrt(2 * often.sum())
    log_prob = order_log_prob(flow, scores, draws.adjacency[:200])
    np.testing.assert_allclose(
        draws.log_weights[:200], scores.log_score(draws.adjacency[:200]) - log_prob, atol=1e-4
    )


def test_training_approaches_the_posterior(trained):
    scores, flow = trained
    log_scores = scores.log_score(all_dags(4))
    posterior = np.exp(log_scores - logsumexp(log_scores))

    def total_variation(params) -> float:
        log_prob = order_log_prob(flow._replace(params=params), scores, all_dags(4))
        return 0.5 * np.abs(np.exp(log_prob) - posterior).sum()

    untrained = init(flow.space, SETTINGS, jax.random.key(0)).params
    assert total_variation(flow.params) < 0.05 < total_variation(untrained)


def test_weights_correct_what_training_has_left(scores_of):
    scores = scores_of(4)
    flow = fit_order_flow(scores, SETTINGS, num_updates=200, seed=0)
    draws = draw_order_posterior(flow, scores, 20_000, seed=2)
    log_scores = scores.log_score(all_dags(4))
    assert draws.log_weights.std() > 0.1
    error = draws.log_evidence - logsumexp(log_scores)
    assert abs(error) < 5 * draws.log_evidence_standard_error < 0.25


@pytest.mark.parametrize(
    "constraints",
    [{"max_parents": 1}, {"required_edges": [(2, 0)], "forbidden_edges": [(0, 1), (3, 1)]}],
)
def test_constraints_hold_and_leave_the_restricted_posterior(scores_of, constraints):
    scores = scores_of(4, **constraints)
    flow = fit_order_flow(scores, SETTINGS, num_updates=400, seed=0)
    draws = draw_order_posterior(flow, scores, 4_000, seed=0)
    counted = draws.adjacency[np.isfinite(draws.log_weights)]
    assert np.all(np.isfinite(scores.log_score(counted)))
    graphs = all_dags(4)
    log_scores = scores.log_score(graphs)
    log_prob = order_log_prob(flow, scores, graphs)
    np.testing.assert_array_equal(np.isfinite(log_prob), np.isfinite(log_scores))
    exact = logsumexp(log_scores)
    assert abs(draws.log_evidence - exact) < 5 * draws.log_evidence_standard_error + 1e-6


def test_training_ends_soon_once_the_weights_are_nearly_equal(scores_of):
    patient, quick = (
        fit_order_flow(scores_of(3), SETTINGS, num_updates=3000, early_stopping=early, seed=0)
        for early in (False, True)
    )
    assert patient.history["update"].iloc[-1] == 3000
    good = quick.history["efficiency"] >= 0.99
    first = next(row for row in range(2, len(good)) if good[row - 2 : row + 1].all())
    # As much again, in which the rate falls to zero.
    assert len(quick.history) == 2 * (first + 1) < len(patient.history)
    assert np.array_equal(quick.history["loss"][: first + 1], patient.history["loss"][: first + 1])


def test_a_seed_reproduces_a_run(scores_of):
    scores = scores_of(3)
    one, same, other = (
        fit_order_flow(scores, SETTINGS, num_updates=200, seed=seed) for seed in (0, 0, 1)
    )
    for left, right in zip(jax.tree.leaves(one.params), jax.tree.leaves(same.params), strict=True):
        np.testing.assert_array_equal(left, right)
    assert one.history.loc[0, "loss"] != other.history.loc[0, "loss"]


def test_candidates_that_are_too_few_lead_to_dead_ends_that_do_not_count(scores_of):
    scores = scores_of(8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dag_gfn.mcmc.candidates.MAX_TABLE_ENTRIES", 8 * 2**6)
        flow = fit_order_flow(scores, SETTINGS, max_candidates=2, num_updates=200, seed=0)
    draws = draw_order_posterior(flow, scores, 4_000, seed=0)
    dead = np.isneginf(draws.log_weights)
    assert 0 < dead.mean() < 1
    live = draws.adjacency[~dead]
    np.testing.assert_allclose(
        draws.log_weights[~dead],
        scores.log_score(live) - order_log_prob(flow, scores, live),
        atol=1e-4,
    )
    assert np.isneginf(order_log_prob(flow, scores, np.triu(np.ones((1, 8, 8), np.int8), 1)))
