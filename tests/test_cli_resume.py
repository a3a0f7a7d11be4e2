"""``dag-gfn fit --resume``: a run that was stopped goes on, or is refused in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.checkpoint import TrainingDiverged, locked
from dag_gfn.cli import fit, main
from dag_gfn.cli.outputs import FILES


def measurements() -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(40, 3))
    values[:, 1] += values[:, 0]
    return pd.DataFrame(values, columns=["a", "b", "c"])


def started(folder, environment, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "dag_gfn", "fit", *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_log(log: str, seed: int, folder: Path) -> None:
    """Check the lines of JSON of a run that went on."""
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines[0]["event"] == "started"
    assert (lines[0]["table"], lines[0]["rows"], lines[0]["seed"]) == ("table.csv", 40, seed)
    assert lines[0]["variables"] == ["a", "b", "c"]
    rows = [line for line in lines if line["event"] == "training"]
    history = pd.read_csv(folder / "history.csv").iloc[-len(rows) :]
    assert [row["update"] for row in rows] == history["update"].tolist()
    np.testing.assert_allclose([row["loss"] for row in rows], history["loss"], rtol=1e-12)
    assert rows[0]["seconds_left"] is None
    assert all(row["seconds_left"] >= 0 for row in rows[1:])
    assert rows[-1]["updates_left"] == 0
    assert [line["event"] for line in lines[len(rows) + 1 :]] == ["finished"]
    summary = json.loads((folder / "summary.json").read_text())
    assert lines[-1]["trust"] == summary["trust"]
    assert lines[-1]["ess"] == summary["ess"]
    assert 0 <= lines[-1]["float32_error"] == summary["float32_error"] < 1e-3
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


def test_after_a_sigterm_the_results_are_those_of_a_run_that_was_never_stopped(tmp_path):
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    table = tmp_path / "table.csv"
    measurements().to_csv(table, index=False)
    asked = ("table.csv", "--updates", 20_000, "--samples", 500, "--forbid", "c:a", "--tier", "a")
    asked += ("--tier", "b", "--prior", "edge", "--prior-param", "beta=0.5")
    asked += ("--edge-probability", "a:c=0.7")
    process = started(tmp_path, environment, *asked, "--output", "run", "--checkpoint-every", 0)
    while not (tmp_path / "run" / "checkpoints" / "checkpoint.npz").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.endswith("dag-gfn: to go on later: dag-gfn fit --resume run\n")
    seed = json.loads((tmp_path / "run" / "request.json").read_text())["arguments"]["seed"]

    (tmp_path / "elsewhere").mkdir()
    process = started(
        tmp_path / "elsewhere", environment, "--resume", tmp_path / "run", "--log-json"
    )
    log, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    process = started(tmp_path, environment, *asked, "--output", "whole", "--seed", seed, "--quiet")
    printed = process.communicate(timeout=300)
    assert (process.returncode, *printed) == (0, "", "")
    check_log(log, seed, tmp_path / "run")
    went_on, whole = tmp_path / "run", tmp_path / "whole"
    assert sorted(path.name for path in went_on.iterdir()) == sorted(FILES)
    one, other = (dg.Posterior.load(run / "posterior.npz") for run in (went_on, whole))
    assert one.adjacency.tobytes() == other.adjacency.tobytes()
    assert one.log_weights.tobytes() == other.log_weights.tobytes()
    for name in FILES:
        if name.endswith(".csv"):
            assert (went_on / name).read_bytes() == (whole / name).read_bytes()
    summaries = [json.loads((run / "summary.json").read_text()) for run in (went_on, whole)]
    for summary in summaries:
        del summary["fit_seconds"], summary["finished"], summary["command"]
    assert summaries[0] == summaries[1]


# --- without training ----------------------------------------------------------------------------


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A folder whose run was stopped after a checkpoint, the next fits being stopped as well."""
    measurements().to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fit, "_fit", stop_with(KeyboardInterrupt))
    assert main(["fit", "table.csv", "--output", "run"]) == 130
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoints",
        "request.json",
    ]
    return tmp_path / "run"


def stop_with(error: type[BaseException] | BaseException, *, with_checkpoint: bool = True):
    def fitting(args, request, checkpoints, log):
        checkpoints.mkdir(exist_ok=True)
        if with_checkpoint:
            (checkpoints / "checkpoint.npz").write_text(
                f"{args.seed} {args.devices} {args.updates}"
            )
        raise error

    return fitting


