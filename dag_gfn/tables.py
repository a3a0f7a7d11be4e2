"""What a table is: reading one, and refusing what would give a wrong answer."""

from __future__ import annotations

import csv
import gzip
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api import types

__all__ = ["as_frame", "categorical_codes", "continuous_values", "read_table", "standardize"]

_MAX_STATES = 100
_MAX_CODES = 10
_MAX_SCALE_RATIO = 100.0


def as_frame(table: pd.DataFrame | ArrayLike) -> pd.DataFrame:
    """Return a table as a DataFrame with one named column per variable.

    Parameters
    ----------
    table : DataFrame (pandas or polars) or 2-D array [n, d]
        Rows are observations. Column names become strings; the columns of an array are called
        X0, X1, and so on.

    Returns
    -------
    DataFrame [n, d]
        With a fresh row index.

    Raises
    ------
    TypeError
        If the table is a sparse matrix or of a kind that has no rows and columns.
    ValueError
        If it is not two-dimensional, has fewer than two columns or two rows, or repeats a name.

    Examples
    --------
    >>> as_frame([[1.0, 2.0], [3.0, 4.0]]).columns.tolist()
    ['X0', 'X1']
    """
    if hasattr(table, "toarray"):
        raise TypeError("sparse tables are not supported; convert with .toarray().")
    if isinstance(table, (str, bytes, Path)):
        raise TypeError(
            "a table is a DataFrame or a 2-D array, not a path; read it with read_table()."
        )
    if not isinstance(table, pd.DataFrame) and hasattr(table, "to_pandas"):
        table = table.to_pandas()
    if isinstance(table, pd.DataFrame):
        frame = table.set_axis([str(name) for name in table.columns], axis=1)
        frame = frame.reset_index(drop=True)
    else:
        values = np.asarray(table)
        if values.ndim != 2:
            raise ValueError(
                f"a table has two dimensions, rows and columns, but this one has {values.ndim}. "
                "Reshape your data."
            )
        frame = pd.DataFrame(values, columns=[f"X{i}" for i in range(values.shape[1])])
    num_rows, num_columns = frame.shape
    if num_columns == 0:
        raise ValueError(
            f"the table has 0 feature(s) (shape={frame.shape}) while a minimum of 2 is required."
        )
    if num_columns == 1:
        raise ValueError(
            f"the table has one column, {frame.columns[0]!r} (1 feature(s)), and a graph needs at "
            "least two."
        )
    if num_rows < 2:
        raise ValueError(
            f"the table has {num_rows} row(s) (n_samples={num_rows}), and at least 2 are required."
        )
    duplicated = frame.columns[frame.columns.duplicated()]
    if len(duplicated):
        raise ValueError(f"two columns are called {duplicated[0]!r}; rename one of them.")
    return frame


def continuous_values(frame: pd.DataFrame, *, allow_missing: bool = False) -> np.ndarray:
    """Return the values of a table of measurements.

    Parameters
    ----------
    frame : DataFrame [n, d]
        As returned by `as_frame`.
    allow_missing : bool, default False
        Whether values may be missing; the checks are then of those that are there.

    Returns
    -------
    ndarray of float64 [n, d]
        NaN where a value is missing.

    Warns
    -----
    UserWarning
        If the standard deviations of two columns differ by more than a factor of 100.

    Raises
    ------
    ValueError
        If a column is not numeric, has missing values (or nothing else, if some may be missing) or
        infinite ones, is constant, equals another column, or holds integers with so few values that
        they look like codes. The message names it.

    Examples
    --------
    >>> continuous_values(as_frame([[1, 2.5], [2, 0.5]]))
    array([[1. , 2.5],
           [2. , 0.5]])
    """
    values = _measurements(frame, allow_missing)
    scale = np.nanstd(values, axis=0)
    smallest, largest = np.argmin(scale), np.argmax(scale)
    if scale[largest] > _MAX_SCALE_RATIO * scale[smallest]:
        warnings.warn(
            f"the standard deviations of the columns differ by more than a factor of "
            f"{_MAX_SCALE_RATIO:.0f} ({frame.columns[largest]!r}: {scale[largest]:.3g}, "
            f"{frame.columns[smallest]!r}: {scale[smallest]:.3g}) and the BGe score depends on "
            "them; standardize=True gives every column unit variance.",
            UserWarning,
            stacklevel=2,
        )
    return values


