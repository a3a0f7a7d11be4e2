"""The studies of larger tables: each runs, small, and what they measure lands in the README."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from experiments.scaling import run

FOLDER = Path(__file__).parents[1] / "experiments" / "scaling"


@pytest.fixture
def study(monkeypatch, tmp_path):
    """The module of the experiment, writing elsewhere."""
    readme = tmp_path / "README.md"
    readme.write_text((FOLDER / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    for name, value in {
        "FOLDER": tmp_path,
        "RESULTS": tmp_path / "results.jsonl",
        "README": readme,
    }.items():
        monkeypatch.setattr(run, name, value)
    return run


def test_cost_is_measured(study):
    row = study.cost(3, study.CostConfig())
    assert row["variables"] == 3
    assert all(np.isfinite(value) and value > 0 for value in row.values())


def test_large_tables_are_compared_with_partition_chains(study):
    row = study.large(7, 50, study.LargeConfig(seconds=1.0))
    for sampler in ("flow", "partition"):
        assert 0 <= row[f"{sampler}_shd"] <= 21
        assert 0 <= row[f"{sampler}_auroc"] <= 1
        assert row[f"{sampler}_trust"] in ("good", "fair", "poor")


def test_the_race_is_against_the_exact_posterior_of_its_table(study):
    config = study.RaceConfig(num_variables=4)
    table, _ = study.simulation(4, 100)
    exact = dg.ExactPosterior(standardize=True, prior="fair").fit(table).edge_marginals_
    row = study.race(100, "StructureMCMC", 0.5, config)
    stored = pd.read_csv(study.FOLDER / "exact" / "gaussian4_100.csv", index_col=0)
    np.testing.assert_allclose(stored, exact, atol=1e-9)
    assert row["edge_error"] < 0.02


def test_the_stored_marginals_are_those_of_tables_of_20_variables():
    for path in (FOLDER / "exact").iterdir():
        marginals = pd.read_csv(path, index_col=0)
        assert list(marginals.index) == list(marginals.columns)
        assert marginals.shape == (20, 20)
        assert marginals.min(axis=None) >= 0
        # An edge has one direction.
        assert (marginals + marginals.T).max(axis=None) < 1 + 1e-9


def test_results_are_kept_and_written_into_tables_and_a_picture(study, monkeypatch):
    monkeypatch.setattr(
        study,
        "measured",
        lambda name, case, config: {
            "study": name,
            "case": case,
            "rows": case[0],
            "sampler": case[1],
            "seconds": case[2],
            "edge_error": 0.25,
        },
    )
    for seconds in (1.0, 2.0):
        config = study.RaceConfig(seconds={"StructureMCMC": (seconds,)})
        monkeypatch.setattr(sys, "argv", ["run.py", "--only", "race"])
        study.main({"race": config})
    assert len(study._stored()) == 4
    text = study.README.read_text(encoding="utf-8")
    assert text.count("| 100 | StructureMCMC | ") == 2
    assert "<!-- begin race -->\n| rows |" in text
    assert (study.FOLDER / "error_over_time.png").stat().st_size > 10_000


def test_cells_that_do_not_apply_are_empty(study):
    rows = [{"study": "race", "a": 1.23456}, {"study": "race", "a": 2.0, "refusal": "no"}]
    assert study.markdown(rows).splitlines()[2:] == ["| 1.235 |  |", "| 2 | no |"]
