"""Prior knowledge of single edges, and whether any graph agrees with all of it.

Edges that must or must not be there, tiers of columns, probabilities of edges and a limit of
in-degrees all come down to two masks, one number and a matrix of log-odds, which factorise over the
parent sets as the score does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import NamedTuple, TypeAlias

import networkx as nx
import numpy as np
import pandas as pd

from dag_gfn.scores.constraints import (
    EdgeSet,
    column_index,
    edge_ends,
    edge_mask,
    matrix_places,
)

__all__ = [
    "EdgeProbabilities",
    "Knowledge",
    "Tiers",
    "edge_probability_matrix",
    "prior_knowledge",
    "tier_mask",
    "tier_numbers",
]

Tiers: TypeAlias = Iterable[Collection[str | int]] | Mapping[str | int, float] | pd.Series
EdgeProbabilities: TypeAlias = (
    Mapping[tuple[str | int, str | int], float] | np.ndarray | pd.DataFrame
)


class Knowledge(NamedTuple):
    """What is known of the graph before the table is seen."""

    required: np.ndarray  # bool [d, d], row causes column
    forbidden: np.ndarray  # bool [d, d], the diagonal included
    max_parents: int  # d - 1 when there is no limit
    edge_log_odds: np.ndarray  # float64 [d, d], log(p / (1 - p)); 0 where nothing is known


def prior_knowledge(
    names: Sequence[str],
    *,
    required_edges: EdgeSet | None = None,
    forbidden_edges: EdgeSet | None = None,
    tiers: Tiers | None = None,
    edge_probabilities: EdgeProbabilities | None = None,
    max_parents: int | None = None,
) -> Knowledge:
    r"""Bring together what is known of the edges, in so far as some DAG agrees with it.

    Parameters
    ----------
    names : sequence of str [d]
    required_edges, forbidden_edges
        As of `edge_mask`.
    tiers
        As of `tier_numbers`; edges from a later tier to an earlier one are forbidden.
    edge_probabilities
        As of `edge_probability_matrix`. An edge of probability :math:`p_{ij}` strictly between 0
        and 1 adds :math:`\log(p_{ij} / (1 - p_{ij}))` to the log-prior of each graph that has it;
        one of probability 1 is required, one of probability 0 is forbidden.
    max_parents : int, optional

    Returns
    -------
    Knowledge

    Raises
    ------
    TypeError, ValueError
        If something is not of its kind; or if edges are both ruled in and ruled out, the required
        edges contain a cycle, or a column has more required parents than it may have. The message
        names all edges that contradict.

    Examples
    --------
    >>> known = prior_knowledge(
    ...     ("age", "dose", "cure"),
    ...     tiers=[["age"], ["dose", "cure"]],
    ...     edge_probabilities={("dose", "cure"): 0.8, ("cure", "dose"): 0},
    ... )
    >>> known.forbidden.astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    >>> known.edge_log_odds.round(2).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 1.39], [0.0, 0.0, 0.0]]
    """
    num_variables = len(names)
    limit = _checked_limit(max_parents, num_variables)
    required = edge_mask(required_edges, names, "required")
    forbidden = edge_mask(forbidden_edges, names, "forbidden")
    tier = tier_numbers(tiers, names)
    probability = edge_probability_matrix(edge_probabilities, names)
    _refuse_clashes(required, forbidden, tier, probability, names)
    required = required | (probability == 1)
    forbidden = forbidden | (probability == 0) | _goes_back(tier)
    _refuse_cycles(required, names)
    _refuse_crowds(required, limit, names)
    uncertain = (probability > 0) & (probability < 1)
    p = np.where(uncertain, probability, 0.5)
    return Knowledge(
        required=required,
        forbidden=forbidden | np.eye(num_variables, dtype=bool),
        max_parents=limit,
        edge_log_odds=np.log(p) - np.log1p(-p),
    )


def tier_numbers(tiers: Tiers | None, names: Sequence[str]) -> np.ndarray:
    """Return the tier of each column as a number, lower for earlier.

    Parameters
    ----------
    tiers : iterable of collections of names or positions, mapping or Series to numbers, or None
        Either the tiers themselves, earliest first, which are numbered from 1; or the number of
        the tier of each column. A column that is left out, or whose number is NaN, is in none.
    names : sequence of str [d]

    Returns
    -------
    ndarray of float64 [d]
        NaN where a column is in no tier.

    Raises
    ------
    TypeError, ValueError
        If a column is unknown or in two tiers, a tier is not a collection of columns, or the tier
        of a column is not a number.

    Examples
    --------
    >>> tier_numbers([["age"], ["dose", "cure"]], ("age", "cure", "dose", "place"))
    array([ 1.,  2.,  2., nan])
    >>> tier_numbers({"age": 1990, "dose": 2001.5}, ("age", "cure", "dose"))
    array([1990. ,    nan, 2001.5])
    """
    numbers = np.full(len(names), np.nan)
    if tiers is None:
        return numbers
    seen: set[int] = set()
    for column, number in _tier_items(tiers):
        place = column_index(column, names, "tier column")
        if place in seen:
            raise ValueError(
                f"column {names[place]!r} occurs twice in the tiers; leave it in one of them."
            )
        seen.add(place)
        if number is None or number is pd.NA:
            continue
        if not isinstance(number, Real) or isinstance(number, (bool, np.bool_)):
            raise TypeError(
                f"the tier of column {names[place]!r} must be a number, not {number!r}."
            )
        numbers[place] = _exact_float(number, names[place])
    return numbers


def tier_mask(tiers: Tiers | None, names: Sequence[str]) -> np.ndarray:
    """Return the edges from a later tier to an earlier one, which are forbidden.

    Columns in no tier may be causes and effects of any, and so carry an influence back from a
    later tier to an earlier one; put them in a tier to rule that out.

    Parameters
    ----------
    tiers, names
        As of `tier_numbers`.

    Returns
    -------
    ndarray of bool [d, d]
        Row causes column.

    Raises
    ------
    TypeError, ValueError
        As `tier_numbers`.

    Examples
    --------
    >>> tier_mask([["age"], ["dose", "cure"]], ("age", "dose", "cure")).astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    """
    return _goes_back(tier_numbers(tiers, names))


def edge_probability_matrix(
    edge_probabilities: EdgeProbabilities | None, names: Sequence[str]
) -> np.ndarray:
    """Return the prior probability of each edge, NaN where nothing is known.

    Parameters
    ----------
    edge_probabilities : mapping {(cause, effect): p}, DataFrame, array of float [d, d], or None
        A DataFrame is matched by name, may lack columns, and has causes in its rows; the rows and
        columns of an array are in the order of the table. NaN means that nothing is known. The
        diagonal holds 0 or NaN.
    names : sequence of str [d]

    Returns
    -------
    ndarray of float64 [d, d]
        Row causes column; NaN on the diagonal.

    Raises
    ------
    TypeError, ValueError
        If a column is unknown, an edge is named twice, a probability is not a number from 0 to 1,
        or a column is to cause itself.

    Examples
    --------
    >>> edge_probability_matrix({("a", "b"): 0.9}, ("a", "b")).tolist()
    [[nan, 0.9], [nan, nan]]
    """
    shape = (len(names), len(names))
    values: np.ndarray = np.full(shape, np.nan, dtype=object)
    if edge_probabilities is None:
        pass
    elif isinstance(edge_probabilities, pd.DataFrame):
        places = matrix_places(edge_probabilities, names, "uncertain")
        values[places] = edge_probabilities.to_numpy(dtype=object)
    elif isinstance(edge_probabilities, np.ndarray):
        if edge_probabilities.shape != shape:
            raise ValueError(
                f"the array of edge probabilities must be {shape[0]} x {shape[0]}, but its shape "
                f"is {edge_probabilities.shape}."
            )
        values = edge_probabilities
    elif isinstance(edge_probabilities, Mapping):
        seen: set[tuple[int, int]] = set()
        for edge, probability in edge_probabilities.items():
            ends = edge_ends(edge, names, "uncertain")
            if ends in seen:
                raise ValueError(f"edge_probabilities names the edge {_arrow(ends, names)} twice.")
            seen.add(ends)
            values[ends] = probability
    else:
        raise TypeError(
            "edge_probabilities must be a mapping {(cause, effect): p}, a DataFrame or an array, "
            f"not {type(edge_probabilities).__name__}."
        )
    matrix = _as_numbers(values, names)
    _refuse_improper(matrix, names)
    np.fill_diagonal(matrix, np.nan)
    return matrix


def _tier_items(tiers: Tiers) -> Iterator[tuple[str | int, object]]:
    """Yield each column, as it was given, with the number of its tier."""
    if isinstance(tiers, pd.Series):
        yield from ((str(name), number) for name, number in tiers.items())
        return
    if isinstance(tiers, Mapping):
        yield from tiers.items()
        return
    if isinstance(tiers, str) or not isinstance(tiers, Iterable):
        raise TypeError(f"tiers must be lists of columns, earliest first, not {tiers!r}.")
    for number, tier in enumerate(tiers, 1):
        if isinstance(tier, str) or not isinstance(tier, Collection):
            raise TypeError(f"tier {number} must be a list of columns, not {tier!r}.")
        yield from ((column, number) for column in tier)


def _exact_float(number: Real, name: str) -> float:
    """Return the number of a tier as a float, unless that would make it equal to others."""
    try:
        value = float(number)
        is_exact = not isinstance(number, Integral) or int(value) == int(number)
    except OverflowError:
        is_exact = False
    if not is_exact:
        raise ValueError(
            f"the tier of column {name!r} has too many digits to be told from others; number the "
            "tiers from 1."
        )
    return value


def _goes_back(tier: np.ndarray) -> np.ndarray:
    """Return the edges from a later tier to an earlier one, bool [d, d]."""
    return tier[:, None] > tier[None, :]


def _checked_limit(max_parents: int | None, num_variables: int) -> int:
    """Return the in-degree limit, d - 1 when there is none."""
    if max_parents is None:
        return num_variables - 1
    if not isinstance(max_parents, Integral) or isinstance(max_parents, (bool, np.bool_)):
        raise TypeError(f"max_parents must be an integer or None, not {max_parents!r}.")
    if not 0 <= max_parents <= num_variables - 1:
        raise ValueError(
            f"max_parents must be from 0 to d - 1 = {num_variables - 1}, not {max_parents}."
        )
    return int(max_parents)


def _as_numbers(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return probabilities as a fresh array of float64, if they are numbers."""
    if values.dtype.kind in "fiu":
        return values.astype(np.float64)
    matrix = np.full(values.shape, np.nan)
    for ends, value in np.ndenumerate(values):
        if value is None or value is pd.NA:
            continue
        # Zeros and ones of a mask would forbid every edge that the mask merely lacks.
        if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
            raise TypeError(
                f"the edge probability of {_arrow(ends, names)} must be a number from 0 to 1, not "
                f"{value!r}."
            )
        try:
            matrix[ends] = float(value)
        except OverflowError as error:
            raise ValueError(
                f"the edge probability of {_arrow(ends, names)} must be a number from 0 to 1, not "
                "one of hundreds of digits."
            ) from error
    return matrix


