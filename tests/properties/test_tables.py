"""Any file and any table: what is in it, or one sentence that says why not."""

from __future__ import annotations

import csv
import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, strategies as st

from dag_gfn.tables import as_frame, categorical_codes, continuous_values, read_table, standardize

CELLS = st.one_of(
    st.sampled_from(["", " ", "0", "-0", "1", "1.5", "1,5", "nan", "NA", "None", "inf", "-inf"]),
    st.sampled_from(["1e308", "1e-320", "1e999", "9" * 25, "1_000", "0x1f", "True", "2020-01-01"]),
    st.sampled_from(
        ["a", "é", "\u65e5", "a b", "a,b", 'say "x"', "\x00", "\x1a", "'", "#", "\ufeff"]
    ),
    st.integers(-3, 3).map(str),
    st.floats(allow_nan=False).map(repr),
    st.text(max_size=4),
)
SEPARATORS = st.sampled_from([",", ";", "\t", " ", "|"])
SUFFIXES = st.sampled_from([".csv", ".tsv", ".txt", ".CSV", ".csv.gz", ".parquet", ".xlsx", ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@st.composite
def files(draw) -> bytes:
    """Draw what a spreadsheet, a careless script or a broken disk may leave."""
    separator, ending = draw(SEPARATORS), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quote = draw(st.sampled_from(['"', '"', "'", ""]))
    width = draw(st.integers(0, 4))
    header = draw(st.lists(st.sampled_from(["a", "b", "a ", "1", "", "NA"]) | CELLS, max_size=4))
    if draw(st.booleans()):
        header = [f"x{i}" for i in range(width)]
    ragged = draw(st.booleans())
    num_cells = st.integers(0, 5) if ragged else st.just(width)
    kinds = st.sampled_from([CELLS, st.integers(0, 9).map(str), st.floats(-9, 9).map(repr)])
    kind = draw(kinds)
    rows = [
        draw(st.lists(kind, min_size=size, max_size=size))
        for size in draw(st.lists(num_cells, max_size=6))
    ]
    lines = [
        separator.join(_quoted(cell, quote, separator) for cell in row) for row in [header, *rows]
    ]
    text = ending.join(lines) + draw(st.sampled_from([ending, "", ending * 2, "\x00"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    return text.encode(encoding, errors="replace")


def _quoted(cell: str, quote: str, separator: str) -> str:
    if quote and (separator in cell or quote in cell):
        return quote + cell.replace(quote, 2 * quote) + quote
    return cell


def refused(error: Exception) -> None:
    """Check that a refusal is a sentence, not what some library said."""
    text = str(error)
    assert text.endswith("."), text
    assert len(text) > 20, text


def check_frame(frame: pd.DataFrame) -> None:
    """Check what everything downstream relies on."""
    assert isinstance(frame, pd.DataFrame)
    assert frame.shape[0] >= 2 and frame.shape[1] >= 2
    assert frame.columns.is_unique and all(isinstance(name, str) for name in frame.columns)
    assert frame.index.equals(pd.RangeIndex(len(frame)))


@example(content=b'"a,b\n1,2\n3,4', suffix=".csv")
@example(content=b"", suffix=".parquet")
@given(content=files() | st.binary(max_size=60), suffix=SUFFIXES)
def test_any_file_is_read_or_refused(folder: Path, content: bytes, suffix: str) -> None:
    path = folder / f"any{suffix}"
    if suffix.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    path.write_bytes(content)
    try:
        frame = read_table(path)
    except (ValueError, TypeError) as error:
        refused(error)
        return
    check_frame(frame)


@example(content=b"\r\n\r\n", position=207, mask=1, cut=False)
@given(content=files(), position=st.integers(0, 10**6), mask=st.integers(0, 255), cut=st.booleans())
def test_any_damaged_archive_is_read_or_refused(
    folder: Path, content: bytes, position: int, mask: int, cut: bool
) -> None:
    damaged = bytearray(gzip.compress(content, mtime=0))
    position %= len(damaged)
    damaged[position] ^= mask
    path = folder / "damaged.csv.gz"
    path.write_bytes(damaged[:position] if cut else damaged)
    try:
        check_frame(read_table(path))
    except (ValueError, TypeError) as error:
        refused(error)


@given(position=st.integers(0, 10**6), mask=st.integers(0, 255), cut=st.booleans())
def test_any_damaged_parquet_file_is_read_or_refused(
    folder: Path, position: int, mask: int, cut: bool
) -> None:
    whole = folder / "whole.parquet"
    if not whole.exists():
        table = {"a": [1, 2, 3], "b": [1.5, 2.5, 3.5], "c": list("xyz")}
        pd.DataFrame(table).to_parquet(whole)
    damaged = bytearray(whole.read_bytes())
    position %= len(damaged)
    damaged[position] ^= mask
    path = folder / "damaged.parquet"
    path.write_bytes(damaged[:position] if cut else damaged)
    try:
        check_frame(read_table(path))
    except (ValueError, TypeError) as error:
        refused(error)


NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=5),
    min_size=2,
    max_size=4,
    unique=True,
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@example(names=["a;;", "b"], values=[[0.0, 1.0, 0, 0]] * 2, separator=",", suffix=".csv")
@given(
    names=NAMES,
    values=st.lists(st.lists(NUMBERS, min_size=4, max_size=4), min_size=2, max_size=6),
    separator=st.sampled_from([",", ";", "\t"]),
    suffix=st.sampled_from([".csv", ".tsv", ".txt", ".csv.gz"]),
)
def test_what_was_written_is_read(folder: Path, names, values, separator: str, suffix: str) -> None:
    written = pd.DataFrame([row[: len(names)] for row in values], columns=names)
    path = folder / f"written{suffix}"
    written.to_csv(path, index=False, sep=separator, quoting=csv.QUOTE_NONNUMERIC)
    try:
        read = read_table(path)
    except ValueError as error:
        # Names that are all numbers are taken for a table without a header line.
        assert "where the names of the columns belong" in str(error)
        return
    assert read.columns.tolist() == names
    np.testing.assert_allclose(read.to_numpy(np.float64), written.to_numpy(), rtol=1e-14)


@given(
    lengths=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    separator=st.sampled_from([",", ";", "\t", " "]),
)
@example(lengths=[3, 2], separator=",")
def test_a_row_of_another_length_is_refused(
    folder: Path, lengths: list[int], separator: str
) -> None:
    path = folder / "ragged.csv"
    rows = [["7"] * length for length in lengths]
    path.write_text("\n".join(separator.join(row) for row in [["a", "b", "c"], *rows]))
    if set(lengths) == {3}:
        assert read_table(path).shape == (len(lengths), 3)
        return
    with pytest.raises(ValueError, match=r"ragged\.csv (has a row of|names 3 columns)"):
        read_table(path)


VALUES = st.one_of(
    st.integers(-(10**20), 10**20),
    st.integers(0, 2),
    st.floats(),
    st.booleans(),
    st.text(max_size=2),
    st.sampled_from([None, pd.NA, pd.NaT, pd.Timestamp(0), 1j, 1e200, 1e-200, b"x", (1,), [1]]),
)
COLUMNS = st.one_of(
    st.lists(VALUES, min_size=5, max_size=5),
    st.lists(st.floats(), min_size=5, max_size=5),
    st.lists(NUMBERS, min_size=5, max_size=5),
    st.lists(st.integers(-9, 9), min_size=5, max_size=5),
    st.lists(st.sampled_from("xyz"), min_size=5, max_size=5).map(pd.Categorical),
    st.lists(st.sampled_from([0, 1, None]), min_size=5, max_size=5),
    st.lists(st.datetimes(), min_size=5, max_size=5).map(lambda dates: pd.Series(dates)),
)


@given(columns=st.lists(COLUMNS, min_size=2, max_size=3), allow_missing=st.booleans())
def test_any_columns_are_measurements_or_refused(columns, allow_missing: bool) -> None:
    frame = as_frame(pd.DataFrame({f"x{i}": column for i, column in enumerate(columns)}))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the standard deviations", UserWarning)
        try:
            values = continuous_values(frame, allow_missing=allow_missing)
        except (ValueError, TypeError) as error:
            refused(error)
            return
        assert values.dtype == np.float64 and values.shape == frame.shape
        assert not np.isinf(values).any()
        missing = frame.isna().to_numpy()
        np.testing.assert_array_equal(np.isnan(values), missing)
        if not missing.any():
            scaled = standardize(frame).to_numpy()
            np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
            np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-6)


@given(columns=st.lists(COLUMNS, min_size=2, max_size=3), allow_missing=st.booleans())
def test_any_columns_are_categories_or_refused(columns, allow_missing: bool) -> None:
    frame = as_frame(pd.DataFrame({f"x{i}": column for i, column in enumerate(columns)}))
    try:
        codes, states = categorical_codes(frame, allow_missing=allow_missing)
    except (ValueError, TypeError) as error:
        refused(error)
        return
    for j, name in enumerate(frame):
        for i, value in enumerate(frame[name]):
            if codes[i, j] < 0:
                assert allow_missing and pd.isna(value)
            else:
                assert states[j][codes[i, j]] == value


@given(
    table=st.one_of(
        st.lists(st.lists(VALUES, max_size=3), max_size=3),
        VALUES,
        st.dictionaries(st.text(max_size=2), st.lists(VALUES, min_size=2, max_size=2)).map(
            pd.DataFrame
        ),
    )
)
def test_anything_is_a_table_or_refused(table) -> None:
    try:
        frame = as_frame(table)
    except (ValueError, TypeError) as error:
        refused(error)
        return
    check_frame(frame)
