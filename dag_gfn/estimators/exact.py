"""The exact posterior as an estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.exact import (
    MAX_VARIABLES,
    check_cost,
    draw_dags,
    enumerate_posterior,
    exact_marginals,
    subset_sums,
)
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

__all__ = ["ExactPosterior"]

_NUM_SAMPLES = 10_000  # draws where there are too many graphs to list


class ExactPosterior(PosteriorEstimator):
    """The exact posterior over DAGs, for at most 22 variables.

    Up to five variables every DAG is scored. Beyond, the sums over all DAGs come from dynamic
    programming over sets of variables (Tian and He 2009; Talvitie, Eggeling and Koivisto 2019),
    whose cost triples with each variable: 20 take about a minute and half a GiB.

    Parameters
    ----------
    score, prior, standardize, max_parents, score_params, prior_params
        As of `DAGGFlowNet`.
    n_samples : int, optional
        Draw so many independent graphs into ``posterior_``. By default it holds every graph with
        its exact weight up to five variables, and 10 000 draws beyond.
    progress : bool, default True
        Show progress bars beyond five variables.
    random_state : int, RandomState or None, default None
        Of the draws.

    Attributes
    ----------
    posterior_ : Posterior
    edge_marginals_, path_marginals_ : DataFrame [d, d]
        Exact, whatever ``posterior_`` holds; row causes column.
    markov_blanket_marginals_ : DataFrame [d, d]
        Exact; up to five variables only. Beyond, ``posterior_`` estimates them, as it does the
        expectation of anything else.
    log_evidence_ : float
        Log-sum of p(D | G) p(G) over all DAGs, up to the constant of the prior.
    error_estimate_ : float
        How far rounding may have moved an edge or path marginal: to first order an upper bound,
        if the local scores are right to a unit in their last place.
    scores_ : LocalScores

    Raises
    ------
    ValueError
        By ``fit``, if there are too many variables for the machine; it names the memory and the
        time that they would take.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> simulation = dg.datasets.simulate_linear_gaussian(8, 50, random_state=0)
    >>> model = ExactPosterior(n_samples=1000, progress=False, random_state=0)
    >>> model.fit(simulation.table).edge_marginals_.shape
    (8, 8)
    >>> model.error_estimate_ < 1e-9
    True
    >>> len(model.posterior_)
    1000
    """

    def __init__(
        self,
        score: Any = "bge",
        *,
        prior: Any = "uniform",
        standardize: bool = False,
        max_parents: int | None = None,
        score_params: Mapping[str, Any] | None = None,
        prior_params: Mapping[str, Any] | None = None,
        n_samples: int | None = None,
        progress: bool = True,
        random_state: Any = None,
    ) -> None:
        self.score = score
        self.prior = prior
        self.standardize = standardize
        self.max_parents = max_parents
        self.score_params = score_params
        self.prior_params = prior_params
        self.n_samples = n_samples
        self.progress = progress
        self.random_state = random_state

    def _check_settings(self) -> None:
        if self.n_samples is not None:
            self._check_count("n_samples", 1)

    def _infer(self, scores: LocalScores) -> None:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if scores.num_variables <= MAX_VARIABLES:
            self._enumerate(scores, seed)
        else:
            self._sum_over_sets(scores, seed)

    def _enumerate(self, scores: LocalScores, seed: int) -> None:
        exact = enumerate_posterior(scores)
        self.edge_marginals_ = exact.edge_marginals()
        self.path_marginals_ = exact.path_marginals()
        self.markov_blanket_marginals_ = exact.markov_blanket_marginals()
        self.log_evidence_ = exact.log_evidence
        # A log-score is known to a unit in its last place.
        self.error_estimate_ = float(np.finfo(np.float64).eps * (1 + np.abs(exact.log_evidence)))
        self.posterior_ = exact
        if self.n_samples is not None:
            self.posterior_ = Posterior(
                exact.sample(self.n_samples, random_state=seed),
                np.zeros(self.n_samples),
                scores.names,
                log_evidence=exact.log_evidence,
                method="independent draws from the enumerated posterior",
            )

    def _sum_over_sets(self, scores: LocalScores, seed: int) -> None:
        check_cost(scores)
        if hasattr(self, "markov_blanket_marginals_"):  # of an earlier fit to fewer variables
            del self.markov_blanket_marginals_
        names = list(scores.names)
        sums = subset_sums(scores, progress=self.progress)
        marginals = exact_marginals(len(names), sums, progress=self.progress)
        self.edge_marginals_ = pd.DataFrame(marginals.edges, names, names)
        self.path_marginals_ = pd.DataFrame(marginals.paths, names, names)
        self.log_evidence_ = sums.log_evidence
        self.error_estimate_ = marginals.error_estimate
        num_samples = _NUM_SAMPLES if self.n_samples is None else self.n_samples
        draws = draw_dags(scores, sums, num_samples, random_state=seed, progress=self.progress)
        self.posterior_ = Posterior(
            draws.adjacency,
            np.zeros(num_samples),
            names,
            log_evidence=sums.log_evidence,
            method="independent draws from the exact posterior",
            metadata={"error_estimate": marginals.error_estimate + draws.error_estimate},
        )
