"""Samplers of other packages, with the interface of an estimator, so that they fit in one table.

They are run as they are published, on the same table. The adapters were run with sumu 0.1.2 and
dibs-lib 1.3.3; the tests have stand-ins for both.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.graphs import is_acyclic
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores
from dag_gfn.scores.constraints import intervention_targets
from dag_gfn.tables import as_frame, continuous_values, standardize

__all__ = ["MarginalDiBS", "SumuGadget"]

_SECONDS = 60.0


class _Peer(PosteriorEstimator):
    """What the adapters share: settings, refusals, and the values of the table."""

    needs_table = True
    package: str
    n_samples: int
    max_seconds: float | None
    progress: bool

    def _check_settings(self) -> None:
        if self.score_setting != "bge" or self.score_params:
            raise ValueError(
                f"{self.package} is run with BGe and its default hyper-parameters alone here; "
                "leave it out of this comparison."
            )
        self._check_count("n_samples", 1)
        if self.max_seconds is not None:
            self._check_range("max_seconds", 0.0, np.inf)

    def _infer(self, scores: LocalScores) -> None:
        raise TypeError(f"{self.package} makes scores of its own; give it the table, with fit.")

    def _infer_from_table(
        self,
        table: pd.DataFrame | ArrayLike,
        scores: LocalScores,
        interventions: Iterable[str | int | None] | None,
    ) -> None:
        targets = intervention_targets(interventions, scores.names, scores.num_rows)
        constrained = (
            bool(scores.required.any())
            or int(scores.forbidden.sum()) > scores.num_variables
            or scores.max_parents < scores.num_variables - 1
            or bool(scores.edge_log_odds.any())
        )
        if constrained or np.any(targets >= 0):
            raise ValueError(
                f"{self.package} is run without interventions and without constraints on edges or "
                "parents, or probabilities of edges, here; leave it out of this comparison."
            )
        frame = as_frame(table)
        if self.standardize:
            frame = standardize(frame)
        values = continuous_values(frame)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.posterior_ = self._sampled(values, scores, seed)

    def _sampled(self, values: NDArray, scores: LocalScores, seed: int) -> Posterior:
        raise NotImplementedError


class SumuGadget(_Peer):
    """Partition MCMC on candidate parents of the package sumu (Viinikka et al. 2020).

    Version 0.1.2, the one that can be installed by name. It has the prior "fair" and no other, so
    that each DAG carries the ratio of the score that the other methods use to sumu's own as its
    weight; the two agree but for the prior. Its BDe score does not run when built with Cython 3.

    Parameters
    ----------
    score : {"bge"}, default "bge"
    prior, standardize, max_parents, score_params, prior_params
        As of `DAGGFlowNet`.
    num_candidates : int, default 12
        Candidate parents of a node; all others where there are fewer. Sets with a member beyond
        the candidates have at most two members.
    num_chains : int, default 4
        Chains of different temperature that are coupled; one is cold.
    n_samples : int, default 2000
        Draws, up to twice as many where the time allows.
    max_seconds : float, optional
        60 when left out. For finding candidates, for the scores and for the chain, the first
        tenth of which is left out.
    progress : bool, default True
        There for the interface's sake.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    posterior_ : Posterior
    scores_ : LocalScores

    References
    ----------
    Viinikka, J., Hyttinen, A., Pensar, J. and Koivisto, M. (2020). Towards scalable Bayesian
    learning of causal DAGs. NeurIPS.
    """

    package = "sumu"

    def __init__(
        self,
        score: str = "bge",
        *,
        prior: Any = "uniform",
        standardize: bool = False,
        max_parents: int | None = None,
        score_params: Mapping[str, Any] | None = None,
        prior_params: Mapping[str, Any] | None = None,
        num_candidates: int = 12,
        num_chains: int = 4,
        n_samples: int = 2_000,
        max_seconds: float | None = None,
        progress: bool = True,
        random_state: Any = None,
    ) -> None:
        self.score = score
        self.prior = prior
        self.standardize = standardize
        self.max_parents = max_parents
        self.score_params = score_params
        self.prior_params = prior_params
        self.num_candidates = num_candidates
        self.num_chains = num_chains
        self.n_samples = n_samples
        self.max_seconds = max_seconds
        self.progress = progress
        self.random_state = random_state

    def _sampled(self, values: NDArray, scores: LocalScores, seed: int) -> Posterior:
        import sumu

        begin = time.perf_counter()
        d = scores.num_variables
        num_candidates = min(self.num_candidates, d - 1)
        budget = _SECONDS if self.max_seconds is None else self.max_seconds
        with _global_seed(seed):
            gadget = sumu.Gadget(
                data=sumu.Data(values, discrete=False),
                scoref="bge",
                max_id=-1,
                K=num_candidates,
                d=2,
                cp_algo="opt" if num_candidates == d - 1 else "greedy-lite",
                mc3_chains=self.num_chains,
                tolerance=2.0**-32,
            )
            # What Gadget.sample does, with a clock in place of a number of iterations.
            gadget._find_candidate_parents()
            gadget._precompute_scores_for_all_candidate_psets()
            gadget._precompute_candidate_restricted_scoring()
            gadget._precompute_candidate_complement_scoring()
            gadget._init_mcmc()
            # Drawing DAGs from partitions takes part of the time; a fifth is set aside for it.
            stop = begin + 0.8 * budget
            burn_in = time.perf_counter() + 0.1 * max(stop - time.perf_counter(), 0.0)
            while time.perf_counter() < burn_in:
                gadget.mcmc.sample()
            gadget.Rs = [gadget.mcmc.sample()[0]]
            every, steps = 1, 0
            while time.perf_counter() < stop:
                partition = gadget.mcmc.sample()[0]
                steps += 1
                if steps % every == 0:
                    gadget.Rs.append(partition)
                if len(gadget.Rs) >= 2 * self.n_samples:
                    gadget.Rs = gadget.Rs[1::2]
                    every *= 2
            dags, own_scores = gadget._sample_dags()
        adjacency = np.zeros((len(dags), d, d), np.int8)
        for draw, families in enumerate(dags):
            for family in families:
                if len(family) > 1:
                    adjacency[draw, list(family[1]), family[0]] = 1
        log_weights = scores.log_score(adjacency) - np.array(own_scores, dtype=np.float64)
        # Differences of rounding are no weights.
        if np.ptp(log_weights) < 1e-6:
            log_weights = np.zeros(len(dags))
        return Posterior(
            adjacency,
            log_weights,
            scores.names,
            log_evidence=np.nan,
            method="sumu: Gadget, weighted to the score and prior of the others",
            metadata={"num_steps": steps},
        )


class MarginalDiBS(_Peer):
    """Stein variational inference of the package dibs-lib (Lorch et al. 2021), on particles.

    With BGe as published there, and the prior that the other methods have, interpolated between
    whole numbers of parents. Particles that are not acyclic are left out and counted.

    Parameters
    ----------
    score : {"bge"}, default "bge"
    prior, standardize, max_parents, score_params, prior_params
        As of `DAGGFlowNet`.
    n_samples : int, default 20
        Particles.
    num_steps : int, default 3000
        Updates of the particles at most.
    max_seconds : float, optional
        Looked at every 50 updates, of which the first also compile.
    progress : bool, default True
        There for the interface's sake.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    posterior_ : Posterior
        All particles weigh the same.
    scores_ : LocalScores

    References
    ----------
    Lorch, L., Rothfuss, J., Schölkopf, B. and Krause, A. (2021). DiBS: differentiable Bayesian
    structure learning. NeurIPS.
    """

    package = "dibs-lib"

    def __init__(
        self,
        score: str = "bge",
        *,
        prior: Any = "uniform",
        standardize: bool = False,
        max_parents: int | None = None,
        score_params: Mapping[str, Any] | None = None,
        prior_params: Mapping[str, Any] | None = None,
        n_samples: int = 20,
        num_steps: int = 3_000,
        max_seconds: float | None = None,
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
        self.num_steps = num_steps
        self.max_seconds = max_seconds
        self.progress = progress
        self.random_state = random_state

    def _sampled(self, values: NDArray, scores: LocalScores, seed: int) -> Posterior:
        import dibs.inference
        import dibs.models
        import jax
        import jax.numpy as jnp

        begin = time.perf_counter()
        d = scores.num_variables
        inference = dibs.inference.MarginalDiBS(
            x=jnp.asarray(values, jnp.float32),
            graph_model=_InterpolatedPrior(scores.log_prior),
            likelihood_model=dibs.models.BGe(n_vars=d),
        )

        def stop_in_time(*, dibs: Any, t: int, zs: Any) -> None:
            jax.block_until_ready(zs)
            if self.max_seconds is not None and time.perf_counter() - begin > self.max_seconds:
                raise _TimeIsUp(zs, t)

        num_steps = self.num_steps
        try:
            particles = inference.sample(
                key=jax.random.key(seed),
                n_particles=self.n_samples,
                steps=num_steps,
                callback_every=min(50, num_steps),
                callback=stop_in_time,
            )
        except _TimeIsUp as reached:
            num_steps = reached.num_steps
            particles = inference.particle_to_g_lim(reached.latents)
        adjacency = np.asarray(particles).astype(np.int8)
        acyclic = np.asarray(is_acyclic(adjacency))
        if not acyclic.any():
            raise RuntimeError(
                f"all {self.n_samples} particles of DiBS have a cycle after {num_steps} updates; "
                "give it more time."
            )
        return Posterior(
            adjacency[acyclic],
            np.zeros(int(acyclic.sum())),
            scores.names,
            log_evidence=np.nan,
            method="DiBS: particles without weights",
            metadata={"num_steps": num_steps, "num_cyclic": int((~acyclic).sum())},
        )


class _TimeIsUp(Exception):
    """The budget is spent."""

    def __init__(self, latents: Any, num_steps: int) -> None:
        super().__init__()
        self.latents = latents
        self.num_steps = num_steps


class _InterpolatedPrior:
    """A prior on the number of parents, as DiBS asks for it."""

    def __init__(self, log_prior: NDArray[np.float64]) -> None:
        self._log_prior = log_prior

    def unnormalized_log_prob_soft(self, *, soft_g: Any) -> Any:
        import jax.numpy as jnp

        known = jnp.arange(len(self._log_prior), dtype=jnp.float32)
        return jnp.interp(soft_g.sum(axis=0), known, jnp.asarray(self._log_prior)).sum()


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which sumu draws from, and put it back afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
