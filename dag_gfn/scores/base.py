"""LocalScores: all that any inference method knows of the data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import fields
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dag_gfn.scores.bde import BDe
from dag_gfn.scores.bge import BGe
from dag_gfn.scores.conditions import changed_mechanisms
from dag_gfn.scores.constraints import (
    EdgeSet,
    column_index,
    edge_mask,
    intervention_targets,
)
from dag_gfn.scores.knowledge import EdgeProbabilities, Tiers, prior_knowledge
from dag_gfn.scores.likelihood import Indices, LocalLikelihood, Score, one_of_each
from dag_gfn.scores.priors import PRIORS, Prior
from dag_gfn.scores.subsets import member_sums, num_subsets, size_offsets, subset_masks
from dag_gfn.tables import as_frame, standardize as standardize_frame

__all__ = ["MAX_TABLE_ENTRIES", "SCORES", "LocalScores", "local_scores"]

# A table of this many entries takes 100 MB in float32 on the device.
MAX_TABLE_ENTRIES = 25_000_000


class LocalScores:
    """Local scores ``log p(column j | columns Pa_j) + log f(|Pa_j|) + log-odds`` of one table.

    The last term is the sum of the prior log-odds of the edges from Pa_j, zero unless some are
    given. The log joint score of a DAG is the sum of its local scores, up to the constant of the
    prior. Made by `local_scores`.

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
    edge_log_odds : array of float64 [d, d], optional
        Finite, with a diagonal of zeros; zero everywhere by default.
    centre, unit : array of float64 [d], optional
        What was taken off the columns before they were scored, and what they were divided by.

    Attributes
    ----------
    names : tuple of str [d]
    num_variables : int
        Number d of columns.
    num_rows : int
        Number n of rows.
    max_parents : int
        Largest number of parents of a node, d - 1 when there is no limit.
    required, forbidden : ndarray of bool [d, d]
        Row causes column; the diagonal is forbidden.
    log_prior : ndarray of float64 [d]
        Log-prior of a node with 0, ..., d - 1 parents.
    edge_log_odds : ndarray of float64 [d, d]
        What each edge adds to the log-prior of a graph that has it; row causes column.
    centre, unit : ndarray of float64 [d]
        A value of the table is ``centre + unit * scored``: zero and one unless the table was
        standardised.
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
        edge_log_odds: np.ndarray | None = None,
        centre: np.ndarray | None = None,
        unit: np.ndarray | None = None,
    ) -> None:
        self.likelihood = likelihood
        self.log_prior = log_prior
        self.names = tuple(names)
        self.num_variables = len(self.names)
        self.num_rows = num_rows
        self.required = required
        self.forbidden = forbidden
        self.max_parents = max_parents
        shape = (self.num_variables, self.num_variables)
        self.edge_log_odds = np.zeros(shape) if edge_log_odds is None else edge_log_odds
        self.centre = np.zeros(self.num_variables) if centre is None else centre
        self.unit = np.ones(self.num_variables) if unit is None else unit

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
        found = one_of_each(
            self.likelihood.log_marginals(node, parent_sets[allowed]),
            self.likelihood,
            int(np.count_nonzero(allowed)),
        )
        self._refuse_what_is_no_score(found, node, lambda bad: parent_sets[allowed][bad])
        values[allowed] = found
        values[allowed] += self.log_prior[np.sum(parent_sets[allowed], axis=1)]
        log_odds = self.edge_log_odds[:, node]
        if np.any(log_odds):
            values[allowed] += parent_sets[allowed] @ log_odds
        return values

    def local_scores_of_subsets(
        self, node: int, candidates: Indices, max_size: int, base: Indices = ()
    ) -> np.ndarray:
        """Return the local scores of one node with `base` and every subset of the candidates.

        Parameters
        ----------
        node : int
        candidates : sequence or array of int [m]
        max_size : int
            Largest size of the subsets.
        base : sequence or array of int
            Parents that are in every set; disjoint from the candidates.

        Returns
        -------
        ndarray of float64 [N]
            Log-likelihood plus log-prior, in the order of `dag_gfn.scores.subsets.subset_masks`.
            The constraints are not looked at.

        Examples
        --------
        >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
        >>> values = scores.local_scores_of_subsets(0, [2], 1, base=[1])
        >>> bool(np.isclose(values[1], scores.local_score(0, [1, 2])))
        True
        """
        max_size = min(max_size, len(candidates))
        counts = np.diff(size_offsets(len(candidates), max_size))
        log_prior = np.repeat(self.log_prior[len(base) : len(base) + max_size + 1], counts)
        log_odds = self.edge_log_odds[:, node]
        if np.any(log_odds):
            log_prior += member_sums(log_odds[np.asarray(candidates, dtype=np.int64)], max_size)
            log_prior += np.sum(log_odds[np.asarray(base, dtype=np.int64)])
        found = self.likelihood.log_marginals_of_subsets(node, candidates, max_size, base)

        def parents_of(bad: int) -> np.ndarray:
            parents = np.zeros(self.num_variables, dtype=bool)
            parents[list(base)] = True
            parents[list(candidates)] = subset_masks(len(candidates), max_size)[bad]
            return parents

        self._refuse_what_is_no_score(found, node, parents_of)
        log_prior += found
        return log_prior

    def _refuse_what_is_no_score(
        self, values: np.ndarray, node: int, parents_of: Callable[[int], np.ndarray]
    ) -> None:
        """Raise if a value is NaN or infinite; what cannot be may have minus infinity.

        A NaN would pass for minus infinity in one method, and for anything in another.
        """
        bad = np.flatnonzero(~(values < np.inf))  # nothing is less than NaN either
        if len(bad):
            parents = [self.names[i] for i in np.flatnonzero(parents_of(int(bad[0])))]
            raise ValueError(
                f"the score gives {values[bad[0]]} for {self.names[node]!r} with the parents "
                f"{parents}; {type(self.likelihood).__name__} must give a number of nats there."
            )

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
        self,
        required_edges: EdgeSet | None = None,
        forbidden_edges: EdgeSet | None = None,
        *,
        tiers: Tiers | None = None,
    ) -> LocalScores:
        """Return the same scores of fewer graphs; what was computed is kept.

        Parameters
        ----------
        required_edges, forbidden_edges : iterable of (cause, effect), or bool [d, d], optional
            In addition to those that are required or forbidden here.
        tiers : iterable of collections of columns, mapping or Series, optional
            As of `local_scores`; likewise in addition.

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
        known = prior_knowledge(
            self.names,
            required_edges=required,
            forbidden_edges=forbidden,
            tiers=tiers,
            max_parents=self.max_parents,
        )
        scores = copy(self)
        scores.required, scores.forbidden = known.required, known.forbidden
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
            if direct is not None and np.any(self.edge_log_odds):
                from dag_gfn.scores.edge_gains import with_edge_log_odds

                return with_edge_log_odds(*direct, self.edge_log_odds)
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
    conditions: Iterable[Hashable] | None = None,
    required_edges: EdgeSet | None = None,
    forbidden_edges: EdgeSet | None = None,
    tiers: Tiers | None = None,
    edge_probabilities: EdgeProbabilities | None = None,
    max_parents: int | None = None,
    standardize: bool = False,
    score_params: Mapping[str, Any] | None = None,
    prior_params: Mapping[str, Any] | None = None,
) -> LocalScores:
    r"""Check a table and return its local scores.

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
        The column that was set by an intervention in each row; None, "" or NaN for none. The local
        score of a column leaves out the rows in which it was set: whatever its parents were, the
        experiment chose its value (a perfect intervention [1]_).
    conditions : sequence [n] of labels, optional
        What was done in each row with an intervention, where interventions are imperfect: the
        column that they are aimed at still depends on its parents, but by a mechanism that the
        condition changed [2]_ [3]_. Its local score is that of the rows in which it was not set
        plus, for each condition, that of the rows in which it was, each with independent parameters
        of the same prior. With ``conditions=interventions`` each column has one changed mechanism.
    required_edges, forbidden_edges : iterable of (cause, effect), or bool [d, d], optional
        Pairs of names or positions, or a matrix in which row causes column.
    tiers : iterable of collections of columns, mapping or Series, optional
        Lists of names or positions, earliest first; or the number of each column's tier, lower for
        earlier. Edges from a later tier to an earlier one are forbidden. A column in no tier may
        be cause and effect of any.
    edge_probabilities : mapping {(cause, effect): p}, DataFrame or array of float [d, d], optional
        Prior probability of single edges; NaN, or an edge left out, for nothing known, which is
        the same as 0.5. See the notes.
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
        to do. Knowledge that contradicts itself is refused with all edges that contradict.

    Notes
    -----
    With the probability :math:`p_{ij}` of the edge from i to j, the prior of a DAG is

    .. math:: \log p(G) = \log f(G) + \sum_{i \to j \in G} \log \frac{p_{ij}}{1 - p_{ij}}
        + \text{const},

    where f is `prior`. Under the uniform prior these are the probabilities of independent edges
    *before* graphs with a cycle are ruled out. What acyclicity leaves of :math:`p_{ij}` is the
    prior marginal, which is never larger: for two columns and 0.8 for a -> b alone, the weights of
    the three DAGs are 1, 1 and 4 for a -> b, a prior marginal of 4 / 6. Another `prior` multiplies
    the odds further. A probability of 1 requires the edge and one of 0 forbids it.

    References
    ----------
    .. [1] G. F. Cooper and C. Yoo. "Causal discovery from a mixture of experimental and
       observational data." UAI 1999.
    .. [2] Jin Tian and Judea Pearl. "Causal discovery from changes." UAI 2001.
    .. [3] D. Eaton and K. Murphy. "Exact Bayesian structure learning from uncertain interventions."
       AISTATS 2007.

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
    known = prior_knowledge(
        names,
        required_edges=required_edges,
        forbidden_edges=forbidden_edges,
        tiers=tiers,
        edge_probabilities=edge_probabilities,
        max_parents=max_parents,
    )
    if conditions is not None and interventions is None:
        raise ValueError(
            "conditions say how interventions changed their targets; give interventions as well, "
            "or leave conditions out."
        )
    targets = intervention_targets(interventions, names, len(frame))
    mechanisms = changed_mechanisms(conditions, targets)
    centre = unit = None
    if standardize:
        if isinstance(scorer, BDe):
            raise ValueError("standardize=True is for measurements; leave it out with BDe.")
        unscaled = frame
        frame = standardize_frame(frame)
        centre, unit = (
            np.asarray(of, np.float64) for of in (unscaled.mean(), unscaled.std(ddof=0))
        )
    log_prior = np.asarray(
        prior_model.log_prior(np.arange(len(names)), len(names)), dtype=np.float64
    )
    if log_prior.shape != (len(names),) or not np.all(log_prior < np.inf):
        raise ValueError(
            f"{type(prior_model).__name__}.log_prior must give a number of nats for each of 0 to "
            f"{len(names) - 1} parents, not {log_prior}."
        )
    return LocalScores(
        _prepared(scorer, frame, targets, mechanisms),
        log_prior,
        names,
        num_rows=len(frame),
        required=known.required,
        forbidden=known.forbidden,
        max_parents=known.max_parents,
        edge_log_odds=known.edge_log_odds,
        centre=centre,
        unit=unit,
    )


def _prepared(
    scorer: Any, frame: pd.DataFrame, targets: np.ndarray, mechanisms: np.ndarray | None
) -> LocalLikelihood:
    """Return the likelihood of a table; a score of the user's own may know no `mechanisms`."""
    if mechanisms is None:
        return scorer.prepare(frame, targets)
    if "mechanisms" not in signature(scorer.prepare).parameters:
        raise ValueError(
            f"the score {type(scorer).__name__} knows of perfect interventions alone, since its "
            "method prepare has no parameter mechanisms; leave conditions out."
        )
    return scorer.prepare(frame, targets, mechanisms=mechanisms)


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
