"""The command line: what it writes, and one sentence for whatever it refuses."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn import scores
from dag_gfn.cli import build_parser, fit, main
from dag_gfn.cli.command import command_of
from dag_gfn.cli.inputs import read_request, split_edge
from dag_gfn.cli.messages import in_command_words
from dag_gfn.cli.outputs import FILES

QUICK = ["--updates", "250", "--samples", "2000", "--seed", "3"]


def measurements(num_rows: int = 40) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(num_rows, 3)).round(6)
    values[:, 1] += values[:, 0]
    return pd.DataFrame(values, columns=["a", "b", "c"])


def categories(num_rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    cause = rng.integers(2, size=num_rows)
    effect = np.where(rng.random(num_rows) < 0.8, cause, 1 - cause)
    other = rng.choice(["low", "mid", "high"], size=num_rows)
    return pd.DataFrame({"cause": cause, "effect": effect, "other": other})


# --- whole runs, as a user starts them -----------------------------------------------------------


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Variables under which the runs share what they compile, which takes most of their time."""
    cache = tmp_path_factory.mktemp("compiled")
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def run(*arguments: object, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "dag_gfn", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, environment) -> tuple[Path, subprocess.CompletedProcess]:
    """A folder of results from a CSV file, and the process that wrote it."""
    folder = tmp_path_factory.mktemp("finished")
    measurements().to_csv(folder / "table.csv", index=False)
    output = folder / "new" / "run"
    done = run("fit", folder / "table.csv", *QUICK, "--output", output, environment=environment)
    assert done.returncode == 0, done.stderr
    return output, done


