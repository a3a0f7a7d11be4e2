"""LocalScores: all that any inference method knows of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dag_gfn.scores.bde import BDe
from dag_gfn.scores.bge import BGe
from dag_gfn.scores.constraints import (
    EdgeSet,
    column_index,
    edge_constraints,
    edge_mask,
    intervention_targets,
)
from dag_gfn.scores.likelihood import LocalLikelihood, Score
from dag_gfn.scores.priors import PRIORS, Prior
from dag_gfn.scores.subsets import num_subsets
from dag_gfn.tables import as_frame, standardize as standardize_frame

__all__ = ["MAX_TABLE_ENTRIES", "SCORES", "LocalScores", "local_scores"]

# A table of this many entries takes 100 MB in float32 on the device.
MAX_TABLE_ENTRIES = 25_000_000


class LocalScores:
    """Local scores log p(column j | columns Pa_j) + log f(|Pa_j|) of one table.

    The log joint score of a DAG is the sum of its local scores, up to the constant of the prior.
    Made by `local_scores`.

    Parameters
    ----------
    likelihood : LocalLikelihood
    log_prior : array of float64 [d]
        Log-prior of a node with 0, ..., d - 1 parents.
    names : sequence of str
    num_rows : int
    required, forbidden : array of bool [d, d]
        Row causes column.
    max_parents : int

    Attributes
    ----------
    names : tuple of str [d]
    num_variables : int
        d.
    num_rows : int
        n.
    max_parents : int
        Largest number of parents of a node, d - 1 when there is no limit.
    required, forbidden : ndarray of bool [d, d]
        Row causes column; the diagonal is forbidden.
    log_prior : ndarray of float64 [d]
        Log-prior of a node with 0, ..., d - 1 parents.
    """

    def __init__(
        self,
        likelihood: LocalLikelihood,
        log_prior: np.ndarray,
        names: Sequence[str],
        *,
        num_rows: int,
        required: np.ndarray,
        forbidden: np.ndarray,
        max_parents: int,
    ) -> None:
        self.likelihood = likelihood
        self.log_prior = log_prior
        self.names = tuple(names)
        self.num_variables = len(self.names)
        self.num_rows = num_rows
        self.required = required
        self.forbidden = forbidden
        self.max_parents = max_parents

    def __repr__(self) -> str:
        """Return a one-line summary."""
        return (
            f"<LocalScores of {self.num_variables} variables, {self.num_rows} rows, "
            f"{type(self.likelihood).__name__}>"
        )

    def local_score(self, node: str | int, parents: Iterable[str | int]) -> float:
        """Return the local score of one node with one parent set.

        Parameters
        ----------
        node : str or int
            Name or position of a column.
        parents : iterable of str or int
            Names or positions; order does not matter.

        Returns
        -------
        float
            Log-likelihood plus log-prior, in nats; -inf when the constraints exclude the
            parent set.

        Raises
        ------
        TypeError, ValueError
            If a column is unknown, or the node is among its parents.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> scores = local_scores(pd.DataFrame(rng.normal(size=(50, 3)), columns=list("abc")))
        >>> scores.local_score("a", []) > scores.local_score("a", ["b", "c"])
        True
        """
        if isinstance(parents, str):
            raise TypeError(f"parents must be a list of columns, not the single name {parents!r}.")
        node = column_index(node, self.names, "node")
        parent_set = np.zeros((1, self.num_variables), dtype=bool)
        parent_set[0, [column_index(parent, self.names, "parent") for parent in parents]] = True
        if parent_set[0, node]:
            raise ValueError(f"column {self.names[node]!r} cannot be its own parent.")
        return float(self.local_scores_of(node, parent_set)[0])

    def local_scores_of(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        """Return the local scores of one node with many parent sets.

        Parameters
        ----------
        node : int
        parent_sets : array of bool [K, d]

        Returns
        -------
        ndarray of float64 [K]
            -inf where the constraints exclude the parent set.
        """
        parent_sets = np.asarray(parent_sets, dtype=bool)
        allowed = self.allows(node, parent_sets)
        values = np.full(len(parent_sets), -np.inf)
        values[allowed] = self.likelihood.log_marginals(node, parent_sets[allowed])
        values[allowed] += self.log_prior[np.sum(parent_sets[allowed], axis=1)]
        return values

    def allows(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        """Return whether the constraints allow each parent set of a node.

        Parameters
        ----------
        node : int
        parent_sets : array of bool [K, d]

        Returns
        -------
        ndarray of bool [K]
        """
        return (
            ~np.any(parent_sets & self.forbidden[:, node], axis=1)
            & np.all(parent_sets | ~self.required[:, node], axis=1)
            & (np.sum(parent_sets, axis=1) <= self.max_parents)
        )

    def log_score(self, adjacency: ArrayLike) -> np.ndarray:
        """Return log p(D | G) + log p(G) of each DAG, up to the constant of the prior.

        Each distinct pair of node and parent set is scored once.

        Parameters
        ----------
        adjacency : array of bool or int [..., d, d]
            Entry [i, j] is one if i causes j.

        Returns
        -------
        ndarray of float64 [...]
            -inf where a graph breaks the constraints.

        Raises
        ------
        ValueError
            If the shape does not fit, an entry is not 0 or 1, or a graph has a cycle.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> scores = local_scores(rng.normal(size=(50, 2)))
        >>> a_to_b, b_to_a = scores.log_score([[[0, 1], [0, 0]], [[0, 0], [1, 0]]])
        >>> bool(np.isclose(a_to_b, b_to_a))
        True
        """
        from dag_gfn.graphs import is_acyclic

        adjacency = np.asarray(adjacency)
        shape = (self.num_variables, self.num_variables)
        if adjacency.shape[-2:] != shape:
            raise ValueError(
                f"the adjacency matrix of {shape[0]} variables has shape [..., {shape[0]}, "
                f"{shape[0]}], not {adjacency.shape}."
            )
        if not np.isin(adjacency, (0, 1)).all():
            raise ValueError("an adjacency matrix has entries 0 and 1 only.")
        graphs = adjacency.astype(bool).reshape(-1, *shape)
        if not np.all(is_acyclic(graphs)):
            raise ValueError("only acyclic graphs have a score, and this one has a cycle.")
        total = np.zeros(len(graphs))
        for node in range(self.num_variables):
            packed = np.packbits(graphs[:, :, node], axis=1)
            keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
            _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
            total += self.local_scores_of(node, graphs[first, :, node])[inverse]
        return total.reshape(adjacency.shape[:-2])

    def constrained(
        self, required_edges: EdgeSet | None = None, forbidden_edges: EdgeSet | None = None
    ) -> LocalScores:
        """Return the same scores of fewer graphs; what was computed is kept.

        Parameters
        ----------
        required_edges, forbidden_edges : iterable of (cause, effect), or bool [d, d], optional
            In addition to those that are required or forbidden here.

        Returns
        -------
        LocalScores

        Raises
        ------
        TypeError, ValueError
            If a column is unknown, or no graph meets all constraints.

        Examples
        --------
        >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 2)))
        >>> scores.constrained(required_edges=[(0, 1)]).log_score([[0, 0], [0, 0]])
        array(-inf)
        """
        required = self.required | edge_mask(required_edges, self.names, "required")
        forbidden = self.forbidden | edge_mask(forbidden_edges, self.names, "forbidden")
        np.fill_diagonal(forbidden, False)
        required, forbidden, _ = edge_constraints(required, forbidden, self.max_parents, self.names)
        scores = copy(self)
        scores.required, scores.forbidden = required, forbidden
        scores.__dict__.pop("_gains", None)  # depends on the constraints
        return scores

    @property
    def num_parent_sets(self) -> int:
        """Number of parent sets of one node up to the in-degree limit."""
        return num_subsets(self.num_variables - 1, self.max_parents)

    @property
    def has_table(self) -> bool:
        """Whether there are few enough parent sets for a table of them all."""
        return self.num_variables * self.num_parent_sets <= MAX_TABLE_ENTRIES

    def table(self) -> np.ndarray:
        """Return all local scores of all nodes.

        Returns
        -------
        ndarray of float64 [d, N]
            Entry [j, r] is for the r-th parent set, in the order of
            `dag_gfn.scores.subsets.subset_masks`, of the other d - 1 variables in increasing order;
            -inf where the constraints exclude it. N is `num_parent_sets`. Read-only.

        Raises
        ------
        ValueError
            If the table would have more than 25 million entries (see `has_table`).
        """
        from dag_gfn.scores.table import constrained

        return constrained(self, self.unconstrained_table)

    @cached_property
    def unconstrained_table(self) -> np.ndarray:
        """The table as if any set up to the in-degree limit were allowed; computed once."""
        from dag_gfn.scores.table import local_score_table

        self._require_table()
        return local_score_table(self)

    def gains(self) -> tuple[Callable, Any]:
        """Return the change of the log score with each added edge, for the accelerator.

        Returns
        -------
        function : callable
            ``function(arrays, node, parents)`` with `node` int32 [] and `parents` bool [d] returns
            float32 [d]: entry i is the log score after adding edge i -> node minus before, for the
            likelihood and the prior. It is -inf where i is the node, already a parent, or
            forbidden, or the node has as many parents as it may; acyclicity and required edges are
            the caller's business. A pure module-level jax function, fit for `jit` and `vmap`.
        arrays : NamedTuple of jax arrays
            Computed once.

        Raises
        ------
        ValueError
            If there are too many parent sets for a table and the score has no other way.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> scores = local_scores(rng.normal(size=(50, 3)))
        >>> function, arrays = scores.gains()
        >>> gain = function(arrays, 0, np.array([False, True, False]))[2]
        >>> expected = scores.local_score(0, [1, 2]) - scores.local_score(0, [1])
        >>> bool(np.isclose(gain, expected, atol=1e-4))
        True
        """
        return self._gains

    @cached_property
    def _gains(self) -> tuple[Callable, Any]:
        if not self.has_table:
            direct = self.likelihood.device_gains(self.log_prior, self.forbidden, self.max_parents)
            if direct is not None:
                return direct
            self._require_table()
        from dag_gfn.scores.table import score_table, table_gains

        return table_gains, score_table(self)

    def _require_table(self) -> None:
        """Raise if there are too many parent sets for a table."""
        if self.has_table:
            return
        num_variables = self.num_variables
        fitting = max(
            limit
            for limit in range(self.max_parents)
            if num_variables * num_subsets(num_variables - 1, limit) <= MAX_TABLE_ENTRIES
        )
        raise ValueError(
            f"{num_variables} variables with at most {self.max_parents} parents have "
            f"{num_variables * self.num_parent_sets:.2g} local scores, more than the "
            f"{MAX_TABLE_ENTRIES:.2g} that a table may have; set max_parents to {fitting} or less."
        )


SCORES = {"bge": BGe, "bde": BDe}


def local_scores(
    table: pd.DataFrame | ArrayLike,
    score: str | Score = "bge",
    prior: str | Prior = "uniform",
    *,
    interventions: Iterable[str | int | None] | None = None,
    required_edges: EdgeSet | None = None,
    forbidden_edges: EdgeSet | None = None,
    max_parents: int | None = None,
    standardize: bool = False,
    score_params: Mapping[str, Any] | None = None,
    prior_params: Mapping[str, Any] | None = None,
) -> LocalScores:
    """Check a table and return its local scores.

    Parameters
    ----------
    table : DataFrame or 2-D array [n, d]
        Rows are observations; column names become the names of the variables.
    score : {"bge", "bde"} or Score
        Marginal likelihood: `BGe` for measurements, `BDe` for categories, or an object with
        ``prepare(frame, targets)``.
    prior : {"uniform", "edge", "erdos_renyi", "fair"} or Prior
        Prior over DAGs, or an object with ``log_prior(num_parents, num_variables)``.
    interventions : sequence [n] of column names or positions, optional
        The column that was set by a perfect intervention in each row; None, "" or NaN for none. The
        local score of a column leaves out the rows in which it was set.
    required_edges, forbidden_edges : iterable of (cause, effect), or bool [d, d], optional
        Pairs of names or positions, or a matrix in which row causes column.
    max_parents : int, optional
        Largest number of parents of a node; no limit by default.
    standardize : bool, default False
        Whether to give every column mean 0 and variance 1 first.
    score_params, prior_params : mapping, optional
        Hyper-parameters of a score or prior given by name.

    Returns
    -------
    LocalScores

    Raises
    ------
    TypeError, ValueError
        If the table, a constraint or a hyper-parameter is not fit; the message says which and what
        to do.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame(rng.normal(size=(50, 3)), columns=["a", "b", "c"])
    >>> scores = local_scores(table, prior="fair", forbidden_edges=[("a", "b")], max_parents=1)
    >>> scores.local_score("b", ["a"])
    -inf
    """
    frame = as_frame(table)
    names = tuple(frame.columns)
    scorer = _make(score, SCORES, "score", "prepare", score_params)
    prior_model = _make(prior, PRIORS, "prior", "log_prior", prior_params)
    required, forbidden, limit = edge_constraints(
        required_edges, forbidden_edges, max_parents, names
    )
    targets = intervention_targets(interventions, names, len(frame))
    if standardize:
        if isinstance(scorer, BDe):
            raise ValueError("standardize=True is for measurements; leave it out with BDe.")
        frame = standardize_frame(frame)
    log_prior = np.asarray(
        prior_model.log_prior(np.arange(len(names)), len(names)), dtype=np.float64
    )
    return LocalScores(
        scorer.prepare(frame, targets),
        log_prior,
        names,
        num_rows=len(frame),
        required=required,
        forbidden=forbidden,
        max_parents=limit,
    )


def _make(
    choice: str | Any,
    registry: Mapping[str, type],
    what: str,
    method: str,
    params: Mapping[str, Any] | None,
) -> Any:
    """Return the score or prior of a name, or the object itself."""
    if isinstance(choice, str):
        if choice not in registry:
            listed = ", ".join(repr(name) for name in registry)
            raise ValueError(f"{what} must be one of {listed} or an object, not {choice!r}.")
        known = [field.name for field in fields(registry[choice])]
        unknown = sorted(set(params or {}) - set(known))
        if unknown:
            raise ValueError(
                f"{what} {choice!r} has no hyper-parameter {unknown[0]!r}; it has "
                f"{', '.join(known) or 'none'}."
            )
        return registry[choice](**(params or {}))
    if isinstance(choice, type) or not hasattr(choice, method):
        raise TypeError(
            f"{what} must be a name or an object with the method {method}, not {choice!r}."
        )
    if params:
        raise ValueError(f"{what}_params goes with a {what} given by name; set them on the object.")
    return choice