def refusal(capsys, *arguments: object) -> str:
    capsys.readouterr()
    assert main(["fit", *map(str, arguments)]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("dag-gfn: ").strip()


def test_the_run_that_goes_on_is_the_one_that_was_asked_for(stopped, monkeypatch):
    kept = (stopped / "checkpoints" / "checkpoint.npz").read_text()
    monkeypatch.chdir(stopped)  # the path of the table is kept in full
    assert main(["fit", "--resume", "."]) == 130
    assert (stopped / "checkpoints" / "checkpoint.npz").read_text() == kept


def test_a_run_may_go_on_with_more_devices_and_stays_with_them(stopped):
    seed = (stopped / "checkpoints" / "checkpoint.npz").read_text().split()[0]
    for number in ("2", "4"):
        assert main(["fit", "--resume", "run", "--devices", number, "--log-json"]) == 130
        assert (stopped / "checkpoints" / "checkpoint.npz").read_text() == f"{seed} {number} None"
    assert main(["fit", "table.csv", "--output", "run", "--overwrite", "--devices", "3"]) == 130
    assert main(["fit", "--resume", "run"]) == 130
    assert " 3 " in (stopped / "checkpoints" / "checkpoint.npz").read_text()


def test_a_table_that_has_changed_is_refused(stopped, capsys):
    whole = measurements()
    whole.iloc[3, 1] += 1e-6
    whole.to_csv("table.csv", index=False)
    assert refusal(capsys, "--resume", "run") == (
        f"the table {stopped.parent}/table.csv has changed since the run in run began; put it back "
        "as it was to go on, or begin anew with --overwrite."
    )
    (stopped.parent / "table.csv").unlink()
    assert "table.csv: No such file" in refusal(capsys, "--resume", "run")


@pytest.mark.parametrize(
    "change",
    [
        lambda asked: asked["arguments"].pop("seed"),
        lambda asked: asked["arguments"].update(more=1),
        lambda asked: asked.update(format="dag_gfn request 2"),
        lambda asked: asked.pop("label"),
    ],
)
def test_a_request_of_another_version_is_refused(change, stopped, capsys):
    path = stopped / "request.json"
    asked = json.loads(path.read_text())
    change(asked)
    path.write_text(json.dumps(asked))
    assert "was not written by this version" in refusal(capsys, "--resume", "run")
    path.write_text("{")
    assert "was not written by this version" in refusal(capsys, "--resume", "run")


def test_where_there_is_no_run_to_go_on_with(stopped, capsys):
    assert "there is no such folder" in refusal(capsys, "--resume", "other")
    (stopped / "request.json").unlink()
    assert "it has no request.json, which a run keeps" in refusal(capsys, "--resume", "run")


def test_a_new_run_does_not_take_the_folder_of_another_unless_told_to(stopped, capsys):
    assert refusal(capsys, "table.csv", "--output", "run") == (
        "the run in run is not finished; go on with --resume run, or give --overwrite to begin "
        "anew."
    )
    assert main(["fit", "table.csv", "--output", "run", "--overwrite", "--updates", "7"]) == 130
    assert (stopped / "checkpoints" / "checkpoint.npz").read_text().endswith(" 7")


def test_two_runs_into_one_folder(stopped, capsys):
    with locked(stopped / ".lock"):
        for arguments in (("--resume", "run"), ("table.csv", "--output", "run", "--overwrite")):
            assert "another run is writing to run; let it end" in refusal(capsys, *arguments)
    assert (stopped / "checkpoints" / "checkpoint.npz").exists()


@pytest.mark.parametrize("error", [OSError(28, "full", "x"), MemoryError])
def test_what_can_be_put_right_comes_with_how_to_go_on(error, tmp_path, monkeypatch, capsys):
    measurements().to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.setattr(fit, "_fit", stop_with(error))
    output = tmp_path / "a run"
    assert main(["fit", str(tmp_path / "table.csv"), "--output", str(output)]) == 1
    assert f"to go on later: dag-gfn fit --resume '{output}'\n" in capsys.readouterr().err


def test_a_loss_that_is_no_number_is_a_sentence(tmp_path, monkeypatch, capsys):
    measurements().to_csv(tmp_path / "table.csv", index=False)
    error = TrainingDiverged("the loss is not finite.", update=3, checkpoint=None)
    monkeypatch.setattr(fit, "_fit", stop_with(error))
    assert main(["fit", str(tmp_path / "table.csv"), "--output", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == "dag-gfn: the loss is not finite.\n"


def test_a_run_that_ends_before_its_first_checkpoint_leaves_nothing(tmp_path, monkeypatch, capsys):
    measurements().to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.setattr(fit, "_fit", stop_with(KeyboardInterrupt, with_checkpoint=False))
    output = tmp_path / "new" / "run"
    assert main(["fit", str(tmp_path / "table.csv"), "--output", str(output)]) == 130
    assert capsys.readouterr().err == "dag-gfn: interrupted before the results were complete.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_shipped_table_needs_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "_fit", stop_with(KeyboardInterrupt))
    monkeypatch.chdir(tmp_path)
    sachs = ("--dataset", "sachs", "--log", "--standardize", "--drop", "Raf", "--drop", "Mek")
    assert main(["fit", *sachs]) == 130
    shutil.move("sachs_posterior", "moved")
    assert main(["fit", "--resume", "moved"]) == 130
