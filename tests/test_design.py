"""The gain of an experiment, against exact posteriors and the densities that it is made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import entr, rel_entr

import dag_gfn as dg
from dag_gfn.design import (
    _surprise,
    choose_intervention,
    draw_worlds,
    expected_information_gain,
    log_predictive,
    regressions,
    simulate_outcomes,
)
from dag_gfn.graphs import all_dags
from dag_gfn.scores import BGe

CHAIN = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], np.int8)
# Every part of the prior counts, and some rows are interventions.
SCORE = BGe(alpha_mu=0.5, alpha_w=7.0, nu=[0.5, -1.0, 0.0], T=1.5)
TARGETS = [None] * 10 + ["X1"] * 3 + ["X2"] * 2


@pytest.fixture(scope="module")
def table():
    simulation = dg.datasets.simulate_linear_gaussian(
        CHAIN, len(TARGETS), interventions=TARGETS, random_state=0
    )
    return simulation.table


@pytest.fixture(scope="module")
def posterior(table):
    return dg.ExactPosterior(SCORE).fit(table, interventions=TARGETS).posterior_


@pytest.fixture(scope="module")
def beliefs(table):
    return regressions(table, np.array([-1] * 10 + [1] * 3 + [2] * 2), SCORE)


def gains(table, posterior, **settings):
    settings = {"interventions": TARGETS, "score": SCORE, "random_state": 0} | settings
    return expected_information_gain(table, posterior, **settings)


def appended(table, outcome):
    return pd.concat([table, pd.DataFrame(outcome, columns=table.columns)], ignore_index=True)


def outcomes_of(beliefs, adjacency, target, *, num_rows, num_outcomes, seed=0):
    drawn = np.repeat(adjacency[None], num_outcomes, axis=0)
    worlds = draw_worlds(beliefs, drawn, num_rows, np.random.default_rng(seed))
    return simulate_outcomes(worlds, target, 1.0, 0.5)


# --- what the gains are made of ------------------------------------------------------------------


def test_the_density_of_new_rows_is_the_difference_of_local_scores(table, beliefs):
    outcomes = outcomes_of(beliefs, CHAIN, 0, num_rows=3, num_outcomes=2)
    parent_sets = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]], np.int8)
    density = log_predictive(beliefs, outcomes, 1, parent_sets)
    before = dg.local_scores(table, SCORE, interventions=TARGETS)
    for outcome, of_sets in zip(outcomes, density, strict=True):
        after = dg.local_scores(
            appended(table, outcome), SCORE, interventions=[*TARGETS, *["X0"] * 3]
        )
        expected = after.local_scores_of(1, parent_sets) - before.local_scores_of(1, parent_sets)
        np.testing.assert_allclose(of_sets, expected, atol=1e-9)


def test_a_simulated_row_follows_the_predictive_t_distribution(beliefs):
    """One new value of X2 given its parent X1: normal-Wishart predictive, by its distribution."""
    outcomes = outcomes_of(beliefs, CHAIN, 0, num_rows=1, num_outcomes=4000)[:, 0]
    version = beliefs.version[2]
    scale, mean = beliefs.scale[version], beliefs.mean[version]
    weight, degrees = beliefs.mean_weight[version], beliefs.degrees[version] + 2
    slope = scale[1, 2] / scale[1, 1]
    off = outcomes[:, 1] - mean[1]
    variance = (scale[2, 2] - slope * scale[1, 2]) / degrees
    variance = variance * (1 + 1 / weight + off**2 / scale[1, 1])
    standard = (outcomes[:, 2] - mean[2] - slope * off) / np.sqrt(variance)
    assert stats.kstest(standard, stats.t(degrees).cdf).pvalue > 1e-3


def test_ratios_of_densities_have_mean_one_under_the_graph_of_the_divisor(beliefs):
    """E[p(Y | G') / p(Y | G)] = 1 for Y from G; a mixture in the divisor keeps the tail light."""
    graphs = all_dags(3)[[3, 10, 17]]
    terms = np.zeros((len(graphs), 2, 600))
    for source, graph in enumerate(graphs[:2]):
        outcomes = outcomes_of(beliefs, graph, 0, num_rows=2, num_outcomes=600, seed=source)
        density = sum(log_predictive(beliefs, outcomes, j, graphs[:, :, j]) for j in (1, 2))
        mixture = np.logaddexp(density[:, 0], density[:, 1]) - np.log(2)
        terms[:, source] = np.exp(density - mixture[:, None]).T
    for of_graph in terms[:2]:
        mean, error = of_graph.mean(), of_graph.std() / np.sqrt(of_graph.size)
        assert abs(mean - 1) < 4 * error


def test_what_is_set_is_set_and_does_not_depend_on_its_parents(beliefs):
    drawn = np.repeat(CHAIN[None], 3, axis=0)
    worlds = draw_worlds(beliefs, drawn, 2, np.random.default_rng(0))
    outcome = simulate_outcomes(worlds, 1, 2.5, 0.0)
    np.testing.assert_allclose(outcome[:, :, 1], 2.5)
    slope, intercept = worlds.coefficients[:, None, 1, 2], worlds.intercepts[:, None, 2]
    np.testing.assert_allclose(
        outcome[:, :, 2], intercept + 2.5 * slope + worlds.noise[:, :, 2], atol=1e-12
    )
    unset = simulate_outcomes(worlds, -1, 2.5, 0.0)
    expected = worlds.intercepts[:, None, 0] + worlds.noise[:, :, 0]
    np.testing.assert_allclose(unset[:, :, 0], expected)


# --- the gains -----------------------------------------------------------------------------------


def test_gain_is_the_expected_fall_of_the_entropy(table, posterior, beliefs):
    """I(G; Y) = H(G | D) - E H(G | D, Y), and each posterior is enumerated anew here."""
    rng = np.random.default_rng(5)
    worlds = draw_worlds(beliefs, posterior.sample(300, rng), 6, rng)
    outcomes = simulate_outcomes(worlds, 1, 0.0, 2.0)
    surprise = _surprise(beliefs, outcomes, 1, posterior.adjacency, posterior.weights)
    falls = []
    for outcome, divergence in zip(outcomes, surprise, strict=True):
        after = dg.ExactPosterior(SCORE).fit(
            appended(table, outcome), interventions=[*TARGETS, *["X1"] * 6]
        )
        weights = after.posterior_.weights
        assert rel_entr(weights, posterior.weights).sum() == pytest.approx(divergence, abs=1e-8)
        falls.append(posterior.entropy() - entr(weights).sum())
    estimate = gains(table, posterior, candidates=["X1"], num_rows=6, set_to=(0.0, 2.0)).loc["X1"]
    error = np.hypot(estimate["standard_error"], np.std(falls) / np.sqrt(len(falls)))
    assert abs(estimate["gain"] - np.mean(falls)) < 4 * error
    assert error < 0.1 * estimate["gain"]


def test_a_certain_graph_leaves_nothing_to_gain(table):
    certain = dg.Posterior([CHAIN] * 3, np.zeros(3), list(table.columns))
    np.testing.assert_allclose(gains(table, certain), 0.0, atol=1e-12)


def test_only_an_intervention_tells_cause_from_effect():
    """Among X0 -> X1 and X1 -> X0 rows without one teach nothing, ever more rows under one all."""
    table = dg.datasets.simulate_linear_gaussian([[0, 1], [0, 0]], 60, random_state=0).table
    pair = dg.Posterior([[[0, 1], [0, 0]], [[0, 0], [1, 0]]], np.zeros(2), ["X0", "X1"])
    by_rows = [
        expected_information_gain(
            table, pair, candidates=[None, "X0", "X1"], num_rows=num_rows, random_state=1
        )["gain"]
        for num_rows in (1, 4, 16, 256)
    ]
    assert abs(by_rows[-1][None]) < 1e-9
    for target in ("X0", "X1"):
        of_target = [one[target] for one in by_rows]
        assert np.all(np.diff(of_target) > 0)
        assert 0 < of_target[0] and of_target[-1] < np.log(2)
        assert of_target[-1] > 0.95 * np.log(2)


def test_gains_are_at_most_the_entropy_and_follow_names_not_positions(table, posterior):
    result = gains(table, posterior)
    assert (result["gain"] > 0).all()
    assert (result["gain"] < posterior.entropy()).all()
    renamed = dg.Posterior(
        posterior.adjacency[:, ::-1, ::-1], posterior.log_weights, posterior.names[::-1], exact=True
    )
    pd.testing.assert_frame_equal(gains(table, renamed), result)
    assert choose_intervention(
        table, posterior, interventions=TARGETS, score=SCORE, random_state=0
    ) == str(result["gain"].idxmax())


def test_draws_give_the_gains_of_the_posterior_they_stand_for(table, posterior):
    draws = posterior.sample(4000, random_state=0)
    drawn = dg.Posterior(draws, np.zeros(len(draws)), posterior.names)
    exact, estimated = gains(table, posterior), gains(table, drawn, random_state=1)
    error = np.hypot(exact["standard_error"], estimated["standard_error"])
    assert (np.abs(exact["gain"] - estimated["gain"]) < 4 * error + 0.02).all()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidates": ["X7"]}, "X7"),
        ({"candidates": []}, "name at least one column"),
        ({"num_rows": 0}, "num_rows must be at least 1, not 0"),
        ({"num_outcomes": 1}, "num_outcomes must be at least 2, not 1"),
        ({"set_to": (0.0, -1.0)}, "at least 0"),
        ({"interventions": ["X1"]}, "1 targets for 15 rows"),
    ],
)
def test_settings_that_do_not_fit_are_refused(table, posterior, settings, message):
    with pytest.raises(ValueError, match=message):
        gains(table, posterior, **settings)


def test_another_score_and_other_variables_are_refused(table, posterior):
    with pytest.raises(TypeError, match="BGe alone"):
        gains(table, posterior, score="bge")
    with pytest.raises(TypeError, match="not the name 'X1'"):
        gains(table, posterior, candidates="X1")
    with pytest.raises(ValueError, match="the posterior has no variable 'other'"):
        gains(table.rename(columns={"X2": "other"}), posterior)
    with pytest.raises(ValueError, match="the table has no variable 'X2'"):
        gains(table[["X0", "X1"]], posterior)
