"""Calibration: its truth is the prior, its counts are right, and it tells right from wrong."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dag_gfn as dg
from dag_gfn.calibration import Calibration
from dag_gfn.calibration.running import _place
from dag_gfn.calibration.truth import blank_scores, draw_truth, graphs_from_prior
from dag_gfn.graphs import all_dags, dag_codes


@pytest.fixture(scope="module")
def right():
    """The exact posterior, where nothing but chance is off."""
    return dg.calibrate(
        dg.ExactPosterior(), num_variables=3, num_rows=30, num_tables=250, progress=False
    )


# --- the truth -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["uniform", "fair"])
def test_graphs_come_as_often_as_the_prior_says(prior):
    size = 2500
    drawn = graphs_from_prior(blank_scores(3, prior=prior), size, seed=0)
    graphs = all_dags(3)
    log_prior = dg.scores.PRIORS[prior]().log_prior(np.arange(3), 3)[graphs.sum(axis=1)].sum(axis=1)
    probability = np.exp(log_prior) / np.exp(log_prior).sum()
    order = {bytes(code): number for number, code in enumerate(dag_codes(graphs))}
    seen = np.bincount([order[bytes(code)] for code in dag_codes(drawn)], minlength=len(graphs))
    assert stats.chisquare(seen, size * probability).pvalue > 1e-3


def test_measurements_come_from_the_prior_of_the_score():
    """One row of one column, whatever its causes, is Student's t under a normal-Wishart prior."""
    graph = np.array([[0, 1], [0, 0]], np.int8)
    scores, rng = blank_scores(2), np.random.default_rng(0)
    rows = np.array([draw_truth(scores, graph, 1, rng).table.iloc[0] for _ in range(1500)])
    # alpha_mu = 1, alpha_w = d + 2, nu = 0, T = I / 2: three degrees of freedom
    scale = np.sqrt(0.5 * 2 / 3)
    for column in rows.T:
        assert stats.kstest(column / scale, stats.t(3).cdf).pvalue > 1e-3


def test_categories_come_from_the_prior_of_the_score():
    """All cells of a BDeu prior are alike: two rows agree with a chance that is known."""
    graph = np.array([[0, 1], [0, 0]], np.int8)
    scores, rng = blank_scores(2, 3, score="bde"), np.random.default_rng(0)
    size = 2000
    tables = [draw_truth(scores, graph, 2, rng) for _ in range(size)]
    equal = np.mean([np.ptp(one.table["X0"].cat.codes) == 0 for one in tables])
    chance = (10 / 3 + 1) / (10 + 1)  # of a Dirichlet-multinomial with alpha = 10 over 3 states
    assert abs(equal - chance) < 4 * np.sqrt(chance * (1 - chance) / size)
    assert all(one.effects[1, 0] == 0 < one.effects[0, 1] < 1 for one in tables)


# --- what is counted -----------------------------------------------------------------------------


def test_places_of_a_spike_and_a_density_are_uniform():
    rng = np.random.default_rng(0)
    places = []
    for _ in range(500):
        draws = np.where(rng.random(1000) < 0.3, 0.0, rng.normal(size=1000))
        truth = 0.0 if rng.random() < 0.3 else rng.normal()
        places.append(_place(draws, np.full(1000, 1e-3), truth, rng))
    assert stats.kstest(places, "uniform").pvalue > 1e-3


def test_calibration_error_is_the_mean_gap_over_bins():
    pairs = pd.DataFrame(
        {
            "table": np.repeat([0, 1], 20),
            "probability": np.repeat([0.25, 0.95, 0.25, 0.95], [5, 15, 5, 15]),
            "exists": np.repeat([1, 0, 1, 0, 1, 0], [2, 3, 12, 3, 5, 15]).astype(bool),
        }
    )
    fits = pd.DataFrame({"seconds": [1.0, 1.0]})
    result = Calibration(pairs, fits, 0.9)
    in_low = abs(0.25 - (2 + 5) / 10)
    in_high = abs(0.95 - 12 / 30)
    assert result.calibration_error() == pytest.approx((10 * in_low + 30 * in_high) / 40)
    assert result.reliability()["edges"].tolist() == [10, 30]


