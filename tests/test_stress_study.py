"""The study of killed runs: it runs, small, and sees when a result has changed by a bit."""

from __future__ import annotations

from experiments.records import read
from experiments.stress import run as study
from experiments.stress.faults import CASES
from experiments.stress.runs import outcome, same_outcome

UPDATES = 600


def test_a_killed_run_ends_as_one_that_was_not(tmp_path, monkeypatch):
    # Little is trained here; compiling takes most of the time.
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    results, work = tmp_path / "results.jsonl", tmp_path / "work"
    work.mkdir()
    config = study.KillsConfig(repetitions=1, moments=("write",), updates={"orders": UPDATES})
    study.measure_kills(results, work, config)
    (row,) = read(results)
    assert (row["exit_code"], row["identical"], row["said"]) == (0, True, "")
    assert 0 < row["update"] < UPDATES
    # One bit less is another result.
    folder = work / "orders_whole_0"
    whole = outcome(folder)
    assert same_outcome(folder, whole)
    for name, content in whole.items():
        changed = bytes([content[0] ^ 1]) + content[1:]
        assert not same_outcome(folder, whole | {name: changed})


def test_what_was_measured_is_good_and_shown():
    rows = read(study.FOLDER / "results.jsonl")
    kills = [row for row in rows if row["study"] == "kills"]
    assert len(kills) == 50
    assert all(row["identical"] for row in kills)
    assert sum(row["in_a_write"] for row in kills) >= 5
    faults = [row for row in rows if row["study"] == "faults"]
    assert {row["case"] for row in faults} == set(CASES)
    assert all(row["as_expected"] for row in faults)
    shown = (study.FOLDER / "README.md").read_text(encoding="utf-8")
    for name, text in study.tables_of(rows).items():
        if name != "provenance":  # which has the date
            assert text in shown
