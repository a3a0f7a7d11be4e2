"""Draw graphs from a policy, with importance weights that correct it.

For a trajectory ``tau`` that ends in ``G`` the weight ``R(G) P_B(tau | G) / P_F(tau)`` is unbiased:
its mean is the sum of ``R`` over all graphs, whatever the policy, so long as it can reach them.

Glossary: ``S`` samples, ``B`` batch, ``d`` variables.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from dag_gfn.gflownet.spaces.dag import DAGState, GainsFunction, initial, step
from dag_gfn.gflownet.training import Problem, Settings, draw_action, make_policy, observe
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

# One size for evaluation and for final draws, so that sampling is compiled once.
SAMPLING_BATCH = 256


class Trajectories(NamedTuple):
    """Where a batch of trajectories ended, and how likely each was."""

    adjacency: jax.Array  # bool [B, d, d]
    log_forward: jax.Array  # float32 [B], log P_F of the whole trajectory, the stop included
    log_ratio: jax.Array  # float32 [B], log R(G) minus log R of the initial graph
    num_added: jax.Array  # int32 [B]


@partial(jax.jit, static_argnames=("gains_function", "settings", "batch_size"))
def sample_trajectories(
    problem: Problem,
    gains_function: GainsFunction,
    settings: Settings,
    params: Any,
    key: jax.Array,
    *,
    batch_size: int = SAMPLING_BATCH,
) -> Trajectories:
    """Follow the policy, without exploration, until every graph of the batch has stopped.

    Parameters
    ----------
    problem : Problem
    gains_function : callable
    settings : Settings
    params : haiku parameters
    key : key
    batch_size : int

    Returns
    -------
    Trajectories
    """
    policy = make_policy(settings)
    d = problem.space.forbidden.shape[0]

    def unfinished(carry: tuple) -> jax.Array:
        return ~jnp.all(carry[1])

    def advance(carry: tuple) -> tuple:
        state, done, log_forward, log_ratio, key = carry
        key, key_action = jax.random.split(key)
        output = policy.apply(params, observe(problem, state))
        action = jnp.where(done, d * d, draw_action(key_action, output, 0.0))
        log_probabilities = jnp.concatenate([output.log_edges, output.log_stop[:, None]], axis=1)
        chosen = jnp.take_along_axis(log_probabilities, action[:, None], axis=1)[:, 0]
        log_forward += jnp.where(done, 0.0, chosen)
        after, delta, stopped = step(problem.space, gains_function, state, action)
        # A graph that has stopped is kept as it is, where `step` would begin again.
        state = jax.tree.map(
            lambda old, new: jnp.where(stopped.reshape(-1, *[1] * (new.ndim - 1)), old, new),
            state,
            after,
        )
        return state, done | stopped, log_forward, log_ratio + delta, key

    zeros = jnp.zeros(batch_size, jnp.float32)
    start: tuple[DAGState, jax.Array, jax.Array, jax.Array, jax.Array] = (
        initial(problem.space, batch_size),
        jnp.zeros(batch_size, bool),
        zeros,
        zeros,
        key,
    )
    state, _, log_forward, log_ratio, _ = jax.lax.while_loop(unfinished, advance, start)
    return Trajectories(state.adjacency, log_forward, log_ratio, state.num_added)


def log_weights(trajectories: Trajectories) -> np.ndarray:
    """Return the log importance weights relative to R of the initial graph, float64 [B].

    Exact to float32 rounding of the score differences; `sample_posterior` scores on the host.
    """
    num_added = np.asarray(trajectories.num_added)
    log_ratio = np.asarray(trajectories.log_ratio, np.float64)
    return log_ratio - gammaln(num_added + 1.0) - np.asarray(trajectories.log_forward, np.float64)


def sample_posterior(
    problem: Problem,
    gains_function: GainsFunction,
    settings: Settings,
    params: Any,
    *,
    scores: LocalScores,
    num_samples: int,
    key: jax.Array,
    highest_log_score: float = -np.inf,
) -> Posterior:
    """Draw a weighted posterior; scores are float64 on the host.

    Parameters
    ----------
    problem, gains_function, settings, params
        Of a trained flow.
    scores : LocalScores
    num_samples : int
    key : key
    highest_log_score : float
        The highest log R of a graph known from elsewhere.

    Returns
    -------
    Posterior
        ``num_samples`` independent draws with log-weights ``log R(G) P_B(tau | G) / P_F(tau)``.
        Its ``metadata["highest_log_score"]`` is that of all graphs drawn or known, which the log
        evidence cannot be below; ``metadata["float32_error"]`` is the largest difference, in nats,
        between the log-score of a draw as the device added it up and as the host did.
    """
    num_batches = -(-num_samples // SAMPLING_BATCH)
    batches = [
        jax.device_get(sample_trajectories(problem, gains_function, settings, params, batch_key))
        for batch_key in jax.random.split(key, num_batches)
    ]
    drawn = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num_samples], *batches)
    log_backward = -gammaln(drawn.num_added + 1.0)
    log_scores = scores.log_score(drawn.adjacency)
    on_device = drawn.log_ratio + float(scores.log_score(scores.required))
    return Posterior(
        drawn.adjacency.astype(np.int8),
        log_scores + log_backward - drawn.log_forward.astype(float),
        scores.names,
        method="DAG-GFlowNet",
        metadata={
            "highest_log_score": max(float(log_scores.max()), highest_log_score),
            "float32_error": float(np.abs(on_device - log_scores).max()),
        },
    )
