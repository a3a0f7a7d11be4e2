"""New rows that a posterior is to predict or to simulate, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def checked_columns(table: pd.DataFrame | ArrayLike, names: Sequence[str]) -> pd.DataFrame:
    """Return new rows with the columns of the posterior, in its order.

    Parameters
    ----------
    table : DataFrame or array [n, d]
        A DataFrame is matched by name; the columns of an array are in the posterior's order.
    names : sequence of str [d]

    Returns
    -------
    DataFrame [n, d]

    Raises
    ------
    ValueError
        If there are no rows, or a column is missing, strange, or there twice.
    """
    frame = table if isinstance(table, pd.DataFrame) else pd.DataFrame(np.atleast_2d(table))
    if not isinstance(table, pd.DataFrame):
        if frame.shape[1] != len(names):
            raise ValueError(
                f"the new rows have {frame.shape[1]} columns, but the posterior has {len(names)} "
                "variables."
            )
        frame.columns = pd.Index(list(names))
    columns = [str(column) for column in frame.columns]
    for name in (*names, *columns):
        if columns.count(name) != 1 or name not in names:
            wrong = "a column that is not a variable of the posterior" if name in columns else None
            wrong = "the same column twice" if columns.count(name) > 1 else wrong
            raise ValueError(
                f"the new rows have {wrong or 'no column'}: {name!r}; they need the columns "
                f"{', '.join(map(repr, names))}."
            )
    if len(frame) == 0:
        raise ValueError("there are no new rows; give at least one.")
    frame = frame.set_axis(columns, axis=1)[list(names)]
    missing = np.argwhere(frame.isna().to_numpy())
    if len(missing):
        row, column = missing[0]
        raise ValueError(
            f"column {names[column]!r} of the new rows has no value in row {row}; drop that row."
        )
    return frame


def checked_settings(
    do: Mapping[str, ArrayLike] | None, names: Sequence[str], shape: tuple[int, int]
) -> dict[int, NDArray]:
    """Return the values that are set, [S, n] for each position."""
    settings = {}
    for name, values in (do or {}).items():
        if name not in names:
            raise ValueError(
                f"do sets {name!r}, which is not one of {', '.join(map(repr, names))}."
            )
        settings[list(names).index(name)] = np.broadcast_to(np.asarray(values), shape)
    return settings