def _refuse_improper(matrix: np.ndarray, names: Sequence[str]) -> None:
    """Raise if a probability is not one, or is that of a self-loop."""
    improper = np.argwhere((matrix < 0) | (matrix > 1)).tolist()
    if improper:
        listed = [f"{matrix[i, j]:g} for {_arrow((i, j), names)}" for i, j in improper]
        raise ValueError(f"an edge probability must be from 0 to 1, not {_joined(listed)}.")
    loops = np.flatnonzero(np.diag(matrix) > 0).tolist()
    if loops:
        listed = [_arrow((i, i), names) for i in loops]
        raise ValueError(
            f"no column causes itself, so the edge probability of {_joined(listed)} must be 0 or "
            "NaN."
        )


def _refuse_clashes(
    required: np.ndarray,
    forbidden: np.ndarray,
    tier: np.ndarray,
    probability: np.ndarray,
    names: Sequence[str],
) -> None:
    """Raise if edges are both ruled in and ruled out."""
    ruled_out = forbidden | (probability == 0) | _goes_back(tier)
    clashes = np.argwhere((required | (probability == 1)) & ruled_out).tolist()
    sentences = []
    for i, j in clashes:
        reasons = []
        if required[i, j] and forbidden[i, j]:
            reasons.append("is both required and forbidden")
        elif required[i, j]:
            reasons.append("is required")
        elif forbidden[i, j]:
            reasons.append("is forbidden")
        if probability[i, j] in (0, 1):
            reasons.append(f"has probability {probability[i, j]:g}")
        if tier[i] > tier[j]:
            reasons.append(f"goes back from tier {tier[i]:g} to tier {tier[j]:g}")
        sentences.append(f"edge {_arrow((i, j), names)} {_joined(reasons)}")
    if sentences:
        raise ValueError(f"{'; '.join(sentences)}; take back one of the two.")


