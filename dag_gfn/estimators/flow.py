"""The generative flow network as an estimator."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from dag_gfn.diagnostics import warn_if_untrusted
from dag_gfn.estimators.flows import FlowEstimator
from dag_gfn.gflownet import (
    OBJECTIVES,
    POLICIES,
    Flow,
    Settings,
    condition_flow,
    draw_posterior,
    estimated_log_prob,
    exact_log_prob,
    fit_flow,
)
from dag_gfn.gflownet.objectives import Window
from dag_gfn.gflownet.terminal import MAX_EXACT_VARIABLES
from dag_gfn.graphs import check_dag
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

__all__ = ["DAGGFlowNet"]

_OBJECTIVES = [name for name, (_, of) in OBJECTIVES.items() if of is Window]


class DAGGFlowNet(FlowEstimator):
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
    lambda_ : float, default 0.5
        Weight of longer stretches, in [0, 1].
    window : int, default 12
        Steps in a stretch at most.
    num_environments : int, default 16
        Graphs that are built at a time.
    batch_size : int, default 16
        Windows in an update.
    target_period : int, default 0
        Updates between copies to a target network; 0 trains without one.
    num_updates : int, default 15000
        At most.
    learning_rate : float, default 3e-3
        Of the optimiser, SOAP, at its highest.
    exploration : float, default 0.1
        Share of uniformly drawn actions while training.
    early_stopping : bool, default True
        End when the spread of the log-weights has settled.
    max_seconds : float, optional
        Train and draw for so long, compiling included; what is under way is finished. A fit that
        time has ended cannot be reproduced bit for bit.
    n_samples : int, default 10000
        Draws in ``posterior_``.
    progress : bool, default True
        Show a progress bar.
    callback : callable, optional
        Called every 250 updates with a dict: a row of ``history_``, and ``updates_left``.
    checkpoint_dir : path, optional
        Folder in which the fit is kept while it trains, and from which it goes on if it is there:
        after a stop by Ctrl-C, SIGTERM or worse, fit the same table again with the same settings,
        and the result is that of a fit that was never stopped, bit for bit. What is there of
        another table or other settings is refused. The last checkpoint stays when training ends.
    checkpoint_every : float, default 60.0
        Seconds between checkpoints, at least; 0 for one every 250 updates.
    num_devices : int, optional
        Devices that share each batch, of `jax.devices()`; None for one. More give the same training
        up to rounding, and a fit that was kept may go on with another number. On several hosts that
        `jax.distributed` has joined, each fits the same table with the same settings, an int for
        ``random_state`` and all devices.
    random_state : int, RandomState or None, default None
        An int reproduces a fit bit for bit on the same machine. With None, a fit that goes on
        from a checkpoint has the seed of that.

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
        lambda_: float = 0.5,
        window: int = 12,
        num_environments: int = 16,
        batch_size: int = 16,
        target_period: int = 0,
        num_updates: int = 15_000,
        learning_rate: float = 3e-3,
        exploration: float = 0.1,
        early_stopping: bool = True,
        max_seconds: float | None = None,
        n_samples: int = 10_000,
        progress: bool = True,
        callback: Callable[[dict[str, float]], None] | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
        num_devices: int | None = None,
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
        self.max_seconds = max_seconds
        self.n_samples = n_samples
        self.progress = progress
        self.callback = callback
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_every = checkpoint_every
        self.num_devices = num_devices
        self.random_state = random_state

    def _infer(self, scores: LocalScores) -> None:
        self._train(scores)
        warn_if_untrusted(self.posterior_, stacklevel=4)

    def _train(self, scores: LocalScores) -> int:
        """Train the flow and draw from it; return a seed for what comes after."""
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
        with self._checkpoints() as (checkpoints, random_state):
            rng = check_random_state(random_state)
            train_seed, draw_seed, next_seed = (int(rng.randint(2**31 - 1)) for _ in range(3))
            self.flow_: Flow = fit_flow(
                scores,
                settings,
                num_updates=self.num_updates,
                learning_rate=self.learning_rate,
                early_stopping=self.early_stopping,
                max_seconds=self.max_seconds,
                num_draws=self.n_samples,
                num_devices=self.num_devices,
                seed=train_seed,
                progress=self.progress,
                callback=self.callback,
                checkpoints=checkpoints,
            )
        self.history_ = self.flow_.history
        self.posterior_ = draw_posterior(self.flow_, scores, self.n_samples, seed=draw_seed)
        return next_seed

    def _draw(self, scores: LocalScores, num_samples: int, seed: int) -> Posterior:
        flow = self.flow_
        if scores is not self.scores_:
            flow = condition_flow(flow, scores)
        return draw_posterior(flow, scores, num_samples, seed=seed)

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
        self._check_choice("objective", _OBJECTIVES)
        self._check_range("lambda_", 0.0, 1.0)
        self._check_range("exploration", 0.0, 1.0)
        self._check_range("learning_rate", 1e-8, 1.0)
        for name in ("window", "num_environments", "batch_size", "num_updates", "n_samples"):
            self._check_count(name, 1)
        self._check_count("target_period", 0)
        if self.max_seconds is not None:
            self._check_range("max_seconds", 1e-3, math.inf)
        self._check_run()
