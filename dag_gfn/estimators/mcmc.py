"""Markov chains over graphs as estimators."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from dag_gfn.convergence import RHAT_LIMIT, convergence
from dag_gfn.diagnostics import UntrustedPosteriorWarning, assess
from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.scores import LocalScores

if TYPE_CHECKING:
    from dag_gfn.mcmc.chains import Chains, Kernel

__all__ = ["OrderMCMC", "PartitionMCMC", "StructureMCMC"]

_FEWEST_DRAWS = 8  # of each chain, for R-hat


class _ChainEstimator(PosteriorEstimator):
    """What all kinds of chains share."""

    _method: str
    _steps_per_variable: int  # default number of steps of each chain, over d

    def __init__(
        self,
        score: Any = "bge",
        *,
        prior: Any = "uniform",
        standardize: bool = False,
        max_parents: int | None = None,
        score_params: Mapping[str, Any] | None = None,
        prior_params: Mapping[str, Any] | None = None,
        num_chains: int = 4,
        num_steps: int | None = None,
        max_seconds: float | None = None,
        max_candidates: int = 14,
        n_samples: int = 10_000,
        progress: bool = True,
        random_state: Any = None,
    ) -> None:
        self.score = score
        self.prior = prior
        self.standardize = standardize
        self.max_parents = max_parents
        self.score_params = score_params
        self.prior_params = prior_params
        self.num_chains = num_chains
        self.num_steps = num_steps
        self.max_seconds = max_seconds
        self.max_candidates = max_candidates
        self.n_samples = n_samples
        self.progress = progress
        self.random_state = random_state

    def _kernel(self) -> Callable[..., Kernel]:
        """Return the function that makes the chains; numba takes a moment to import."""
        raise NotImplementedError

    def _check_settings(self) -> None:
        self._check_count("num_chains", 1)
        self._check_count("max_candidates", 1)
        self._check_count("n_samples", _FEWEST_DRAWS * self.num_chains)
        if self.num_steps is not None:
            self._check_count("num_steps", 1)
        seconds = self.max_seconds
        if seconds is not None and not (
            isinstance(seconds, Real) and not isinstance(seconds, bool) and 0 < seconds < np.inf
        ):
            raise ValueError(f"max_seconds must be a positive number or None, not {seconds!r}.")

    def _infer(self, scores: LocalScores) -> None:
        from dag_gfn.mcmc.chains import chains_posterior, run_chains

        begin = time.perf_counter()
        default_steps = self._steps_per_variable * scores.num_variables
        kernel = self._kernel()(
            scores,
            num_chains=self.num_chains,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            max_candidates=self.max_candidates,
        )
        self.chains_: Chains = run_chains(
            kernel,
            num_draws=-(-self.n_samples // self.num_chains),
            num_steps=default_steps if self.num_steps is None else self.num_steps,
            max_seconds=self.max_seconds,
            begin=begin,
            progress=self.progress,
        )
        draws = self.chains_.draws
        self.convergence_ = convergence(draws.adjacency, draws.log_scores, scores.names)
        self.rhat_ = float(self.convergence_["rhat"].max())
        self.ess_ = float(self.convergence_["ess"].min())
        self.posterior_ = chains_posterior(self.chains_, scores.names, self._method)
        self.posterior_.metadata |= {"rhat": self.rhat_, "ess": self.ess_}
        if np.ptp(draws.log_weights) == 0:
            # All steps, of which the draws are but some.
            marginals = self.chains_.edge_marginals.mean(axis=0)
            names = list(scores.names)
            self.edge_marginals_ = pd.DataFrame(marginals, index=names, columns=names)
        else:
            self.edge_marginals_ = self.posterior_.edge_marginals()
        for doubt in self._doubts():
            warnings.warn(doubt, UntrustedPosteriorWarning, stacklevel=3)

    def _doubts(self) -> list[str]:
        """Say why the answer should not be trusted yet, and what to do."""
        if not self.rhat_ > RHAT_LIMIT:
            return []
        worst = self.convergence_["rhat"].idxmax()
        what = worst if worst == "log score" else f"edge {worst!r}"
        return [
            f"The chains do not agree yet: R-hat is {self.rhat_:.3g} for the {what}, above "
            f"{RHAT_LIMIT}; run them longer (num_steps or max_seconds), and if that does not help, "
            "look at the other rows of convergence_ and compare with another method."
        ]


class StructureMCMC(_ChainEstimator):
    """Markov chains over DAGs that add, delete and turn round edges.

    The fastest chains a step, millions a second, and the draws weigh the same. One step in twenty
    is an edge-reversal move, which draws new parents for both ends of an edge. See
    `dag_gfn.mcmc.structure_kernel`.

    Parameters
    ----------
    score, prior, standardize, max_parents, score_params, prior_params
        As of `DAGGFlowNet`.
    num_chains : int, default 4
        They start from different random graphs, so that R-hat can tell whether they agree.
    num_steps : int, optional
        Of each chain; by default 1 000 000 d for d variables. The first tenth is burn-in.
    max_seconds : float, optional
        Run for so long instead, compiling and the search for starts included; the result then
        depends on the speed of the machine.
    max_candidates : int, default 14
        Candidate parents of a node where there are too many variables for all (d > 21).
    n_samples : int, default 10 000
        Draws kept of all chains together, evenly spaced and rounded up to a multiple of
        `num_chains`; up to twice as many with `max_seconds`.
    progress : bool, default True
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    posterior_ : Posterior
        The draws of all chains, one chain after another. It has no evidence.
    edge_marginals_ : DataFrame [d, d]
        Over all steps after the burn-in, not the kept draws alone; row causes column.
    chains_ : Chains
        The draws of each chain with their log-scores.
    convergence_ : DataFrame
        R-hat and effective sample size of the log-score and each edge.
    rhat_, ess_ : float
        The largest and the smallest of those.
    scores_ : LocalScores

    Examples
    --------
    >>> import dag_gfn as dg
    >>> simulation = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0)
    >>> model = StructureMCMC(num_steps=50_000, progress=False, random_state=0)
    >>> model.fit(simulation.table).edge_marginals_.shape
    (3, 3)
    >>> bool(model.rhat_ < 1.01)
    True
    """

    _method = "structure MCMC"
    _steps_per_variable = 1_000_000

    def _kernel(self) -> Callable[..., Kernel]:
        from dag_gfn.mcmc.structure import structure_kernel

        return structure_kernel


class OrderMCMC(_ChainEstimator):
    """Markov chains over orders of the variables, with weighted draws of DAGs.

    Orders mix better than DAGs, but favour DAGs that many orders agree with; the weights of the
    draws undo that, and may degenerate where there are many variables. See
    `dag_gfn.mcmc.order.order_kernel`.

    Parameters
    ----------
    score, prior, standardize, max_parents, score_params, prior_params
        As of `DAGGFlowNet`.
    num_chains, max_seconds, max_candidates, n_samples, progress, random_state
        As of `StructureMCMC`.
    num_steps : int, optional
        Of each chain; by default 200 000 d for d variables. The first tenth is burn-in.

    Attributes
    ----------
    posterior_ : Posterior
        The draws of all chains with their weights. It has no evidence.
    edge_marginals_ : DataFrame [d, d]
        Those of ``posterior_``; row causes column.
    chains_, convergence_, rhat_, ess_, scores_
        As of `StructureMCMC`; R-hat and effective sample sizes are those of the chains, and say
        nothing of the weights, for which there are ``posterior_.khat`` and ``posterior_.ess``.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> simulation = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0)
    >>> model = OrderMCMC(num_steps=50_000, progress=False, random_state=0)
    >>> model.fit(simulation.table).edge_marginals_.shape
    (3, 3)
    """

    _method = "order MCMC"
    _steps_per_variable = 200_000

    def _kernel(self) -> Callable[..., Kernel]:
        from dag_gfn.mcmc.order import order_kernel

        return order_kernel

    def _doubts(self) -> list[str]:
        doubts = super()._doubts()
        if assess(self.posterior_).level == "poor":
            doubts.append(
                f"The weights that undo the bias of orders leave {self.posterior_.ess:.0f} of "
                f"{len(self.posterior_)} draws, with a Pareto k-hat of {self.posterior_.khat:.2f}; "
                "use PartitionMCMC or StructureMCMC, which need no weights."
            )
        return doubts


class PartitionMCMC(_ChainEstimator):
    """Markov chains over ordered partitions of the variables, whose draws weigh the same.

    A DAG has one ordered partition, by how far its variables are from those without parents, so
    there is no bias to undo. See `dag_gfn.mcmc.partition.partition_kernel`.

    Parameters
    ----------
    score, prior, standardize, max_parents, score_params, prior_params
        As of `DAGGFlowNet`.
    num_chains, max_seconds, max_candidates, n_samples, progress, random_state
        As of `StructureMCMC`.
    num_steps : int, optional
        Of each chain; by default 200 000 d for d variables. The first tenth is burn-in.

    Attributes
    ----------
    posterior_, edge_marginals_, chains_, convergence_, rhat_, ess_, scores_
        As of `StructureMCMC`.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> simulation = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0)
    >>> model = PartitionMCMC(num_steps=50_000, progress=False, random_state=0)
    >>> model.fit(simulation.table).edge_marginals_.shape
    (3, 3)
    """

    _method = "partition MCMC"
    _steps_per_variable = 200_000

    def _kernel(self) -> Callable[..., Kernel]:
        from dag_gfn.mcmc.partition import partition_kernel

        return partition_kernel
