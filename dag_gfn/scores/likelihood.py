"""What a score is: a recipe that meets a table and becomes a marginal likelihood."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dag_gfn.scores.subsets import num_subsets, subset_masks

__all__ = ["Indices", "LocalLikelihood", "Score"]

Indices = Sequence[int] | np.ndarray

# Rows of a boolean [rows, d] block made at a time: bounds the memory of generic enumeration.
_CHUNK = 2**14


class LocalLikelihood(ABC):
    """The marginal likelihood of one table, one node and one parent set at a time."""

    @property
    @abstractmethod
    def num_variables(self) -> int:
        """Number of columns, d."""

    @abstractmethod
    def log_marginals(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        """Return log p(column `node` | columns of each parent set).

        Parameters
        ----------
        node : int
        parent_sets : array of bool [K, d]

        Returns
        -------
        ndarray of float64 [K]
        """

    def log_marginals_of_subsets(
        self, node: int, candidates: Indices, max_size: int, base: Indices = ()
    ) -> np.ndarray:
        """Return log p(column `node` | `base` and S) of every subset S of the candidates.

        A score that can share work between subsets overrides this; the values are those of
        `log_marginals`.

        Parameters
        ----------
        node : int
        candidates : sequence or array of int [m]
        max_size : int
            Largest size of S.
        base : sequence or array of int
            Parents that are in every set; disjoint from the candidates.

        Returns
        -------
        ndarray of float64 [N]
            In the order of `dag_gfn.scores.subsets.subset_masks`.
        """
        subsets = subset_masks(len(candidates), max_size)
        values = np.empty(num_subsets(len(candidates), max_size))
        for start in range(0, len(subsets), _CHUNK):
            chunk = subsets[start : start + _CHUNK]
            parent_sets = np.zeros((len(chunk), self.num_variables), dtype=bool)
            parent_sets[:, list(candidates)] = chunk
            parent_sets[:, list(base)] = True
            values[start : start + _CHUNK] = one_of_each(
                self.log_marginals(node, parent_sets), self, len(chunk)
            )
        return values

    def device_gains(
        self, log_prior: np.ndarray, forbidden: np.ndarray, max_parents: int
    ) -> tuple[Callable, Any] | None:
        """Return ``(function, arrays)`` that computes gains without a table, or None.

        The log-odds of single edges, if any, are added by `dag_gfn.LocalScores.gains`.

        Parameters
        ----------
        log_prior : array of float64 [d]
            Log-prior of a node with 0, ..., d - 1 parents.
        forbidden : array of bool [d, d]
        max_parents : int

        See Also
        --------
        dag_gfn.LocalScores.gains : What `function` and `arrays` are.
        """
        return None


def one_of_each(values: ArrayLike, likelihood: LocalLikelihood, num_sets: int) -> np.ndarray:
    """Return what a likelihood gives for some parent sets as float64 [K].

    Raises
    ------
    ValueError
        If these are not K numbers, which numpy might stretch to fit.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (num_sets,):
        raise ValueError(
            f"{type(likelihood).__name__}.log_marginals gives an array of shape {values.shape} for "
            f"{num_sets} parent sets; it must be ({num_sets},), a number for each."
        )
    return values


class Score(Protocol):
    """What `dag_gfn.local_scores` needs of a score."""

    def prepare(self, frame: pd.DataFrame, targets: np.ndarray) -> LocalLikelihood:
        """Check the table and condense it.

        Parameters
        ----------
        frame : DataFrame [n, d]
        targets : array of int [n]
            Column that was set by intervention in each row, -1 for none. The likelihood of a column
            leaves out the rows in which it was set.

        Notes
        -----
        A score that knows of imperfect interventions has a third parameter, ``mechanisms=None``:
        an array of int [n], the number of the mechanism that made the value of the column that was
        set in each row, -1 where there is none. The likelihood of a column is then multiplied by
        that of the rows of each mechanism that was put in the place of its own.
        """
        ...