def test_all_files_are_written_and_no_other(finished):
    output, _ = finished
    assert sorted(path.name for path in output.iterdir()) == sorted(FILES)
    for name in FILES:
        if name.endswith(".png"):
            assert (output / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_the_report_names_the_files_and_the_trust(finished):
    output, done = finished
    assert f"{output}/" in done.stdout
    for name in FILES:
        assert name in done.stdout
    trust = dg.diagnostics.assess(dg.Posterior.load(output / "posterior.npz"))
    assert f"\nTrust: {trust.level}.\n" in done.stdout
    assert "Trust" not in done.stderr


def test_marginals_agree_with_enumeration(finished):
    output, _ = finished
    posterior = dg.Posterior.load(output / "posterior.npz")
    assert posterior.num_samples == 2000
    exact = dg.ExactPosterior().fit(measurements())
    written = pd.read_csv(output / "edge_marginals.csv", index_col="cause/effect")
    assert written.index.tolist() == written.columns.tolist() == ["a", "b", "c"]
    # Five standard errors, and the rounding of six digits.
    error = (written - exact.edge_marginals_).abs()
    assert (error <= 5 * posterior.edge_marginals_standard_error() + 1e-6).all(axis=None)
    for name, index, expected in (
        ("edge_marginals", "cause/effect", posterior.edge_marginals()),
        ("path_marginals", "cause/effect", posterior.path_marginals()),
        ("markov_blanket_marginals", "variable/other", posterior.markov_blanket_marginals()),
    ):
        written = pd.read_csv(output / f"{name}.csv", index_col=index)
        np.testing.assert_allclose(written, expected, rtol=1e-5)


def test_graphs_are_listed_with_probability_and_score(finished):
    output, _ = finished
    listed = pd.read_csv(output / "graphs.csv", keep_default_na=False)
    posterior = dg.Posterior.load(output / "posterior.npz")
    local = dg.local_scores(measurements())
    exact = dg.ExactPosterior().fit(measurements()).posterior_
    assert listed["rank"].tolist() == list(range(1, len(listed) + 1))
    assert listed["probability"].is_monotonic_decreasing
    for row in listed.itertuples():
        edges = [edge.split(" -> ") for edge in row.edges.split("; ") if edge]
        assert len(edges) == row.num_edges
        adjacency = np.zeros((3, 3), dtype=np.int8)
        for cause, effect in edges:
            adjacency["abc".index(cause), "abc".index(effect)] = 1
        assert row.log_score == pytest.approx(local.log_score(adjacency), abs=1e-9)
        probability = exact.probability(lambda graph, that=adjacency: (graph == that).all())
        # All of the error is that of the evidence; the file has six digits.
        expected = np.log(probability) + exact.log_evidence - posterior.log_evidence
        assert np.log(row.probability) == pytest.approx(expected, abs=1e-5)


def test_the_summary_is_enough_to_repeat_and_to_judge(finished):
    output, _ = finished
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    posterior = dg.Posterior.load(output / "posterior.npz")
    assert summary["table"].endswith("table.csv")
    assert (summary["rows"], summary["variables"]) == (40, ["a", "b", "c"])
    assert (summary["seed"], summary["samples"]) == (3, 2000)
    assert summary["settings"]["num_updates"] == 250
    assert summary["settings"]["prior"] == "uniform"
    assert summary["khat"] == pytest.approx(posterior.khat)
    assert summary["ess"] == pytest.approx(posterior.ess)
    assert summary["log_evidence"] == pytest.approx(posterior.log_evidence)
    assert summary["versions"]["dag_gfn"] == dg.__version__
    assert summary["command"].startswith("dag-gfn fit /")
    assert [column["name"] for column in summary["columns"]] == ["a", "b", "c"]
    history = pd.read_csv(output / "history.csv")
    assert history["update"].iloc[-1] <= 250


@pytest.mark.parametrize(
    "asked",
    [
        "table.csv --seed 3",
        "'a table.csv' --score bde --prior-param beta=0.1 --score-param equivalent_sample_size=1e-3"
        " --edge-probability 'a=b:c d=0.30000000000000004' --seed 4294967295",
        "--dataset sachs --all-conditions --imperfect --log --standardize --columns Raf Mek PKA"
        " --require Raf:Mek --forbid Mek:PKA --tier Raf Mek --tier PKA --max-parents 2 --seed 0",
        "t.csv --drop x y --interventions-column set --conditions-column dose --output 'my run'"
        " --samples 7 --updates 9 --seed 1",
    ],
)
def test_the_command_that_is_kept_parses_to_the_same(asked):
    parser = argparse.ArgumentParser()
    fit.add_parser(parser.add_subparsers())
    args = parser.parse_args(["fit", *shlex.split(asked)])
    fit_parser = next(iter(parser._subparsers._group_actions[0].choices.values()))
    program, *arguments = shlex.split(command_of(args, fit_parser))
    assert program == "dag-gfn"
    again, expected = vars(parser.parse_args(arguments)), vars(args)
    assert {**again, "run": None} == {**expected, "run": None}


def test_a_quiet_run_on_parquet_that_overwrites(finished, tmp_path, environment):
    table = categories()
    table["set"] = np.where(np.arange(len(table)) < 20, "cause", None)
    table["dose"] = np.where(np.arange(len(table)) < 10, "low", "high")
    table.to_parquet(tmp_path / "table.parquet")
    output = tmp_path / "run"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    (output / "summary.json").write_text("old")
    done = run(
        *("fit", tmp_path / "table.parquet", *QUICK, "--score", "bde", "--prior", "fair"),
        *("--interventions-column", "set", "--conditions-column", "dose"),
        *("--require", "cause:effect"),
        *("--forbid", "other:cause", "--output", output, "--overwrite", "--quiet"),
        environment=environment,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert sorted(path.name for path in output.iterdir()) == sorted([*FILES, "notes.txt"])
    assert (output / "notes.txt").read_text() == "mine"
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert summary["rows_with_intervention"] == 20
    assert summary["imperfect_interventions"]
    # Only a result that should not be used is spoken of.
    poor = summary["trust"]["level"] == "poor"
    assert done.stderr.startswith("dag-gfn: Trust: poor.") if poor else done.stderr == ""
    edges = pd.read_csv(output / "edge_marginals.csv", index_col="cause/effect")
    assert edges.loc["cause", "effect"] == pytest.approx(1)
    assert edges.loc["other", "cause"] == edges.loc["effect", "cause"] == 0
    exact = dg.ExactPosterior(score="bde", prior="fair").fit(
        table.drop(columns=["set", "dose"]),
        interventions=table["set"],
        conditions=table["dose"],
        required_edges=[("cause", "effect")],
        forbidden_edges=[("other", "cause")],
    )
    posterior = dg.Posterior.load(output / "posterior.npz")
    error = (edges - exact.edge_marginals_).abs()
    assert (error <= 5 * posterior.edge_marginals_standard_error() + 1e-6).all(axis=None)


def test_interrupting_says_so_and_how_to_go_on(finished, tmp_path, environment):
    measurements().to_csv(tmp_path / "table.csv", index=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "dag_gfn", "fit", "table.csv", "--updates", "1000000"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    seen = b""
    while b"0%" not in seen:  # the progress bar: training has begun
        letter = process.stderr.read(1)
        assert letter, f"it ended before training: {seen.decode()}"
        seen += letter
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    *_, hint, last = errors.decode().replace("\r", "\n").strip().splitlines()
    assert hint == "dag-gfn: to go on later: dag-gfn fit --resume table_posterior"
    assert last == "dag-gfn: interrupted before the results were complete."
    assert "Traceback" not in errors.decode()
    output = tmp_path / "table_posterior"
    assert sorted(path.name for path in output.iterdir()) == ["checkpoints", "request.json"]


def test_a_refusal_as_a_process(tmp_path, environment):
    table = measurements()
    table.loc[3, "b"] = np.nan
    table.to_csv(tmp_path / "table.csv", index=False)
    done = run("fit", tmp_path / "table.csv", "--output", tmp_path / "run", environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("dag-gfn: column 'b' has 1 missing value(s) (NaN)")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_command_is_installed():
    (command,) = entry_points(group="console_scripts", name="dag-gfn")
    assert command.load() is main


# --- what is refused, each in one sentence and before anything is written -------------------------


def refusal(capsys, *arguments: object) -> str:
    """Run the command in this process and return its sentence."""
    assert main(["fit", *map(str, arguments)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("dag-gfn: ")
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("dag-gfn: ").strip()


def csv(**columns: object) -> str:
    """The measurements as CSV text, with columns replaced or added."""
    return measurements().assign(**columns).to_csv(index=False)


ROWS = np.arange(40)

BAD_TABLES = {
    "missing": (csv(b=np.where(ROWS == 3, np.nan, ROWS)), [], "column 'b' has 1 missing value"),
    "infinite": (csv(b=np.where(ROWS == 3, np.inf, ROWS)), [], "column 'b' has infinite values"),
    "constant": (csv(c=1.5), [], "column 'c' is constant; drop it"),
    "copy": (csv(d=measurements()["a"]), [], "column 'd' is a copy of column 'a'; drop one"),
    "repeated name": ("a,b,a\n1,2,3\n2,3,5\n", [], "two columns are called 'a'; rename one"),
    "text": (csv(c="some text"), [], "column 'c' is not numeric (it holds 'some text')"),
    "one column": ("a\n1.5\n2.5\n", [], "the table has one column, 'a'"),
    "empty": ("", [], "table.csv is empty"),
    "only a header": ("a,b\n", [], "table.csv has a header line and no rows"),
    "no header": ("1.5,2.5\n2.5,3.5\n", [], "add a header line"),
    "ragged": ("a,b\n1.5,2.5\n2.5,3.5,4.5\n", [], "has a row of a different length"),
    "row numbers": (",a,b\n0,1.5,2.5\n1,2.5,1.5\n", [], "without row numbers"),
    "codes to BGe": (
        csv(c=ROWS % 3),
        [],
        "use --score bde, or write them with a decimal point if they are measurements",
    ),
    "floats to BDe": (
        csv(),
        ["--score", "bde"],
        "column 'a' holds floating-point numbers that are not whole; discretise it, or use --score "
        "bge for measurements.",
    ),
    "unknown target": (
        csv(set=np.where(ROWS == 5, "z", "")),
        ["--interventions-column", "set"],
        "intervention target of row 5, 'z' is not in the table, whose columns are 'a', 'b', 'c'",
    ),
    "unknown column of targets": (
        csv(),
        ["--interventions-column", "set"],
        "--interventions-column: there is no column 'set'; the table has 'a', 'b', 'c'",
    ),
    "target that was dropped": (
        csv(set="c"),
        ["--interventions-column", "set", "--drop", "c"],
        "intervention target of row 0, 'c' is not in the table",
    ),
    "unknown column of conditions": (
        csv(set="c"),
        ["--interventions-column", "set", "--conditions-column", "dose"],
        "--conditions-column: there is no column 'dose'; the table has 'a', 'b', 'c', 'set'",
    ),
    "target without condition": (
        csv(set="c", dose=np.where(ROWS == 5, "", "low")),
        ["--interventions-column", "set", "--conditions-column", "dose"],
        "row 5 has an intervention and no condition; label it",
    ),
    "contradiction": (
        csv(),
        ["--require", "a:b", "--forbid", "a:b"],
        "edge 'a' -> 'b' is both required and forbidden",
    ),
    "cycle": (
        csv(),
        ["--require", "a:b", "--require", "b:c", "--require", "c:a"],
        "the required edges contain the cycle",
    ),
    "tiers": (
        csv(),
        ["--tier", "a", "--tier", "b", "c", "--require", "b:a", "--edge-probability", "c:a=1"],
        "edge 'b' -> 'a' is required and goes back from tier 2 to tier 1; edge 'c' -> 'a' has "
        "probability 1 and goes back",
    ),
    "column in two tiers": (
        csv(),
        ["--tier", "a", "b", "--tier", "b"],
        "column 'b' occurs twice in the tiers; leave it in one of them",
    ),
    "unknown column of a tier": (csv(), ["--tier", "a", "--tier", "z"], "tier column 'z' is not"),
    "improbable": (
        csv(),
        ["--edge-probability", "a:b=1.5"],
        "an edge probability must be from 0 to 1, not 1.5 for 'a' -> 'b'",
    ),
    "two probabilities": (
        csv(),
        ["--edge-probability", "a:b=0.5", "--edge-probability", "a:b=0.6"],
        "--edge-probability names the edge a:b twice",
    ),
    "probability of nothing": (
        csv(),
        ["--edge-probability", "a:z=0.5"],
        "--edge-probability a:z names 'z', which is not one of",
    ),
    "self-loop": (csv(), ["--require", "a:a"], "required edge 'a' -> 'a' is a self-loop"),
    "too many required parents": (
        csv(),
        ["--require", "a:c", "--require", "b:c", "--max-parents", "1"],
        "column 'c' has 2 required parents, more than --max-parents = 1",
    ),
    "no colon": (csv(), ["--forbid", "ab"], "--forbid ab is not an edge; write it as CAUSE:EFFECT"),
    "unknown end": (csv(), ["--require", "a:z"], "--require a:z names 'z', which is not one of"),
    "max parents": (csv(), ["--max-parents", "3"], "--max-parents must be from 0 to d - 1 = 2"),
    "unknown choice of columns": (csv(), ["--columns", "a", "z"], "there is no column 'z'"),
    "unknown column to drop": (csv(), ["--drop", "z"], "--drop: there is no column 'z'"),
    "one column left": (csv(), ["--drop", "a", "b"], "the table has one column, 'c'"),
    "no logarithm": (
        csv(a=ROWS + 1.5, b=ROWS * 2.0),
        ["--log"],
        "column 'b' has no logarithm in row 0, where it is 0; drop the column",
    ),
    "hyper-parameter": (
        csv(),
        ["--score-param", "alpha=1"],
        "score 'bge' has no hyper-parameter 'alpha'; it has alpha_mu",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_input_is_refused_in_one_sentence(case, tmp_path, capsys):
    text, options, expected = BAD_TABLES[case]
    (tmp_path / "table.csv").write_text(text)
    sentence = refusal(
        capsys, tmp_path / "table.csv", "--output", tmp_path / "run", "--overwrite", *options
    )
    assert expected in sentence
    assert not (tmp_path / "run").exists()


def test_files_that_are_no_tables(tmp_path, capsys):
    assert "there is no file" in refusal(capsys, tmp_path / "no.csv")
    (tmp_path / "table.xlsx").write_bytes(b"PK")
    assert "of an unknown kind" in refusal(capsys, tmp_path / "table.xlsx")
    (tmp_path / "table.parquet").write_bytes(b"PAR1")
    assert "cannot be read as a Parquet table" in refusal(capsys, tmp_path / "table.parquet")


def test_too_many_categories_for_a_table_are_refused_before_the_fit(tmp_path, capsys):
    codes = np.random.default_rng(0).integers(2, size=(50, 30))
    pd.DataFrame(codes, columns=[f"v{i}" for i in range(30)]).to_csv(
        tmp_path / "table.csv", index=False
    )
    sentence = refusal(
        capsys, tmp_path / "table.csv", "--score", "bde", "--output", tmp_path / "run"
    )
    assert "set --max-parents to 6 or less" in sentence


def test_the_output_folder_is_looked_at_before_the_fit(tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text(csv())
    output = tmp_path / "run"
    output.mkdir()
    assert refusal(capsys, table, "--output", output) == (
        f"the folder {output} exists; give another --output, or --overwrite to replace the results "
        "in it."
    )
    assert "is not a folder" in refusal(capsys, table, "--output", table, "--overwrite")
    assert "Not a directory" in refusal(capsys, table, "--output", table / "run")
    (output / "graphs.csv").mkdir()
    assert "graphs.csv is a folder where" in refusal(
        capsys, table, "--output", output, "--overwrite"
    )


def test_a_fit_that_fails_leaves_no_folder(tmp_path, capsys, monkeypatch):
    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr(fit, "_fit", no_memory)
    (tmp_path / "table.csv").write_text(csv())
    assert main(["fit", str(tmp_path / "table.csv"), "--output", str(tmp_path / "new/run")]) == 1
    assert "not enough memory" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give either a TABLE or --dataset"),
        (["table.csv", "--dataset", "sachs"], "give either a TABLE or --dataset"),
        (["table.csv", "--all-conditions"], "--all-conditions goes with --dataset"),
        (["--dataset", "sachs", "--interventions-column", "x"], "goes with a TABLE"),
        (["table.csv", "--conditions-column", "x"], "goes with --interventions-column"),
        (["--dataset", "sachs", "--imperfect"], "--imperfect goes with --all-conditions"),
        (["table.csv", "--score", "bde", "--log"], "--log is for measurements"),
        (["table.csv", "--score", "bde", "--standardize"], "--standardize is for measurements"),
        (["table.csv", "--score", "bic"], "invalid choice: 'bic'"),
        (["table.csv", "--samples", "0"], "0 is not at least 1"),
        (["table.csv", "--updates", "many"], "invalid whole_number value: 'many'"),
        (["table.csv", "--seed", "-1"], "-1 is not from 0 to 4294967295"),
        (["table.csv", "--checkpoint-every", "-1"], "-1 is not a number of seconds"),
        (["table.csv", "--checkpoint-every", "nan"], "nan is not a number of seconds"),
        (["table.csv", "--resume", "run"], "leave out TABLE: --resume takes it from the folder"),
        (["--resume", "run", "--updates", "5"], "leave out --updates: --resume takes it from"),
        (["--resume", "run", "--forbid", "a:b"], "leave out --forbid: --resume takes it from"),
        (["table.csv", "--prior-param", "beta"], "'beta' is not NAME=NUMBER"),
        (["table.csv", "--edge-probability", "a:b"], "'a:b' is not CAUSE:EFFECT=P"),
        (["table.csv", "--edge-probability", "a:b=nan"], "'a:b=nan' is not CAUSE:EFFECT=P"),
        (["table.csv", "--columns", "a", "--drop", "b"], "not allowed with"),
    ],
)
def test_options_that_cannot_be_understood(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", *arguments])
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err


# --- what is understood --------------------------------------------------------------------------


def request(*arguments: object):
    return read_request(build_parser().parse_args(["fit", *map(str, arguments)]))


def test_help_explains_itself(capsys):
    for arguments in ([], ["--help"], ["fit", "--help"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments or ["--help"])
        assert stopped.value.code == 0
        assert "example" in capsys.readouterr().out


def test_choices_are_the_registries():
    assert set(fit.SCORES) == set(scores.SCORES)
    assert set(fit.PRIORS) == set(scores.PRIORS)


def test_the_sachs_table_with_and_without_interventions():
    observational = request("--dataset", "sachs")
    assert observational.table.shape == (853, 11)
    assert observational.constraints["interventions"] is None
    everything = request("--dataset", "sachs", "--all-conditions")
    targets = everything.constraints["interventions"]
    assert everything.table.shape == (7466, 11)
    assert {target for target in targets if target} == {"Akt", "Mek", "PIP2", "PIP3", "PKA", "PKC"}
    assert everything.constraints["conditions"] is None
    imperfect = request("--dataset", "sachs", "--all-conditions", "--imperfect")
    assert imperfect.table.equals(everything.table)
    assert imperfect.constraints["interventions"] == targets
    expected = dg.datasets.load_sachs(interventions=True, conditions=True)[2]
    assert imperfect.constraints["conditions"] == expected.tolist()


def test_conditions_make_interventions_imperfect(tmp_path):
    targets, doses = np.where(ROWS < 20, "b", ""), np.where(ROWS % 2, 0.5, 2)
    measurements().assign(set=targets, dose=doses).to_csv(tmp_path / "table.csv", index=False)
    named = ("--interventions-column", "set", "--conditions-column")
    for column, conditions in (("dose", doses), ("set", targets)):
        # With a column of its own for the doses the other is not a variable either.
        drop = () if column == "dose" else ("--drop", "dose")
        got = request(tmp_path / "table.csv", *named, column, *drop)
        assert got.table.columns.tolist() == ["a", "b", "c"]
        expected = dg.local_scores(measurements(), interventions=targets, conditions=conditions)
        np.testing.assert_allclose(got.check().table(), expected.table(), rtol=1e-12)


def test_logarithm_and_choice_of_columns(tmp_path):
    table = np.exp(measurements()).assign(d=-1.0)
    table.to_csv(tmp_path / "table.csv", index=False)
    got = request(tmp_path / "table.csv", "--log", "--drop", "d").table
    np.testing.assert_allclose(got, measurements(), atol=1e-9)
    got = request(tmp_path / "table.csv", "--columns", "c", "a").table
    assert got.columns.tolist() == ["c", "a"]


def test_columns_called_by_numbers_can_be_targets(tmp_path):
    table = measurements().set_axis(["7", "b", "8"], axis=1)
    table["set"] = np.where(ROWS % 2, 7, np.nan)  # read back as 7.0
    table.to_csv(tmp_path / "table.csv", index=False)
    got = request(tmp_path / "table.csv", "--interventions-column", "set")
    assert got.constraints["interventions"][:3] == [None, "7", None]
    assert got.table.columns.tolist() == ["7", "b", "8"]
    assert got.check().num_rows == 40


def test_more_variables_than_rows_are_accepted(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 8))
    pd.DataFrame(values).add_prefix("v").to_csv(tmp_path / "table.csv", index=False)
    assert request(tmp_path / "table.csv").check().num_variables == 8


def test_tiers_and_edge_probabilities_reach_the_score(tmp_path):
    table = measurements().set_axis(["age, in years", "b:c", "d=1"], axis=1)
    table.to_csv(tmp_path / "table.csv", index=False)
    got = request(
        *(tmp_path / "table.csv", "--tier", "age, in years", "--tier", "b:c"),
        *("--edge-probability", "b:c:d=1=0.25", "--edge-probability", "d=1:age, in years=0"),
    ).check()
    expected = dg.local_scores(
        table,
        forbidden_edges=[("b:c", "age, in years"), ("d=1", "age, in years")],
        edge_probabilities={("b:c", "d=1"): 0.25},
    )
    np.testing.assert_array_equal(got.forbidden, expected.forbidden)
    np.testing.assert_allclose(got.table(), expected.table(), rtol=1e-12)


def test_hyper_parameters_reach_the_score(tmp_path):
    categories().to_csv(tmp_path / "table.csv", index=False)
    got = request(
        *(tmp_path / "table.csv", "--score", "bde", "--score-param", "equivalent_sample_size=1"),
        *("--prior", "edge", "--prior-param", "beta=0.25"),
        *("--max-parents", 1),
    ).check()
    assert got.max_parents == 1
    expected = dg.local_scores(
        categories(),
        "bde",
        "edge",
        score_params={"equivalent_sample_size": 1.0},
        prior_params={"beta": 0.25},
    )
    assert got.local_score("effect", ["cause"]) == expected.local_score("effect", ["cause"])


def test_edges_between_names_with_colons():
    names = ["gene:1", "gene", "1:age", "age", "x"]
    assert split_edge("x:age", names, "--require") == ("x", "age")
    assert split_edge("gene:1:x", names, "--require") == ("gene:1", "x")
    with pytest.raises(ValueError, match="could mean 'gene' -> '1:age' or 'gene:1' -> 'age'"):
        split_edge("gene:1:age", names, "--require")
    with pytest.raises(ValueError, match="--forbid a:b:c does not name two of the columns"):
        split_edge("a:b:c", names, "--forbid")


def test_warnings_are_sentences_said_once(tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise ValueError("num_updates is wrong,\nas is random_state.")

    monkeypatch.setattr(fit, "_fit", stop)
    table = measurements()
    table["a"] *= 1e4
    table.to_csv(tmp_path / "table.csv", index=False)
    assert main(["fit", str(tmp_path / "table.csv"), "--output", str(tmp_path / "run")]) == 1
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith("dag-gfn: warning: the standard deviations of the columns differ")
    assert "; --standardize gives every column unit variance." in warning
    assert error == "dag-gfn: --updates is wrong, as is --seed."


def test_remedies_are_in_the_words_of_the_command():
    poor = dg.Posterior(np.zeros((30, 21, 21)), [0.0] * 29 + [50.0], list(map(str, range(21))))
    text = in_command_words(" ".join(dg.diagnostics.assess(poor).sentences))
    assert "Train longer (--updates), then draw more graphs (--samples)." in text
    assert "--standardize when columns differ in scale, --max-parents, or a prior" in text
    assert "(--prior edge)" in text
