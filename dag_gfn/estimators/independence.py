"""The trained flow as the proposal of Markov chains."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from dag_gfn.convergence import RHAT_LIMIT, convergence
from dag_gfn.diagnostics import UntrustedPosteriorWarning, warn_if_untrusted
from dag_gfn.estimators.order_flow import OrderGFlowNet
from dag_gfn.mcmc import independence_metropolis
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

__all__ = ["IndependenceMCMC"]

_NUM_CHAINS = 4
_FEWEST_DRAWS = 40  # of all chains, for R-hat


class IndependenceMCMC(OrderGFlowNet):
    """Metropolis-Hastings chains that take the draws of a trained flow as proposals.

    Trains an `OrderGFlowNet` and lets its draws run through four chains, each of which accepts a
    draw or stays where it is, so that the limit is the exact posterior and all draws weigh the
    same. A chain that proposes whole graphs goes from mode to mode in one step; one that hardly
    ever accepts tells that the flow is not good enough. See
    `dag_gfn.mcmc.independence_metropolis`.

    Parameters
    ----------
    n_samples : int, default 10000
        Proposals; the first tenth of each chain is burn-in.
    **others
        As of `OrderGFlowNet`.

    Attributes
    ----------
    posterior_ : Posterior
        The states of all chains, one chain after another, with equal weights.
        ``metadata["acceptance"]`` is the share of the proposals that were accepted.
    proposals_ : Posterior
        The flow's own weighted draws, which have a smaller variance when weighted.
    convergence_ : DataFrame
        R-hat and effective sample size of the log-score and each edge.
    rhat_, ess_ : float
        The largest and the smallest of those.
    flow_, history_, scores_
        As of `OrderGFlowNet`.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> simulation = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0)
    >>> model = IndependenceMCMC(num_updates=250, progress=False, random_state=0)
    >>> posterior = model.fit(simulation.table).posterior_
    >>> len(posterior), posterior.metadata["acceptance"] > 0.9
    (9000, True)
    """

    def _infer(self, scores: LocalScores) -> None:
        seed = self._train(scores)
        self.proposals_ = self.posterior_
        self.posterior_ = independence_metropolis(
            self.proposals_, num_chains=_NUM_CHAINS, random_state=seed
        )
        adjacency = self.posterior_.adjacency
        graphs = adjacency.reshape(_NUM_CHAINS, -1, *adjacency.shape[1:])
        self.convergence_ = convergence(graphs, scores.log_score(graphs), scores.names)
        self.rhat_ = float(self.convergence_["rhat"].max())
        self.ess_ = float(self.convergence_["ess"].min())
        self.posterior_.metadata |= {"rhat": self.rhat_, "ess": self.ess_}
        warn_if_untrusted(self.proposals_, stacklevel=4)
        if self.rhat_ > RHAT_LIMIT:
            warnings.warn(
                f"The chains do not agree yet: R-hat is {self.rhat_:.3g} with "
                f"{self.posterior_.metadata['acceptance']:.0%} of the proposals accepted; train "
                "the flow longer (num_updates), or draw more proposals (n_samples).",
                UntrustedPosteriorWarning,
                stacklevel=3,
            )

    def sample(self, n_samples: int, random_state: Any = None) -> Posterior:
        """Run fresh chains over fresh proposals of the trained flow.

        Parameters
        ----------
        n_samples : int
            Proposals.
        random_state : int, RandomState or None

        Returns
        -------
        Posterior
            Independent of ``posterior_``.
        """
        check_is_fitted(self)
        rng = check_random_state(random_state)
        proposals = super().sample(n_samples, random_state=rng)
        return independence_metropolis(
            proposals, num_chains=_NUM_CHAINS, random_state=int(rng.randint(2**31 - 1))
        )

    def _weighted_draws(self) -> Posterior:
        return self.proposals_

    def _check_settings(self) -> None:
        super()._check_settings()
        self._check_count("n_samples", _FEWEST_DRAWS)
