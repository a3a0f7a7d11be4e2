"""The study beside the paper's baselines: each part runs, small, and lands in the README."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import dag_gfn as dg
from experiments.dag_gflownet import run as study

FAST = {
    "exact": lambda _: dg.ExactPosterior(progress=False, standardize=True),
    "structure MCMC": lambda _: dg.StructureMCMC(
        n_samples=2000, progress=False, random_state=0, standardize=True
    ),
    "bootstrap PC": lambda _: dg.BootstrapPC(n_samples=1, progress=False, random_state=0),
}

pytestmark = [
    # Chains of a moment do not agree, and say so.
    pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning"),
]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(study, "METHODS", dict.fromkeys(study.METHODS, FAST))


def test_the_exact_posterior_has_no_error_and_structure_chains_little(small):
    rows = study.five(0, study.FiveConfig())
    assert [row["method"] for row in rows] == list(FAST)
    by_method = {row["method"]: row for row in study.correlations(rows)}
    assert all(by_method["exact"][feature] == "1.00000, 0.000" for feature in study.FEATURES)
    for feature in study.FEATURES:
        correlation, error = map(float, by_method["structure MCMC"][feature].split(", "))
        assert correlation > 0.95
        assert error < 0.1


def test_interventions_are_for_methods_that_know_of_them(small):
    (exact,) = study.sachs("interventional", "exact", study.SachsConfig())
    assert exact["edges"] > 15
    assert study.sachs("interventional", "bootstrap PC", study.SachsConfig()) == []
    (row,) = study.beside_exact([exact])
    assert row["error"] == 0.0


def test_levels_hold_a_third_of_the_cells_each():
    values, _ = dg.datasets.load_sachs(interventions=True)
    levels = study.discretised(values)
    shares = levels["PKA"].value_counts(normalize=True)
    assert list(levels["PKA"].cat.categories) == ["low", "average", "high"]
    assert np.abs(shares - 1 / 3).max() < 0.01


def test_graphs_have_so_many_edges_a_node():
    config = study.TwentyConfig()
    for edges_per_node in (1, 2):
        edges = [
            study.simulation(config, edges_per_node, seed)[1].sum(axis=None) for seed in range(25)
        ]
        # The number of edges is binomial.
        assert np.mean(edges) == pytest.approx(20 * edges_per_node, abs=4 * 6 / np.sqrt(25))


def test_results_become_tables_and_pictures(small, monkeypatch, tmp_path):
    monkeypatch.setattr(study, "FOLDER", tmp_path)
    configs = study.CONFIGS | {"twenty": study.TwentyConfig(num_variables=5)}
    cases = {
        "five": [(0,)],
        "twenty": [(1, 0), (1, 1), (2, 0), (2, 1)],
        "sachs": [("observational", "exact"), ("observational", "structure MCMC")],
    }
    rows = [
        row
        for name, some in cases.items()
        for case in some
        for row in study.STUDIES[name](*case, configs[name])
    ]
    for row in rows:
        study.put(tmp_path / "results.jsonl", row, key=("study", "case", "method"))
    stored = study.read(tmp_path / "results.jsonl")
    assert len(stored) == len(rows)
    shown = {
        name: study.tables(name, [row for row in stored if row["study"] == name]) for name in cases
    }
    assert shown["twenty"].count(" ER2 |") == len(FAST)
    assert "| observational | structure MCMC |" in shown["sachs"]
    monkeypatch.setattr(
        study, "draw_five", partial(study.draw_five, methods=["exact", "structure MCMC"])
    )
    study.draw_pictures()
    for name in ("five", "twenty"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
