from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "experiments" / "benchmark"
TEN = {"efficiency": 0.5, "edge_error": 0.03, "weighted_edge_error": 0.01}
# What a run that meets every target of its study measures.
GOOD = {
    "gaussian5": {"total_variation": 0.03, "edge_error": 0.01, "fit_seconds": 90.0},
    "asia5": {"total_variation": 0.03, "edge_error": 0.01, "fit_seconds": 90.0},
    "speed": {"times_published": 100.0, "updates_per_second": 280.0},
    "sachs": {"khat": 0.69, "fit_seconds": 300.0} | TEN,
    "orders5": {"total_variation": 0.01, "fit_seconds": 60.0},
    "orders_sachs": {"fit_seconds": 300.0} | TEN,
    "gaussian10": {"fit_seconds": 180.0} | TEN,
    "gaussian20": {
        "fit_seconds": 600.0,
        "efficiency": 0.1,
        "weighted_edge_error": 0.02,
        "draws_per_minute": 10_000.0,
    },
    "enumeration": {"edge_error": 1e-9, "path_error": 1e-9, "evidence_error": 1e-9},
    "exact15": {"fit_seconds": 2.0, "error_estimate": 1e-6, "memory_gib": 2.0},
    "exact20": {
        "fit_seconds": 90.0,
        "draw_seconds": 60.0,
        "error_estimate": 1e-6,
        "memory_gib": 2.0,
    },
    "exact_draws": {"p_value": 0.001},
    "structure20": {"edge_error": 0.01, "steps_per_cpu_second": 2e6},
    "partition20": {"edge_error": 0.02, "rhat": 1.009},
    "agreement": {"p_value": 0.001},
}
# One metric a study, a little beyond its limit.
BAD = {
    "gaussian5": ("total_variation", 0.0301, "total variation"),
    "asia5": ("edge_error", 0.0101, "edge error"),
    "speed": ("times_published", 99.9, "updates a second"),
    "sachs": ("khat", 0.7, "k-hat"),
    "orders5": ("total_variation", 0.0101, "total variation"),
    "orders_sachs": ("efficiency", 0.49, "ESS / N"),
    "gaussian10": ("weighted_edge_error", 0.0101, "weighted edge error"),
    "gaussian20": ("efficiency", 0.099, "ESS / N"),
    "enumeration": ("evidence_error", 1.01e-9, "evidence error"),
    "exact15": ("fit_seconds", 2.01, "fit time"),
    "exact20": ("draw_seconds", 60.1, "time of the draws"),
    "exact_draws": ("p_value", 0.0009, "chi-squared test"),
    "structure20": ("steps_per_cpu_second", 1.99e6, "speed"),
    "partition20": ("rhat", 1.01, "R-hat"),
    "agreement": ("p_value", 0.0009, "agreement"),
}


