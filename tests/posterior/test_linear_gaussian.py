"""Parameters of linear-Gaussian networks, against closed forms and the marginal likelihood."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dag_gfn as dg
from dag_gfn.estimators.mechanisms import mechanisms_of, prior_mechanisms_of
from dag_gfn.graphs import all_dags
from dag_gfn.scores import BGe

NAMES = ["a", "b", "c"]
# Every part of the prior counts, and some rows are interventions.
SCORE = BGe(alpha_mu=0.5, alpha_w=7.0, nu=[0.5, -1.0, 0.0], T=1.5)
TARGETS = [None] * 12 + ["b"] * 3 + ["c"] * 2
CHAIN = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]], np.int8)


@pytest.fixture(scope="module")
def table():
    dag = pd.DataFrame(CHAIN, NAMES, NAMES)
    return dg.datasets.simulate_linear_gaussian(
        dag, len(TARGETS), interventions=TARGETS, random_state=0
    ).table


def scores_of(table, **settings):
    return dg.local_scores(table, SCORE, interventions=TARGETS, **settings)


def log_likelihood(table, parameters):
    """Sum log N(x_j; a_j + b_j x, v_j) over the cells that were not set."""
    values = table.to_numpy()
    set_column = np.array([NAMES.index(name) if name else -1 for name in TARGETS])
    observed = set_column[:, None] != np.arange(len(NAMES))
    means = parameters.intercepts[:, None] + values @ parameters.coefficients
    sd = np.sqrt(parameters.variances)[:, None]
    return (stats.norm.logpdf(values, means, sd) * observed).sum(axis=(1, 2))


@pytest.mark.parametrize("standardize", [False, True])
def test_prior_times_likelihood_over_posterior_is_the_marginal_likelihood(table, standardize):
    """p(D | G) = p(D | theta, G) p(theta | G) / p(theta | D, G) at any theta (Chib 1995)."""
    scores = scores_of(table, standardize=standardize)
    prior, posterior = prior_mechanisms_of(scores), mechanisms_of(scores)
    graphs = all_dags(3)
    rng = np.random.default_rng(1)
    for source in (prior, posterior):
        theta = source.draw(graphs, np.zeros(len(graphs)), rng)
        marginal = (
            log_likelihood(table, theta) + prior.log_density(theta) - posterior.log_density(theta)
        )
        # a density of the table in its own units, where the score is one per SD
        num_scored = [len(TARGETS) - TARGETS.count(name) for name in NAMES]
        marginal += np.array(num_scored) @ np.log(scores.unit)
        np.testing.assert_allclose(marginal, scores.log_score(graphs), atol=1e-8, rtol=0)


def test_draws_have_the_moments_of_the_closed_form(table):
    """The normal-inverse-gamma regression of c on a and b, from the rows where c was not set."""
    size = 40_000
    mechanisms = mechanisms_of(scores_of(table))
    graphs = np.repeat(CHAIN[None], size, axis=0)
    drawn = mechanisms.draw(graphs, np.zeros(size), np.random.default_rng(0))

    rows = table[[target != "c" for target in TARGETS]].to_numpy()
    centred, shift = rows - rows.mean(axis=0), rows.mean(axis=0) - SCORE.nu
    num_rows, weight = len(rows), len(rows) + SCORE.alpha_mu
    scale = 1.5 * np.eye(3) + centred.T @ centred
    scale += num_rows * SCORE.alpha_mu / weight * np.outer(shift, shift)
    fitted = np.linalg.solve(scale[:2, :2], scale[:2, 2])
    left = scale[2, 2] - scale[2, :2] @ fitted
    degrees = SCORE.alpha_w - 3 + num_rows + 3
    variance = left / (degrees - 2)
    covariance = variance * np.linalg.inv(scale[:2, :2])
    mean = (rows.sum(axis=0) + SCORE.alpha_mu * np.array(SCORE.nu)) / weight

    for draws, expected, spread in [
        (drawn.variances[:, 2], variance, variance * np.sqrt(2 / (degrees - 4))),
        (drawn.coefficients[:, 0, 2], fitted[0], np.sqrt(covariance[0, 0])),
        (drawn.coefficients[:, 1, 2], fitted[1], np.sqrt(covariance[1, 1])),
        (
            drawn.intercepts[:, 2],
            mean[2] - fitted @ mean[:2],
            np.sqrt(variance / weight + mean[:2] @ covariance @ mean[:2]),
        ),
    ]:
        assert abs(draws.mean() - expected) < 4 * spread / np.sqrt(size)
        kurtosis = stats.kurtosis(draws, fisher=False)
        error = np.sqrt((kurtosis - 1) / size) / 2
        assert draws.std() == pytest.approx(spread, rel=4 * error)

    exact = mechanisms.mean_parameters(CHAIN[None], np.zeros(1))
    np.testing.assert_allclose(exact.coefficients[0, :2, 2], fitted)
    np.testing.assert_allclose(exact.variances[0, 2], variance)
    np.testing.assert_allclose(exact.intercepts[0, 2], mean[2] - fitted @ mean[:2])


def test_rows_in_which_a_variable_was_set_say_nothing_of_its_mechanism(table):
    changed = table.copy()
    changed.loc[[target == "c" for target in TARGETS], "c"] += 5.0
    first, second = (
        mechanisms_of(scores_of(one)).mean_parameters(CHAIN[None], np.zeros(1))
        for one in (table, changed)
    )
    np.testing.assert_allclose(first.coefficients[0, :, 2], second.coefficients[0, :, 2])
    np.testing.assert_allclose(first.variances[0, 2], second.variances[0, 2])


def test_units_of_a_standardised_fit_are_those_of_the_table(table):
    """Rescaling columns rescales parameters, since what is scored stays the same."""
    scale, shift = np.array([10.0, 0.1, 3.0]), np.array([5.0, -2.0, 100.0])
    drawn = [
        mechanisms_of(scores_of(one, standardize=True)).draw(
            CHAIN[None], np.zeros(1), np.random.default_rng(0)
        )
        for one in (table, table * scale + shift)
    ]
    np.testing.assert_allclose(
        drawn[1].coefficients, drawn[0].coefficients * scale / scale[:, None], rtol=1e-9
    )
    np.testing.assert_allclose(drawn[1].variances, drawn[0].variances * scale**2, rtol=1e-9)
    rows = table.to_numpy()
    means = [
        one.intercepts[0] + x @ one.coefficients[0]
        for one, x in zip(drawn, (rows, rows * scale + shift), strict=True)
    ]
    np.testing.assert_allclose(means[1], means[0] * scale + shift, rtol=1e-9)


def test_simulated_rows_have_the_moments_of_the_network_also_when_a_variable_is_set(table):
    drawn = mechanisms_of(scores_of(table)).draw(CHAIN[None], np.zeros(1), np.random.default_rng(0))
    effects = drawn.total_effects()[0]
    num_rows = 50_000
    rows = drawn.simulate(num_rows, random_state=0)[0]
    covariance = effects.T @ np.diag(drawn.variances[0]) @ effects
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(
        np.cov(rows.T) / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=5 / num_rows**0.5
    )
    np.testing.assert_allclose(
        rows.mean(axis=0), drawn.intercepts[0] @ effects, atol=5 * sd.max() / num_rows**0.5
    )
    low, high = (drawn.simulate(10, {"b": value}, random_state=0)[0] for value in (0.0, 2.0))
    np.testing.assert_allclose(high - low, [[0.0, 2.0, 2.0 * effects[1, 2]]] * 10, atol=1e-12)


def test_a_draw_becomes_a_network_of_pgmpy_that_predicts_and_simulates(table):
    drawn = dg.ExactPosterior(SCORE).fit(table).posterior_.sample_parameters(3, random_state=0)
    model = drawn.to_pgmpy(1)
    assert set(model.edges()) == {(NAMES[i], NAMES[j]) for i, j in np.argwhere(drawn.adjacency[1])}
    _, covariance = model.to_joint_gaussian()
    order = list(nx.topological_sort(model))  # that of pgmpy's matrix
    effects = drawn.total_effects()[1]
    ours = effects.T @ np.diag(drawn.variances[1]) @ effects
    theirs = pd.DataFrame(covariance, order, order).loc[NAMES, NAMES]
    np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-8)
    assert model.simulate(20, seed=1).shape == (20, 3)
    predicted = model.predict(table[["a", "b"]])
    regression = np.linalg.solve(ours[:2, :2], ours[:2, 2])
    centre = drawn.intercepts[1] @ effects
    expected = centre[2] + (table[["a", "b"]].to_numpy() - centre[:2]) @ regression
    np.testing.assert_allclose(np.ravel(predicted), expected, rtol=1e-5, atol=1e-6)
