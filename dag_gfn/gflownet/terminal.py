"""The probability that a policy terminates at a graph: exact for few variables, else estimated.

Glossary: ``N`` graphs, ``d`` variables.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln, logsumexp

from dag_gfn.gflownet.fitting import Flow
from dag_gfn.gflownet.policy import PolicyOutput
from dag_gfn.gflownet.spaces.dag import (
    DAGState,
    GainsFunction,
    from_adjacency,
    initial,
    step,
)
from dag_gfn.gflownet.training import Problem, Settings, make_policy, observe
from dag_gfn.graphs import all_dags
from dag_gfn.scores import LocalScores

MAX_EXACT_VARIABLES = 5
_BATCH = 4096


def terminal_distribution(flow: Flow, scores: LocalScores) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact terminal distribution of a policy over all DAGs, at most 5 variables.

    The probability of reaching each graph flows along every transition, from few edges to many:
    ``P(s') = sum over s of P(s) P_F(s' | s)``, and the sampler ends there with
    ``P(s) P_F(stop | s)``.

    Parameters
    ----------
    flow : Flow
    scores : LocalScores
        Those it was trained on.

    Returns
    -------
    adjacency : int8 [N, d, d]
        Every DAG that holds the required edges, in the order of `dag_gfn.graphs.all_dags`.
    log_prob : float64 [N]
        Minus infinity where the constraints exclude a graph.
    """
    d = scores.num_variables
    if d > MAX_EXACT_VARIABLES:
        raise ValueError(
            f"the exact terminal distribution is for at most {MAX_EXACT_VARIABLES} variables, "
            f"and here are {d}."
        )
    adjacency = all_dags(d)
    adjacency = adjacency[np.all(adjacency >= scores.required, axis=(1, 2))]
    output = _policy_at(flow, scores, adjacency)
    bit = 1 << np.arange(d * d, dtype=np.int64)
    code = adjacency.reshape(-1, d * d).astype(np.int64) @ bit
    by_code = np.argsort(code)
    num_edges = adjacency.sum(axis=(1, 2))
    log_reach = np.full(len(adjacency), -np.inf)
    log_reach[num_edges == scores.required.sum()] = 0.0
    for size in range(scores.required.sum(), d * (d - 1) // 2):
        level = np.flatnonzero(num_edges == size)
        row, action = np.nonzero(output.log_edges[level] > -np.inf)
        source = level[row]
        target = by_code[np.searchsorted(code, code[source] + bit[action], sorter=by_code)]
        flowing = log_reach[source] + output.log_edges[source, action]
        np.logaddexp.at(log_reach, target, flowing)
    return adjacency, log_reach + output.log_stop


def exact_log_prob(flow: Flow, scores: LocalScores, adjacency: np.ndarray) -> np.ndarray:
    """Return the exact log-probability of terminating at each graph, float64 [N]."""
    graphs, log_prob = terminal_distribution(flow, scores)
    d = scores.num_variables
    bit = 1 << np.arange(d * d, dtype=np.int64)
    code = graphs.reshape(-1, d * d).astype(np.int64) @ bit
    by_code = np.argsort(code)
    wanted = adjacency.reshape(-1, d * d).astype(np.int64) @ bit
    place = np.minimum(np.searchsorted(code, wanted, sorter=by_code), len(code) - 1)
    found = by_code[place]
    return np.where(code[found] == wanted, log_prob[found], -np.inf)


def estimated_log_prob(
    flow: Flow,
    scores: LocalScores,
    adjacency: np.ndarray,
    *,
    num_trajectories: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """Estimate the log-probability of terminating at each graph, any number of variables.

    Trajectories to ``G`` are drawn backward, in a uniformly random order of its ``n`` edges, so
    that ``P(G) = n! * mean of P_F(tau)`` without bias; its logarithm errs by about half the
    variance of the ratio.

    Parameters
    ----------
    flow : Flow
    scores : LocalScores
        Those it was trained on.
    adjacency : int8 [N, d, d]
        Graphs that the constraints allow.
    num_trajectories : int
        Per graph.
    seed : int

    Returns
    -------
    float64 [N]
    """
    rng = np.random.default_rng(seed)
    d = scores.num_variables
    result = np.full(len(adjacency), -np.inf)
    allowed = np.isfinite(scores.log_score(adjacency))
    for place in np.flatnonzero(allowed):
        edges = np.flatnonzero((adjacency[place] > scores.required).ravel())
        actions = np.full((d * d + 1, num_trajectories), d * d, np.int32)
        actions[: len(edges)] = rng.permuted(np.tile(edges, (num_trajectories, 1)), axis=1).T
        log_forward = np.asarray(_follow(flow, jnp.asarray(actions), len(edges) + 1), np.float64)
        result[place] = gammaln(len(edges) + 1) + logsumexp(log_forward) - np.log(num_trajectories)
    return result


def _follow(flow: Flow, actions: jax.Array, num_steps: int) -> jax.Array:
    """Return log P_F of given trajectories, float32 [B]; ``actions`` is int32 [T, B]."""
    return _log_forward(
        flow.gains_function, flow.settings, flow.problem, flow.params, actions, num_steps
    )


@partial(jax.jit, static_argnums=(0, 1))
def _log_forward(
    gains_function: GainsFunction,
    settings: Settings,
    problem: Problem,
    params: Any,
    actions: jax.Array,
    num_steps: int,
) -> jax.Array:
    policy = make_policy(settings)

    def advance(time: jax.Array, carry: tuple[DAGState, jax.Array]) -> tuple[DAGState, jax.Array]:
        state, log_forward = carry
        output = policy.apply(params, observe(problem, state))
        log_probabilities = jnp.concatenate([output.log_edges, output.log_stop[:, None]], axis=1)
        chosen = jnp.take_along_axis(log_probabilities, actions[time][:, None], axis=1)[:, 0]
        after, _, _ = step(problem.space, gains_function, state, actions[time])
        return after, log_forward + chosen

    start = initial(problem.space, actions.shape[1]), jnp.zeros(actions.shape[1], jnp.float32)
    return jax.lax.fori_loop(0, num_steps, advance, start)[1]


def _policy_at(flow: Flow, scores: LocalScores, adjacency: np.ndarray) -> PolicyOutput:
    """Evaluate the policy at given graphs, float64 on the host."""
    local = np.zeros((len(adjacency), scores.num_variables))
    for node in range(scores.num_variables):
        local[:, node] = scores.local_scores_of(node, adjacency[:, :, node].astype(bool))
        local[:, node] -= scores.local_scores_of(node, scores.required[None, :, node])
    # Graphs that the constraints exclude are never reached; any finite number will do.
    local = np.where(np.isfinite(local), local, 0.0)
    pieces = []
    for begin in range(0, len(adjacency), _BATCH):
        rows = np.arange(begin, begin + _BATCH) % len(adjacency)
        output = _evaluate(
            flow.problem,
            flow.params,
            jnp.asarray(adjacency[rows], bool),
            jnp.asarray(local[rows], jnp.float32),
            gains_function=flow.gains_function,
            settings=flow.settings,
        )
        pieces.append(jax.device_get(output))
    return jax.tree.map(
        lambda *leaves: np.concatenate(leaves)[: len(adjacency)].astype(float), *pieces
    )


@partial(jax.jit, static_argnames=("gains_function", "settings"))
def _evaluate(
    problem: Problem,
    params: Any,
    graphs: jax.Array,
    local_scores: jax.Array,
    *,
    gains_function: GainsFunction,
    settings: Settings,
) -> PolicyOutput:
    state = from_adjacency(problem.space, gains_function, graphs, local_scores)
    return make_policy(settings).apply(params, observe(problem, state))
