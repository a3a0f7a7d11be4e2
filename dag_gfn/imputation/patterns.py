"""Rows in which the same values are missing, which can be drawn together.

Glossary: ``n`` rows, ``d`` variables, ``m`` rows of one pattern.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pattern", "missing_patterns"]


class Pattern(NamedTuple):
    """Rows that miss the same values and had the same variable set."""

    rows: NDArray[np.int64]  # [m]
    missing: NDArray[np.bool_]  # [d], not empty
    target: int  # variable that was set by an intervention, -1 for none


def missing_patterns(missing: NDArray[np.bool_], targets: NDArray[np.int64]) -> list[Pattern]:
    """Group the rows in which anything is missing.

    Parameters
    ----------
    missing : array of bool [n, d]
    targets : array of int [n]
        Variable that was set by an intervention in each row, -1 for none.

    Returns
    -------
    list of Pattern
        Every row with a missing value is in one of them.

    Examples
    --------
    >>> missing = np.array([[True, False], [False, False], [True, False]])
    >>> [pattern.rows.tolist() for pattern in missing_patterns(missing, np.array([-1, -1, -1]))]
    [[0, 2]]
    """
    incomplete = np.flatnonzero(missing.any(axis=1))
    keys, which = np.unique(
        np.column_stack([missing, targets])[incomplete], axis=0, return_inverse=True
    )
    return [
        Pattern(incomplete[which.ravel() == number], key[:-1].astype(bool), int(key[-1]))
        for number, key in enumerate(keys)
    ]
