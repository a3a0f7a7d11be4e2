"""Draw graphs from a flow over canonical orders, and say how likely it draws each.

The weight of a graph depends on its order alone: given that, the parent sets are drawn with their
exact conditional probabilities. Masses are float64 here, from the same sums that chains look up.

Glossary: ``N`` graphs, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numba
import numpy as np
from numpy.typing import NDArray

from dag_gfn.mcmc.generator import generators
from dag_gfn.mcmc.parent_sums import draw_parent_set, log_sum_meeting
from dag_gfn.orderflow.fitting import OrderFlow
from dag_gfn.orderflow.space import canonical_orders
from dag_gfn.orderflow.training import follow_orders, sample_orders
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

# One size for all calls, so that each program is compiled once.
SAMPLING_BATCH = 1024

# The variable at each place of some orders, int32 [T, B], and its log-probability, float32 [T, B].
Walked = tuple[jax.Array, jax.Array]


def draw_order_posterior(
    flow: OrderFlow, scores: LocalScores, num_samples: int, *, seed: int = 0
) -> Posterior:
    """Draw a weighted posterior from a trained flow.

    Parameters
    ----------
    flow : OrderFlow
    scores : LocalScores
        Those it was trained on.
    num_samples : int
    seed : int

    Returns
    -------
    Posterior
        ``num_samples`` independent draws with log-weights ``log R(G) - log P(G)``; minus infinity
        where an order came to a dead end. Its ``metadata["float32_error"]`` is the largest
        difference, in nats, between the log weight of an order as the device added it up, which is
        what the network saw, and as the host did, which is what counts.
    """
    on_device: list[jax.Array] = []  # log masses, float32 [T, B] of each batch

    def sample(key: jax.Array) -> Walked:
        drawn = sample_orders(
            flow.space, flow.settings, flow.params, key, batch_size=SAMPLING_BATCH
        )
        on_device.append(drawn.log_mass)
        return drawn.variable, drawn.log_forward

    orders, log_forward = orders_in_batches(sample, num_samples, jax.random.key(seed))
    posterior = posterior_of_orders(flow, scores, orders, log_forward, seed=seed)
    whole = np.isfinite(posterior.log_weights)
    # The device's are relative to the sum over all parent sets of each variable.
    mass = np.concatenate([np.asarray(batch, float).sum(axis=0) for batch in on_device])
    mass = mass[:num_samples][whole] + flow.sums.log_sums[:, -1].sum()
    difference = mass - (posterior.log_weights + log_forward)[whole]
    posterior.metadata["float32_error"] = float(np.abs(difference).max(initial=0.0))
    return posterior


def orders_in_batches(
    sample: Callable[[jax.Array], Walked], num_samples: int, key: jax.Array
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Draw orders by a function of the key that draws `SAMPLING_BATCH` of them.

    Returns
    -------
    orders : int32 [N, d]
    log_forward : float64 [N]
        Log-probability that each is drawn.
    """
    num_batches = max(1, -(-num_samples // SAMPLING_BATCH))  # none asked for are none of a batch
    batches = [jax.device_get(sample(one)) for one in jax.random.split(key, num_batches)]
    orders = np.concatenate([variable.T for variable, _ in batches])[:num_samples]
    log_forward = np.concatenate([steps.sum(axis=0) for _, steps in batches])
    return np.ascontiguousarray(orders), log_forward[:num_samples].astype(float)


def posterior_of_orders(
    flow: OrderFlow,
    scores: LocalScores,
    orders: NDArray[np.int32],
    log_forward: NDArray[np.float64],
    *,
    seed: int,
) -> Posterior:
    """Draw the parents of every variable along given orders, and weigh the graphs.

    Parameters
    ----------
    flow : OrderFlow
    scores : LocalScores
        Those of the flow's sums.
    orders : int32 [N, d]
    log_forward : float64 [N]
        Log-probability that each order was drawn.
    seed : int

    Returns
    -------
    Posterior
    """
    adjacency, log_mass = _draw_parents(
        orders,
        flow.sums.candidates,
        flow.sums.log_scores,
        flow.sums.log_sums,
        np.asarray(flow.space.bit_values),
        np.asarray(flow.space.rank),
        generators(seed, 1)[0],
    )
    highest = float(scores.log_score(adjacency).max())
    return Posterior(
        adjacency,
        log_mass - log_forward,
        scores.names,
        method="OrderGFlowNet",
        metadata={"highest_log_score": max(highest, flow.highest_log_score)},
    )


def order_log_prob(
    flow: OrderFlow, scores: LocalScores, adjacency: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Return the log-probability that a flow draws each graph, exact for any number of variables.

    A graph has one canonical order, so that this is log P_F of the order, and of each parent set
    given the order.

    Parameters
    ----------
    flow : OrderFlow
    scores : LocalScores
        Those it was trained on.
    adjacency : int8 [N, d, d]
        DAGs.

    Returns
    -------
    float64 [N]
        Minus infinity where the constraints exclude a graph or an edge is no candidate.
    """
    log_scores = scores.log_score(adjacency)
    excluded = ~np.isfinite(log_scores) | _has_other_parents(flow, adjacency)
    # Any graph that is possible will do where there is nothing to know.
    rank = np.asarray(flow.space.rank)
    orders = canonical_orders(np.ascontiguousarray(adjacency, dtype=np.int8), rank)

    def follow(batch: NDArray[np.int32]) -> Walked:
        followed = follow_orders(flow.space, flow.settings, flow.params, batch)
        return followed.variable, followed.log_forward

    log_forward = log_prob_of_orders(follow, orders)
    log_mass = _log_mass_of(orders, flow.sums.log_sums, np.asarray(flow.space.bit_values), rank)
    with np.errstate(invalid="ignore"):
        log_prob = log_forward + log_scores - log_mass
    return np.where(excluded, -np.inf, log_prob)


def log_prob_of_orders(
    follow: Callable[[NDArray[np.int32]], Walked], orders: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Return how likely orders are, by a function of `SAMPLING_BATCH` of them, float64 [N]."""
    log_forward = np.empty(len(orders))
    for begin in range(0, len(orders), SAMPLING_BATCH):
        # A last batch is filled up with others, so that nothing is compiled anew.
        rows = np.arange(begin, begin + SAMPLING_BATCH) % len(orders)
        _, steps = jax.device_get(follow(orders[rows]))
        last = min(begin + SAMPLING_BATCH, len(orders))
        log_forward[begin:last] = steps.sum(axis=0)[: last - begin]
    return log_forward


def _has_other_parents(flow: OrderFlow, adjacency: NDArray[np.int8]) -> NDArray[np.bool_]:
    is_candidate = np.asarray(flow.space.bit_values).T > 0  # [i, j]
    return np.any(adjacency.astype(bool) & ~is_candidate, axis=(1, 2))


@numba.njit(cache=True)
def _place(variable, before, distant, bit_values, rank):
    """Place a variable: move the masks [d] of all variables on."""
    for other in range(len(before)):
        if rank[other] < rank[variable]:
            distant[other] = before[other]
        before[other] += bit_values[other, variable]


@numba.njit(cache=True)
def _log_mass(log_sums, before, distant):
    """Return the log-sum over one variable's parent sets, `log_sums` [2^m]."""
    if distant < 0:
        return log_sums[before]
    return log_sum_meeting(log_sums, before, distant)


@numba.njit(cache=True)
def _log_mass_of(orders, log_sums, bit_values, rank):
    """Return the log weight of all graphs with each canonical order, float64 [N]."""
    num_orders, d = orders.shape
    result = np.zeros(num_orders)
    for row in range(num_orders):
        before, distant = np.zeros(d, np.int64), np.full(d, -1)
        for variable in orders[row]:
            result[row] += _log_mass(log_sums[variable], before[variable], distant[variable])
            _place(variable, before, distant, bit_values, rank)
    return result


@numba.njit(cache=True)
def _draw_parents(orders, candidates, log_scores, log_sums, bit_values, rank, generator):
    """Draw a graph for each order, int8 [N, d, d], and return what all of its graphs weigh, [N].

    Where a variable has no parent set that keeps the order canonical, the weight is zero, and the
    parents are drawn from those that are placed.
    """
    num_orders, d = orders.shape
    adjacency = np.zeros((num_orders, d, d), np.int8)
    log_mass = np.zeros(num_orders)
    for row in range(num_orders):
        before, distant = np.zeros(d, np.int64), np.full(d, -1)
        for variable in orders[row]:
            allowed, not_within = before[variable], distant[variable]
            mass = _log_mass(log_sums[variable], allowed, not_within)
            log_mass[row] += mass
            if mass == -np.inf or not_within < 0:
                not_within = allowed
            if log_sums[variable, allowed] > -np.inf:
                chosen = draw_parent_set(
                    log_scores[variable], log_sums[variable], allowed, not_within, generator
                )
                for bit in range(candidates.shape[1]):
                    if (chosen >> bit) & 1:
                        adjacency[row, candidates[variable, bit], variable] = 1
            _place(variable, before, distant, bit_values, rank)
    return adjacency, log_mass
