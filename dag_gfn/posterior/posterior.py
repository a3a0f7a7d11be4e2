"""Posterior: weighted draws of DAGs, whatever method made them."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from dag_gfn import graphs
from dag_gfn.posterior.distinct import distinct_graphs, in_chunks, weighted_sum
from dag_gfn.posterior.exports import pairs_frame, to_arviz
from dag_gfn.posterior.importance import (
    effective_sample_size,
    log_mean_weight,
    pareto_khat,
)
from dag_gfn.posterior.information import entropy_standard_error, mutual_information
from dag_gfn.posterior.mechanisms import Mechanisms
from dag_gfn.posterior.parametric import ParametricPosterior
from dag_gfn.posterior.queries import Answer, Predicate, answer, answer_standard_error
from dag_gfn.posterior.storage import load_arrays, refusing_damage, save_arrays
from dag_gfn.posterior.validation import (
    checked_graphs,
    checked_log_weights,
    checked_names,
)

if TYPE_CHECKING:
    from pgmpy.base import DAG
    from xarray import DataTree


# What is lost, at most, when probabilities are summed.
_ROUNDING = 1e-12


class UniqueGraphs(NamedTuple):
    """Distinct graphs, the most probable first."""

    adjacency: NDArray[np.int8]  # [U, d, d]
    probabilities: NDArray[np.float64]  # [U]
    counts: NDArray[np.int64]  # [U], how many draws each graph has


class EquivalenceClasses(NamedTuple):
    """Markov equivalence classes, the most probable first."""

    cpdags: NDArray[np.int8]  # [C, d, d]; i - j has 1 both ways
    probabilities: NDArray[np.float64]  # [C]
    num_dags: NDArray[np.int64]  # [C], how many distinct DAGs of each class were drawn


class Posterior(ParametricPosterior):
    """Weighted DAGs that stand for p(G | D).

    Every mean over the posterior is the self-normalised sum ``sum_s w_s f(G_s) / sum_s w_s`` over
    the draws. A graph may be drawn more than once; its draws are kept apart.

    Parameters
    ----------
    adjacency : array_like, shape [S, d, d]
        One DAG a draw; entry ``[s, i, j]`` is 1 when ``i -> j`` is an edge of draw ``s``.
    log_weights : array_like, shape [S]
        Natural logarithms of the weights, -inf for a draw that does not count. From a sampler:
        of the unbiased importance weight ``R(G) P_B(tau | G) / P_F(tau)``, whose mean is p(D).
        All zero for draws that weigh the same, as those of a Markov chain do.
    names : sequence of str, length d
        The variables' names.
    log_evidence : float, optional
        log p(D) in nats. Computed from the weights when left out; give NaN when the weights say
        nothing about it, as those of a Markov chain.
    exact : bool
        The graphs are all that have positive probability, each once, and ``log_weights`` their
        log joint scores ``log p(D | G) + log p(G)``.
    method : str
        What made the draws, in words.
    metadata : mapping, optional
        Anything else worth keeping, of types that JSON knows.
    mechanisms : LinearGaussianMechanisms or CategoricalMechanisms, optional
        What the table says of the parameters given a graph; for `sample_parameters`,
        `causal_effects` and `log_predictive`. Estimators provide it under the scores BGe and BDe.

    Raises
    ------
    ValueError
        If the shapes do not fit one another, a graph has a cycle, a name occurs twice, a weight
        is NaN or +inf, all weights are zero, or ``exact`` is given and a graph occurs twice.
    TypeError
        If a name is not a string.

    Examples
    --------
    >>> import numpy as np
    >>> adjacency = [[[0, 1], [0, 0]], [[0, 0], [0, 0]]]
    >>> posterior = Posterior(adjacency, np.log([0.75, 0.25]), ["rain", "wet"])
    >>> posterior.edge_marginals()
          rain   wet
    rain   0.0  0.75
    wet    0.0  0.00
    >>> posterior.probability(lambda graph: graph.sum() == 0)
    0.25
    """

    def __init__(
        self,
        adjacency: ArrayLike,
        log_weights: ArrayLike,
        names: Sequence[str],
        *,
        log_evidence: float | None = None,
        exact: bool = False,
        method: str = "",
        metadata: Mapping[str, Any] | None = None,
        mechanisms: Mechanisms | None = None,
    ) -> None:
        self.names: tuple[str, ...] = checked_names(names)
        self.adjacency: NDArray[np.int8] = checked_graphs(adjacency, self.names)
        self.log_weights: NDArray[np.float64] = checked_log_weights(
            log_weights, len(self.adjacency)
        )
        self.exact = bool(exact)
        self.method = str(method)
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.mechanisms = mechanisms
        self._given_log_evidence = None if log_evidence is None else float(log_evidence)
        if self.exact and len(self._distinct.first) != len(self.adjacency):
            raise ValueError(
                "adjacency holds a graph twice; an exact posterior lists every graph once."
            )

    @property
    def num_variables(self) -> int:
        """The number d of variables."""
        return len(self.names)

    @property
    def num_samples(self) -> int:
        """The number S of draws."""
        return len(self.adjacency)

    def __len__(self) -> int:
        """Return the number of draws."""
        return len(self.adjacency)

    # --- the weights ---------------------------------------------------------------------------

    @cached_property
    def khat(self) -> float:
        """Pareto k-hat of the weights: below 0.7 the answers can be trusted.

        ``-inf`` when the largest weights are all equal or the posterior is exact. See
        ``pareto_khat``. It speaks of the weights alone: draws that all weigh the same, as those
        of a Markov chain, get ``-inf`` however badly the chain has mixed.
        """
        return -np.inf if self.exact else pareto_khat(self.log_weights)

    @cached_property
    def ess(self) -> float:
        """Kish's effective sample size: how many equally weighted draws these are worth.

        ``inf`` when the posterior is exact.
        """
        return np.inf if self.exact else effective_sample_size(self.log_weights)

    @property
    def efficiency(self) -> float:
        """Effective sample size per draw, between 0 and 1; 1 when the posterior is exact."""
        return 1.0 if self.exact else self.ess / self.num_samples

    @property
    def log_evidence(self) -> float:
        """The estimate of log p(D) in nats; NaN when the method has none."""
        if self._given_log_evidence is not None:
            return self._given_log_evidence
        if self.exact:
            return float(logsumexp(self.log_weights))
        return log_mean_weight(self.log_weights)

    @property
    def log_evidence_standard_error(self) -> float:
        """The standard error of ``log_evidence`` in nats, by the delta method.

        That is ``sd(w) / (mean(w) sqrt(S))`` for independent draws; 0 when the posterior is
        exact, NaN for a single draw or when ``log_evidence`` came from elsewhere.
        """
        if self.exact:
            return 0.0
        if self._given_log_evidence is not None or self.num_samples < 2:
            return np.nan
        return float(np.sqrt(max(1 / self.efficiency - 1, 0.0) / (self.num_samples - 1)))

    # --- marginals -----------------------------------------------------------------------------

    def edge_marginals(self) -> pd.DataFrame:
        """Compute the posterior probability of every edge.

        Returns
        -------
        DataFrame, float64, shape [d, d]
            The probability that the row is a direct cause of the column.
        """
        return self._frame(self._mean(lambda adjacency: adjacency))

    def path_marginals(self) -> pd.DataFrame:
        """Compute the posterior probability of every directed path.

        Returns
        -------
        DataFrame, float64, shape [d, d]
            The probability that the row is a cause of the column, direct or through others.
        """
        return self._frame(self._mean(graphs.transitive_closure))

    def markov_blanket_marginals(self) -> pd.DataFrame:
        """Compute the posterior probability that one variable is in another's Markov blanket.

        Returns
        -------
        DataFrame, float64, shape [d, d]
            Symmetric: the probability that row and column are parent and child, or share a child.
        """
        return self._frame(self._mean(graphs.markov_blankets))

    def edge_marginals_standard_error(self) -> pd.DataFrame:
        """Estimate the Monte Carlo standard error of the edge marginals.

        The delta method for self-normalised weights ``w_s`` of independent draws,
        ``se^2 = sum_s w_s^2 (A_s - mean)^2`` (Owen 2013, Monte Carlo theory, methods and
        examples, section 9.2).

        Returns
        -------
        DataFrame, float64, shape [d, d]
            Zero throughout when the posterior is exact. It is also zero for an edge that all
            draws agree on, which does not make that edge certain.
        """
        if self.exact:
            return self._frame(np.zeros((self.num_variables, self.num_variables)))
        squares = np.zeros(len(self._distinct.first))
        np.add.at(squares, self._distinct.inverse, self.weights**2)
        mean = self._mean(lambda adjacency: adjacency)
        second = weighted_sum(
            lambda adjacency: adjacency, self.adjacency, self._distinct.first, squares
        )
        # (A - m)^2 = A (1 - 2 m) + m^2 because A is 0 or 1
        variance = second * (1 - 2 * mean) + squares.sum() * mean**2
        return self._frame(np.sqrt(np.maximum(variance, 0)))

    # --- graphs and classes --------------------------------------------------------------------

    def unique(self) -> UniqueGraphs:
        """List the distinct graphs with their posterior probabilities.

        Returns
        -------
        UniqueGraphs
            ``adjacency`` int8 [U, d, d], ``probabilities`` float64 [U] that descend and sum to
            one, ``counts`` int64 [U] of the draws.
        """
        return self.most_probable(len(self._distinct.first))

    def most_probable(self, num_graphs: int = 1) -> UniqueGraphs:
        """List the most probable graphs.

        Parameters
        ----------
        num_graphs : int
            How many; fewer are returned when fewer were drawn.

        Returns
        -------
        UniqueGraphs
            See ``unique``.
        """
        distinct = self._distinct
        order = np.argsort(-distinct.probabilities, kind="stable")[: int(num_graphs)]
        return UniqueGraphs(
            self.adjacency[distinct.first[order]],
            distinct.probabilities[order],
            distinct.counts[order],
        )

    def equivalence_classes(self) -> EquivalenceClasses:
        """List the Markov equivalence classes with their posterior probabilities.

        Returns
        -------
        EquivalenceClasses
            ``cpdags`` int8 [C, d, d], ``probabilities`` float64 [C] that descend and sum to one,
            ``num_dags`` int64 [C] of distinct DAGs seen. The first is the most probable class.
            Graphs of weight zero are left out.
        """
        distinct = self._distinct
        kept = distinct.probabilities > 0
        patterns = np.concatenate(
            [graphs.cpdag(chunk) for chunk in in_chunks(self.adjacency, distinct.first[kept])]
        )
        classes = distinct_graphs(patterns, distinct.probabilities[kept])
        order = np.argsort(-classes.probabilities, kind="stable")
        return EquivalenceClasses(
            patterns[classes.first[order]], classes.probabilities[order], classes.counts[order]
        )

    def consensus(self, threshold: float = 0.5, *, skeleton: bool = False) -> nx.DiGraph | nx.Graph:
        """Gather the edges that are probable, each judged by itself.

        The edges need not be those of a drawn graph, nor acyclic. No drawn graph has all k edges of
        a cycle, so that one of them has a probability of at most 1 - 1/k: above a threshold of 0.5
        there are not both directions of an edge, and above 1 - 1/d there is no cycle at all
        (``networkx.is_directed_acyclic_graph`` tells). Equivalent graphs share the probability of
        an edge between its directions, so that neither may pass; ``skeleton=True`` adds the two up.

        Parameters
        ----------
        threshold : float
            The smallest probability of an edge that is kept, above 0 and at most 1.
        skeleton : bool
            Ask whether two variables are adjacent, whatever the direction.

        Returns
        -------
        networkx.DiGraph, or networkx.Graph if ``skeleton``
            All variables are nodes. Each edge has an attribute ``probability``.

        Raises
        ------
        ValueError
            If ``threshold`` is not above 0 and at most 1.

        Examples
        --------
        >>> posterior = Posterior([[[0, 1], [0, 0]], [[0, 0], [1, 0]]], [0.0, 0.0], ["a", "b"])
        >>> posterior.consensus(0.9).edges
        OutEdgeView([])
        >>> posterior.consensus(0.9, skeleton=True).edges(data="probability")
        EdgeDataView([('a', 'b', 1.0)])
        """
        if not 0 < threshold <= 1:
            raise ValueError(
                f"threshold is {threshold}; it is a probability, above 0 and at most 1."
            )
        probabilities = self._mean(graphs.skeleton if skeleton else lambda adjacency: adjacency)
        graph = nx.Graph() if skeleton else nx.DiGraph()
        graph.add_nodes_from(self.names)
        # The probability of an edge of all draws is a sum, which rounding can leave below one.
        kept = (probabilities > 0) & (probabilities >= threshold - _ROUNDING)
        for i, j in np.argwhere(kept):
            graph.add_edge(self.names[i], self.names[j], probability=float(probabilities[i, j]))
        return graph

    # --- any function of the graph -------------------------------------------------------------

    def expectation(
        self, function: Callable[[NDArray[np.int8]], Any], *, vectorised: bool = False
    ) -> Any:
        """Average any function of the graph over the posterior.

        Parameters
        ----------
        function : callable
            Maps the adjacency matrix of one DAG, int8 [d, d], to a number or an array. It is
            called once for each distinct graph of positive weight.
        vectorised : bool
            ``function`` maps many graphs, int8 [U, d, d], to one value each, [U, ...].

        Returns
        -------
        float or numpy.ndarray, float64
            The weighted mean, of the shape that ``function`` returns.

        Raises
        ------
        ValueError
            If ``function`` does not return one value for each graph when ``vectorised``, or
            values of different shapes.

        Examples
        --------
        >>> posterior = Posterior([[[0, 1], [0, 0]], [[0, 0], [0, 0]]], [0.0, 0.0], ["a", "b"])
        >>> posterior.expectation(lambda graph: graph.sum())
        0.5
        """

        def one_by_one(chunk: NDArray[np.int8]) -> NDArray:
            values = [np.asarray(function(graph)) for graph in chunk]
            if len({value.shape for value in values}) > 1:
                raise ValueError(
                    "function returned arrays of different shapes; it must return the same shape "
                    "for every graph."
                )
            return np.stack(values)

        mean = self._mean(function if vectorised else one_by_one)
        return float(mean) if np.ndim(mean) == 0 else mean

    def probability(self, predicate: Predicate, given: Predicate | None = None) -> float:
        """Compute the posterior probability that something is true of the graph.

        Parameters
        ----------
        predicate : Feature or callable
            A feature of `dag_gfn.features`, asked of all graphs at once, or anything else with
            ``evaluate(adjacency, names)`` that maps int8 [U, d, d] to bool [U]; or a function that
            maps the adjacency matrix of one DAG, int8 [d, d], to True or False.
        given : Feature or callable, optional
            A condition of the same kind: the answer is p(predicate | given, D). The predicate is
            asked only of graphs that fulfil it.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If no drawn graph of positive weight fulfils ``given``, a feature is about a variable
            that is not there, or ``evaluate`` does not return one value for each graph.
        TypeError
            If ``predicate`` or ``given`` is of neither kind.

        Examples
        --------
        >>> import numpy as np
        >>> from dag_gfn.features import adjacent, edge
        >>> graphs = [[[0, 1], [0, 0]], [[0, 0], [1, 0]], [[0, 0], [0, 0]]]
        >>> posterior = Posterior(graphs, np.log([0.375, 0.125, 0.5]), ["a", "b"])
        >>> posterior.probability(edge("a", "b"))
        0.375
        >>> posterior.probability(edge("a", "b"), given=adjacent("a", "b"))
        0.75
        >>> posterior.probability(lambda graph: graph.sum() == 0)
        0.5
        """
        return self._answer(predicate, given).probability

    def probability_standard_error(
        self, predicate: Predicate, given: Predicate | None = None
    ) -> float:
        """Estimate the Monte Carlo standard error of a probability.

        The delta method for the ratio ``p = sum_s w_s g_s f_s / sum_s w_s g_s`` of independent
        draws, with f and g 1 where the predicate and the condition are true,
        ``se^2 = sum_s w_s^2 g_s (f_s - p)^2 / (sum_s w_s g_s)^2`` (Owen 2013, Monte Carlo theory,
        methods and examples, section 9.2).

        Parameters
        ----------
        predicate : Feature or callable
            As in `probability`.
        given : Feature or callable, optional
            As in `probability`.

        Returns
        -------
        float
            Zero when the posterior is exact. It is also zero where all draws agree, which does not
            make the answer certain.

        Raises
        ------
        ValueError, TypeError
            As in `probability`.

        Examples
        --------
        >>> from dag_gfn.features import edge
        >>> graphs = [[[0, 1], [0, 0]], [[0, 0], [0, 0]]] * 50
        >>> posterior = Posterior(graphs, [0.0] * 100, ["a", "b"])
        >>> round(posterior.probability_standard_error(edge("a", "b")), 6)
        0.05
        """
        found = self._answer(predicate, given)
        return 0.0 if self.exact else answer_standard_error(found, self.weights, self._distinct)

    def sample(
        self, n: int, random_state: int | np.random.Generator | None = None
    ) -> NDArray[np.int8]:
        """Draw graphs from the posterior, with replacement and by weight.

        Parameters
        ----------
        n : int
            How many graphs.
        random_state : int or numpy.random.Generator, optional
            Same seed, same graphs.

        Returns
        -------
        numpy.ndarray, int8, shape [n, d, d]
        """
        rng = np.random.default_rng(random_state)
        return self.adjacency[rng.choice(self.num_samples, size=n, p=self.weights)]

    # --- information ---------------------------------------------------------------------------

    def entropy(self, log_score: Callable[[NDArray[np.int8]], ArrayLike] | None = None) -> float:
        r"""Estimate the entropy of the posterior over graphs.

        .. math:: H = \log Z - \mathbb{E}_{G \sim p(G \mid D)} [\log R(G)],

        with both terms from the weighted draws (the entropy of a flow network, Bengio et al. 2021,
        arXiv 2111.09266, section 6).

        Parameters
        ----------
        log_score : callable, optional
            Maps DAGs, int8 [U, d, d], to ``log p(D | G) + log p(G)``, float [U], with the constant
            of the weights: ``LocalScores.log_score``. Not needed when the posterior is exact.

        Returns
        -------
        float
            In nats: zero where one graph is certain.

        Raises
        ------
        ValueError
            If the draws say nothing about the log evidence, as those of a Markov chain, or
            ``log_score`` is missing.

        Examples
        --------
        >>> graphs = [[[0, 1], [0, 0]], [[0, 0], [0, 0]]]
        >>> even = Posterior(graphs, [-3.0, -3.0], ["a", "b"], exact=True)
        >>> round(even.entropy(), 6)  # log 2
        0.693147
        """
        return self.log_evidence - float(self.weights @ self._log_scores(log_score))

    def entropy_standard_error(
        self, log_score: Callable[[NDArray[np.int8]], ArrayLike] | None = None
    ) -> float:
        """Estimate the Monte Carlo standard error of the entropy, by the delta method.

        Parameters
        ----------
        log_score : callable, optional
            As in `entropy`.

        Returns
        -------
        float
            In nats, for independent draws; 0 when the posterior is exact.

        Raises
        ------
        ValueError
            As in `entropy`.
        """
        log_scores = self._log_scores(log_score)
        if self.exact:
            return 0.0
        return entropy_standard_error(self.weights, log_scores)

    def _log_scores(
        self, log_score: Callable[[NDArray[np.int8]], ArrayLike] | None
    ) -> NDArray[np.float64]:
        """Return the log-score of every draw, float64 [S]; 0 for one that does not count."""
        if np.isnan(self.log_evidence):
            raise ValueError(
                "the entropy needs the log evidence, of which these draws say nothing; take those "
                "of a flow or an exact posterior."
            )
        if self.exact:
            return np.where(self.weights > 0, self.log_weights, 0.0)
        if log_score is None:
            raise ValueError("the entropy needs log_score: pass the log_score of LocalScores.")
        first, inverse = self._distinct.first, self._distinct.inverse
        scored = [np.asarray(log_score(some)) for some in in_chunks(self.adjacency, first)]
        return np.where(self.weights > 0, np.concatenate(scored)[inverse], 0.0)

    def mutual_information(
        self,
        first: Callable[[NDArray[np.int8]], Any],
        second: Callable[[NDArray[np.int8]], Any],
    ) -> float:
        """Estimate how much one feature of the graph says about another.

        The plug-in estimate from the weighted draws; for independent features it is above zero by
        about (a - 1) (b - 1) / (2 ESS), where they have a and b values (Miller 1955).

        Parameters
        ----------
        first, second : callable
            Map the adjacency matrix of one DAG, int8 [d, d], to a number, a string or a tuple of
            them, of which there are few.

        Returns
        -------
        float
            In nats.

        Examples
        --------
        >>> graphs = [[[0, 1], [0, 0]], [[0, 0], [1, 0]]]
        >>> posterior = Posterior(graphs, [0.0, 0.0], ["a", "b"])
        >>> round(posterior.mutual_information(lambda g: g[0, 1], lambda g: g[1, 0]), 6)  # log 2
        0.693147
        """
        graphs_drawn = self.adjacency[self._distinct.first]
        pairs = [(first(graph), second(graph)) for graph in graphs_drawn]
        return mutual_information(pairs, self._distinct.probabilities)

    # --- other libraries and files -------------------------------------------------------------

    def to_frame(self) -> pd.DataFrame:
        """List every ordered pair of variables with its probabilities, the most probable first.

        A table for ``to_csv``, ``to_parquet`` or another program.

        Returns
        -------
        DataFrame [d (d - 1), 5]
            ``cause``, ``effect``; ``edge``, the probability that the one causes the other directly,
            and ``edge_standard_error``, its Monte Carlo error; ``path``, the probability that it
            does so at all.

        Examples
        --------
        >>> Posterior([[[0, 1], [0, 0]]], [0.0], ["rain", "wet"]).to_frame()["effect"].tolist()
        ['wet', 'rain']
        """
        return pairs_frame(
            edge=self.edge_marginals(),
            edge_standard_error=self.edge_marginals_standard_error(),
            path=self.path_marginals(),
        )

    def to_networkx(self, i: int) -> nx.DiGraph:
        """Convert draw ``i`` to a networkx.DiGraph with the variables' names."""
        return graphs.to_networkx(self.adjacency[i], self.names)

    def to_pgmpy(self, i: int) -> DAG:
        """Convert draw ``i`` to a pgmpy.base.DAG with the variables' names."""
        return graphs.to_pgmpy(self.adjacency[i], self.names)

    def to_arviz(
        self, *, num_draws: int | None = None, random_state: int | np.random.Generator | None = None
    ) -> DataTree:
        """Convert to ArviZ.

        ArviZ gives every draw the same weight. So the group ``posterior`` holds draws that do
        weigh the same: these, in their order, if their weights are equal, and otherwise
        ``num_draws`` of them drawn again by weight. The draws as they were, with their
        log-weights, are in the group ``weighted_draws``.

        Parameters
        ----------
        num_draws : int, optional
            How many to draw when the weights are not equal; as many as there are when left out.
        random_state : int or numpy.random.Generator, optional
            Same seed, same draws.

        Returns
        -------
        xarray.DataTree
            ``posterior.edge`` int8 [chain, draw, cause, effect]; ``weighted_draws.edge``, and
            ``weighted_draws.log_weight`` float64 [chain, draw].
        """
        draws = self.adjacency
        if np.ptp(self.weights) > 0:
            draws = self.sample(num_draws or self.num_samples, random_state)
        return to_arviz(
            draws, self.adjacency, self.log_weights, names=self.names, method=self.method
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one ``.npz`` file, without pickle.

        The mechanisms go with it: for measurements means and scatter matrices, for categories the
        distinct rows of the table and how often each occurs. An existing file is replaced in one
        step, so that a reader never sees half of one.

        Parameters
        ----------
        path : str or path-like
            Taken as it is; ``.npz`` is the customary ending.

        Raises
        ------
        TypeError
            If ``metadata`` holds something that JSON does not know.
        """
        save_arrays(
            path,
            adjacency=self.adjacency,
            log_weights=self.log_weights,
            names=self.names,
            about={
                "log_evidence": self._given_log_evidence,
                "exact": self.exact,
                "method": self.method,
                "metadata": self.metadata,
            },
            mechanisms=self.mechanisms,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Posterior:
        """Read a file that ``save`` wrote.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        Posterior

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file was cut short, or is not one that ``save`` wrote.
        """
        stored = load_arrays(path)
        with refusing_damage(path):
            return cls(
                stored.adjacency,
                stored.log_weights,
                stored.names,
                mechanisms=stored.mechanisms,
                **stored.about,
            )

    def __repr__(self) -> str:
        """Describe the posterior and how far to trust it."""
        facts = ", ".join(f"{key}: {value}" for key, value in self._facts().items())
        return f"Posterior({facts})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for key, value in self._facts().items()
        )
        return f"<table><caption>Posterior over DAGs</caption>{rows}</table>"

    # --- inside --------------------------------------------------------------------------------

    def _facts(self) -> dict[str, str]:
        shown = self.names if len(self.names) <= 6 else (*self.names[:5], "...")
        facts = {
            "variables": f"{self.num_variables} ({' '.join(shown)})",
            "graphs": f"{self.num_samples} draws",
        }
        if self.exact:
            facts |= {"graphs": f"{self.num_samples}, all there are", "ESS": "exact"}
        elif "rhat" in self.metadata:  # draws of chains, which all weigh the same
            ess, rhat = (self.metadata[name] for name in ("ess", "rhat"))
            facts |= {"ESS": f"{ess:.1f}", "R-hat": f"{rhat:.3f}"}
        else:
            facts |= {"ESS": f"{self.ess:.1f}", "k-hat": f"{self.khat:.2f}"}
        if not np.isnan(self.log_evidence):
            facts["log evidence"] = f"{self.log_evidence:.2f}"
        if self.method:
            facts["method"] = self.method
        return facts

    def _frame(self, matrix: NDArray) -> pd.DataFrame:
        return pd.DataFrame(matrix, index=list(self.names), columns=list(self.names))

    def _answer(self, predicate: Predicate, given: Predicate | None) -> Answer:
        return answer(
            predicate,
            given,
            adjacency=self.adjacency,
            distinct=self._distinct,
            names=self.names,
        )
