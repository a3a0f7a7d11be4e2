"""Measure objectives on grids and bit strings, and write results.jsonl, pictures and tables.

.venv/bin/python -m experiments.trajectory_balance.run
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from experiments import records
from experiments.processes import run_cases
from experiments.trajectory_balance import grids, strings

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
README = FOLDER / "README.md"
STUDIES = {"grids": grids, "strings": strings}
KEYS = {
    "grids": ("study", "grid", "objective", "learned_backward", "seed"),
    "strings": ("study", "reward", "word_length", "objective"),
}


def measure(study: str, *case: Any) -> records.Row:
    """Run one case of a study."""
    return STUDIES[study].measure(*case)


def report(rows: list[records.Row], seconds: float) -> None:
    """Draw the pictures and fill the tables of the README."""
    for name, study in STUDIES.items():
        own = [row for row in rows if row["study"] == name]
        if own:
            study.draw(own, FOLDER / f"{name}.png")
            records.fill(README, name, study.table(own))
    records.fill(README, "provenance", f"Measured in {records.provenance(seconds)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    begin = time.perf_counter()
    cases = [(name, *case) for name in args.only for case in STUDIES[name].cases()]
    for row in run_cases(measure, cases):
        keep(row)
    report(records.read(RESULTS), time.perf_counter() - begin)


def keep(row: records.Row) -> None:
    """Store a row; those of the two studies are told apart by different entries."""
    names = sorted({name for key in KEYS.values() for name in key})
    records.put(RESULTS, dict.fromkeys(names) | row, names)


if __name__ == "__main__":
    main()
