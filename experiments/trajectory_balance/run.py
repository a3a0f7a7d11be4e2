"""Measure objectives on grids and bit strings, and write results.jsonl, pictures and tables.

    .venv/bin/python -m experiments.trajectory_balance.run [--only grids strings]

What all of it was made with goes to manifest.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import manifest, records
from experiments.processes import run_cases
from experiments.trajectory_balance import grids, strings

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
README = FOLDER / "README.md"
STUDIES = {"grids": grids, "strings": strings}
CONFIGS: dict[str, Any] = {"grids": grids.Config(), "strings": strings.Config()}
KEYS = {
    "grids": ("study", "grid", "objective", "learned_backward", "seed"),
    "strings": ("study", "reward", "word_length", "objective"),
}


def measure(study: str, *case: Any) -> records.Row:
    """Run one case of a study, of which the last entry is the configuration."""
    return STUDIES[study].measure(*case)


def report(rows: list[records.Row], seconds: float, configs: Mapping[str, Any]) -> None:
    """Draw the pictures and fill the tables of the README."""
    for name, study in STUDIES.items():
        own = [row for row in rows if row["study"] == name]
        if own:
            study.draw(own, FOLDER / f"{name}.png", configs[name])
            records.fill(README, name, study.table(own, configs[name]))
    records.fill(README, "provenance", f"Measured in {records.provenance(seconds)}")


def main(configs: Mapping[str, Any] = CONFIGS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    run, begin = manifest.about(manifest.command("trajectory_balance")), time.perf_counter()
    cases = [
        (name, *case, configs[name])
        for name in args.only
        for case in STUDIES[name].cases(configs[name])
    ]
    for row in run_cases(measure, cases):
        keep(row)
    report(records.read(RESULTS), time.perf_counter() - begin, configs)
    manifest.write(FOLDER, manifest.entries(run, {name: configs[name] for name in args.only}))


def keep(row: records.Row) -> None:
    """Store a row; those of the two studies are told apart by different entries."""
    names = sorted({name for key in KEYS.values() for name in key})
    records.put(RESULTS, dict.fromkeys(names) | row, names)


if __name__ == "__main__":
    main()
