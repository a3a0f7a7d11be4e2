"""``dag-gfn compare``: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.cli import build_parser, main
from dag_gfn.cli.compare import METHOD_NAMES
from dag_gfn.comparison import METHODS

FILES = ["errors_over_time.csv", "reference.csv", "summary.csv", "error_over_time.png"]


@pytest.fixture
def table(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 3)).round(6)
    values[:, 1] += values[:, 0]
    path = tmp_path / "table.csv"
    pd.DataFrame(values, columns=["a", "b", "c"]).to_csv(path, index=False)
    return path


def test_the_methods_listed_are_those_there_are():
    assert list(METHODS) == list(METHOD_NAMES)


def test_a_run_writes_its_files_and_prints_the_table(table, tmp_path, capsys):
    output = tmp_path / "run"
    arguments = ["--methods", "exact, bootstrap_ges", "--budget", "0.3s", "--seed", "1"]
    constraints = ["--prior", "edge", "--prior-param", "beta=0.5"]
    command = ["compare", str(table), *arguments, *constraints, "--output", str(output), "--quiet"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "Errors are against the exact posterior" in printed
    assert "bootstrap frequencies of GES, not a posterior" in printed

    written = sorted(path.name for path in output.iterdir())
    marginals = ["marginals_bootstrap_ges.csv", "marginals_exact.csv"]
    assert written == sorted([*FILES, "scatter.png", *marginals])
    for name in ("scatter.png", "error_over_time.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG\r\n")
    exact = dg.ExactPosterior(prior="edge", prior_params={"beta": 0.5}).fit(pd.read_csv(table))
    for name in ("reference.csv", "marginals_exact.csv"):
        frame = pd.read_csv(output / name, index_col="cause/effect")
        np.testing.assert_allclose(frame, exact.edge_marginals_, rtol=1e-5, atol=1e-9)
    summary = pd.read_csv(output / "summary.csv", index_col="method")
    assert summary.index.tolist() == ["exact", "bootstrap_ges"]
    assert summary.loc["exact", "max_error"] == 0
    errors = pd.read_csv(output / "errors_over_time.csv")
    assert set(errors["method"]) == {"exact", "bootstrap_ges"}

    assert main(command) == 1
    assert "exists; give another --output, or --overwrite" in capsys.readouterr().err
    assert main([*command[:-1], "--overwrite", "--log-json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["started", "method", "method", "finished"]
    assert [line["method"] for line in lines[1:3]] == ["exact", "bootstrap_ges"]
    assert lines[1]["max_error"] == 0


def test_without_any_result_there_are_no_pictures(table, tmp_path, capsys):
    output = tmp_path / "run"
    words = ["--methods", "bootstrap_pc", "--require", "a:b", "--quiet", "--output", str(output)]
    assert main(["compare", str(table), *words]) == 0
    assert "PC cannot honour required_edges" in capsys.readouterr().out
    assert not (output / "scatter.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "gibbs"], "method must be one of flow, independence, structure"),
        (["--methods", ","], "give at least one method"),
        (["--methods", "exact", "--budget", "soon"], "budget must be a positive time"),
        (["--methods", "exact", "--drop", "z"], "there is no column 'z'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(table, tmp_path, capsys, words, message):
    output = tmp_path / "run"
    assert main(["compare", str(table), *words, "--output", str(output)]) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not output.exists()


def test_options_that_do_not_go_together_end_the_process(table):
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(table), "--dataset", "sachs"])
    assert ended.value.code == 2


def test_defaults():
    args = build_parser().parse_args(["compare", "--dataset", "sachs"])
    assert (args.methods, args.budget) == ("order_flow,structure,partition", "60s")
