"""What a posterior says beyond its graphs: parameters, causal effects, predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from dag_gfn import graphs
from dag_gfn.posterior.distinct import (
    Distinct,
    distinct_graphs,
    distinct_parent_sets,
    weighted_sum,
)
from dag_gfn.posterior.effects import CausalEffects, categorical_effects, linear_effects
from dag_gfn.posterior.importance import normalised_weights
from dag_gfn.posterior.linear_gaussian import LinearGaussianMechanisms
from dag_gfn.posterior.mechanisms import Mechanisms, Parameters
from dag_gfn.posterior.validation import read_only

# Draws of an exact posterior, which lists each graph once, and of categorical effects.
_NUM_DRAWS = 10_000
_NUM_CATEGORICAL_DRAWS = 2_000


class ParametricPosterior:
    """The part of `Posterior` that needs parameters, which come from its ``mechanisms``."""

    names: tuple[str, ...]
    adjacency: NDArray[np.int8]  # [S, d, d]
    log_weights: NDArray[np.float64]  # [S]
    exact: bool
    mechanisms: Mechanisms | None

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weights that sum to one, float64 [S]."""
        return read_only(normalised_weights(self.log_weights))

    def sample_parameters(
        self,
        n: int | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> Parameters:
        """Draw graphs with their parameters from p(G, theta | D).

        Parameters
        ----------
        n : int, optional
            How many, drawn by weight (systematic resampling), so that all weigh the same. By
            default each draw of the posterior gets parameters once and keeps its weight; an exact
            posterior, which lists each graph once, gives 10 000.
        random_state : int or numpy.random.Generator, optional
            Same seed, same draws.

        Returns
        -------
        LinearGaussianParameters or CategoricalParameters
            In the units of the table; ``to_pgmpy(i)`` makes one of them a network of pgmpy,
            ``simulate`` draws rows from all, also under interventions.

        Raises
        ------
        ValueError
            If the posterior came without mechanisms, ``n`` is below 1, or the conditional tables of
            one variable would not fit into memory.

        Examples
        --------
        >>> import dag_gfn as dg
        >>> simulation = dg.datasets.simulate_linear_gaussian([[0, 1], [0, 0]], 500, random_state=0)
        >>> posterior = dg.ExactPosterior().fit(simulation.table).posterior_
        >>> drawn = posterior.sample_parameters(1000, random_state=0)
        >>> drawn.coefficients.shape, drawn.variances.shape
        ((1000, 2, 2), (1000, 2))
        """
        rng = np.random.default_rng(random_state)
        return self.required_mechanisms("parameters").draw(*self._some_graphs(n, rng), rng)

    def causal_effects(
        self,
        *,
        standardized: bool = False,
        num_draws: int | None = None,
        random_state: int | np.random.Generator | None = None,
        progress: bool = True,
    ) -> CausalEffects:
        r"""Compute the posterior of the total causal effect of every variable on every other.

        For measurements that is the change of the effect's mean per unit by which the cause is set
        higher, :math:`(I - B)^{-1}`; for categories, what P(effect \| do(cause = x)) depends on x,
        by truncated factorisation (Pearl 2009, "Causality", chapter 3).

        Parameters
        ----------
        standardized : bool, default False
            Give effects of measurements in standard deviations of the effect per standard deviation
            of the cause, both of the table's columns, rather than in the table's units.
        num_draws : int, optional
            How many graphs with parameters are drawn, by weight. By default as in
            `sample_parameters`; 2 000 for categories.
        random_state : int or numpy.random.Generator, optional
            Same seed, same draws.
        progress : bool, default True
            Whether to show a bar, if it takes long.

        Returns
        -------
        CausalEffects
            ``mean()``, ``interval(0.9)``, ``probability_of_no_effect()``, ``summary()``, and the
            draws of one pair, ``of(cause, effect)``. For categories it is a CategoricalEffects,
            whose ``distribution(cause, effect)`` is P(effect | do(cause)).

        Raises
        ------
        ValueError
            If the posterior came without mechanisms, or ``standardized`` is given for categories.

        Notes
        -----
        Exact given the graphs, but for the spread of the intervals: the means and the probabilities
        of no effect are sums over the graphs of what is known in closed form. All of it is causal
        only as far as the model is: no common cause is left out, no cycles, and for measurements
        linear relations.

        Examples
        --------
        >>> import dag_gfn as dg
        >>> simulation = dg.datasets.simulate_linear_gaussian([[0, 1], [0, 0]], 500, random_state=0)
        >>> fit = dg.ExactPosterior().fit(simulation.table, required_edges=[("X0", "X1")])
        >>> effects = fit.posterior_.causal_effects(random_state=0)
        >>> error = effects.mean().loc["X0", "X1"] - simulation.network.coefficients[0, 1]
        >>> bool(abs(error) < 0.2)
        True
        """
        mechanisms = self.required_mechanisms("effects")
        no_effect = self._mean(lambda some: ~graphs.transitive_closure(some))
        unique = self._distinct
        kept = np.flatnonzero(unique.probabilities)
        each = self.adjacency[unique.first[kept]], np.log(unique.probabilities[kept])
        rng = np.random.default_rng(random_state)
        if isinstance(mechanisms, LinearGaussianMechanisms):
            return linear_effects(
                mechanisms.draw(*self._some_graphs(num_draws, rng), rng),
                mechanisms.mean_parameters(*each),
                no_effect,
                mechanisms.column_sds if standardized else None,
            )
        if standardized:
            raise ValueError("standardized=True is for measurements; categories have no scale.")
        size = _NUM_CATEGORICAL_DRAWS if num_draws is None else num_draws
        return categorical_effects(
            mechanisms.draw(*self._some_graphs(size, rng), rng),
            mechanisms.mean_parameters(*each),
            no_effect,
            progress=progress,
        )

    def log_predictive(
        self,
        table: pd.DataFrame | ArrayLike,
        *,
        interventions: Iterable[str | None] | None = None,
        pointwise: bool = False,
    ) -> float | NDArray[np.float64]:
        r"""Compute the log predictive density of new rows, averaged over the posterior.

        .. math::

            \log p(D' \mid D) = \log \sum_G p(G \mid D) \, \frac{p(D, D' \mid G)}{p(D \mid G)},

        in which each ratio of marginal likelihoods is exact: parameters are integrated out.

        Parameters
        ----------
        table : DataFrame or array [n, d]
            New rows, in the units of the table of the fit, matched by name.
        interventions : sequence [n] of column names, optional
            The column that was set in each new row, None for none; it is not predicted.
        pointwise : bool, default False
            Predict every row by itself, given the table of the fit alone.

        Returns
        -------
        float or numpy.ndarray, float64, shape [n]
            In nats: of all rows together, or of each of them.

        Raises
        ------
        ValueError
            If the posterior came without mechanisms, or the rows do not fit its variables.

        Examples
        --------
        >>> import dag_gfn as dg
        >>> table = dg.datasets.simulate_linear_gaussian(3, 60, random_state=0).table
        >>> posterior = dg.ExactPosterior().fit(table[:50]).posterior_
        >>> posterior.log_predictive(table[50:], pointwise=True).shape
        (10,)
        """
        mechanisms = self.required_mechanisms("predictions")
        rows = mechanisms.encode(table)
        targets = _positions(interventions, self.names, len(rows))
        unique = self._distinct
        kept = np.flatnonzero(unique.probabilities)
        adjacency = self.adjacency[unique.first[kept]]
        total = np.zeros((len(rows) if pointwise else 1, len(kept)))
        for node in range(len(self.names)):
            observed = np.flatnonzero(targets != node)
            if len(observed) == 0:
                continue
            parent_sets, which = distinct_parent_sets(adjacency, node)
            shown = rows[observed]
            tables = shown[:, None] if pointwise else shown[None]
            density = mechanisms.log_predictive(tables, node, parent_sets)[:, which]
            total[observed if pointwise else slice(None)] += density
        log_density = logsumexp(total + np.log(unique.probabilities[kept]), axis=1)
        return log_density if pointwise else float(log_density[0])

    def _some_graphs(
        self, n: int | None, rng: np.random.Generator
    ) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return the draws of positive weight and their log-weights, or n that weigh the same."""
        if n is None and not self.exact:
            kept = np.flatnonzero(self.weights)
            return self.adjacency[kept], self.log_weights[kept]
        size = _NUM_DRAWS if n is None else n
        if size < 1:
            raise ValueError(f"the number of draws must be at least 1, not {n}.")
        return self.adjacency[systematic_sample(self.weights, size, rng)], np.zeros(size)

    @cached_property
    def _distinct(self) -> Distinct:
        return distinct_graphs(self.adjacency, self.weights)

    def required_mechanisms(self, what: str) -> Mechanisms:
        """Return the mechanisms; raise ValueError, naming what needs them, if there are none."""
        if self.mechanisms is None:
            raise ValueError(
                f"this posterior knows graphs alone, and {what} need the mechanisms of a table; "
                "take the posterior_ of an estimator that was fitted with the score 'bge' or 'bde'."
            )
        return self.mechanisms

    def _mean(self, function: Callable) -> NDArray[np.float64]:
        """Average a function of many graphs [U, d, d] over the posterior."""
        unique = self._distinct
        return weighted_sum(function, self.adjacency, unique.first, unique.probabilities)


def systematic_sample(
    weights: NDArray[np.float64], n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw positions by weight, each as often as its share of n, rounded up or down at random.

    Parameters
    ----------
    weights : float64 [S]
        Sum to one.
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    int64 [n]
        In random order (Carpenter, Clifford and Fearnhead 1999, "Improved particle filter for
        nonlinear problems").
    """
    steps = (rng.random() + np.arange(n)) / n
    drawn = np.searchsorted(weights.cumsum() / weights.sum(), steps, side="right")
    return rng.permutation(np.minimum(drawn, len(weights) - 1))


def _positions(
    interventions: Iterable[str | None] | None, names: Sequence[str], num_rows: int
) -> NDArray[np.int64]:
    """Return the position of the variable that is set in each row, -1 for none."""
    targets = np.full(num_rows, -1)
    if interventions is None:
        return targets
    listed = list(interventions)
    if len(listed) != num_rows:
        raise ValueError(f"interventions has {len(listed)} targets for {num_rows} new rows.")
    for row, name in enumerate(listed):
        if name is None or name == "" or name != name:
            continue
        if name not in names:
            raise ValueError(f"the intervention {name!r} of row {row} is not a variable.")
        targets[row] = list(names).index(name)
    return targets
