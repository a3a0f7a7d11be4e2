"""Features that are about some of the variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dag_gfn import graphs
from dag_gfn.features.feature import Feature, Truth, position


def edge(cause: str, effect: str) -> Feature:
    """Ask for the edge ``cause -> effect``.

    Parameters
    ----------
    cause, effect : str

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If the two are the same.

    Examples
    --------
    >>> edge("a", "b").evaluate([[0, 1], [0, 0]], ["a", "b"])
    np.True_
    """
    _refuse_repeats("edge", cause, effect)
    return Feature(
        f"edge({cause!r}, {effect!r})", lambda some, names: _entry(some, names, cause, effect)
    )


def path(cause: str, effect: str) -> Feature:
    """Ask for a directed path from ``cause`` to ``effect``, of one edge or more.

    Parameters
    ----------
    cause, effect : str

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If the two are the same.

    Examples
    --------
    >>> path("a", "c").evaluate([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["a", "b", "c"])
    np.True_
    """
    _refuse_repeats("path", cause, effect)
    return Feature(
        f"path({cause!r}, {effect!r})",
        lambda some, names: _entry(graphs.transitive_closure(some), names, cause, effect),
    )


def adjacent(first: str, second: str) -> Feature:
    """Ask for an edge between two variables, in either direction.

    Parameters
    ----------
    first, second : str

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If the two are the same.

    Examples
    --------
    >>> adjacent("b", "a").evaluate([[0, 1], [0, 0]], ["a", "b"])
    np.True_
    """
    _refuse_repeats("adjacent", first, second)
    return Feature(
        f"adjacent({first!r}, {second!r})",
        lambda some, names: _either(some, names, first, second),
    )


def in_markov_blanket(variable: str, of: str) -> Feature:
    """Ask whether a variable is a parent, a child, or another parent of a child of ``of``.

    Parameters
    ----------
    variable, of : str

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If the two are the same.

    Examples
    --------
    >>> collider = [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    >>> in_markov_blanket("a", of="b").evaluate(collider, ["a", "b", "c"])
    np.True_
    """
    _refuse_repeats("in_markov_blanket", variable, of)

    def test(some: NDArray[np.int8], names: tuple[str, ...]) -> Truth:
        children = some[..., position(variable, names), :]
        common = children.astype(bool) & some[..., position(of, names), :].astype(bool)
        return _either(some, names, variable, of) | common.any(axis=-1)

    return Feature(f"in_markov_blanket({variable!r}, of={of!r})", test)


def v_structure(first: str, collider: str, second: str) -> Feature:
    """Ask for ``first -> collider <- second`` with ``first`` and ``second`` not adjacent.

    Parameters
    ----------
    first, collider, second : str

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If two of them are the same.

    Examples
    --------
    >>> collider = [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    >>> v_structure("a", "c", "b").evaluate(collider, ["a", "b", "c"])
    np.True_
    """
    _refuse_repeats("v_structure", first, collider, second)
    return Feature(
        f"v_structure({first!r}, {collider!r}, {second!r})",
        lambda some, names: (
            _entry(some, names, first, collider)
            & _entry(some, names, second, collider)
            & ~_either(some, names, first, second)
        ),
    )


def d_separated(
    first: str | Iterable[str], second: str | Iterable[str], given: str | Iterable[str] = ()
) -> Feature:
    """Ask whether the graph implies that variables are independent, given others.

    Parameters
    ----------
    first, second, given : str or iterable of str
        Variables, or several. See `dag_gfn.graphs.d_separated`.

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If a variable occurs twice.

    Examples
    --------
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> blocked = d_separated("a", "c", given="b")
    >>> blocked
    d_separated('a', 'c', given='b')
    >>> blocked.evaluate(chain, ["a", "b", "c"])
    np.True_
    """
    sets = [
        [variables] if isinstance(variables, str) else list(variables)
        for variables in (first, second, given)
    ]
    _refuse_repeats("d_separated", *sets[0], *sets[1], *sets[2])
    one, other, condition = (repr(some[0] if len(some) == 1 else some) for some in sets)
    text = f"d_separated({one}, {other}{f', given={condition}' if sets[2] else ''})"

    def test(some: NDArray[np.int8], names: tuple[str, ...]) -> Truth:
        positions = [[position(name, names) for name in variables] for variables in sets]
        return graphs.d_separated(some, *positions)

    return Feature(text, test)


def contains(edges: Iterable[tuple[str, str]]) -> Feature:
    """Ask for several edges at once.

    Parameters
    ----------
    edges : iterable of (cause, effect)
        Pairs of names.

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If an edge is not a pair of two variables.

    Examples
    --------
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> contains([("a", "b"), ("b", "c")]).evaluate(chain, ["a", "b", "c"])
    np.True_
    """
    pairs = list(edges)
    for pair in pairs:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise ValueError(f"edges holds {pair!r}, which is not a pair (cause, effect).")
        _refuse_repeats("an edge", *pair)

    def test(some: NDArray[np.int8], names: tuple[str, ...]) -> Truth:
        present = np.ones(some.shape[:-2], bool)
        for cause, effect in pairs:
            present = present & _entry(some, names, cause, effect)
        return present

    return Feature(f"contains({pairs!r})", test)


def num_edges(*, at_least: int | None = None, at_most: int | None = None) -> Feature:
    """Ask for a number of edges between two limits, which belong to it.

    Parameters
    ----------
    at_least, at_most : int, optional
        One of them, or both.

    Returns
    -------
    Feature

    Raises
    ------
    ValueError
        If neither limit is given.

    Examples
    --------
    >>> num_edges(at_least=1, at_most=2).evaluate([[0, 1], [0, 0]], ["a", "b"])
    np.True_
    """
    limits = {"at_least": at_least, "at_most": at_most}
    written = ", ".join(f"{name}={limit}" for name, limit in limits.items() if limit is not None)
    if not written:
        raise ValueError("num_edges has no limit; give at_least=, at_most= or both.")
    low = 0 if at_least is None else at_least
    high = np.inf if at_most is None else at_most

    def test(some: NDArray[np.int8], names: tuple[str, ...]) -> Truth:
        count = some.sum(axis=(-2, -1), dtype=np.int64)
        return (low <= count) & (count <= high)

    return Feature(f"num_edges({written})", test)


def _refuse_repeats(what: str, *variables: str) -> None:
    for i, name in enumerate(variables):
        if name in variables[:i]:
            raise ValueError(f"{what} is about different variables, but {name!r} occurs twice.")


def _entry(matrices: NDArray, names: tuple[str, ...], row: str, column: str) -> Truth:
    """Return one entry of every matrix [..., d, d], as bool [...]."""
    return matrices[..., position(row, names), position(column, names)] != 0


def _either(matrices: NDArray, names: tuple[str, ...], row: str, column: str) -> Truth:
    return _entry(matrices, names, row, column) | _entry(matrices, names, column, row)
