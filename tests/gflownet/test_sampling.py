from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.exact import enumerate_posterior
from dag_gfn.gflownet import POLICIES, draw_posterior, fit_flow
from dag_gfn.gflownet.sampling import log_weights, sample_trajectories
from dag_gfn.scores import PRIORS

TARGETS = [None] * 40 + [0] * 10 + [2] * 10


def assert_evidence_agrees(posterior, exact):
    """The mean weight, not its logarithm, is the evidence within five standard errors."""
    ratio = np.exp(posterior.log_weights - exact.log_evidence)
    standard_error = ratio.std() / np.sqrt(len(ratio))
    assert standard_error < 0.15
    assert abs(ratio.mean() - 1) < 5 * standard_error + 1e-4


def assert_marginals_agree(posterior, exact, *, resolution=0.15):
    error = posterior.edge_marginals() - exact.edge_marginals()
    # An edge that all draws agree on has an estimated error of zero; count one that does not.
    limit = 5 * np.maximum(posterior.edge_marginals_standard_error(), 1 / posterior.ess)
    assert limit.to_numpy().max() < resolution
    assert (error.abs() <= limit).to_numpy().all()


def test_weights_of_the_exact_flow_are_the_evidence(tabular, gaussian_scores):
    for words in ({}, {"required_edges": [(2, 0)], "max_parents": 1}):
        scores = gaussian_scores(4, **words)
        table = tabular(scores)
        posterior = draw_posterior(table.flow(*table.exact()), scores, 500)
        exact = enumerate_posterior(scores)
        np.testing.assert_allclose(posterior.log_weights, exact.log_evidence, atol=2e-4)
        assert_marginals_agree(posterior, exact)


@pytest.mark.parametrize("d", [3, 4])
def test_weights_of_a_blind_policy_are_unbiased(d, tabular, gaussian_scores, categorical_scores):
    for scores in (
        gaussian_scores(d, num_rows=10),
        gaussian_scores(d, num_rows=12, required_edges=[(1, 0)], forbidden_edges=[(0, 2)]),
        categorical_scores(d, num_rows=12),
    ):
        table = tabular(scores)
        posterior = draw_posterior(table.flow(*table.uniform()), scores, 10_000, seed=1)
        exact = enumerate_posterior(scores)
        assert np.std(posterior.log_weights) > 0.3
        assert_evidence_agrees(posterior, exact)
        assert_marginals_agree(posterior, exact)


@pytest.mark.parametrize("policy", POLICIES)
def test_weights_of_an_untrained_network_are_unbiased(policy, small_of, gaussian_scores, untrained):
    scores = gaussian_scores(4, num_rows=8)
    flow = untrained(scores, small_of(policy), noise=0.05)
    posterior = draw_posterior(flow, scores, 10_000)
    assert np.std(posterior.log_weights) > 0.01
    assert_evidence_agrees(posterior, enumerate_posterior(scores))
    # A network that knows nothing wastes most of its draws.
    assert_marginals_agree(posterior, enumerate_posterior(scores), resolution=0.4)


CASES = {
    "bge": ("bge", {}),
    "bde": ("bde", {}),
    **{prior: ("bge", {"prior": prior}) for prior in PRIORS if prior != "uniform"},
    "bde_fair": ("bde", {"prior": "fair", "prior_params": {}}),
    "forbidden": ("bge", {"forbidden_edges": [(0, 1), (3, 2)]}),
    "required": ("bde", {"required_edges": [(3, 1), (1, 0)]}),
    "interventions_bge": ("bge", {"interventions": TARGETS}),
    "interventions_bde": ("bde", {"interventions": TARGETS, "prior": "edge"}),
    "imperfect_bge": ("bge", {"interventions": TARGETS, "conditions": TARGETS}),
    "max_parents": ("bge", {"max_parents": 2, "required_edges": [(2, 3)]}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_briefly_trained_sampler_agrees_with_enumeration(
    case, small, gaussian_scores, categorical_scores
):
    score, words = CASES[case]
    scores = {"bge": gaussian_scores, "bde": categorical_scores}[score](4, num_rows=60, **words)
    flow = fit_flow(scores, small, num_updates=500, early_stopping=False)
    posterior = draw_posterior(flow, scores, 4000)
    exact = enumerate_posterior(scores)
    assert posterior.efficiency > 0.1
    assert_evidence_agrees(posterior, exact)
    assert_marginals_agree(posterior, exact)
    # What the constraints say holds of every draw.
    assert np.all(posterior.adjacency >= scores.required)
    assert not np.any(posterior.adjacency & scores.forbidden)
    assert posterior.adjacency.sum(axis=1).max() <= scores.max_parents
    # The differences that add up on the device are those of the host.
    drawn = jax.device_get(
        sample_trajectories(
            flow.problem, flow.gains_function, flow.settings, flow.params, jax.random.key(0)
        )
    )
    start = float(scores.log_score(scores.required))
    np.testing.assert_allclose(
        drawn.log_ratio, scores.log_score(drawn.adjacency) - start, atol=1e-3
    )
    np.testing.assert_array_equal(
        drawn.num_added, drawn.adjacency.sum(axis=(1, 2)) - scores.required.sum()
    )
    mean = logsumexp(log_weights(drawn)) - np.log(len(drawn.num_added)) + start
    assert abs(mean - exact.log_evidence) < 0.5


@pytest.mark.parametrize("num_samples", [1, 255, 256, 257])
def test_as_many_draws_as_asked_for_and_the_seed_fixes_them(
    num_samples, small, gaussian_scores, untrained
):
    scores = gaussian_scores(4)
    flow = untrained(scores, small)
    one, again, other = (draw_posterior(flow, scores, num_samples, seed=s) for s in (3, 3, 4))
    assert len(one) == num_samples
    np.testing.assert_array_equal(one.adjacency, again.adjacency)
    np.testing.assert_array_equal(one.log_weights, again.log_weights)
    assert num_samples == 1 or np.any(one.log_weights != other.log_weights)
    assert one.names == scores.names and not one.exact