def test_the_exact_posterior_is_calibrated(right):
    summary = right.summary()
    value, error = summary["value"], summary["standard_error"]
    assert value["calibration error of edges"] < 0.05
    for kind in ("all pairs", "spike split at random"):
        shortfall = 0.9 - value[f"coverage, {kind}"]
        assert shortfall < 4 * error[f"coverage, {kind}"]
    assert abs(value["coverage, spike split at random"] - 0.9) < 4 * 0.02
    for quantity in ("num_edges", "log_score"):
        assert value[f"rank of the true {quantity}, p-value"] > 1e-3
    assert len(right.pairs) == 250 * 6


def test_categories_are_calibrated_too():
    model = dg.ExactPosterior(score="bde", prior="fair")
    result = dg.calibrate(
        model, num_variables=3, num_rows=40, num_tables=60, num_states=2, progress=False
    )
    summary = result.summary()
    row = summary.loc["coverage, spike split at random"]
    assert abs(row["value"] - 0.9) < 4 * row["standard_error"] + 0.01
    assert summary.loc["rank of the true log_score, p-value", "value"] > 1e-3


def test_a_posterior_that_is_too_sure_is_found_out(right):
    """Edges pushed towards zero and one, as a search that reports one graph would."""
    pairs = right.pairs.assign(probability=(right.pairs["probability"] > 0.5).astype(float))
    wrong = Calibration(pairs, right.fits, right.level)
    assert wrong.calibration_error() > 0.15
    error = wrong.summary().loc["calibration error of edges", "standard_error"]
    assert wrong.calibration_error() > 5 * error


def test_a_wrong_prior_is_found_out():
    """Truth from the uniform prior over DAGs, a posterior that thinks edges are rare."""
    scores = blank_scores(3)
    places = []
    rng = np.random.default_rng(0)
    for graph in graphs_from_prior(scores, 120, seed=0):
        table = draw_truth(scores, graph, 30, rng).table
        posterior = (
            dg.ExactPosterior(prior="edge", prior_params={"beta": 0.01}).fit(table).posterior_
        )
        edges = posterior.adjacency.sum(axis=(1, 2))
        places.append(_place(edges, posterior.weights, graph.sum(), rng))
    assert stats.kstest(places, "uniform").pvalue < 1e-6


def test_same_seed_same_tables_whatever_the_number_of_jobs():
    first, second = (
        dg.calibrate(
            dg.ExactPosterior(), num_variables=3, num_tables=4, n_jobs=jobs, progress=False
        )
        for jobs in (1, 2)
    )
    pd.testing.assert_frame_equal(first.pairs, second.pairs)


# --- pictures, and what is refused ---------------------------------------------------------------


def test_pictures_show_the_bins(right):
    axes = dg.plots.reliability(right)
    assert len(axes.containers[0].lines[0].get_xdata()) == len(right.reliability())
    heights = dg.plots.places(right).patches[0].get_data().values
    assert heights.mean() == pytest.approx(1.0)
    plt.close("all")


@pytest.mark.parametrize(
    ("estimator", "settings", "message"),
    [
        (dg.ExactPosterior(standardize=True), {}, "standardize=True takes away"),
        (dg.ExactPosterior(), {"num_variables": 30}, "num_variables must be from 2 to 20"),
        (dg.ExactPosterior(), {"num_tables": 0}, "num_tables must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(estimator, settings, message):
    with pytest.raises(ValueError, match=message):
        dg.calibrate(estimator, progress=False, **settings)


def test_an_estimator_around_another_is_refused():
    with pytest.raises(TypeError, match="MultipleImputation has no score of its own"):
        dg.calibrate(dg.MultipleImputation(dg.ExactPosterior()), progress=False)
