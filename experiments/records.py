"""Results of experiments: lines of JSON, shown as tables between the markers of a README."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from experiments.machine import processor

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """Return the rows of a file of JSON lines; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def put(path: Path, row: Row, key: Sequence[str]) -> None:
    """Add a row, in the place of the one that has the same values under `key`."""
    kept = [old for old in read(path) if any(old[name] != row[name] for name in key)]
    lines = [json.dumps(one) for one in [*kept, {name: _plain(row[name]) for name in row}]]
    replace(path, "\n".join(lines) + "\n")


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, in the place of the one that was there."""
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _plain(value: Any) -> Any:
    """Return numbers with five digits, and those that JSON does not know as none."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def markdown(rows: Iterable[Row], columns: Mapping[str, str | Callable[[Row], str]]) -> str:
    """Return a table: under each heading an entry of the row, or what a function makes of it."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        cells = [show(row) if callable(show) else _shown(row[show]) for show in columns.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def fill(readme: Path, name: str, text: str) -> None:
    """Write text between the markers `<!-- begin NAME -->` and `<!-- end NAME -->`.

    Raises
    ------
    ValueError
        If the README does not have them once.
    """
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    whole = readme.read_text(encoding="utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1:
        raise ValueError(f"{readme} must have {begin.strip()} and {end} once, to hold the results.")
    before, rest = whole.split(begin)
    after = rest.split(end)[1]
    replace(readme, f"{before}{begin}{text}\n{end}{after}")


def provenance(seconds: float) -> str:
    """Say where and when results were measured, and how long all of it took."""
    minutes = f"{seconds / 60:.1f} minutes"
    return f"{minutes} on {os.cpu_count()} cores ({processor()}), {date.today().isoformat()}."
