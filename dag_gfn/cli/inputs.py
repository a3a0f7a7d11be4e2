"""From the arguments to a table that can be fitted, with everything checked first."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from dag_gfn import datasets, tables

if TYPE_CHECKING:
    from dag_gfn.scores import LocalScores


class Request(NamedTuple):
    """A table and what is to be done with it."""

    label: str  # the file or data set, as the user gave it
    table: pd.DataFrame  # [n, d]
    model: dict[str, Any]  # arguments of the estimator that the local scores depend on
    constraints: dict[str, Any]  # arguments of `fit`

    def check(self) -> LocalScores:
        """Return the local scores, which refuses a table, constraint or parameter that is unfit.

        Raises
        ------
        TypeError, ValueError
            See `dag_gfn.scores.local_scores`; also if there are too many local scores.
        """
        from dag_gfn.scores import local_scores

        scores = local_scores(self.table, **self.model, **self.constraints)
        if self.model["score"] == "bde" and not scores.has_table:
            scores.gains()
        return scores


def read_request(args: argparse.Namespace) -> Request:
    """Read the table and apply the options that choose or change columns.

    Raises
    ------
    OSError, TypeError, ValueError
        If the table cannot be read, or an option names a column that is not there.
    """
    table, targets, conditions = _load(args)
    if args.interventions_column is not None:
        _require_columns([args.interventions_column], table, "--interventions-column")
        targets = _target_names(table[args.interventions_column])
        aside = {args.interventions_column}
        if args.conditions_column is not None:
            _require_columns([args.conditions_column], table, "--conditions-column")
            conditions = table[args.conditions_column].tolist()
            aside.add(args.conditions_column)  # the same one, where each target has one condition
        table = table.drop(columns=list(aside))
    if args.columns:
        _require_columns(args.columns, table, "--columns")
        table = table[list(dict.fromkeys(args.columns))]
    if args.drop:
        _require_columns(args.drop, table, "--drop")
        table = table.drop(columns=args.drop)
    if args.log:
        table = _logarithms(tables.as_frame(table))
    names = [str(name) for name in table.columns]
    return Request(
        label=f"the data set {args.dataset}" if args.dataset else str(args.table),
        table=table,
        model={
            "score": args.score,
            "prior": args.prior,
            "standardize": args.standardize,
            "max_parents": args.max_parents,
            "score_params": dict(args.score_param) or None,
            "prior_params": dict(args.prior_param) or None,
        },
        constraints={
            "interventions": targets,
            "conditions": conditions,
            "required_edges": [split_edge(edge, names, "--require") for edge in args.require],
            "forbidden_edges": [split_edge(edge, names, "--forbid") for edge in args.forbid],
            "tiers": args.tier,
            "edge_probabilities": _edge_probabilities(args.edge_probability, names),
        },
    )


def split_edge(text: str, names: Sequence[str], option: str) -> tuple[str, str]:
    """Split ``CAUSE:EFFECT``, where the names may have colons of their own.

    Raises
    ------
    ValueError
        If no way to split it, or more than one, gives two columns.

    Examples
    --------
    >>> split_edge("gene:1:age", ["gene:1", "age"], "--require")
    ('gene:1', 'age')
    """
    ends = [(text[:i], text[i + 1 :]) for i, letter in enumerate(text) if letter == ":"]
    if not ends:
        raise ValueError(f"{option} {text} is not an edge; write it as CAUSE:EFFECT.")
    known = [pair for pair in ends if pair[0] in names and pair[1] in names]
    if len(known) == 1:
        return known[0]
    if known:
        ways = " or ".join(f"{cause!r} -> {effect!r}" for cause, effect in known)
        raise ValueError(f"{option} {text} could mean {ways}; rename a column.")
    if len(ends) == 1:
        unknown = next(end for end in ends[0] if end not in names)
        raise ValueError(
            f"{option} {text} names {unknown!r}, which is not one of {_listed(names)}."
        )
    raise ValueError(f"{option} {text} does not name two of the columns {_listed(names)}.")


def _edge_probabilities(
    given: Sequence[tuple[str, float]], names: Sequence[str]
) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for text, probability in given:
        edge = split_edge(text, names, "--edge-probability")
        if edge in found:
            raise ValueError(f"--edge-probability names the edge {text} twice; leave one out.")
        found[edge] = probability
    return found


def _load(
    args: argparse.Namespace,
) -> tuple[pd.DataFrame, list[str | None] | None, list[str] | None]:
    """Return a table, its targets and, for imperfect interventions, its conditions."""
    if args.dataset is None:
        return tables.read_table(args.table), None, None
    if args.all_conditions:
        table, targets, conditions = datasets.load_sachs(interventions=True, conditions=True)
        return table, list(targets), list(conditions) if args.imperfect else None
    return datasets.load_sachs(), None, None


def _target_names(column: pd.Series) -> list[str | None]:
    """Read intervention targets, where a column called 7 may have become the number 7.0."""
    return [None if pd.isna(value) else _as_name(value) for value in column.astype(object)]


def _as_name(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def _logarithms(table: pd.DataFrame) -> pd.DataFrame:
    with warnings.catch_warnings():
        # The scales are looked at again after the logarithm.
        warnings.simplefilter("ignore", UserWarning)
        values = tables.continuous_values(table)
    for name, column in zip(table.columns, values.T, strict=True):
        if np.min(column) <= 0:
            row = int(np.argmax(column <= 0))
            raise ValueError(
                f"column {name!r} has no logarithm in row {row}, where it is {column[row]:g}; drop "
                "the column, or leave --log out."
            )
    return pd.DataFrame(np.log(values), columns=table.columns)


def _require_columns(wanted: Sequence[str], table: pd.DataFrame, option: str) -> None:
    for name in wanted:
        if name not in table.columns:
            raise ValueError(
                f"{option}: there is no column {name!r}; the table has {_listed(table.columns)}."
            )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"