def standardize(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with every column at mean 0 and standard deviation 1 (divisor n).

    Raises
    ------
    ValueError
        As `continuous_values`.

    Examples
    --------
    >>> standardize(as_frame([[1.0, 10.0], [3.0, -10.0]])).to_numpy().tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
    """
    values = _measurements(frame)
    centred = values - np.mean(values, axis=0)
    return pd.DataFrame(centred / np.std(centred, axis=0), columns=frame.columns)


def categorical_codes(
    frame: pd.DataFrame, *, allow_missing: bool = False
) -> tuple[np.ndarray, list[list[Any]]]:
    """Return the states of a table of categories as integer codes.

    The states of a column are the categories of its dtype, observed or not, else the sorted
    observed values. A categorical dtype declares what the column may hold, so a column that has one
    may be constant, equal another, or have as many states as there are rows. Numbers that are whole
    may be of a floating-point dtype, as discretisers and pandas (where one is missing) make them.

    Parameters
    ----------
    frame : DataFrame [n, d]
        As returned by `as_frame`.
    allow_missing : bool, default False
        Whether values may be missing; the checks are then of those that are there.

    Returns
    -------
    codes : ndarray of int32 [n, d]
        -1 where a value is missing.
    states : list of list
        ``states[j][codes[i, j]]`` is the value in row i of column j.

    Raises
    ------
    ValueError
        If a column has missing values (or nothing else, if some may be missing), holds fractions or
        dates, has more than 100 states, or (without a categorical dtype) is
        constant, equals another column or has a different value in every row. The message names it.

    Examples
    --------
    >>> frame = pd.DataFrame({"smoker": ["no", "yes", "no"], "cough": [0, 1, 1]})
    >>> codes, states = categorical_codes(frame)
    >>> states
    [['no', 'yes'], [0, 1]]
    """
    codes = np.full(frame.shape, -1, dtype=np.int32)
    states = []
    declared = [isinstance(dtype, pd.CategoricalDtype) for dtype in frame.dtypes]
    for j, name in enumerate(frame.columns):
        present = _present_rows(frame[name], name, allow_missing)
        column = frame[name].iloc[present]
        if not declared[j]:
            column = _as_categories(_as_whole_numbers(column), name)
        categories = column.cat.categories.tolist()
        if len(categories) > _MAX_STATES:
            raise ValueError(
                f"column {name!r} has {len(categories)} states, more than {_MAX_STATES}; group "
                "them, or drop the column if it identifies the rows."
            )
        if len(categories) < 2:
            raise ValueError(
                f"column {name!r} is constant ({categories[0]!r}); drop it, or declare its other "
                "states with a categorical dtype."
            )
        codes[present, j] = column.cat.codes
        states.append(categories)
    pair = _equal_columns(codes, skip=declared)
    if pair is not None:
        first, second = (frame.columns[j] for j in pair)
        raise ValueError(
            f"column {second!r} is a copy of column {first!r}; drop one of them, or declare their "
            "states with a categorical dtype if both were measured."
        )
    return codes, states


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table from a text or Parquet file.

    Parameters
    ----------
    path : str or Path
        A .csv, .tsv or .txt file (also with .gz), whose first line names the columns and whose
        separator is a comma, semicolon, tab or blank; or a .parquet file.

    Returns
    -------
    DataFrame

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read as a table: empty, without a header line, with rows of different
        length, not text. The message names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".parquet"]:
        try:
            return as_frame(pd.read_parquet(path))
        # A damaged file may fail anywhere in pandas and pyarrow.
        except Exception as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise ValueError(f"{path.name} cannot be read as a Parquet table: {reason}.") from error
    kind = suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:]
    if kind not in ([".csv"], [".tsv"], [".txt"]):
        raise ValueError(
            f"{path.name} is of an unknown kind; give a .csv, .tsv, .txt (also .gz) or .parquet "
            "file."
        )
    try:
        return _read_text(path)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path.name} is not a text file: {error}.") from error


def _read_text(path: Path) -> pd.DataFrame:
    """Read a delimited text file."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig") as file:
        first_line = file.readline()
    if not first_line.strip():
        raise ValueError(f"{path.name} is empty or its first line is; that line names the columns.")
    unquoted = re.sub('"[^"]*"', "", first_line)
    separator = max(",;\t", key=unquoted.count)
    separator = separator if separator in unquoted else r"\s+"
    options = {"sep": separator, "encoding": "utf-8-sig", "skipinitialspace": True}
    # The header is read by itself, since pandas renames repeated and missing names silently.
    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, na_filter=False, **options)
    except pd.errors.ParserError as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise ValueError(f"the first line of {path.name} cannot be read: {reason}.") from error
    names = [name.strip() for name in header.iloc[0]]
    if "" in names:
        raise ValueError(
            f"column {1 + names.index('')} of {path.name} has no name; name it, or write the table "
            "without row numbers (index=False)."
        )
    if all(_is_number(name) for name in names):
        raise ValueError(
            f"the first line of {path.name} holds numbers ({names[0]}, ...) where the names of the "
            "columns belong; add a header line."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, header=None, skiprows=1, index_col=False, **options)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path.name} has a header line and no rows.") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise ValueError(f"{path.name} has a row of a different length: {reason}.") from error
    if frame.shape[1] != len(names):
        raise ValueError(
            f"{path.name} names {len(names)} columns in its first line and has {frame.shape[1]} "
            "values in the next."
        )
    if frame.iloc[:, -1].isna().any():
        _refuse_short_rows(path, opener, separator, len(names))
    return as_frame(frame.set_axis(names, axis=1))


