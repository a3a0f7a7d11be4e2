from __future__ import annotations

import warnings

import numpy as np
import pytest

from dag_gfn.diagnostics import (
    KHAT_LIMIT,
    UntrustedPosteriorWarning,
    assess,
    warn_if_untrusted,
)
from dag_gfn.posterior import Posterior


def posterior_with(log_weights, num_variables=3):
    log_weights = np.asarray(log_weights, float)
    graphs = np.zeros((len(log_weights), num_variables, num_variables), np.int8)
    return Posterior(graphs, log_weights, [f"x{i}" for i in range(num_variables)])


def normal_weights(spread, num_draws=1_000):
    return np.random.default_rng(0).normal(0, spread, num_draws)


@pytest.mark.parametrize(
    ("log_weights", "level", "says"),
    [
        (normal_weights(0.3), "good", "can be trusted"),
        (np.r_[-np.ones(500), np.zeros(500)], "good", "no draw stands out"),
        (normal_weights(0.3, 60), "fair", "More draws"),
        (np.zeros(1_000), "fair", "another random_state"),
        (normal_weights(5.0), "poor", "Train longer"),
        (normal_weights(4_000.0), "poor", "outweigh all the others"),
        (normal_weights(1.0, 20), "poor", "fewer than 25 draws"),
        (np.r_[np.full(9_950, -30.0), np.zeros(50)], "poor", "Hardly any draw counts"),
    ],
)
def test_levels_and_words(log_weights, level, says):
    trust = assess(posterior_with(log_weights))
    assert trust.level == level
    assert says in str(trust)
    assert all(sentence.endswith(".") for sentence in trust.sentences)


def test_khat_that_few_draws_cannot_bear_is_only_fair():
    # 200 draws bear 1 - 1 / log10(200) = 0.565; the quantiles of a Pareto tail of shape 0.65 are
    # above it
    weights = (1 - (np.arange(200) + 0.5) / 200) ** -0.65
    posterior = posterior_with(np.log(weights))
    assert 0.57 < posterior.khat < 0.69
    trust = assess(posterior)
    assert trust.level == "fair"
    assert "above the 0.57 that 200 draws can bear" in str(trust)


def test_numbers_in_the_sentences_are_those_of_the_posterior():
    posterior = posterior_with(normal_weights(0.5))
    text = str(assess(posterior))
    assert f"k-hat is {posterior.khat:.2f}" in text
    assert f"worth {posterior.ess:.0f}" in text
    assert f"at most {0.5 / np.sqrt(posterior.ess):.2g}" in text


def test_remedies_fit_the_number_of_variables():
    heavy = normal_weights(5.0)
    assert "ExactPosterior" in str(assess(posterior_with(heavy, 20)))
    assert "ExactPosterior" not in str(assess(posterior_with(heavy, 21)))
    assert "max_parents" in str(assess(posterior_with(heavy, 21)))


def test_exact_is_good():
    exact = Posterior(np.zeros((1, 2, 2)), [-3.0], ["a", "b"], exact=True)
    assert assess(exact).level == "good"


def test_independent_exact_draws_are_good():
    draws = Posterior(
        np.zeros((4, 2, 2)), np.zeros(4), ["a", "b"], metadata={"error_estimate": 2e-9}
    )
    assert assess(draws).level == "good"
    assert "err by about 2e-09" in str(assess(draws))


@pytest.mark.parametrize(
    ("highest", "level"), [(-1201.0, "good"), (-1199.5, "good"), (-1198.0, "poor")]
)
def test_no_graph_scores_more_than_the_evidence(highest, level):
    posterior = posterior_with(np.random.default_rng(0).normal(-1200, 0.1, 1_000))
    posterior.metadata["highest_log_score"] = highest
    trust = assess(posterior)
    assert trust.level == level
    assert ("A single graph scores 2.0 nats above" in str(trust)) == (level == "poor")


@pytest.mark.parametrize(
    ("rhat", "ess", "level", "says"),
    [
        (1.004, 3_000.0, "good", "agree: R-hat is 1.004"),
        (1.01, 60.0, "fair", "worth 60"),
        (1.02, 3_000.0, "fair", "Run them longer"),
        (1.3, 3_000.0, "poor", "do not agree yet: R-hat is 1.3"),
        (np.inf, 4.0, "poor", "do not agree yet: R-hat is inf"),
    ],
)
def test_chains_are_judged_by_their_agreement(rhat, ess, level, says):
    draws = posterior_with(np.zeros(100))
    draws.metadata |= {"rhat": rhat, "ess": ess}
    trust = assess(draws)
    assert trust.level == level
    assert says in str(trust)
    assert all(sentence.endswith(".") for sentence in trust.sentences)


def test_warns_only_when_poor_and_at_the_caller():
    with pytest.warns(UntrustedPosteriorWarning, match="k-hat is .* above 0.7") as caught:
        warn_if_untrusted(posterior_with(normal_weights(5.0)))
    assert caught[0].filename == __file__
    assert issubclass(UntrustedPosteriorWarning, UserWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_untrusted(posterior_with(normal_weights(0.3)))
        warn_if_untrusted(posterior_with(np.zeros(5)))


def test_khat_of_weights_that_hardly_differ_is_no_alarm():
    rng = np.random.default_rng(0)
    log_weights = 5e-4 * rng.pareto(1.1, size=2000)
    adjacency = np.zeros((2000, 2, 2), np.int8)
    posterior = Posterior(adjacency, log_weights, ["a", "b"])
    assert posterior.khat > KHAT_LIMIT
    assert assess(posterior).level == "good"
    heavy = Posterior(adjacency, np.log(rng.pareto(1.1, size=2000)), ["a", "b"])
    assert assess(heavy).level == "poor"
