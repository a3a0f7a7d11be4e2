"""What each column of a table holds, in numbers small enough to be kept beside a posterior."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dag_gfn import tables
from dag_gfn.posterior import Posterior
from dag_gfn.posterior.linear_gaussian import LinearGaussianMechanisms

NUM_BINS = 16
_MANY = 10**15  # more rows than a table has
_NUMBERS = ("minimum", "median", "maximum", "mean", "standard_deviation")


def describe_columns(
    table: pd.DataFrame | ArrayLike,
    interventions: Iterable[str | None] | None = None,
    *,
    categories: bool = False,
) -> list[dict[str, Any]]:
    """Summarise every column of a table.

    Parameters
    ----------
    table : DataFrame or array [n, d]
        As it is fitted, but before it is standardised.
    interventions : iterable [n] of str or None, optional
        The column that was set in each row, None for none.
    categories : bool, default False
        Count states, rather than describe measurements.

    Returns
    -------
    list of dict [d]
        The ``name`` of each column, and with interventions ``rows_set``, in how many rows it was
        set. Of measurements also ``minimum``, ``median``, ``maximum``, ``mean``,
        ``standard_deviation`` (divisor n) and ``histogram``, counts in equal bins from the minimum
        to the maximum; of categories also ``states``, pairs of a state and how often it occurs.
        Plain numbers and strings, for JSON; missing values are left out.

    Raises
    ------
    ValueError
        If the table is not of that kind.

    Examples
    --------
    >>> table = pd.DataFrame({"a": [1.5, 2.5, 5.0], "b": [0.1, 0.2, 0.4]})
    >>> first, _ = describe_columns(table, [None, None, "a"])
    >>> first["median"], first["maximum"], first["rows_set"]
    (2.5, 5.0, 1)
    """
    frame = tables.as_frame(table)
    names = [str(label) for label in frame.columns]
    described: list[dict[str, Any]] = [{"name": label} for label in names]
    if interventions is not None:
        rows_set = Counter(target for target in interventions if isinstance(target, str))
        for about in described:
            about["rows_set"] = rows_set[about["name"]]
    if categories:
        codes, states = tables.categorical_codes(frame, allow_missing=True)
        for about, column, of_column in zip(described, codes.T, states, strict=True):
            counts = np.bincount(column[column >= 0], minlength=len(of_column))
            about["states"] = [
                [str(state), int(number)] for state, number in zip(of_column, counts, strict=True)
            ]
        return described
    with warnings.catch_warnings():
        # Whether the scales of the columns differ is the fit's to say.
        warnings.simplefilter("ignore", UserWarning)
        measurements = tables.continuous_values(frame, allow_missing=True)
    for about, column in zip(described, measurements.T, strict=True):
        values = column[~np.isnan(column)]
        about |= {
            "minimum": float(values.min()),
            "median": float(np.median(values)),
            "maximum": float(values.max()),
            "mean": float(values.mean()),
            "standard_deviation": float(values.std()),
            "histogram": np.histogram(values, NUM_BINS)[0].tolist(),
        }
    return described


def is_description(described: Any, names: Sequence[str]) -> bool:
    """Return whether something read from a file is what `describe_columns` gives for these columns.

    Parameters
    ----------
    described : object
    names : sequence of str

    Examples
    --------
    >>> is_description([{"name": "a", "states": [["x", 2], ["y", 1]]}], ["a"])
    True
    >>> is_description([{"name": "a", "states": [["x", "y"]]}], ["a"])
    False
    """
    if not isinstance(described, list) or len(described) != len(names):
        return False
    return all(
        isinstance(about, dict)
        and about.get("name") == label
        and _is_count(about.get("rows_set", 0))
        and (_has_states(about) or _has_measurements(about))
        and ("states" in about) == ("states" in described[0])
        for about, label in zip(described, names, strict=True)
    )


def _has_states(about: Mapping[str, Any]) -> bool:
    states = about.get("states")
    return isinstance(states, list) and all(
        isinstance(pair, list) and len(pair) == 2 and _is_count(pair[1]) for pair in states
    )


def _has_measurements(about: Mapping[str, Any]) -> bool:
    numbers, histogram = [about.get(what) for what in _NUMBERS], about.get("histogram")
    return (
        all(isinstance(one, int | float) and math.isfinite(one) for one in numbers)
        and isinstance(histogram, list)
        and all(map(_is_count, histogram))
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < _MANY


def columns_of_posterior(posterior: Posterior) -> list[dict[str, Any]] | None:
    """Summarise the columns as far as a posterior knows them: by what its mechanisms keep.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    list of dict [d], or None
        As of `describe_columns`, with fewer entries; None without mechanisms.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> table = pd.DataFrame({"a": ["x", "y", "y"], "b": ["u", "u", "v"]})
    >>> columns_of_posterior(dg.ExactPosterior(score="bde").fit(table).posterior_)[0]["states"]
    [['x', 1], ['y', 2]]
    """
    mechanisms = posterior.mechanisms
    if mechanisms is None:
        return None
    if isinstance(mechanisms, LinearGaussianMechanisms):
        return [
            {"name": label, "mean": float(mean), "standard_deviation": float(deviation)}
            for label, mean, deviation in zip(
                posterior.names, mechanisms.column_means, mechanisms.column_sds, strict=True
            )
        ]
    described = []
    for node, label in enumerate(posterior.names):
        states = mechanisms.states[node]
        counts = np.bincount(mechanisms.codes[node], mechanisms.counts, minlength=len(states))
        described.append(
            {
                "name": label,
                "rows_set": int(mechanisms.counts[mechanisms.targets == node].sum()),
                "states": [
                    [str(state), int(number)] for state, number in zip(states, counts, strict=True)
                ],
            }
        )
    return described
