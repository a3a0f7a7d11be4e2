"""The flow over canonical orders as an estimator."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from dag_gfn.diagnostics import warn_if_untrusted
from dag_gfn.estimators.flows import FlowEstimator
from dag_gfn.graphs import check_dag
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

if TYPE_CHECKING:
    from dag_gfn.orderflow import OrderFlow

__all__ = ["OrderGFlowNet"]


class OrderGFlowNet(FlowEstimator):
    """Posterior over DAGs by a flow over canonical orders, with importance weights.

    A graph is built one variable at a time, together with all its parents, in the one topological
    order that at every place takes the variable with the fewest edges it can. It then has a single
    trajectory, no edge can close a cycle, and given the order the parent sets have exact
    probabilities, so that the network has to learn the next variable alone. It learns it from
    graphs that Markov chains bring (maximum likelihood on trajectories to draws from the
    posterior), and every graph it then draws carries an importance weight, which corrects what
    training has left.

    Where chains do not mix, the flow misses what they miss: compare with another method.

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
    width : int, default 128
        Of the network's hidden layers.
    batch_size : int, default 64
        Graphs in an update.
    num_updates : int, default 20000
        At most.
    learning_rate : float, default 5e-3
        Of Muon, at its highest.
    early_stopping : bool, default True
        End when the weights are nearly equal.
    max_seconds : float, optional
        Train and draw for so long, compiling included; what is under way is finished. A fit that
        time has ended cannot be reproduced bit for bit.
    max_candidates : int, default 14
        Candidate parents of a variable; up to 21 variables all others are. The answer is the
        posterior of graphs with candidate parents alone.
    n_samples : int, default 10000
        Draws in ``posterior_``.
    progress : bool, default True
        Show a progress bar.
    callback : callable, optional
        Called every 200 updates with a dict: a row of ``history_``, and ``updates_left``.
    checkpoint_dir : path, optional
        Folder in which the fit is kept while it trains, and from which it goes on if it is there:
        after a stop by Ctrl-C, SIGTERM or worse, fit the same table again with the same settings,
        and the result is that of a fit that was never stopped, bit for bit. What is there of
        another table or other settings is refused. The last checkpoint stays when training ends.
    checkpoint_every : float, default 60.0
        Seconds between checkpoints, at least; 0 for one every 200 updates.
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
        A row every 200 updates: ``update``, ``loss`` (nats), ``log_weight_std``,
        ``log_weight_mad``, ``efficiency``, ``log_evidence``.
    flow_ : OrderFlow
        The trained sampler.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Of a DataFrame.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> simulation = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0)
    >>> model = OrderGFlowNet(num_updates=600, n_samples=500, progress=False, random_state=0)
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
        width: int = 128,
        batch_size: int = 64,
        num_updates: int = 20_000,
        learning_rate: float = 5e-3,
        early_stopping: bool = True,
        max_seconds: float | None = None,
        max_candidates: int = 14,
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
        self.width = width
        self.batch_size = batch_size
        self.num_updates = num_updates
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.max_seconds = max_seconds
        self.max_candidates = max_candidates
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
        """Train the flow and draw from it; return a seed for what comes next."""
        from dag_gfn.orderflow import OrderSettings, draw_order_posterior, fit_order_flow

        # Drawing takes a few seconds at most, and its programs are compiled after the training.
        seconds = None if self.max_seconds is None else 0.95 * self.max_seconds
        with self._checkpoints() as (checkpoints, random_state):
            rng = check_random_state(random_state)
            train_seed, draw_seed, next_seed = (int(rng.randint(2**31 - 1)) for _ in range(3))
            self.flow_: OrderFlow = fit_order_flow(
                scores,
                OrderSettings(width=int(self.width), batch_size=int(self.batch_size)),
                num_updates=self.num_updates,
                learning_rate=self.learning_rate,
                early_stopping=self.early_stopping,
                max_seconds=seconds,
                max_candidates=self.max_candidates,
                num_devices=self.num_devices,
                seed=train_seed,
                progress=self.progress,
                callback=self.callback,
                checkpoints=checkpoints,
            )
        self.history_ = self.flow_.history
        self.posterior_ = draw_order_posterior(self.flow_, scores, self.n_samples, seed=draw_seed)
        return next_seed

    def _draw(self, scores: LocalScores, num_samples: int, seed: int) -> Posterior:
        from dag_gfn.orderflow import draw_order_posterior, draw_order_posterior_given

        draw = draw_order_posterior if scores is self.scores_ else draw_order_posterior_given
        return draw(self.flow_, scores, num_samples, seed=seed)

    def log_prob(self, adjacency: ArrayLike) -> np.ndarray:
        """Return the log-probability that the trained sampler draws each DAG: exact for any size.

        Parameters
        ----------
        adjacency : int or bool [..., d, d]
            Row causes column, variables in the order of the table.

        Returns
        -------
        float64 [...]
            Minus infinity where the constraints exclude a graph or an edge is not a candidate.

        Raises
        ------
        ValueError
            If a matrix is not a DAG on the table's variables.
        """
        check_is_fitted(self)
        from dag_gfn.orderflow import order_log_prob

        d = self.scores_.num_variables
        graphs = check_dag(adjacency, self.scores_.names, what="adjacency")
        flat = graphs.reshape(-1, d, d)
        return order_log_prob(self.flow_, self.scores_, flat).reshape(graphs.shape[:-2])

    def _check_settings(self) -> None:
        self._check_range("learning_rate", 1e-8, 1.0)
        for name in ("width", "batch_size", "num_updates", "max_candidates", "n_samples"):
            self._check_count(name, 1)
        if self.max_seconds is not None:
            self._check_range("max_seconds", 1e-3, math.inf)
        self._check_run()
