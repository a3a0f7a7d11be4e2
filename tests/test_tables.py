"""Tables: what is accepted, and one clear sentence for what is not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dag_gfn.tables import (
    as_frame,
    categorical_codes,
    continuous_values,
    read_table,
    standardize,
)


@pytest.fixture
def numbers() -> pd.DataFrame:
    """Three continuous columns, 30 rows."""
    values = np.random.default_rng(0).normal(size=(30, 3))
    return pd.DataFrame(values, columns=["a", "b", "c"])


@pytest.fixture
def words() -> pd.DataFrame:
    """Two categorical columns without categorical dtype, 6 rows."""
    return pd.DataFrame({"a": list("xyxyxy"), "b": [0, 1, 1, 0, 2, 2]})


def test_arrays_get_names_and_frames_get_strings(numbers: pd.DataFrame) -> None:
    assert as_frame(numbers.to_numpy()).columns.tolist() == ["X0", "X1", "X2"]
    assert as_frame(numbers.set_axis([3, 1, 2], axis=1)).columns.tolist() == ["3", "1", "2"]
    shuffled = numbers.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(as_frame(shuffled).to_numpy(), shuffled.to_numpy())
    assert as_frame(shuffled).index.tolist() == list(range(30))


def test_other_data_frames_are_converted(numbers: pd.DataFrame) -> None:
    class OtherFrame:
        def to_pandas(self) -> pd.DataFrame:
            return numbers

    pd.testing.assert_frame_equal(as_frame(OtherFrame()), numbers)


def test_the_table_is_not_changed(numbers: pd.DataFrame) -> None:
    before = numbers.copy()
    frame = as_frame(numbers)
    continuous_values(frame)[:] = 0
    standardize(frame)
    pd.testing.assert_frame_equal(numbers, before)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (np.zeros(3), ValueError, "two dimensions, rows and columns, but this one has 1"),
        (np.zeros((2, 2, 2)), ValueError, "this one has 3"),
        (np.zeros((5, 1)), ValueError, "one column, 'X0'"),
        (np.zeros((5, 0)), ValueError, "0 feature\\(s\\) \\(shape=\\(5, 0\\)\\)"),
        (np.zeros((1, 3)), ValueError, "n_samples=1"),
        (pd.DataFrame({"a": [], "b": []}), ValueError, "n_samples=0"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), ValueError, "two columns .* 'a'"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["1", 1]), ValueError, "two columns .* '1'"),
        ("table.csv", TypeError, "not a path; read it with read_table"),
    ],
)
def test_what_is_no_table(table: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_frame(table)


def test_sparse_matrices_are_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="sparse tables are not supported"):
        as_frame(sparse.eye_array(3))


@pytest.mark.parametrize("dtype", ["float32", "Float64", "object", "int64", "Int64"])
def test_numbers_of_every_dtype(numbers: pd.DataFrame, dtype: str) -> None:
    scaled = (1000 * numbers).round()
    values = continuous_values(as_frame(scaled.astype(dtype)))
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, scaled.to_numpy())


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ([np.nan] + [1.0, 2.0] * 14 + [None], ValueError, "'b' has 2 missing .*first in row 0"),
        (pd.array([1, None] * 15, dtype="Int64"), ValueError, "'b' has 15 missing .* in row 1"),
        ([0.5] * 3 + [np.inf] + [1.5] * 26, ValueError, "'b' has infinite values .* in row 3"),
        ([2.0] * 30, ValueError, "column 'b' is constant; drop it"),
        ([7] * 30, ValueError, "column 'b' is constant; drop it"),
        (["low", "high"] * 15, ValueError, "'b' is not numeric \\(it holds 'low'\\)"),
        (pd.Series([1.5, "?"] * 15, dtype=object), ValueError, "row 1 holds '\\?'"),
        ([True, False] * 15, ValueError, "'b' holds categories \\(bool\\)"),
        (pd.Categorical([1, 2] * 15), ValueError, "'b' holds categories \\(category\\)"),
        (pd.date_range("2000", periods=30), ValueError, "'b' is not numeric"),
        ([0, 1, 2] * 10, ValueError, "'b' holds integers with only 3 distinct values"),
        (np.arange(30) + 1j, ValueError, "Complex data not supported"),
        ([{}] * 30, TypeError, "argument must be a string or a number: row 0 of column 'b'"),
        (1e9 + 1e-8 * np.arange(30), ValueError, "'b' varies no more than"),
        (1e200 * np.arange(30), ValueError, "'b' has values too large to square"),
    ],
)
def test_columns_that_are_not_measurements(
    numbers: pd.DataFrame, column: object, error: type[Exception], message: str
) -> None:
    for function in (continuous_values, standardize):
        with pytest.raises(error, match=message):
            function(as_frame(numbers.assign(b=column)))


def test_copies_of_a_column(numbers: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="column 'c' is a copy of column 'a'; drop one"):
        continuous_values(as_frame(numbers.assign(c=numbers["a"])))


def test_counts_with_many_values_are_measurements() -> None:
    counts = np.random.default_rng(0).poisson(100, size=(40, 2))
    np.testing.assert_array_equal(continuous_values(as_frame(counts)), counts)


def test_codes_can_be_declared_measurements(numbers: pd.DataFrame) -> None:
    frame = as_frame(numbers.assign(b=[0.0, 1, 2] * 10))
    assert continuous_values(frame)[1, 1] == 1


def test_scales_that_differ_are_warned_of(numbers: pd.DataFrame) -> None:
    wide = as_frame(numbers * [1, 1000, 1])
    with pytest.warns(UserWarning, match="'b': 827, 'c': 0.82.*standardize=True"):
        continuous_values(wide)
    np.testing.assert_allclose(standardize(wide).std(ddof=0), 1)
    continuous_values(standardize(wide))


def test_standardize(numbers: pd.DataFrame) -> None:
    result = standardize(as_frame(numbers * 3 + 1e3))
    assert result.columns.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(result.mean(), 0, atol=1e-12)
    np.testing.assert_allclose(result.var(ddof=0), 1, rtol=1e-12)


def test_codes_and_states(words: pd.DataFrame) -> None:
    words = words.assign(c=pd.Categorical(["lo", "hi"] * 3, categories=["lo", "mid", "hi"]))
    words = words.assign(d=[True, False, True, True, False, True])
    codes, states = categorical_codes(as_frame(words))
    assert codes.dtype == np.int32
    floats = words["b"].astype(float)
    for whole in (words.assign(b=floats), words.assign(b=floats.astype(object))):
        again, same = categorical_codes(as_frame(whole))
        assert (again == codes).all() and same == states
    assert states == [["x", "y"], [0, 1, 2], ["lo", "mid", "hi"], [False, True]]
    for j, name in enumerate(words):
        decoded = [states[j][code] for code in codes[:, j]]
        assert decoded == words[name].tolist()


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (["u", None] * 3, ValueError, "'b' has 3 missing value"),
        ([0.5, 1.5] * 3, ValueError, "'b' holds floating-point numbers .*discretise.*bge"),
        ([1e300, 1.0] * 3, ValueError, "'b' holds floating-point numbers"),
        (pd.Series([0.5, 1.0] * 3, dtype=object), ValueError, "'b' holds floating-point numbers"),
        (pd.Series([0, "one"] * 3, dtype=object), ValueError, "'b' mixes int and str"),
        (pd.date_range("2000", periods=6), ValueError, "'b' holds dates"),
        (["same"] * 6, ValueError, "'b' is constant \\('same'\\)"),
        (pd.Categorical(["same"] * 6), ValueError, "'b' is constant"),
        (list("pqrstu"), ValueError, "'b' has a different value in every row"),
        (list("xyxyxy"), ValueError, "'b' is a copy of column 'a'"),
        ([{}] * 6, TypeError, "argument must be a string or a number: column 'b'"),
        (
            pd.Categorical([0, 1] * 3, categories=range(101)),
            ValueError,
            "'b' has 101 states, more than 100",
        ),
    ],
)
def test_columns_that_are_not_categories(
    words: pd.DataFrame, column: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        categorical_codes(as_frame(words.assign(b=column)))


def test_declared_states_may_be_unobserved_or_coincide() -> None:
    # In a small sample of a known network a rare state may be missing and two columns may agree.
    column = pd.Categorical(["no", "no", "yes"], categories=["no", "yes"])
    frame = pd.DataFrame({"a": column, "b": column, "c": pd.Categorical(["no"] * 3, ["no", "yes"])})
    codes, states = categorical_codes(as_frame(frame))
    assert codes.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 0]]
    assert states == [["no", "yes"]] * 3


@pytest.mark.parametrize(
    ("name", "separator"),
    [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t"), ("t.txt", "  "), ("T.CSV", ", ")],
)
def test_text_files(tmp_path: Path, name: str, separator: str) -> None:
    lines = ["first", "second"], ["1.5", "x"], ["2", "y"]
    path = tmp_path / name
    path.write_text("\ufeff" + "\n".join(separator.join(line) for line in lines), encoding="utf-8")
    expected = pd.DataFrame({"first": [1.5, 2.0], "second": ["x", "y"]})
    pd.testing.assert_frame_equal(read_table(path), expected)
    with gzip.open(tmp_path / f"{name}.gz", "wb") as file:
        file.write(path.read_bytes())
    pd.testing.assert_frame_equal(read_table(str(tmp_path / f"{name}.gz")), expected)


def test_parquet_files(tmp_path: Path, numbers: pd.DataFrame) -> None:
    numbers.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), numbers)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "t.csv is empty"),
        ("t.csv", b"\n\n", "t.csv is empty"),
        ("t.csv", b"a,b\n", "t.csv has a header line and no rows"),
        ("t.csv", b"a,b\n1,2\n1,2,3\n", "a row of a different length: Expected 2 fields"),
        ("t.csv", b"a,b\n1,2,3\n4,5,6\n", "names 2 columns in its first line and has 3"),
        ("t.csv", b"1,2\n3,4\n5,6\n", "holds numbers \\(1, ...\\) where the names"),
        ("t.csv", b",a,b\n0,1,2\n1,3,4\n", "column 1 of t.csv has no name.*index=False"),
        ("t.csv", b"a,a\n1,2\n3,4\n", "two columns are called 'a'"),
        ("t.csv", b"a\n1\n2\n", "one column, 'a'"),
        ("t.csv", b"\xff\xfe\x00\x01\n\x00", "t.csv is not a text file"),
        ("t.csv.gz", b"a,b\n1,2\n", "t.csv.gz is not a text file"),
        ("t.parquet", b"a,b\n1,2\n", "cannot be read as a Parquet table"),
        ("t.xlsx", b"", "t.xlsx is of an unknown kind; give a .csv"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / name)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file '.*missing.csv'"):
        read_table(tmp_path / "missing.csv")
