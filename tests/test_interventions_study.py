"""The study of the Sachs conditions: what it computes is right, and it runs, small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from experiments.interventions import run as study
from experiments.records import read

PROTEINS = ["Mek", "Erk", "Akt", "PKA"]


@pytest.fixture
def cells() -> study.Cells:
    """Return a few cells of all conditions, and four of the proteins."""
    table, targets, conditions = (one.iloc[::20] for one in study.load())
    return study.Cells(table[PROTEINS], targets.where(targets.isin(PROTEINS), None), conditions)


@pytest.mark.parametrize("score", study.MODELS)
def test_the_evidence_of_all_values_is_that_of_targets_without_causes(cells, score):
    model = study.MODELS[score]
    words = {"interventions": cells.targets, "conditions": cells.conditions}
    table = model.transform(cells.table, study.CONFIG)
    # Where no target may have a cause, the two kinds of intervention are the same model.
    cut_off = [(cause, name) for name in set(cells.targets.dropna()) for cause in PROTEINS]
    cut_off = [(cause, name) for cause, name in cut_off if cause != name]
    evidence = {}
    for kind, given in {"perfect": {"interventions": cells.targets}, "imperfect": words}.items():
        scores = dg.local_scores(table, **model.words, **given, forbidden_edges=cut_off)
        evidence[kind] = dg.ExactPosterior().infer(scores).log_evidence_
    added = study.log_evidence_of_set_values(cells, score)
    assert evidence["perfect"] + added == pytest.approx(evidence["imperfect"], abs=1e-6)


def test_directions_are_counted_by_pair():
    edges, truth = np.zeros((4, 4)), np.zeros((4, 4), bool)
    for (i, j), forward, backward in (((0, 1), 0.98, 0.01), ((1, 2), 0.3, 0.6), ((2, 3), 0, 0.97)):
        edges[i, j], edges[j, i] = forward, backward
    edges[0, 3] = 0.2
    truth[[0, 1, 2, 0], [1, 2, 3, 2]] = True
    assert study.directions(edges, truth) == {
        "joined": 3,
        "joined_in_truth": 3,
        "settled": 2,
        "settled_in_truth": 2,
        "settled_right": 1,
    }


@pytest.mark.parametrize(
    ("slope", "noise", "changed", "follows"), [(1.0, 0.5, False, True), (0.0, 1.1, True, False)]
)
def test_mechanisms_that_are_kept_and_cut_off_are_told_apart(slope, noise, changed, follows):
    rng = np.random.default_rng(0)
    erk, inhibited = rng.normal(size=2000), np.arange(2000) >= 1200
    akt = np.where(inhibited, slope * erk, erk)
    akt += np.where(inhibited, noise, 0.5) * rng.normal(size=2000)
    cells = study.Cells(
        pd.DataFrame(np.exp(np.column_stack([erk, akt])), columns=["Erk", "Akt"]),
        pd.Series(np.where(inhibited, "Akt", None), dtype=object),
        pd.Series(np.where(inhibited, "inhibitor", "none")),
    )
    for score in study.MODELS:
        row = study.mechanism(cells, score, "inhibitor")
        assert row["parents"] == ["Erk"]
        assert (row["log_odds_of_change"] > 0) == changed
        assert (row["log_odds_of_dependence"] > 0) == follows


def test_results_become_tables_and_pictures(cells, monkeypatch, tmp_path):
    monkeypatch.setattr(study, "FOLDER", tmp_path)
    monkeypatch.setattr(study, "load", lambda: cells)
    parts = ("analyses", "edges", "mechanisms", "provenance")
    readme = "".join(f"<!-- begin {name} -->\n<!-- end {name} -->\n" for name in parts)
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    study.main()
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| bde | imperfect | 374, 1496 |" in written
    assert "| cd3cd28+u0126 | Mek |" in written and "| Erk → Akt |" in written
    for score in study.MODELS:
        assert (tmp_path / f"{score}.png").stat().st_size > 10_000
    rows = [row for row in read(tmp_path / "results.jsonl") if row["study"] == "analyses"]
    assert len(rows) == 8
    for row in rows:
        assert np.sum(row["marginals"]) == pytest.approx(row["edges"], abs=1e-2)
        assert row["settled_right"] <= row["settled_in_truth"] <= row["settled"] <= row["joined"]
        if row["case"] == "perfect":
            assert row["values"] == 1496 - cells.targets.notna().sum()
