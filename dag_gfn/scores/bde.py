"""BDe: the marginal likelihood of categorical networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from dag_gfn.scores.likelihood import Indices, LocalLikelihood
from dag_gfn.scores.subsets import num_subsets
from dag_gfn.tables import categorical_codes

__all__ = ["BDe", "BDeLikelihood"]

_LARGEST_SAMPLE_SIZE = 1e9


@dataclass(frozen=True)
class BDe:
    r"""Bayesian Dirichlet metric with a uniform prior joint distribution (BDeu), score equivalent.

    A node with r states and q joint states of its parents has, for each of the latter, an
    independent Dirichlet prior with all parameters alpha / (q r). With N_kl rows in parent state k
    and node state l, and N_k their sum over l, the likelihood is the BDe metric of [1]_ with the
    uniform parameters of [2]_,

    .. math::

        p(d^j \mid d^{Pa}) = \prod_{k=1}^{q} \frac{\Gamma(\alpha / q)}{\Gamma(\alpha / q + N_k)}
        \prod_{l=1}^{r} \frac{\Gamma(\alpha / (q r) + N_{kl})}{\Gamma(\alpha / (q r))}.

    States that a categorical dtype declares count even when no row has them.

    Parameters
    ----------
    equivalent_sample_size : float, default 10
        alpha, the weight of the prior, in rows; at most 1e9.

    References
    ----------
    .. [1] D. Heckerman, D. Geiger and D. M. Chickering. "Learning Bayesian networks: the
       combination of knowledge and statistical data." Machine Learning 20, 1995.
    .. [2] Wray Buntine. "Theory refinement on Bayesian networks." UAI 1991.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> table = pd.DataFrame({"a": list("xxyy"), "b": list("uuvu")})
    >>> scores = local_scores(table, score=BDe(equivalent_sample_size=1))
    >>> round(scores.local_score("b", ["a"]), 6)
    -3.360375
    """

    equivalent_sample_size: float = 10.0

    def __post_init__(self) -> None:
        """Check the equivalent sample size."""
        # Above, what the rows change is lost in the rounding of log Gamma.
        if not 0 < self.equivalent_sample_size <= _LARGEST_SAMPLE_SIZE:
            raise ValueError(
                "equivalent_sample_size of BDe must be positive and at most "
                f"{_LARGEST_SAMPLE_SIZE:g}, not {self.equivalent_sample_size}."
            )

    def prepare(
        self, frame: pd.DataFrame, targets: np.ndarray, mechanisms: np.ndarray | None = None
    ) -> BDeLikelihood:
        """Condense the table into its distinct rows.

        Parameters
        ----------
        frame : DataFrame [n, d]
        targets : array of int [n]
            Column that was set by intervention in each row, -1 for none.
        mechanisms : array of int [n], optional
            Number of the mechanism that made its value, -1 where there is no target; left out where
            interventions are perfect.

        Raises
        ------
        ValueError
            If a column is not categorical; see `dag_gfn.tables.categorical_codes`.
        """
        codes, states = categorical_codes(frame)
        if mechanisms is None:
            mechanisms = np.full(len(codes), -1)
        rows, counts = np.unique(
            np.column_stack([codes, targets, mechanisms]).astype(np.int32),
            axis=0,
            return_counts=True,
        )
        return BDeLikelihood(
            codes=np.ascontiguousarray(rows[:, :-2].T),
            targets=rows[:, -2],
            mechanisms=rows[:, -1],
            counts=counts.astype(np.int64),
            states=tuple(tuple(column) for column in states),
            equivalent_sample_size=float(self.equivalent_sample_size),
        )


@dataclass(frozen=True, eq=False)
class BDeLikelihood(LocalLikelihood):
    """BDeu of one table: everything the score knows of the data.

    Attributes
    ----------
    codes : ndarray of int32 [d, m]
        State of each column in each distinct row.
    targets : ndarray of int32 [m]
        Column that was set by intervention, -1 for none.
    mechanisms : ndarray of int32 [m]
        Number of the mechanism that took the place of that column's own, -1 for none (the
        intervention is perfect).
    counts : ndarray of int64 [m]
        How often the row occurs.
    states : tuple of tuples [d]
        What each code of each column stands for.
    equivalent_sample_size : float
    """

    codes: np.ndarray
    targets: np.ndarray
    mechanisms: np.ndarray
    counts: np.ndarray
    states: tuple[tuple[Any, ...], ...]
    equivalent_sample_size: float

    @property
    def num_variables(self) -> int:
        """Number of columns, d."""
        return len(self.codes)

    @cached_property
    def num_states(self) -> np.ndarray:
        """Number of states of each column, int64 [d]."""
        return np.array([len(column) for column in self.states], dtype=np.int64)

    def log_marginals(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        """Return log p(column `node` | columns of each parent set), float64 [K]."""
        from dag_gfn.scores.bde_counts import family_scores

        total = np.zeros(len(parent_sets))
        for codes, counts in (self._observed(node), *self._changed(node)):
            total += family_scores(
                codes,
                counts,
                self.num_states,
                node,
                np.ascontiguousarray(parent_sets),
                self.equivalent_sample_size,
            )
        return total

    def log_marginals_of_subsets(
        self, node: int, candidates: Indices, max_size: int, base: Indices = ()
    ) -> np.ndarray:
        """Return log p(column `node` | `base` and S) of every subset S of the candidates.

        A set's rows are split by its largest member from those of the set without it, so each set
        costs one pass over the rows.
        """
        from dag_gfn.scores.bde_counts import subset_scores

        max_size = min(max_size, len(candidates))
        total = np.zeros(num_subsets(len(candidates), max_size))
        for codes, counts in (self._observed(node), *self._changed(node)):
            total += subset_scores(
                codes,
                counts,
                self.num_states,
                node,
                np.asarray(base, dtype=np.int64),
                np.asarray(candidates, dtype=np.int64),
                max_size,
                self.equivalent_sample_size,
            )
        return total

    def _observed(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """Return codes and counts of the rows in which the node was not set."""
        observed = self.targets != node
        if np.all(observed):
            return self.codes, self.counts
        return np.ascontiguousarray(self.codes[:, observed]), self.counts[observed]

    def _changed(self, node: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield codes and counts of the rows of each mechanism that took the place of the node's.

        Each has parameters of its own, so its rows contribute a factor of their own.
        """
        set_by = np.where(self.targets == node, self.mechanisms, -1)
        for mechanism in np.unique(set_by[set_by >= 0]):
            rows = set_by == mechanism
            yield np.ascontiguousarray(self.codes[:, rows]), self.counts[rows]