@pytest.fixture
def benchmark(monkeypatch):
    """The modules of the benchmark, which is a folder of scripts and no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ("report", "studies", "flows", "references", "measure")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import report
    import studies

    yield report, studies
    for name in names:
        sys.modules.pop(name, None)


def record(studies, study, metrics, **changes):
    return {
        "study": study,
        "case": studies.cases(study, studies.QUICK)[0],
        "date": "2000-01-01",
        "command": "python experiments/benchmark/run.py",
        "quick": False,
        "machine": {"cpu": "abacus", "cores": 2, "memory_gib": 1, "load": "0.0"},
        "versions": {"python": "3.11"},
        "metrics": metrics,
    } | changes


def run(*arguments):
    # Unoptimised code is quicker to compile, and here nothing is timed.
    environment = dict(os.environ, JAX_DISABLE_MOST_OPTIMIZATIONS="1")
    return subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )


def test_every_study_has_cases_and_columns_and_targets(benchmark):
    report, studies = benchmark
    assert set(studies.STUDIES) == set(studies.TARGETS) == set(report.COLUMNS)
    numbers = (5, 5, 6, 3, 5, 3, 12, 12, 2, 2, 2, 3, 4, 2, 9, 2)
    for study, number in zip(studies.STUDIES, numbers, strict=True):
        assert len(studies.cases(study, studies.Config())) == number
        assert len(studies.cases(study, studies.QUICK)) <= 2


@pytest.mark.parametrize("study", GOOD)
def test_limits_themselves_are_met_and_more_is_not(benchmark, study):
    report, studies = benchmark
    assert report.verdict(record(studies, study, GOOD[study])) == "met"
    metric, value, words = BAD[study]
    bad = record(studies, study, GOOD[study] | {metric: value})
    assert report.verdict(bad) == f"**missed**: {words}"
    nothing = record(studies, study, GOOD[study] | {metric: "nan"})
    assert report.verdict(nothing) == f"**missed**: {words}"


def test_equal_weights_meet_the_target(benchmark):
    report, studies = benchmark
    equal = record(studies, "sachs", {"khat": "-inf", "fit_seconds": 10.0} | TEN)
    assert report.verdict(equal) == "met"
    assert "| -inf |" in report.study_table("sachs", [equal])


def test_speed_has_no_target_where_nothing_was_published(benchmark):
    report, studies = benchmark
    assert report.verdict(record(studies, "speed", {"updates_per_second": 9.0})) == "none set"


def test_failed_run_has_a_row_and_counts_as_missed(benchmark):
    report, studies = benchmark
    good = record(studies, "sachs", GOOD["sachs"])
    failed = record(studies, "sachs", {}, error="not done after 9 s")
    del failed["metrics"]
    table = report.study_table("sachs", [good, failed])
    assert "**failed**: not done after 9 s" in table
    assert "Targets met in 1 of 2 runs." in table


def test_tables_are_well_formed_and_rewritten_in_place(benchmark):
    report, studies = benchmark
    records = [record(studies, study, GOOD.get(study, {})) for study in studies.STUDIES]
    committed = (FOLDER / "README.md").read_text(encoding="utf-8")
    readme = report.rewrite(committed, records)
    assert report.rewrite(readme, records) == readme
    for study in studies.STUDIES:
        block = re.search(f"<!-- begin {study} -->(.*)<!-- end {study} -->", readme, re.DOTALL)
        rows = [line for line in block.group(1).splitlines() if line.startswith("|")]
        assert len(rows) == 3
        assert {line.count("|") for line in rows} == {len(report.COLUMNS[study]) + 1}
        assert "abacus, 2 cores" in block.group(1)
    with pytest.raises(ValueError, match="begin gaussian5"):
        report.rewrite("no markers", records)


def test_committed_tables_are_those_of_the_committed_results(benchmark):
    report, _ = benchmark
    results = FOLDER / "results.jsonl"
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    records = [json.loads(line) for line in lines]
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert report.rewrite(readme, records) == readme
    assert not any(line["quick"] for line in records)


def test_quick_run_does_not_touch_the_committed_results():
    refused = run("--quick")
    assert refused.returncode == 2
    assert "--output" in refused.stderr


def test_quick_run_measures_and_keeps_what_others_measured(benchmark, tmp_path):
    report, studies = benchmark
    kept = record(studies, "sachs", GOOD["sachs"])
    (tmp_path / "results.jsonl").write_text(json.dumps(kept) + "\n", encoding="utf-8")
    done = run("--quick", "--only", "gaussian5", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    measured, other = (json.loads(line) for line in lines)
    assert other == kept
    assert measured["quick"]
    metrics = {name: float(value) for name, value in measured["metrics"].items()}
    assert 0 < metrics["total_variation"] < 1
    assert 0 < metrics["edge_error"] <= metrics["total_variation"] + 1e-6
    assert metrics["start_seconds"] > 0 and metrics["fit_seconds"] > 0
    assert metrics["updates"] == studies.QUICK.estimator["num_updates"]
    # Unbiased whatever the training: the error is a few of its standard errors.
    assert abs(metrics["log_evidence_error"]) < 6 * metrics["log_evidence_standard_error"]
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "which measures nothing" in readme and "abacus" in readme


def test_quick_studies_hold_chains_against_exact_sums(benchmark):
    _, studies = benchmark
    # In this process, unlike a run: here it may profit from what is compiled.
    from measure import MEASURES

    assert list(MEASURES) == list(studies.STUDIES)

    def measured(study):
        return [
            MEASURES[study](case, studies.QUICK) for case in studies.cases(study, studies.QUICK)
        ]

    for found in measured("enumeration"):
        assert found["edge_error"] < 1e-9
    for found in measured("exact20"):
        assert found["reordered_difference"] < 1e-9
    for found in measured("exact_draws") + measured("agreement"):
        assert 1e-6 < found["p_value"] <= 1
    # Where a second is over before the chains are compiled, they leave but a few draws.
    for found in measured("structure20"):
        assert 0 < found["mean_edge_error"] <= found["edge_error"] <= 1