def _refuse_short_rows(path: Path, opener: Any, separator: str, num_columns: int) -> None:
    """Raise if a row has fewer values than there are columns, which pandas fills up silently."""
    blanks = separator == r"\s+"
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=" " if blanks else separator, skipinitialspace=True)
        try:
            for row in rows:
                num_values = sum(value != "" for value in row) if blanks else len(row)
                if num_values < num_columns and any(row):
                    raise ValueError(
                        f"{path.name} has a row of a different length: Expected {num_columns} "
                        f"fields in line {rows.line_num}, saw {num_values}."
                    )
        except csv.Error as error:
            raise ValueError(f"{path.name} has a row that cannot be read: {error}.") from error


def _measurements(frame: pd.DataFrame, allow_missing: bool = False) -> np.ndarray:
    """Return float64 [n, d], refusing what is not a table of measurements."""
    values = np.full(frame.shape, np.nan)
    for j, name in enumerate(frame.columns):
        present = _present_rows(frame[name], name, allow_missing)
        values[present, j] = _measured_column(frame[name].iloc[present], name, present)
    constant = np.flatnonzero(np.nanmax(values, axis=0) == np.nanmin(values, axis=0))
    if len(constant):
        raise ValueError(f"column {frame.columns[constant[0]]!r} is constant; drop it.")
    with np.errstate(over="ignore"):
        scale, size = np.nanstd(values, axis=0), np.nanmax(np.abs(values), axis=0)
        huge = np.flatnonzero(~np.isfinite(len(values) * size**2))
    if len(huge):
        raise ValueError(
            f"column {frame.columns[huge[0]]!r} has values too large to square; change its unit."
        )
    # A few units in the last place are rounding, not measurement.
    flat = np.flatnonzero(scale <= 8 * np.finfo(np.float64).eps * size)
    if len(flat):
        raise ValueError(
            f"column {frame.columns[flat[0]]!r} varies no more than its values are rounded; "
            "subtract an offset before rounding, or drop it."
        )
    pair = _equal_columns(values)
    if pair is not None:
        first, second = (frame.columns[j] for j in pair)
        raise ValueError(f"column {second!r} is a copy of column {first!r}; drop one of them.")
    return values


