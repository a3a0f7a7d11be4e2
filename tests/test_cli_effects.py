"""``dag-gfn effects``: what it writes and prints, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.cli import main


@pytest.fixture
def run(tmp_path):
    table = dg.datasets.simulate_linear_gaussian(3, 80, random_state=0).table
    table.columns = ["a", "b:1", "c"]
    posterior = dg.ExactPosterior(standardize=True).fit(table).posterior_
    posterior.save(tmp_path / "posterior.npz")
    return tmp_path


def test_effects_of_a_fit_are_written_drawn_and_printed(run, capsys):
    command = ["effects", str(run), "--pair", "a:b:1", "--level", "0.8", "--quiet"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "80 % intervals" in printed and "All 6 pairs are in" in printed
    written = pd.read_csv(run / "effects.csv", index_col=["cause", "effect"])
    posterior = dg.Posterior.load(run / "posterior.npz")
    expected = posterior.causal_effects(random_state=0).summary(0.8)
    assert list(written.index) == list(expected.index)
    np.testing.assert_allclose(written, expected, rtol=1e-4, atol=1e-9)
    for name in ("effects.png", "effect_a_b-1.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG\r\n")
    assert main(command) == 1
    assert "effects.csv exists; give --overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--standardized"]) == 0
    assert "in SD" in capsys.readouterr().out


def test_what_cannot_be_answered_is_refused_in_a_sentence(run, tmp_path, capsys):
    assert main(["effects", str(run / "elsewhere")]) == 1
    assert "There is no file" in capsys.readouterr().err
    assert main(["effects", str(run), "--pair", "a:z"]) == 1
    assert "names 'z', which is not one of" in capsys.readouterr().err
    assert main(["effects", str(run), "--level", "90"]) == 1
    assert "level must be between 0 and 1" in capsys.readouterr().err
    graphs = [[[0, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4]]
    dg.Posterior(graphs, [0.0], ["x_y", "z", "x", "y_z"]).save(tmp_path / "alike.npz")
    alike = ["--pair", "x_y:z", "--pair", "x:y_z"]
    assert main(["effects", str(tmp_path / "alike.npz"), *alike]) == 1
    assert "two of the pairs would be drawn to one file" in capsys.readouterr().err
    dg.Posterior([[[0, 1], [0, 0]]], [0.0], ["a", "b"]).save(tmp_path / "bare.npz")
    assert main(["effects", str(tmp_path / "bare.npz")]) == 1
    assert "effects need the mechanisms" in capsys.readouterr().err
    assert not list(run.glob(".writing-*"))


def test_a_reader_that_leaves_early_is_no_error(run):
    """As with ``dag-gfn effects run | head -1``: no traceback, and the results are there."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "dag_gfn", "effects", str(run), "--quiet"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
    assert (run / "effects.csv").exists()
