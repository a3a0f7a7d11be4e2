"""What is true or false of a graph, and how such things are combined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

# One value for each graph, [...].
Truth: TypeAlias = NDArray[np.bool_] | np.bool_
Test: TypeAlias = Callable[[NDArray[np.int8], tuple[str, ...]], Truth]

# How tightly the outermost operator of a feature's text binds, as in Python.
_OR, _AND, _WHOLE = range(3)


@dataclass(frozen=True, eq=False, repr=False)
class Feature:
    """Something that is true or false of a DAG.

    Made by the functions of `dag_gfn.features`, and from other features by ``&`` (both), ``|`` (at
    least one) and ``~`` (not).

    Parameters
    ----------
    text : str
        How the feature is written.
    test : callable
        Maps graphs, int8 [..., d, d], and the d names of the variables to bool [...].
    binding : int
        Whether ``text`` needs brackets inside another feature: 0 for ``|``, 1 for ``&``, 2 where it
        needs none.

    Examples
    --------
    >>> from dag_gfn.features import edge, path
    >>> only_through_others = path("a", "c") & ~edge("a", "c")
    >>> only_through_others
    path('a', 'c') & ~edge('a', 'c')
    >>> only_through_others.evaluate([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["a", "b", "c"])
    np.True_
    """

    text: str
    test: Test
    binding: int = _WHOLE

    def evaluate(self, adjacency: ArrayLike, names: Sequence[str]) -> Truth:
        """Tell of which graphs the feature is true.

        Parameters
        ----------
        adjacency : array_like, shape [..., d, d]
            Directed acyclic graphs; entry ``[i, j]`` is 1 when ``i -> j`` is an edge.
        names : sequence of str, length d
            The variables, in the order of the rows and columns.

        Returns
        -------
        numpy.ndarray, bool, shape [...]

        Raises
        ------
        ValueError
            If the feature is about a variable that is not among the names, or the shape does not
            fit them.
        """
        array = np.asarray(adjacency)
        names = tuple(names)
        if array.shape[-2:] != (len(names), len(names)):
            raise ValueError(
                f"adjacency has shape {list(array.shape)}; it must be [..., d, d] with d the "
                f"{len(names)} names."
            )
        return self.test(array, names)

    def __and__(self, other: Feature) -> Feature:
        if not isinstance(other, Feature):
            return NotImplemented
        text = f"{self._written(_AND)} & {other._written(_AND)}"
        return Feature(
            text, lambda some, names: self.test(some, names) & other.test(some, names), _AND
        )

    def __or__(self, other: Feature) -> Feature:
        if not isinstance(other, Feature):
            return NotImplemented
        text = f"{self._written(_OR)} | {other._written(_OR)}"
        return Feature(
            text, lambda some, names: self.test(some, names) | other.test(some, names), _OR
        )

    def __invert__(self) -> Feature:
        return Feature(f"~{self._written(_WHOLE)}", lambda some, names: ~self.test(some, names))

    def __bool__(self) -> bool:
        raise TypeError(
            f"the feature {self} is true or false of a graph, not by itself; combine features with "
            "&, | and ~ instead of and, or and not."
        )

    def __repr__(self) -> str:
        return self.text

    def _written(self, binding: int) -> str:
        return self.text if self.binding >= binding else f"({self.text})"


def position(name: str, names: tuple[str, ...]) -> int:
    """Return where a variable is among the names; refuse one that is not."""
    if name not in names:
        raise ValueError(f"there is no variable {name!r}; there are {', '.join(names)}.")
    return names.index(name)