def _measured_column(column: pd.Series, name: str, rows: np.ndarray) -> np.ndarray:
    """Return one column as float64 [n]; its values are those of these rows of the table."""
    if isinstance(column.dtype, pd.CategoricalDtype) or types.is_bool_dtype(column.dtype):
        raise ValueError(
            f"column {name!r} holds categories ({column.dtype}), not measurements; use "
            'score="bde" for a table of categories, or drop it.'
        )
    if types.is_complex_dtype(column.dtype):
        raise ValueError(f"column {name!r} holds complex numbers. Complex data not supported.")
    if types.is_object_dtype(column.dtype):
        column = _numbers_from_objects(column, name, rows)
    if not types.is_numeric_dtype(column.dtype):
        # Of strings read from a file, the first that is no number is the one to look at.
        example = next((value for value in column if not _is_number(str(value))), column.iloc[0])
        raise ValueError(
            f"column {name!r} is not numeric (it holds {example!r}); make it numbers, drop it, or "
            'use score="bde" for a table of categories.'
        )
    values = column.to_numpy(dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise ValueError(
            f"column {name!r} has infinite values (inf), the first in row {rows[infinite[0]]}; "
            "replace them or drop those rows."
        )
    if types.is_integer_dtype(column.dtype):
        num_values = column.nunique()
        if 1 < num_values <= _MAX_CODES and num_values < len(column) / 2:
            raise ValueError(
                f"column {name!r} holds integers with only {num_values} distinct values, which "
                'look like codes of categories; use score="bde", or .astype(float) if they are '
                "measurements."
            )
    return values


def _numbers_from_objects(column: pd.Series, name: str, rows: np.ndarray) -> pd.Series:
    """Return a column of Python objects as numbers, when all of them are."""
    for row, value in zip(rows, column, strict=True):
        if isinstance(value, str):
            raise ValueError(
                f"column {name!r} is not numeric (row {row} holds {value!r}); make it numbers, "
                'drop it, or use score="bde" for a table of categories.'
            )
        if not isinstance(value, (int, float, np.number)):
            raise TypeError(
                f"argument must be a string or a number: row {row} of column {name!r} holds a "
                f"{type(value).__name__}."
            )
    return pd.to_numeric(column)


def _as_categories(column: pd.Series, name: str) -> pd.Series:
    """Return a column without categorical dtype as one whose states are its sorted values."""
    kinds = {type(value) for value in column} if types.is_object_dtype(column.dtype) else set()
    if types.is_float_dtype(column.dtype) or any(issubclass(kind, float) for kind in kinds):
        raise ValueError(
            f"column {name!r} holds floating-point numbers that are not whole; discretise it, use "
            '.astype("category") if its values are codes, or use score="bge" for measurements.'
        )
    if types.is_datetime64_any_dtype(column.dtype) or types.is_timedelta64_dtype(column.dtype):
        raise ValueError(f"column {name!r} holds dates; drop it or group it into categories.")
    if len(kinds) > 1:
        listed = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"column {name!r} mixes {listed}; make its values of one kind.")
    try:
        num_values = column.nunique()
    except TypeError as error:
        raise TypeError(
            f"argument must be a string or a number: column {name!r} holds objects of type "
            f"{type(column.iloc[0]).__name__}."
        ) from error
    if num_values == len(column) and num_values > 2:
        raise ValueError(
            f"column {name!r} has a different value in every row, so it identifies the rows; drop "
            "it."
        )
    return column.astype("category")


def _as_whole_numbers(column: pd.Series) -> pd.Series:
    """Return floating-point numbers as integers if they are whole, else the column as it is."""
    is_float = types.is_float_dtype(column.dtype) or (
        types.is_object_dtype(column.dtype) and all(isinstance(one, float) for one in column)
    )
    if not is_float:
        return column
    values = column.to_numpy(np.float64)
    whole = (values == np.round(values)) & (np.abs(values) < 2**53)
    return column.astype(np.int64) if whole.all() else column


def _present_rows(column: pd.Series, name: str, allow_missing: bool) -> np.ndarray:
    """Return the rows in which a column has a value; all of them unless some may be missing."""
    missing = column.isna().to_numpy()
    if allow_missing and missing.all():
        raise ValueError(f"column {name!r} has no value in any row (all NaN); drop it.")
    if missing.any() and not allow_missing:
        raise ValueError(
            f"column {name!r} has {missing.sum()} missing value(s) (NaN), the first in row "
            f"{np.argmax(missing)}; fill them in, drop those rows, or average over what they may "
            "be with MultipleImputation."
        )
    return np.flatnonzero(~missing)


def _equal_columns(
    values: np.ndarray, skip: Sequence[bool] | None = None
) -> tuple[int, int] | None:
    """Return the first two columns with the same values, unless both are to be skipped."""
    seen: dict[bytes, list[int]] = {}
    for j in range(values.shape[1]):
        # Adding zero turns -0.0 into 0.0, which is equal but has other bytes.
        twins = seen.setdefault((values[:, j] + 0).tobytes(), [])
        for twin in twins:
            if skip is None or not (skip[twin] and skip[j]):
                return twin, j
        twins.append(j)
    return None


def _is_number(text: str) -> bool:
    """Return whether the text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
