"""The exact posterior as an estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.exact import enumerate_posterior
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

__all__ = ["ExactPosterior"]


class ExactPosterior(PosteriorEstimator):
    """The exact posterior over DAGs, for at most five variables.

    Parameters
    ----------
    score, prior, standardize, max_parents, score_params, prior_params
        As of `DAGGFlowNet`.
    n_samples : int, optional
        Draw so many independent graphs into ``posterior_``; by default it holds every graph with
        its exact weight.
    progress : bool, default True
        There for the interface's sake: enumeration takes less than a second.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    posterior_ : Posterior
    edge_marginals_, path_marginals_, markov_blanket_marginals_ : DataFrame [d, d]
        Exact; row causes column.
    log_evidence_ : float
        Log-sum of p(D | G) p(G) over all DAGs, up to the constant of the prior.
    scores_ : LocalScores

    Examples
    --------
    >>> import dag_gfn as dg
    >>> simulation = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0)
    >>> ExactPosterior().fit(simulation.table).edge_marginals_.shape
    (3, 3)
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
        exact = enumerate_posterior(scores)
        self.edge_marginals_ = exact.edge_marginals()
        self.path_marginals_ = exact.path_marginals()
        self.markov_blanket_marginals_ = exact.markov_blanket_marginals()
        self.log_evidence_ = exact.log_evidence
        self.posterior_ = exact
        if self.n_samples is not None:
            rng = check_random_state(self.random_state)
            self.posterior_ = Posterior(
                exact.sample(self.n_samples, random_state=int(rng.randint(2**31 - 1))),
                np.zeros(self.n_samples),
                scores.names,
                log_evidence=exact.log_evidence,
                method="independent draws from the enumerated posterior",
            )
