"""Causal effects of a posterior: the mixture over graphs, against sums over all of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.posterior.effects import weighted_quantiles
from dag_gfn.posterior.parametric import systematic_sample

NAMES = ["X0", "X1", "X2"]
CHAIN = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], np.int8)


@pytest.fixture(scope="module")
def table():
    return dg.datasets.simulate_linear_gaussian(CHAIN, 40, random_state=3).table


@pytest.fixture(scope="module")
def posterior(table):
    return dg.ExactPosterior(standardize=True).fit(table).posterior_


@pytest.fixture(scope="module")
def categories():
    dag = pd.DataFrame(CHAIN, NAMES, NAMES)
    table = dg.datasets.simulate_categorical(dag, 150, random_state=1).table
    return dg.ExactPosterior("bde").fit(table).posterior_


def path_sum(coefficients, cause, effect):
    """Wright's rule: the sum over directed paths of the products of their coefficients."""
    if cause == effect:
        return 1.0
    children = np.flatnonzero(coefficients[cause])
    return sum(coefficients[cause, k] * path_sum(coefficients, k, effect) for k in children)


def test_total_effects_are_sums_over_paths():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5))
    scores = dg.local_scores(table)
    drawn = dg.estimators.mechanisms.mechanisms_of(scores).draw(
        np.stack([dg.datasets.random_dag(5, num_edges=8, random_state=i) for i in range(5)]),
        np.zeros(5),
        rng,
    )
    for effects, coefficients in zip(drawn.total_effects(), drawn.coefficients, strict=True):
        for cause in range(5):
            for effect in range(5):
                expected = path_sum(coefficients, cause, effect)
                assert effects[cause, effect] == pytest.approx(expected, abs=1e-9)


def test_means_and_probabilities_are_exact_and_draws_agree(posterior):
    effects = posterior.causal_effects(num_draws=40_000, random_state=0)
    np.testing.assert_allclose(
        effects.probability_of_no_effect() + posterior.path_marginals(), np.ones((3, 3)), atol=1e-12
    )
    for cause in NAMES:
        for effect in NAMES:
            if cause != effect:
                draws = effects.of(cause, effect)
                error = draws.std() / np.sqrt(len(draws))
                assert abs(draws.mean() - effects.mean().loc[cause, effect]) < 4.5 * error
                zero = effects.probability_of_no_effect().loc[cause, effect]
                assert abs((draws == 0).mean() - zero) < 4.5 * 0.5 / np.sqrt(len(draws))


def test_weights_are_carried_through(posterior):
    """The same posterior as draws from the uniform distribution over its graphs, weighted."""
    rng = np.random.default_rng(0)
    picked = rng.integers(0, len(posterior), 30_000)
    weighted = dg.Posterior(
        posterior.adjacency[picked],
        posterior.log_weights[picked],
        posterior.names,
        mechanisms=posterior.mechanisms,
    )
    exact = posterior.causal_effects(num_draws=40_000, random_state=1)
    effects = weighted.causal_effects(random_state=2)
    assert len(effects.draws) == 30_000
    scale = np.abs(exact.mean()).to_numpy().max()
    limit = 5 / np.sqrt(weighted.ess)
    assert np.abs(effects.mean() - exact.mean()).to_numpy().max() < limit * 2 * scale
    assert np.abs(effects.no_effect - exact.no_effect).max() < limit * 0.5
    drawn = effects.of("X0", "X2")
    for tail in (0.25, 0.75):
        here = effects.weights[drawn <= np.quantile(exact.of("X0", "X2"), tail)].sum()
        at_zero = exact.no_effect[0, 2]
        assert here >= tail - limit or at_zero > 0


def test_standardized_effects_are_per_standard_deviation(posterior, table):
    plain = posterior.causal_effects(num_draws=100, random_state=0)
    standardized = posterior.causal_effects(standardized=True, num_draws=100, random_state=0)
    sd = table.std(ddof=0).to_numpy()
    np.testing.assert_allclose(standardized.mean(), plain.mean() * sd[:, None] / sd, rtol=1e-9)
    np.testing.assert_allclose(standardized.draws, plain.draws * sd[:, None] / sd, rtol=1e-9)


