"""Independent draws against the exact law of graphs and against exact marginals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from dag_gfn.exact import draw_dags, enumerate_posterior, exact_marginals, subset_sums
from dag_gfn.graphs import dag_codes, is_acyclic, transitive_closure
from dag_gfn.scores import local_scores

WORDS = {
    "uniform": {},
    "sparse": {"prior": "fair"},
    "constrained": {
        "required_edges": [(0, 1), (2, 4)],
        "forbidden_edges": [(3, 0), (1, 2)],
        "max_parents": 2,
    },
}


def chi_squared(draws, posterior):
    """p-value of the counts of all graphs; those that are expected less than 5 times are pooled."""
    codes = dag_codes(posterior.adjacency)
    order = np.argsort(codes)
    drawn = dag_codes(draws)
    place = np.minimum(np.searchsorted(codes[order], drawn), len(codes) - 1)
    assert np.array_equal(codes[order][place], drawn)  # no graph of probability zero
    counts = np.bincount(order[place], minlength=len(codes))
    expected = posterior.weights * len(draws)
    common = expected >= 5
    counts = np.append(counts[common], counts[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    statistic = np.sum((counts - expected) ** 2 / expected)
    return chi2.sf(statistic, len(expected) - 1)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_draws_of_five_variables_follow_the_enumerated_law(words, measurements):
    scores = local_scores(measurements(5), **words)
    draws = draw_dags(scores, subset_sums(scores), 100_000, random_state=0)
    assert draws.adjacency.dtype == np.int8 and draws.adjacency.shape == (100_000, 5, 5)
    assert 0 <= draws.error_estimate < 1e-12
    posterior = enumerate_posterior(scores)
    # A true law fails once in 10 000 seeds.
    assert chi_squared(draws.adjacency, posterior) > 1e-4


def test_the_test_sees_a_law_that_is_slightly_wrong(measurements):
    scores = local_scores(measurements(5))
    draws = draw_dags(scores, subset_sums(scores), 100_000, random_state=0).adjacency
    other = enumerate_posterior(local_scores(measurements(5), prior="edge"))
    assert chi_squared(draws, other) < 1e-10


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_draws_agree_with_marginals(words, measurements):
    d, num_samples = 10, 20_000
    scores = local_scores(measurements(d), **words)
    sums = subset_sums(scores)
    marginals = exact_marginals(d, sums)
    draws = draw_dags(scores, sums, num_samples, random_state=1).adjacency
    assert is_acyclic(draws).all()
    for found, expected in (
        (draws, marginals.edges),
        (transitive_closure(draws), marginals.paths),
    ):
        limit = 5 * np.sqrt(expected * (1 - expected) / num_samples) + 1e-9
        # A rare event is Poisson: five standard errors and five counts.
        assert np.all(np.abs(found.mean(axis=0) - expected) <= limit + 5 / num_samples)
    # Draws are independent: neighbours in the list agree no more than any two.
    edges = draws.reshape(num_samples, -1).astype(float)
    edges -= edges.mean(axis=0)
    products = np.sum(edges[1:] * edges[:-1], axis=1)
    assert abs(products.mean()) <= 5 * products.std() / np.sqrt(num_samples)
    scores.log_score(draws)  # every graph has a score
    assert np.isfinite(scores.log_score(draws)).all()


def test_one_allowed_graph_is_drawn_every_time(measurements):
    d = 7
    order = np.random.default_rng(0).permutation(d)
    required = list(zip(order[:-1], order[1:], strict=True))
    chain = np.zeros((d, d), dtype=bool)
    for cause, effect in required:
        chain[cause, effect] = True
    scores = local_scores(
        measurements(d), required_edges=chain, forbidden_edges=~chain & ~np.eye(d, dtype=bool)
    )
    sums = subset_sums(scores)
    assert sums.log_evidence == pytest.approx(scores.log_score(chain), rel=1e-12)
    draws = draw_dags(scores, sums, 50, random_state=0).adjacency
    np.testing.assert_array_equal(draws, np.broadcast_to(chain, draws.shape))
    marginals = exact_marginals(d, sums)
    np.testing.assert_allclose(marginals.edges, chain, atol=1e-12)
    np.testing.assert_allclose(marginals.paths, transitive_closure(chain), atol=1e-12)


def test_same_seed_same_graphs(measurements):
    scores = local_scores(measurements(6))
    sums = subset_sums(scores)
    one, again, other = (
        draw_dags(scores, sums, 100, random_state=seed).adjacency for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert np.any(one != other)
