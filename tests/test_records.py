"""What experiments write: nothing that was measured before is lost."""

from __future__ import annotations

import pytest

from experiments.records import fill, markdown, put, read


def test_a_row_takes_the_place_of_that_with_the_same_key(tmp_path):
    path = tmp_path / "results.jsonl"
    assert read(path) == []
    for row in (
        {"study": "a", "seed": 0, "error": 0.123456789},
        {"study": "a", "seed": 1, "error": float("nan")},
        {"study": "a", "seed": 0, "error": 0.5, "curve": [1.0, float("inf")]},
    ):
        put(path, row, key=("study", "seed"))
    assert read(path) == [
        {"study": "a", "seed": 1, "error": None},
        {"study": "a", "seed": 0, "error": 0.5, "curve": [1.0, None]},
    ]


def test_tables_are_written_between_their_markers(tmp_path):
    table = markdown(
        [{"name": "x", "error": 0.01234}, {"name": "y", "error": None}],
        {"": "name", "error": "error", "twice": lambda row: row["name"] * 2},
    )
    assert table.splitlines()[2:] == ["| x | 0.0123 | xx |", "| y | – | yy |"]
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- begin a -->\nold\n<!-- end a -->\nafter\n", encoding="utf-8")
    fill(readme, "a", table)
    assert readme.read_text(encoding="utf-8") == (
        f"before\n<!-- begin a -->\n{table}\n<!-- end a -->\nafter\n"
    )
    with pytest.raises(ValueError, match="begin b"):
        fill(readme, "b", table)
