"""What the flows share once they are trained: fresh draws, also given some edges."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING, Any

from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from dag_gfn.diagnostics import warn_if_untrusted
from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.estimators.mechanisms import mechanisms_of
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores
from dag_gfn.scores.constraints import EdgeSet

if TYPE_CHECKING:
    from dag_gfn.checkpoint import Checkpoints

__all__ = ["FlowEstimator"]


class FlowEstimator(PosteriorEstimator):
    """A trained sampler, whose draws have importance weights that are unbiased for the evidence."""

    n_samples: int
    checkpoint_dir: str | os.PathLike[str] | None
    checkpoint_every: float
    max_seconds: float | None
    num_devices: int | None
    posterior_: Posterior

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
        posterior = self._draw(self.scores_, n_samples, seed)
        posterior.mechanisms = mechanisms_of(self.scores_)
        return posterior

    def condition(
        self,
        required_edges: EdgeSet | None = None,
        forbidden_edges: EdgeSet | None = None,
        *,
        n_samples: int | None = None,
        random_state: Any = None,
    ) -> Posterior:
        r"""Draw from the posterior given that some edges are there, and others not, at once.

        Nothing is trained again: the sampler takes no step that the condition rules out, and the
        weights make up for what the network does not know of it. They also give the total reward of
        all graphs :math:`G \in E` that meet it, the flow :math:`F_E` of a state-conditional
        network (Bengio et al. 2021, arXiv 2111.09266, section 5), and with it

        .. math:: p(E \mid D) = \frac{F_E}{F} = \frac{\sum_{G \in E} R(G)}{\sum_G R(G)}.

        Parameters
        ----------
        required_edges, forbidden_edges : iterable of (cause, effect), or bool [d, d], optional
            Pairs of names or positions, or a matrix in which row causes column; in addition to
            those of the fit.
        n_samples : int, optional
            As many as the estimator's own when left out.
        random_state : int, RandomState or None

        Returns
        -------
        Posterior
            All draws of positive weight meet the condition. Its ``log_evidence`` is log p(D, E),
            and in ``metadata`` are ``probability``, an estimate of p(E | D), and
            ``probability_standard_error``. Its ``khat`` and ``efficiency`` say whether the network
            is up to this condition; where it is not, there is a warning.

        Raises
        ------
        TypeError, ValueError
            If an edge is not one, no graph meets the condition, or an edge is required that the
            sampler does not know as a candidate.

        Examples
        --------
        >>> import dag_gfn as dg
        >>> table = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0).table
        >>> model = dg.OrderGFlowNet(num_updates=600, progress=False, random_state=0).fit(table)
        >>> cause, effect = table.columns[:2]
        >>> given = model.condition([(cause, effect)], random_state=0)
        >>> float(given.edge_marginals().loc[cause, effect].round(6))
        1.0
        """
        check_is_fitted(self)
        scores = self.scores_.constrained(required_edges, forbidden_edges)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        posterior = self._draw(scores, self.n_samples if n_samples is None else n_samples, seed)
        posterior.mechanisms = mechanisms_of(scores)
        whole = self._weighted_draws()
        probability = math.exp(posterior.log_evidence - whole.log_evidence)
        relative_error = math.hypot(
            posterior.log_evidence_standard_error, whole.log_evidence_standard_error
        )
        posterior.metadata |= {
            "probability": probability,
            "probability_standard_error": probability * relative_error,
        }
        warn_if_untrusted(posterior, stacklevel=3)
        return posterior

    def probability(
        self,
        required_edges: EdgeSet | None = None,
        forbidden_edges: EdgeSet | None = None,
        *,
        n_samples: int | None = None,
        random_state: Any = None,
    ) -> float:
        """Estimate the posterior probability that some edges are there, and others not.

        By a ratio of flows, see `condition`: edges that hardly any of the draws in ``posterior_``
        have are no less well estimated, where these would say zero.

        Parameters
        ----------
        required_edges, forbidden_edges, n_samples, random_state
            As in `condition`.

        Returns
        -------
        float
            Can be a little above one, as an estimate.

        Raises
        ------
        TypeError, ValueError
            As in `condition`.

        Examples
        --------
        >>> import dag_gfn as dg
        >>> table = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0).table
        >>> model = dg.OrderGFlowNet(num_updates=600, progress=False, random_state=0).fit(table)
        >>> edge = tuple(table.columns[:2])
        >>> there = model.probability([edge], random_state=0)
        >>> absent = model.probability(forbidden_edges=[edge], random_state=0)
        >>> abs(there + absent - 1) < 0.05
        True
        """
        posterior = self.condition(
            required_edges, forbidden_edges, n_samples=n_samples, random_state=random_state
        )
        return posterior.metadata["probability"]

    @contextmanager
    def _checkpoints(self) -> Iterator[tuple[Checkpoints | None, Any]]:
        """Open the folder of checkpoints, if there is to be one; also yield the random state."""
        if self.checkpoint_dir is None:
            yield None, self.random_state
            return
        from dag_gfn.checkpoint import Checkpoints

        with Checkpoints(
            self.checkpoint_dir, every=self.checkpoint_every, on_all_hosts=self._is_on_all_hosts()
        ) as checkpoints:
            yield checkpoints, checkpoints.random_state(self.random_state)

    def _is_on_all_hosts(self) -> bool:
        """Return whether the hosts that `jax.distributed` has joined make one fit."""
        if self.num_devices is None:
            return False
        import jax

        return jax.process_count() > 1

    def _check_run(self) -> None:
        """Check the settings of how a fit is run."""
        if self.num_devices is not None:
            self._check_count("num_devices", 1)
        if self._is_on_all_hosts():
            if not isinstance(self.random_state, Integral):
                raise ValueError(
                    f"random_state = {self.random_state!r} would differ among the hosts that make "
                    "one fit; give all of them the same int."
                )
            if self.max_seconds is not None:
                raise ValueError(
                    "max_seconds goes by the clock of each host, and they would end at different "
                    "updates; give num_updates."
                )
        self._check_range("checkpoint_every", 0.0, math.inf)
        if not isinstance(self.checkpoint_dir, str | os.PathLike | None):
            raise TypeError(f"checkpoint_dir must be a path or None, not {self.checkpoint_dir!r}.")

    def _draw(self, scores: LocalScores, num_samples: int, seed: int) -> Posterior:
        """Draw with the trained network under the scores of the fit, or constrained further."""
        raise NotImplementedError

    def _weighted_draws(self) -> Posterior:
        """Return the draws of the fit whose weights give the evidence."""
        return self.posterior_
