"""What the local scores say about the graphs that lie ahead of a state.

With the uniform backward policy the flow through a graph ``s`` with ``n`` edges is

    F(s) = sum over G containing s of R(G) / C(|G|, n),

a sum over all its supergraphs, often hundreds of nats above ``R(s)``. A network that sees only the
adjacency matrix has to learn that sum; this file estimates it from the local scores, so that the
network has to learn a small correction alone.

The estimate. Given an order of the variables that agrees with ``s``, parent sets are independent,
and the sum over graphs is the product over ``j`` of ``mass_j``, the sum over the parent sets that
hold the present parents and otherwise only predecessors of ``j`` (Friedman and Koller 2003,
section 3.1). One order is chosen for each state, from the first variable to the last, each time
the one that loses least of the mass it would have with every variable before it. An edge ``i -> j``
along the order has the share of ``mass_j`` that holds ``i``. Against the order its share follows
from the orders in which ``i`` is moved to just before ``j``, or ``j`` to just after ``i``. The
binomial is evaluated at the expected number of edges to come.

The present parent set and each set that is one larger are exact, from the gains; the others come
from a list of the best parent sets of each variable.

Glossary: ``B`` batch, ``d`` variables, ``K`` parent sets in the list of a variable, ``T`` places in
the order (as many as variables). Axes named ``[B, j, i]`` are child first, as parent sets are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from dag_gfn.gflownet.spaces.dag import DAGState, legal_edges
from dag_gfn.scores import LocalScores, parent_set_list

# Sums below exp(-60) of their largest term are near float32's smallest number: they are taken at a
# higher temperature, which overstates them a little but does not lose them.
_UNDERFLOW = -60.0
_TEMPERATURE = 8.0
_TINY = 1e-37
# Where both moves fail, an edge against the order is no better than its own gain less this penalty.
_NO_MOVE = 6.0
_LOG_ZERO = -1000.0
_TIE_BREAK = 0.3  # nats between the first and the last variable


class ParentSetArrays(NamedTuple):
    """The best parent sets of every variable, on the device."""

    members: jax.Array  # float32 [d, K, d], 1 where the set holds the variable
    sizes: jax.Array  # float32 [d, K]
    local_scores: jax.Array  # float32 [d, K], relative to the initial graph; -inf pads


class Lookahead(NamedTuple):
    """An estimate of where the flow goes from each state of a batch."""

    log_edge_share: jax.Array  # float32 [B, d, d], log share of the graphs ahead with i -> j
    log_free_share: jax.Array  # float32 [B, d, d], the same of parent sets in any order
    log_mass: jax.Array  # float32 [B, d], log sum over the parent sets that the order allows
    log_flow_odds: jax.Array  # float32 [B], log of (F(s) - R(s)) / R(s)
    precedes: jax.Array  # bool [B, d, d], i stands before j in the order


class _Candidates(NamedTuple):
    """Log-scores of the parent sets ahead of each variable, relative to its present ones."""

    listed: jax.Array  # float32 [B, j, K], two or more parents more; -inf where not ahead
    single: jax.Array  # float32 [B, j, i], one parent more; -inf where not legal


class _Order(NamedTuple):
    """An order of the variables and what it leaves of their masses."""

    sequence: jax.Array  # int32 [B, T], the variable at each place
    place: jax.Array  # int32 [B, d], the place of each variable
    prefix_mass: jax.Array  # float32 [B, T, d], log mass with parents from before a place alone


def parent_set_arrays(scores: LocalScores, num_parent_sets: int) -> ParentSetArrays:
    """Put the best parent sets of every variable on the device.

    Parameters
    ----------
    scores : LocalScores
    num_parent_sets : int
        ``K`` at most.

    Returns
    -------
    ParentSetArrays
    """
    sets = parent_set_list(scores, num_parent_sets)
    initial_score = [
        scores.local_score(node, np.flatnonzero(scores.required[:, node]))
        for node in range(scores.num_variables)
    ]
    relative = sets.log_scores - np.asarray(initial_score)[:, None]
    return ParentSetArrays(
        members=jnp.asarray(sets.masks.astype(np.float32)),
        sizes=jnp.asarray(sets.masks.sum(axis=-1).astype(np.float32)),
        local_scores=jnp.asarray(relative.astype(np.float32)),
    )


def lookahead(parent_sets: ParentSetArrays, state: DAGState) -> Lookahead:
    """Estimate the flow ahead of each state and how it divides between the legal edges.

    Parameters
    ----------
    parent_sets : ParentSetArrays
    state : DAGState
        Batch of ``B`` graphs.

    Returns
    -------
    Lookahead
        Finite throughout; the shares of edges that are not legal are `_LOG_ZERO`.
    """
    legal = legal_edges(state)
    members = parent_sets.members
    candidates = _candidates(parent_sets, state, legal)
    log_free, log_free_with = _free_masses(members, candidates)
    order = _greedy_order(parent_sets, state, candidates, log_free)
    log_mass = jnp.take_along_axis(order.prefix_mass, order.place[:, None, :], axis=1)[:, 0]
    precedes = order.place[:, :, None] < order.place[:, None, :]
    along, by_cause, against = _edge_shares(members, state, candidates, order, log_mass)

    def legal_or_zero(share: jax.Array) -> jax.Array:
        return jnp.where(legal, jnp.clip(share.swapaxes(1, 2), _LOG_ZERO, 0.0), _LOG_ZERO)

    log_edge_share = jnp.where(precedes, legal_or_zero(along), legal_or_zero(against))
    # Each edge against the order opens an order of its own, with graphs that this one lacks.
    reversals = jnp.where(legal & ~precedes, jax.nn.softplus(by_cause).swapaxes(1, 2), 0.0)
    log_graphs = log_mass.sum(axis=1) + reversals.sum(axis=(1, 2))
    added = state.num_added.astype(jnp.float32)
    to_come = jnp.where(legal & precedes, jnp.exp(log_edge_share), 0.0).sum(axis=(1, 2))
    log_ratio = log_graphs - _log_binomial(added + to_come, added)
    estimate = log_ratio + jnp.log(-jnp.expm1(-jnp.maximum(log_ratio, 1e-6)))
    # Adding one edge and stopping is part of the sum, so the odds are never below it.
    one_edge = jax.nn.logsumexp(jnp.where(legal, state.gains, _LOG_ZERO), axis=(1, 2)) - jnp.log1p(
        added
    )
    return Lookahead(
        log_edge_share=log_edge_share,
        log_free_share=legal_or_zero(log_free_with - log_free[..., None]),
        log_mass=log_mass,
        log_flow_odds=jnp.maximum(jnp.maximum(estimate, one_edge), -30.0),
        precedes=precedes,
    )


def _candidates(parent_sets: ParentSetArrays, state: DAGState, legal: jax.Array) -> _Candidates:
    adjacency = state.adjacency.astype(jnp.float32)
    in_degree = adjacency.sum(axis=1)[..., None]  # [B, j, 1]
    # A present parent that the set lacks counts 1, and so does a descendant that it holds.
    not_allowed = state.descendants.astype(jnp.float32) - adjacency
    violations = in_degree + jnp.einsum("jki,bij->bjk", parent_sets.members, not_allowed)
    ahead = (violations == 0) & (parent_sets.sizes >= in_degree + 2)
    listed = parent_sets.local_scores - state.local_scores[..., None]
    return _Candidates(
        listed=jnp.where(ahead, listed, -jnp.inf),
        single=jnp.where(legal, state.gains, -jnp.inf).swapaxes(1, 2),
    )


def _free_masses(members: jax.Array, candidates: _Candidates) -> tuple[jax.Array, jax.Array]:
    """Log mass of each variable in any order, [B, j], and of its sets with each parent."""
    top = jnp.maximum(candidates.listed.max(axis=-1), candidates.single.max(axis=-1))
    top = jnp.maximum(top, 0.0)[..., None]
    listed = jnp.exp(candidates.listed - top)
    single = jnp.exp(candidates.single - top)
    total = jnp.exp(-top[..., 0]) + single.sum(axis=-1) + listed.sum(axis=-1)
    with_parent = single + jnp.einsum("bjk,jki->bji", listed, members)
    return top[..., 0] + jnp.log(total), top + jnp.log(jnp.maximum(with_parent, _TINY))


def _greedy_order(
    parent_sets: ParentSetArrays, state: DAGState, candidates: _Candidates, log_free: jax.Array
) -> _Order:
    """Order the variables, each time by the least mass lost for want of later parents."""
    batch, d = state.gains.shape[:2]
    eye = jnp.eye(d)
    adjacency = state.adjacency.astype(jnp.float32)
    in_degree = adjacency.sum(axis=1)[..., None]  # [B, j, 1]
    # All parent sets in one axis: the listed, the present one with one more, the present one.
    weight = jnp.concatenate([*candidates, jnp.zeros((batch, d, 1))], axis=-1)
    top = weight.max(axis=-1)
    scaled = jnp.exp(weight - top[..., None])
    sizes = jnp.broadcast_to(parent_sets.sizes, (batch, *parent_sets.sizes.shape))
    one_more = jnp.broadcast_to(in_degree + 1.0, (batch, d, d))
    missing = jnp.concatenate([sizes, one_more, in_degree], axis=-1)  # members not yet placed
    holding = parent_sets.members.transpose(2, 0, 1)  # [i, j, K]
    # Score-equivalent choices lose alike, and rounding must not choose: a state would have another
    # order each way it is reached.
    tie_break = _TIE_BREAK * jnp.arange(d) / d

    def place_one(
        carry: tuple[jax.Array, jax.Array], _: None
    ) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        missing, placed = carry
        possible = missing == 0
        total = jnp.where(possible, scaled, 0.0).sum(axis=-1)
        best = jnp.where(possible, weight, -jnp.inf).max(axis=-1)
        log_mass = jnp.where(total > 1e-25, top + jnp.log(jnp.maximum(total, _TINY)), best)
        node = jnp.argmin(jnp.where(placed, jnp.inf, log_free - log_mass + tie_break), axis=1)
        children = jnp.take_along_axis(adjacency, node[:, None, None], axis=1)[:, 0, :, None]
        itself = jnp.broadcast_to(eye[node][:, None, :], (batch, d, d))
        found = jnp.concatenate([holding[node], children + itself, children], axis=-1)
        placed |= jax.nn.one_hot(node, d, dtype=bool)
        return (missing - found, placed), (log_mass, node)

    start = missing, jnp.zeros((batch, d), bool)
    _, (prefix_mass, node) = jax.lax.scan(place_one, start, None, length=d)
    sequence = node.swapaxes(0, 1)
    return _Order(sequence, jnp.argsort(sequence, axis=1), prefix_mass.swapaxes(0, 1))


def _edge_shares(
    members: jax.Array,
    state: DAGState,
    candidates: _Candidates,
    order: _Order,
    log_mass: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Log shares of the edges, [B, j, i]: along the order, and against it.

    The second of the three is the mass that moving ``i`` opens, relative to the order's, before it
    is turned into a share.
    """
    d = members.shape[0]
    before = order.place[:, None, :] < order.place[:, :, None]  # [B, j, i]
    lacking = jnp.einsum("jki,bji->bjk", members, (~before).astype(jnp.float32))
    listed = candidates.listed - log_mass[..., None]
    single = candidates.single - log_mass[..., None]
    inside = jnp.where(lacking == 0, listed, -jnp.inf)
    one_short = jnp.where(lacking == 1, listed, -jnp.inf)
    single_inside = jnp.where(before, single, -jnp.inf)
    single_short = jnp.where(before, -jnp.inf, single)

    along = jnp.exp(single_inside) + jnp.einsum("bjk,jki->bji", jnp.exp(inside), members)
    along = jnp.log(jnp.maximum(along, _TINY))

    # What the mass of j would gain, if i alone came before it as well.
    peak = jnp.maximum(one_short.max(axis=-1), single_short.max(axis=-1))
    peak = jnp.where(peak > -jnp.inf, peak, 0.0)[..., None]

    def gain_at(temperature: float) -> jax.Array:
        total = jnp.exp((single_short - peak) / temperature)
        sets = jnp.exp((one_short - peak) / temperature)
        return total + ~before * jnp.einsum("bjk,jki->bji", sets, members)

    # What the mass of j would keep, if i no longer came before it.
    def kept_at(temperature: float) -> jax.Array:
        total = jnp.exp(-log_mass / temperature)[..., None]
        total += jnp.exp(single_inside / temperature) @ (1.0 - jnp.eye(d))
        return total + jnp.einsum("bjk,jki->bji", jnp.exp(inside / temperature), 1.0 - members)

    log_gain = peak + _log_sum(gain_at)
    log_grown = jax.nn.softplus(log_gain)
    log_kept = jnp.minimum(_log_sum(kept_at), 0.0)
    log_kept = jnp.where(state.adjacency.swapaxes(1, 2), _LOG_ZERO, log_kept)
    log_kept = jnp.where(before, log_kept, 0.0)

    # i moves to just before j: it loses what stood between, and all that stood between gain it.
    grown = _cumulative(log_grown, order)  # [B, T + 1, i]
    grown_before_j = jnp.take_along_axis(grown, order.place[..., None], axis=1)  # [B, j, i]
    grown_before_i = jnp.take_along_axis(grown, order.place[:, None, :], axis=1)  # [B, 1, i]
    early_mass = jnp.take_along_axis(order.prefix_mass, order.place[..., None], axis=1)
    by_cause = log_gain - log_grown + grown_before_i - grown_before_j
    by_cause += jnp.maximum(early_mass, 10.0 * _LOG_ZERO) - log_mass[:, None, :]

    # j moves to just after i: all that stood between, and i, lose it.
    lost = _cumulative(log_kept, order)[:, 1:]  # [B, T, j], up to and including a place
    lost_by_i = jnp.take_along_axis(lost, order.place[..., None], axis=1).swapaxes(1, 2)
    lost_by_j = jnp.take_along_axis(lost, order.place[:, None, :], axis=1).swapaxes(1, 2)
    by_effect = log_gain + lost_by_i - lost_by_j

    against = jnp.maximum(jnp.logaddexp(by_cause, by_effect), jnp.minimum(single, 0.0) - _NO_MOVE)
    return along, by_cause, jax.nn.log_sigmoid(against)


def _log_sum(total_at: Callable[[float], jax.Array]) -> jax.Array:
    """Logarithm of a sum of exponentials, which may be far below its largest term."""
    cold = jnp.log(jnp.maximum(total_at(1.0), _TINY))
    warm = _TEMPERATURE * jnp.log(jnp.maximum(total_at(_TEMPERATURE), _TINY))
    return jnp.where(cold > _UNDERFLOW, cold, warm)


def _cumulative(of_node: jax.Array, order: _Order) -> jax.Array:
    """Sum ``[B, j, ...]`` over the variables before each place, and one past the last."""
    sorted_ = jnp.take_along_axis(of_node, order.sequence[..., None], axis=1)
    return jnp.pad(jnp.cumsum(sorted_, axis=1), ((0, 0), (1, 0), (0, 0)))


def _log_binomial(total: jax.Array, chosen: jax.Array) -> jax.Array:
    return gammaln(total + 1.0) - gammaln(chosen + 1.0) - gammaln(total - chosen + 1.0)
