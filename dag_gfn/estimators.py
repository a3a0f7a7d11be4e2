"""scikit-learn estimators: they check, wire and keep; the algorithms are elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from dag_gfn.diagnostics import warn_if_untrusted
from dag_gfn.exact import enumerate_posterior
from dag_gfn.gflownet import (
    OBJECTIVES,
    POLICIES,
    Flow,
    Settings,
    draw_posterior,
    estimated_log_prob,
    exact_log_prob,
    fit_flow,
)
from dag_gfn.gflownet.terminal import MAX_EXACT_VARIABLES
from dag_gfn.graphs import check_dag
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores, local_scores
from dag_gfn.scores.constraints import EdgeSet

__all__ = ["DAGGFlowNet", "ExactPosterior"]


class _PosteriorEstimator(BaseEstimator):
    """What every way to infer a posterior shares: a table in, local scores, a posterior out."""

    score: Any
    prior: Any
    standardize: bool
    max_parents: int | None
    score_params: Mapping[str, Any] | None
    prior_params: Mapping[str, Any] | None
    random_state: Any

    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: Any = None,
        *,
        interventions: Iterable[str | int | None] | None = None,
        required_edges: EdgeSet | None = None,
        forbidden_edges: EdgeSet | None = None,
        max_parents: int | None = None,
        prior: Any = None,
    ) -> Self:
        """Infer the posterior over DAGs of a table.

        Parameters
        ----------
        X : DataFrame or array [n, d]
            Rows are observations; column names become the names of the variables.
        y : ignored
            There for scikit-learn's pipelines.
        interventions : sequence [n] of column names or positions, optional
            The column that was set by a perfect intervention in each row; None for none.
        required_edges, forbidden_edges : iterable of (cause, effect), or bool [d, d], optional
            Pairs of names or positions, or a matrix in which row causes column.
        max_parents : int, optional
            In-degree limit; takes the place of the estimator's own.
        prior : str or Prior, optional
            Takes the place of the estimator's own.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If the table, a constraint or a setting is not fit; the message says which and what
            to do.
        """
        self._check_settings()
        if isinstance(X, np.ndarray) and np.iscomplexobj(X):
            raise ValueError("Complex data not supported; a table holds real measurements.")
        # The table is checked where it is scored, since messages name the column there.
        scores = local_scores(
            X,
            self.score,
            self.prior if prior is None else prior,
            interventions=interventions,
            required_edges=required_edges,
            forbidden_edges=forbidden_edges,
            max_parents=self.max_parents if max_parents is None else max_parents,
            standardize=self.standardize,
            score_params=self.score_params,
            prior_params=self.prior_params,
        )
        validate_data(self, X, skip_check_array=True)  # n_features_in_, feature_names_in_
        self.scores_ = scores
        self._infer(scores)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        # scikit-learn looks for a trailing underscore, which the parameter `lambda_` has too.
        return hasattr(self, "posterior_")

    def _check_settings(self) -> None:
        """Refuse a setting before there is work to throw away."""
        raise NotImplementedError

    def _infer(self, scores: LocalScores) -> None:
        """Set ``posterior_`` and whatever else the method has to show."""
        raise NotImplementedError

    def _check_count(self, name: str, minimum: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
            raise ValueError(f"{name} must be an integer of at least {minimum}, not {value!r}.")

    def _check_range(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value!r}.")

    def _check_choice(self, name: str, choices: Iterable[str]) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise ValueError(f"{name} must be one of {sorted(choices)}, not {value!r}.")


class DAGGFlowNet(_PosteriorEstimator):
    """Posterior over DAGs by a generative flow network (Deleu et al. 2022, arXiv 2202.13903).

    A policy builds a DAG one edge at a time and is trained until the probability of stopping at a
    graph is its posterior probability; every graph it then draws carries an importance weight
    that corrects what training has left.

    Parameters
    ----------
    score : {"bge", "bde"} or Score, default "bge"
        Marginal likelihood: BGe for measurements, BDe for categories.
    prior : {"uniform", "edge", "erdos_renyi", "fair"} or Prior, default "uniform"
        Prior over graphs. The uniform one favours dense graphs when rows are few.
    standardize : bool, default False
        Give every column mean 0 and variance 1 first. BGe depends on the scale of the columns.
    max_parents : int, optional
        In-degree limit.
    score_params, prior_params : mapping, optional
        Hyper-parameters of the score and the prior.
    policy : {"node", "linear_transformer"}, default "node"
        The score-informed network on variables, or the published one on edges.
    objective : {"windowed_balance", "modified_detailed_balance"}, default "windowed_balance"
        Balance over stretches of a trajectory, or over single steps as published.
    lambda_ : float, default 0.9
        Weight of longer stretches, in [0, 1].
    window : int, default 12
        Steps in a stretch at most.
    num_environments : int, default 16
        Graphs that are built at a time.
    batch_size : int, default 16
        Windows in an update.
    target_period : int, default 0
        Updates between copies to a target network; 0 trains without one.
    num_updates : int, default 10000
        At most.
    learning_rate : float, default 2e-3
        Of Adam, at its highest.
    exploration : float, default 0.1
        Share of uniformly drawn actions while training.
    early_stopping : bool, default True
        End when the spread of the log-weights has settled.
    n_samples : int, default 10000
        Draws in ``posterior_``.
    progress : bool, default True
        Show a progress bar.
    callback : callable, optional
        Called with a dict of metrics every 250 updates.
    random_state : int, RandomState or None, default None
        An int reproduces a fit bit for bit on the same machine.

    Attributes
    ----------
    posterior_ : Posterior
    scores_ : LocalScores
    history_ : DataFrame
        A row every 250 updates: ``update``, ``loss``, ``log_weight_std``, ``log_weight_mad``,
        ``efficiency``, ``log_evidence``, ``num_edges``.
    flow_ : Flow
        The trained sampler.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Of a DataFrame.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> simulation = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0)
    >>> model = DAGGFlowNet(num_updates=500, n_samples=500, progress=False, random_state=0)
    >>> model.fit(simulation.table).posterior_.edge_marginals().shape
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
        policy: str = "node",
        objective: str = "windowed_balance",
        lambda_: float = 0.9,
        window: int = 12,
        num_environments: int = 16,
        batch_size: int = 16,
        target_period: int = 0,
        num_updates: int = 10_000,
        learning_rate: float = 2e-3,
        exploration: float = 0.1,
        early_stopping: bool = True,
        n_samples: int = 10_000,
        progress: bool = True,
        callback: Callable[[dict[str, float]], None] | None = None,
        random_state: Any = None,
    ) -> None:
        self.score = score
        self.prior = prior
        self.standardize = standardize
        self.max_parents = max_parents
        self.score_params = score_params
        self.prior_params = prior_params
        self.policy = policy
        self.objective = objective
        self.lambda_ = lambda_
        self.window = window
        self.num_environments = num_environments
        self.batch_size = batch_size
        self.target_period = target_period
        self.num_updates = num_updates
        self.learning_rate = learning_rate
        self.exploration = exploration
        self.early_stopping = early_stopping
        self.n_samples = n_samples
        self.progress = progress
        self.callback = callback
        self.random_state = random_state

    def _infer(self, scores: LocalScores) -> None:
        settings = Settings(
            policy=self.policy,
            objective=self.objective,
            lambda_=float(self.lambda_),
            window=int(self.window),
            num_environments=int(self.num_environments),
            batch_size=int(self.batch_size),
            target_period=int(self.target_period),
            exploration=float(self.exploration),
        )
        rng = check_random_state(self.random_state)
        train_seed, draw_seed = (int(rng.randint(2**31 - 1)) for _ in range(2))
        self.flow_: Flow = fit_flow(
            scores,
            settings,
            num_updates=self.num_updates,
            learning_rate=self.learning_rate,
            early_stopping=self.early_stopping,
            seed=train_seed,
            progress=self.progress,
            callback=self.callback,
        )
        self.history_ = self.flow_.history
        self.posterior_ = draw_posterior(self.flow_, scores, self.n_samples, seed=draw_seed)
        warn_if_untrusted(self.posterior_, stacklevel=4)

    def sample(self, n_samples: int, random_state: Any = None) -> Posterior:
        """Draw a fresh weighted posterior from the trained sampler.

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState or None

        Returns
        -------
        Posterior
            Independent of ``posterior_``.
        """
        check_is_fitted(self)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return draw_posterior(self.flow_, self.scores_, n_samples, seed=seed)

    def log_prob(self, adjacency: ArrayLike) -> np.ndarray:
        """Return the log-probability that the trained sampler terminates at each DAG.

        Exact for at most 5 variables, where the probability of reaching each graph is propagated
        along every transition. For more it is *estimated* from 256 backward trajectories a graph,
        drawn with a fixed seed: unbiased for the probability, and low by about half the variance
        of the ratio for its logarithm.

        Parameters
        ----------
        adjacency : int or bool [..., d, d]
            Row causes column, variables in the order of the table.

        Returns
        -------
        float64 [...]
            Minus infinity where the constraints exclude a graph.

        Raises
        ------
        ValueError
            If a matrix is not a DAG on the table's variables.
        """
        check_is_fitted(self)
        d = self.scores_.num_variables
        graphs = check_dag(adjacency, self.scores_.names, what="adjacency")
        flat = graphs.reshape(-1, d, d)
        exact = d <= MAX_EXACT_VARIABLES
        method = exact_log_prob if exact else estimated_log_prob
        return method(self.flow_, self.scores_, flat).reshape(graphs.shape[:-2])

    def _check_settings(self) -> None:
        self._check_choice("policy", POLICIES)
        self._check_choice("objective", OBJECTIVES)
        self._check_range("lambda_", 0.0, 1.0)
        self._check_range("exploration", 0.0, 1.0)
        self._check_range("learning_rate", 1e-8, 1.0)
        for name in ("window", "num_environments", "batch_size", "num_updates", "n_samples"):
            self._check_count(name, 1)
        self._check_count("target_period", 0)


class ExactPosterior(_PosteriorEstimator):
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
