"""``dag-gfn report``: what it writes and prints, and what it refuses."""

from __future__ import annotations

import pytest

import dag_gfn as dg
from dag_gfn.cli import main


@pytest.fixture
def run(tmp_path):
    table = dg.datasets.simulate_linear_gaussian(3, 80, random_state=0).table
    posterior = dg.ExactPosterior(standardize=True).fit(table).posterior_
    posterior.save(tmp_path / "posterior.npz")
    return tmp_path


def test_the_report_of_a_folder_is_written_and_announced(run, capsys):
    assert main(["report", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "has no summary.json" in printed and "has no history.csv" in printed
    assert f"Wrote {run / 'report.html'}" in printed and "Trust: good." in printed
    first = (run / "report.html").read_text(encoding="utf-8")
    assert "90\u202f% interval" in first and "in SD" in first
    assert main(["report", str(run)]) == 1
    assert "report.html exists; give --overwrite" in capsys.readouterr().err
    quiet = [str(run / "posterior.npz"), "--overwrite", "--quiet", "--level", "0.8"]
    assert main(["report", *quiet]) == 0
    assert capsys.readouterr().out == ""
    assert "80\u202f% interval" in (run / "report.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in run.iterdir()) == ["posterior.npz", "report.html"]


def test_what_cannot_be_written_is_refused_in_a_sentence(run, capsys):
    refused = {
        (str(run / "elsewhere"),): "There is no file",
        (str(run), "--level", "90"): "level must be between 0 and 1",
        (str(run), "--output", str(run)): "is a folder; give the name of a file",
        (str(run), "--output", str(run / "no" / "page.html")): "there is no folder",
    }
    for arguments, sentence in refused.items():
        assert main(["report", *arguments]) == 1
        said = capsys.readouterr()
        assert sentence in said.err and said.out == ""
    assert [path.name for path in run.iterdir()] == ["posterior.npz"]
