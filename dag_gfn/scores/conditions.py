"""Imperfect interventions: the rows in which a mechanism took the place of a column's own."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np

from dag_gfn.scores.constraints import is_missing

__all__ = ["changed_mechanisms"]


def changed_mechanisms(
    conditions: Iterable[Hashable] | None, targets: np.ndarray
) -> np.ndarray | None:
    """Return which mechanism took the place of the target's own in each row.

    The rows of one target and one condition share a mechanism.

    Parameters
    ----------
    conditions : sequence [n] of labels, or None
        What was done in each row; looked at in rows with a target alone. A Series is matched by
        position. None for perfect interventions.
    targets : array of int [n]
        As of `dag_gfn.scores.constraints.intervention_targets`.

    Returns
    -------
    ndarray of int64 [n] or None
        Numbered in the order of the rows, -1 in rows without a target; None for perfect
        interventions.

    Raises
    ------
    TypeError, ValueError
        If the number of labels is not the number of rows, or a row with a target has no label or
        one that is neither a name nor a number.

    Examples
    --------
    >>> changed_mechanisms(["", "low", "high", "low"], np.array([-1, 0, 0, 1]))
    array([-1,  0,  1,  2])
    """
    if conditions is None:
        return None
    if isinstance(conditions, str):
        raise TypeError(
            f"conditions must have one label per row, not the single label {conditions!r}."
        )
    if not isinstance(conditions, Iterable):
        raise TypeError(f"conditions must have one label per row, not {conditions!r}.")
    listed = list(conditions)
    if len(listed) != len(targets):
        raise ValueError(
            f"conditions has {len(listed)} labels for {len(targets)} rows; give one per row, None "
            "for a row without an intervention."
        )
    mechanisms = np.full(len(targets), -1, dtype=np.int64)
    known: dict[tuple[int, Hashable], int] = {}
    for row in np.flatnonzero(targets >= 0):
        label = listed[row]
        try:
            hash(label)
        except TypeError as error:
            raise TypeError(
                f"the condition of row {row} must be a name or number, not {label!r}."
            ) from error
        if is_missing(label):
            raise ValueError(
                f"row {row} has an intervention and no condition; label it, with the name of its "
                "target if there is one condition for each."
            )
        mechanisms[row] = known.setdefault((int(targets[row]), label), len(known))
    return mechanisms
