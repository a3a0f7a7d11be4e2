"""The study of calibration: its truth is the prior, its counts are right, and it runs, small."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import dag_gfn as dg
from dag_gfn.graphs import all_dags, dag_codes
from dag_gfn.posterior.effects import CausalEffects
from experiments.calibration import run as study
from experiments.records import read


@pytest.mark.parametrize("prior", ["uniform", "fair"])
def test_graphs_come_as_often_as_the_prior_says(prior):
    size = 2500
    drawn = study.graphs_from_prior(prior, 3, size)
    graphs = all_dags(3)
    parents = graphs.sum(axis=1)  # [25, 3]
    log_prior = dg.scores.PRIORS[prior]().log_prior(np.arange(3), 3)[parents].sum(axis=1)
    probability = np.exp(log_prior) / np.exp(log_prior).sum()
    order = {bytes(code): number for number, code in enumerate(dag_codes(graphs))}
    seen = np.bincount([order[bytes(code)] for code in dag_codes(drawn)], minlength=len(graphs))
    assert stats.chisquare(seen, size * probability).pvalue > 1e-3


def test_parameters_come_from_the_prior_of_the_score():
    """One row of one column, whatever its causes, is Student's t under a normal-Wishart prior."""
    graph = np.zeros((2, 2), np.int8)
    graph[0, 1] = 1
    values = np.array([study.truth_and_table(graph, 1, seed)[1].iloc[0] for seed in range(1500)])
    # alpha_mu = 1, alpha_w = d + 2, nu = 0, T = t I with t = 1/2: each column by itself
    degrees, t = 3.0, 0.5
    scale = np.sqrt(t * 2 / degrees)
    for column in values.T:
        assert stats.kstest(column / scale, stats.t(degrees).cdf).pvalue > 1e-3


def test_a_right_posterior_has_places_that_are_uniform():
    """The truth is one more draw of a spike and a normal, whose places must be uniform."""
    rng = np.random.default_rng(0)
    size = 600
    draws = np.where(rng.random((4000, size)) < 0.3, 0.0, rng.normal(size=(4000, size)))
    truth = np.where(rng.random(size) < 0.3, 0.0, rng.normal(size=size))
    effects = CausalEffects(
        tuple("ab"), draws[:, None], np.zeros(4000), draws.mean(axis=0), np.zeros(size), "units"
    )
    places = study.placed(effects, truth[None], rng)[0]
    assert stats.kstest(places, "uniform").pvalue > 1e-3


def test_calibration_error_is_the_mean_gap_over_bins():
    row = {"bin_count": [0, 10, 30], "bin_probability": [0.0, 2.0, 27.0], "bin_exists": [0, 4, 24]}
    assert study.calibration_error([row]) == pytest.approx((2 + 3) / 40)
    assert study.calibration_error([row, row]) == pytest.approx((2 + 3) / 40)


def test_results_become_a_table_and_a_picture(monkeypatch, tmp_path):
    for name, value in {
        "FOLDER": tmp_path,
        "NUM_TABLES": 3,
        "NUM_VARIABLES": 3,
        "NUM_ROWS": 20,
        "NUM_RESAMPLES": 20,
        "run_cases": lambda measure, cases: [measure(*case) for case in cases],
    }.items():
        monkeypatch.setattr(study, name, value)
    monkeypatch.setattr("sys.argv", ["run", "--only", "exact_uniform", "exact_fair"])
    readme = tmp_path / "README.md"
    readme.write_text("<!-- begin results -->\n<!-- end results -->\n", encoding="utf-8")
    study.main()
    assert readme.read_text(encoding="utf-8").count("exact posterior") == 2
    rows = read(tmp_path / "results.jsonl")
    assert len(rows) == 6
    assert all(row["pairs"] == 6 == sum(row["places"]) == sum(row["bin_count"]) for row in rows)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