def _refuse_cycles(required: np.ndarray, names: Sequence[str]) -> None:
    """Raise if the required edges contain a cycle; every edge that is in one is named."""
    graph = nx.DiGraph(np.argwhere(required).tolist())
    cycles: list[list[int]] = []
    named: set[tuple[int, int]] = set()
    for members in nx.strongly_connected_components(graph):
        knot = graph.subgraph(members)
        for cause, effect in sorted(knot.edges):
            if (cause, effect) not in named:
                cycle = [cause, *nx.shortest_path(knot, effect, cause)]
                named |= set(zip(cycle[:-1], cycle[1:], strict=True))
                cycles.append(cycle)
    if cycles:
        listed = [" -> ".join(repr(names[node]) for node in cycle) for cycle in sorted(cycles)]
        raise ValueError(
            f"the required edges contain the cycle{'s' * (len(cycles) > 1)} {_joined(listed)}; "
            f"remove {'an edge of each' if len(cycles) > 1 else 'one of them'}."
        )


def _refuse_crowds(required: np.ndarray, limit: int, names: Sequence[str]) -> None:
    """Raise if a column has more required parents than it may have."""
    crowds = []
    for node in np.flatnonzero(np.sum(required, axis=0) > limit).tolist():
        parents = [repr(names[parent]) for parent in np.flatnonzero(required[:, node]).tolist()]
        crowds.append(
            f"column {names[node]!r} has {len(parents)} required parents, more than max_parents = "
            f"{limit}, namely {_joined(parents)}"
        )
    if crowds:
        raise ValueError(f"{'; '.join(crowds)}; raise max_parents or require fewer edges.")


def _arrow(ends: Iterable[int], names: Sequence[str]) -> str:
    return " -> ".join(repr(names[end]) for end in ends)


def _joined(parts: Sequence[str]) -> str:
    """Join parts of a sentence by commas and an "and"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
