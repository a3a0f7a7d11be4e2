"""The study of calibration runs, small, and writes what it found."""

from __future__ import annotations

import numpy as np
import pytest

import dag_gfn as dg
from experiments import manifest
from experiments.calibration import run as study
from experiments.records import read


def test_results_become_a_table_and_a_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "FOLDER", tmp_path)
    sizes = {"num_variables": 4, "num_rows": 20, "num_tables": 4}
    monkeypatch.setattr("sys.argv", ["run", "--only", "exact_uniform", "exact_bde"])
    readme = tmp_path / "README.md"
    readme.write_text("<!-- begin results -->\n<!-- end results -->\n", encoding="utf-8")
    study.main(dict.fromkeys(study.STUDIES, study.Config(**sizes)))
    written = readme.read_text(encoding="utf-8")
    assert "BGe, uniform prior" in written and "BDe, fair prior" in written
    first, second = read(tmp_path / "results.jsonl")
    assert (first["study"], second["study"]) == ("exact_uniform", "exact_bde")
    expected = dg.calibrate(dg.ExactPosterior(), progress=False, **sizes)
    found = first["summary"]["calibration error of edges"][0]
    assert found == pytest.approx(expected.calibration_error(), rel=1e-4)
    assert sum(count for count, *_ in first["bins"]) == 4 * 12
    assert np.mean(first["places"]) == pytest.approx(1.0, rel=1e-4)
    assert set(manifest.read(tmp_path)) == {"exact_uniform", "exact_bde"}
    assert (tmp_path / "figure.png").stat().st_size > 10_000
