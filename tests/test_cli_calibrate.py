"""``dag-gfn calibrate``: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json

import pandas as pd

import dag_gfn as dg
from dag_gfn.cli import main
from dag_gfn.cli.calibrate import FILES


def test_a_run_writes_its_files_and_prints_the_figures(tmp_path, capsys):
    output = tmp_path / "run"
    sizes = ["--variables", "3", "--rows", "20", "--tables", "6", "--seed", "5"]
    command = ["calibrate", *sizes, "--output", str(output), "--log-json"]
    assert main(command) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "calibration error of edges" in [line.get("figure") for line in lines]
    assert (lines[-1]["event"], lines[-1]["folder"]) == ("finished", str(output))
    assert sorted(path.name for path in output.iterdir()) == sorted(FILES)
    expected = dg.calibrate(
        dg.ExactPosterior(),
        num_variables=3,
        num_rows=20,
        num_tables=6,
        progress=False,
        random_state=5,
    )
    pairs = pd.read_csv(output / "pairs.csv")
    pd.testing.assert_frame_equal(pairs, expected.pairs, rtol=1e-4, atol=1e-9)
    assert main(command) == 1
    printed = capsys.readouterr()
    refused = json.loads(printed.out)
    assert refused["event"] == "refused"
    assert "exists; give another --output, or --overwrite" in refused["text"]
    assert printed.err == f"dag-gfn: {refused['text']}\n"


def test_what_does_not_fit_is_refused(tmp_path, capsys):
    command = ["calibrate", "--output", str(tmp_path / "run"), "--quiet"]
    assert main([*command, "--variables", "40"]) == 1
    assert "from 2 to 20" in capsys.readouterr().err
    assert main([*command, "--updates", "10"]) == 1
    assert "--updates is for flows" in capsys.readouterr().err
    assert main([*command, "--method", "bootstrap_ges", "--max-parents", "1"]) == 1
    assert "bootstrap_ges knows no limit of parents" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_methods_without_a_limit_of_parents_can_be_calibrated(tmp_path):
    sizes = ["--variables", "3", "--rows", "40", "--tables", "2", "--quiet"]
    output = ["--output", str(tmp_path / "run")]
    assert main(["calibrate", "--method", "bootstrap_ges", *sizes, *output]) == 0