def test_intervals_hold_what_they_say_and_never_cut_the_spike(posterior):
    effects = posterior.causal_effects(random_state=0)
    lower, upper = effects.interval(0.8)
    for i, cause in enumerate(NAMES):
        for j, effect in enumerate(NAMES):
            if i != j:
                draws = effects.of(cause, effect)
                low, high = lower.iloc[i, j], upper.iloc[i, j]
                assert np.mean(draws < low) <= 0.1 + 1e-9
                assert np.mean(draws > high) <= 0.1 + 1e-9
                if np.mean(draws == 0) > 0.9:
                    assert low == high == 0
    with pytest.raises(ValueError, match="level must be between 0 and 1, not 90"):
        effects.interval(90)


def test_summary_lists_the_surest_effects_first(posterior):
    summary = posterior.causal_effects(random_state=0).summary()
    assert list(summary.columns) == [
        "mean",
        "lower",
        "upper",
        "probability_positive",
        "probability_of_no_effect",
    ]
    assert len(summary) == 6
    assert summary["probability_of_no_effect"].is_monotonic_increasing
    assert (summary["lower"] <= summary["upper"]).all()
    total = summary["probability_positive"] + summary["probability_of_no_effect"]
    assert (total < 1 + 0.02).all()


def test_categorical_effects_against_the_sum_over_graphs(categories):
    """E P(effect | do(cause)) = sum_G p(G | D) P(effect | do(cause), G, mean tables)."""
    effects = categories.causal_effects(random_state=0, num_draws=4000)
    assert not effects.signed
    distribution = effects.distribution("X0", "X2")
    np.testing.assert_allclose(distribution.sum(axis=1), 1.0)
    drawn = effects.parameters.interventional(0, 2)
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(axis=0) - distribution.to_numpy()) < 4.5 * error)
    lower, upper = effects.distribution_interval("X0", "X2")
    inside = (drawn >= lower.to_numpy()) & (drawn <= upper.to_numpy())
    assert np.all(inside.mean(axis=0) >= 0.9 - 1e-9)
    assert np.all(inside.mean(axis=0) < 0.9 + 0.05 + effects.no_effect[0, 2])
    sizes = effects.of("X0", "X2")
    difference = np.abs(drawn[:, 0] - drawn[:, 1]).sum(axis=1) / 2
    np.testing.assert_allclose(sizes, difference, atol=1e-9)
    assert (sizes[~dg.graphs.transitive_closure(effects.parameters.adjacency)[:, 0, 2]] == 0).all()


def test_what_is_asked_must_be_there(posterior, categories):
    effects = posterior.causal_effects(num_draws=10)
    with pytest.raises(ValueError, match="there is no variable 'Raf'; there are 'X0', 'X1', 'X2'"):
        effects.of("Raf", "X1")
    with pytest.raises(ValueError, match="'X1' has no effect on itself"):
        effects.of("X1", "X1")
    with pytest.raises(ValueError, match="categories have no scale"):
        categories.causal_effects(standardized=True)
    bare = dg.Posterior([CHAIN], [0.0], NAMES)
    with pytest.raises(ValueError, match="knows graphs alone, and effects need the mechanisms"):
        bare.causal_effects()
    with pytest.raises(ValueError, match="number of draws must be at least 1, not 0"):
        posterior.sample_parameters(0)


def test_quantiles_are_those_of_repeated_values():
    """A weight counts a value so often, as in numpy's inverted distribution function."""
    rng = np.random.default_rng(0)
    values, counts = rng.normal(size=(50, 3)), rng.integers(0, 6, 50)
    found = weighted_quantiles(values, counts / counts.sum(), (0.05, 0.5, 0.9))
    repeated = np.repeat(values, counts, axis=0)
    expected = np.quantile(repeated, (0.05, 0.5, 0.9), axis=0, method="inverted_cdf")
    np.testing.assert_array_equal(found, expected)


def test_systematic_draws_come_as_often_as_their_share():
    weights = np.array([0.5, 0.25, 0.2, 0.05, 0.0])
    for seed in range(20):
        counts = np.bincount(
            systematic_sample(weights, 30, np.random.default_rng(seed)), minlength=5
        )
        assert np.all(np.abs(counts - 30 * weights) < 1)
        assert counts[4] == 0
