"""Probabilities of what is true or false of a graph, given what else is true of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dag_gfn.posterior.distinct import Distinct, in_chunks


@runtime_checkable
class NamedPredicate(Protocol):
    """True or false of many graphs at once, by the names of the variables."""

    def evaluate(self, adjacency: NDArray[np.int8], names: Sequence[str]) -> ArrayLike:
        """Map graphs, int8 [U, d, d], and the d names to bool [U]."""
        ...


Predicate: TypeAlias = Callable[[NDArray[np.int8]], Any] | NamedPredicate


class Answer(NamedTuple):
    """The probability of a predicate, and the distinct graphs it was computed from."""

    probability: float
    fulfilling: NDArray[np.int64]  # [K], the distinct graphs that fulfil the condition
    true: NDArray[np.bool_]  # [K], of which of them the predicate is true


def answer(
    predicate: Predicate,
    given: Predicate | None,
    *,
    adjacency: NDArray[np.int8],
    distinct: Distinct,
    names: Sequence[str],
) -> Answer:
    """Compute the probability of a predicate among the graphs that fulfil a condition.

    Parameters
    ----------
    predicate, given : callable, or an object with ``evaluate``
        Not asked of graphs of weight zero; and ``predicate`` not of graphs that do not fulfil
        ``given``, where it may be undefined.
    adjacency : numpy.ndarray, int8, shape [S, d, d]
    distinct : Distinct
    names : sequence of str, length d

    Returns
    -------
    Answer

    Raises
    ------
    ValueError
        If no graph of positive weight fulfils ``given``, or ``evaluate`` does not return one value
        for each graph.
    TypeError
        If ``predicate`` or ``given`` is neither callable nor has ``evaluate``.
    """
    fulfilling = np.flatnonzero(distinct.probabilities)
    if given is not None:
        holds = _truth(given, adjacency, distinct.first[fulfilling], names, what="given")
        fulfilling = fulfilling[holds]
        if not len(fulfilling):
            raise ValueError(
                "no drawn graph fulfils the condition given, so nothing is known under it; take "
                "more draws or a weaker condition."
            )
    true = _truth(predicate, adjacency, distinct.first[fulfilling], names, what="predicate")
    shares = distinct.probabilities[fulfilling]
    return Answer(float(shares[true].sum() / shares.sum()), fulfilling, true)


def answer_standard_error(found: Answer, weights: NDArray[np.float64], distinct: Distinct) -> float:
    """Estimate the Monte Carlo standard error of an answer from weights [S] that sum to one."""
    squares = np.bincount(distinct.inverse, weights**2)[found.fulfilling]
    condition = distinct.probabilities[found.fulfilling].sum()
    return float(np.sqrt(squares @ (found.true - found.probability) ** 2) / condition)


def _truth(
    predicate: Predicate,
    adjacency: NDArray[np.int8],
    draws: NDArray[np.int64],
    names: Sequence[str],
    *,
    what: str,
) -> NDArray[np.bool_]:
    """Tell of which of some draws [K] a predicate is true, bool [K]."""
    if not isinstance(predicate, NamedPredicate) and not callable(predicate):
        raise TypeError(
            f"{what} must be a function of one graph, or a feature such as "
            f"dag_gfn.features.edge(cause, effect); it is a {type(predicate).__name__}."
        )
    truth = np.zeros(len(draws), bool)
    start = 0
    for chunk in in_chunks(adjacency, draws):
        if isinstance(predicate, NamedPredicate):
            values = np.asarray(predicate.evaluate(chunk, names), bool)
        else:
            values = np.array([bool(predicate(graph)) for graph in chunk])
        if values.shape != (len(chunk),):
            raise ValueError(
                f"{what}.evaluate returned shape {list(values.shape)} for {len(chunk)} graphs; it "
                "must return one value for each."
            )
        truth[start : start + len(chunk)] = values
        start += len(chunk)
    return truth
