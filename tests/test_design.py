"""The gain of an experiment, against exact posteriors and the densities that it is made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import entr, rel_entr

import dag_gfn as dg
from dag_gfn.design import _surprise, choose_intervention, expected_information_gain
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
def mechanisms(posterior):
    return posterior.mechanisms


def gains(posterior, **settings):
    return expected_information_gain(posterior, **{"random_state": 0} | settings)


def appended(table, outcome):
    return pd.concat([table, pd.DataFrame(outcome, columns=table.columns)], ignore_index=True)


def networks_of(mechanisms, adjacency, num_outcomes, seed=0):
    drawn = np.repeat(adjacency[None], num_outcomes, axis=0)
    return mechanisms.draw(drawn, np.zeros(num_outcomes), np.random.default_rng(seed))


def outcomes_of(mechanisms, adjacency, *, num_rows, num_outcomes, seed=0):
    """Rows in which X0 is set to about 1."""
    rng = np.random.default_rng(seed)
    values = rng.normal(1.0, 0.5, (num_outcomes, num_rows))
    networks = networks_of(mechanisms, adjacency, num_outcomes, seed)
    return networks.simulate(num_rows, {"X0": values}, random_state=rng)


# --- what the gains are made of ------------------------------------------------------------------


def test_the_density_of_new_rows_is_the_difference_of_local_scores(table, mechanisms):
    outcomes = outcomes_of(mechanisms, CHAIN, num_rows=3, num_outcomes=2)
    parent_sets = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]], np.int8)
    density = mechanisms.log_predictive(outcomes, 1, parent_sets)
    before = dg.local_scores(table, SCORE, interventions=TARGETS)
    for outcome, of_sets in zip(outcomes, density, strict=True):
        after = dg.local_scores(
            appended(table, outcome), SCORE, interventions=[*TARGETS, *["X0"] * 3]
        )
        expected = after.local_scores_of(1, parent_sets) - before.local_scores_of(1, parent_sets)
        np.testing.assert_allclose(of_sets, expected, atol=1e-9)


def test_a_simulated_row_follows_the_predictive_t_distribution(mechanisms):
    """One new value of X2 given its parent X1: normal-Wishart predictive, by its distribution."""
    outcomes = outcomes_of(mechanisms, CHAIN, num_rows=1, num_outcomes=4000)[:, 0]
    version = mechanisms.version[2]
    scale, mean = mechanisms.scale[version], mechanisms.mean[version]
    weight, degrees = mechanisms.mean_weight[version], mechanisms.degrees[version] + 2
    slope = scale[1, 2] / scale[1, 1]
    off = outcomes[:, 1] - mean[1]
    variance = (scale[2, 2] - slope * scale[1, 2]) / degrees
    variance = variance * (1 + 1 / weight + off**2 / scale[1, 1])
    standard = (outcomes[:, 2] - mean[2] - slope * off) / np.sqrt(variance)
    assert stats.kstest(standard, stats.t(degrees).cdf).pvalue > 1e-3


def test_ratios_of_densities_have_mean_one_under_the_graph_of_the_divisor(mechanisms):
    """E[p(Y | G') / p(Y | G)] = 1 for Y from G; a mixture in the divisor keeps the tail light."""
    graphs = all_dags(3)[[3, 10, 17]]
    terms = np.zeros((len(graphs), 2, 600))
    for source, graph in enumerate(graphs[:2]):
        outcomes = outcomes_of(mechanisms, graph, num_rows=2, num_outcomes=600, seed=source)
        density = sum(mechanisms.log_predictive(outcomes, j, graphs[:, :, j]) for j in (1, 2))
        mixture = np.logaddexp(density[:, 0], density[:, 1]) - np.log(2)
        terms[:, source] = np.exp(density - mixture[:, None]).T
    for of_graph in terms[:2]:
        mean, error = of_graph.mean(), of_graph.std() / np.sqrt(of_graph.size)
        assert abs(mean - 1) < 4 * error


# --- the gains -----------------------------------------------------------------------------------


def test_gain_is_the_expected_fall_of_the_entropy(table, posterior, mechanisms):
    """I(G; Y) = H(G | D) - E H(G | D, Y), and each posterior is enumerated anew here."""
    rng = np.random.default_rng(5)
    networks = mechanisms.draw(posterior.sample(300, rng), np.zeros(300), rng)
    outcomes = networks.simulate(6, {"X1": rng.normal(0.0, 2.0, (300, 6))}, random_state=rng)
    surprise = _surprise(mechanisms, outcomes, 1, posterior.adjacency, posterior.weights)
    falls = []
    for outcome, divergence in zip(outcomes, surprise, strict=True):
        after = dg.ExactPosterior(SCORE).fit(
            appended(table, outcome), interventions=[*TARGETS, *["X1"] * 6]
        )
        weights = after.posterior_.weights
        assert rel_entr(weights, posterior.weights).sum() == pytest.approx(divergence, abs=1e-8)
        falls.append(posterior.entropy() - entr(weights).sum())
    estimate = gains(posterior, candidates=["X1"], num_rows=6, set_to=(0.0, 2.0)).loc["X1"]
    error = np.hypot(estimate["standard_error"], np.std(falls) / np.sqrt(len(falls)))
    assert abs(estimate["gain"] - np.mean(falls)) < 4 * error
    assert error < 0.1 * estimate["gain"]


def test_a_certain_graph_leaves_nothing_to_gain(table, mechanisms):
    certain = dg.Posterior([CHAIN] * 3, np.zeros(3), list(table.columns), mechanisms=mechanisms)
    np.testing.assert_allclose(gains(certain), 0.0, atol=1e-12)


def test_only_an_intervention_tells_cause_from_effect():
    """Among X0 -> X1 and X1 -> X0 rows without one teach nothing, ever more rows under one all."""
    table = dg.datasets.simulate_linear_gaussian([[0, 1], [0, 0]], 60, random_state=0).table
    known = dg.ExactPosterior().fit(table).posterior_.mechanisms
    graphs = [[[0, 1], [0, 0]], [[0, 0], [1, 0]]]
    pair = dg.Posterior(graphs, np.zeros(2), ["X0", "X1"], mechanisms=known)
    by_rows = [
        expected_information_gain(
            pair, candidates=[None, "X0", "X1"], num_rows=num_rows, random_state=1
        )["gain"]
        for num_rows in (1, 4, 16, 256)
    ]
    assert abs(by_rows[-1][None]) < 1e-9
    for target in ("X0", "X1"):
        of_target = [one[target] for one in by_rows]
        assert np.all(np.diff(of_target) > 0)
        assert 0 < of_target[0] and of_target[-1] < np.log(2)
        assert of_target[-1] > 0.95 * np.log(2)


def test_gains_are_at_most_the_entropy_and_the_largest_is_chosen(posterior):
    result = gains(posterior)
    assert (result["gain"] > 0).all()
    assert (result["gain"] < posterior.entropy()).all()
    assert choose_intervention(posterior, random_state=0) == str(result["gain"].idxmax())


def test_positions_name_the_same_candidates(posterior):
    pd.testing.assert_frame_equal(
        gains(posterior, candidates=[2, 0]), gains(posterior, candidates=["X2", "X0"])
    )


def test_a_standardised_fit_is_asked_in_the_units_of_the_table(table):
    """Other units of the columns change nothing where the fit standardises them."""
    scaled = table * [10.0, 0.1, 3.0] + [5.0, 0.0, -1.0]
    first, second = (
        gains(dg.ExactPosterior(standardize=True).fit(one, interventions=TARGETS).posterior_)
        for one in (table, scaled)
    )
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_categories_are_set_at_random_and_gain_the_expected_fall_of_the_entropy():
    """With one new row all outcomes can be listed: no simulation is left but that of the gain."""
    dag = pd.DataFrame([[0, 1], [0, 0]], ["a", "b"], ["a", "b"])
    table = dg.datasets.simulate_categorical(dag, 30, random_state=0).table
    score = dg.scores.BDe(2.0)
    posterior = dg.ExactPosterior(score).fit(table).posterior_
    states = posterior.mechanisms.states
    fall = 0.0
    for value in states[0]:
        for answer in states[1]:
            new = pd.DataFrame({"a": [value], "b": [answer]}).astype(table.dtypes)
            chance = np.exp(posterior.log_predictive(new, interventions=["a"]))
            both = pd.concat([table, new])
            targets = [None] * 30 + ["a"]
            after = dg.ExactPosterior(score).fit(both, interventions=targets).posterior_
            fall += chance / len(states[0]) * (posterior.entropy() - after.entropy())
    estimate = gains(posterior, candidates=["a"], num_rows=1, num_outcomes=4000).loc["a"]
    assert abs(estimate["gain"] - fall) < 4 * estimate["standard_error"]
    with pytest.raises(ValueError, match="categories are set at random"):
        gains(posterior, set_to=(0.0, 1.0))


def test_draws_give_the_gains_of_the_posterior_they_stand_for(posterior, mechanisms):
    draws = posterior.sample(4000, random_state=0)
    drawn = dg.Posterior(draws, np.zeros(len(draws)), posterior.names, mechanisms=mechanisms)
    exact, estimated = gains(posterior), gains(drawn, random_state=1)
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
    ],
)
def test_settings_that_do_not_fit_are_refused(posterior, settings, message):
    with pytest.raises(ValueError, match=message):
        gains(posterior, **settings)


def test_a_name_is_no_list_and_graphs_alone_are_refused(posterior):
    with pytest.raises(TypeError, match="not the name 'X1'"):
        gains(posterior, candidates="X1")
    with pytest.raises(ValueError, match="knows graphs alone, and gains need the mechanisms"):
        gains(dg.Posterior([CHAIN], [0.0], posterior.names))
