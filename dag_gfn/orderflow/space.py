"""The space of canonical orders, batched on the device.

A DAG has many topological orders; its canonical order is the one that at every place takes the
variable of lowest rank, of all whose parents have been placed. Any ranking of the variables will
do. Built along it, a graph has a single trajectory, so the backward policy is deterministic, and
acyclic is all that it can be.

Which orders and parent sets make a canonical pair? A variable ``j`` is passed over for as long as a
parent is missing. So if some variable of higher rank was placed before ``j``, then a parent of
``j`` stands at the last such place or after it. The variables placed before that place are
*distant*: the parents of ``j`` are among those placed before it, and not all of them distant. That
is all, and so the parent sets of an order are independent of each other, and the weight of all
graphs with that canonical order is a product,

    sum of R(G) = prod over j of [alpha_j(before j) - alpha_j(distant to j)],

where ``alpha_j(U)`` sums the weights of the parent sets within ``U`` (Koivisto and Sood 2004).
Order MCMC (Friedman and Koller 2003) has the same product without the second term, and counts each
graph once for every topological order that it has.

Glossary: ``B`` batch, ``d`` variables, ``m`` candidate parents of a variable.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numba
import numpy as np
from numpy.typing import NDArray

from dag_gfn.mcmc.parent_sums import ParentSums

# Of a difference of two sums that float32 cannot tell from zero, in nats below the first.
_SMALLEST_SHARE = -15.0
_UNCONSTRAINED = -1


class OrderSpace(NamedTuple):
    """The sums over parent sets that define the space of one table."""

    log_sums: jax.Array  # float32 [d, 2^m], relative to the last entry, the sum over all sets
    bit_values: jax.Array  # int32 [d, d], [j, i]: what i adds to the mask of j's placed candidates
    rank: jax.Array  # int32 [d], the lowest goes first where several can be placed


class OrderState(NamedTuple):
    """A batch of orders under construction."""

    placed: jax.Array  # bool [B, d]
    before: jax.Array  # int32 [B, d], mask of the candidates of each variable that are placed
    distant: jax.Array  # int32 [B, d], mask of those that are distant; -1 where parents are free


class Masses(NamedTuple):
    """What each variable would weigh if it were placed next, relative to all its parent sets."""

    log_mass: jax.Array  # float32 [B, d], of the parent sets that keep the order canonical
    log_mass_in_any_order: jax.Array  # float32 [B, d], of all parent sets among those placed
    constrained: jax.Array  # bool [B, d], a parent is needed that is not distant
    legal: jax.Array  # bool [B, d], may be placed next


def bit_values(sums: ParentSums) -> NDArray[np.int32]:
    """Return what each variable adds to the mask of a variable's placed candidates, [d, d].

    Zero where it can be no parent, so that two masks differ where the parent sets within them do.
    """
    d, num_candidates = sums.candidates.shape
    values = np.zeros((d, d), np.int32)
    for bit in range(num_candidates):
        with_bit = sums.log_scores.reshape(d, -1, 2, 1 << bit)[:, :, 1]
        (child,) = np.nonzero(np.any(with_bit > -np.inf, axis=(1, 2)))
        values[child, sums.candidates[child, bit]] = 1 << bit
    return values


def rank_by_degree(adjacency: NDArray[np.int8]) -> NDArray[np.int32]:
    """Rank variables by the number of edges that they have in draws from the posterior.

    Those with few come first. What they are linked to is then the only reason to pass them over,
    and graphs spread over fewer canonical orders than with those of many edges first.

    Parameters
    ----------
    adjacency : int8 [N, d, d]

    Returns
    -------
    int32 [d]
    """
    edges = adjacency.sum(axis=0, dtype=np.int64)
    by_degree = np.argsort(edges.sum(axis=0) + edges.sum(axis=1), kind="stable")
    return np.argsort(by_degree).astype(np.int32)


def order_space(sums: ParentSums, rank: NDArray[np.int32]) -> OrderSpace:
    """Put the sums over parent sets on the device.

    Parameters
    ----------
    sums : ParentSums
    rank : int32 [d]
        A permutation.

    Returns
    -------
    OrderSpace
        Memory is 4 d 2^m bytes.
    """
    relative = sums.log_sums - sums.log_sums[:, -1:]
    return OrderSpace(
        jnp.asarray(relative, jnp.float32), jnp.asarray(bit_values(sums)), jnp.asarray(rank)
    )


def initial(space: OrderSpace, batch_size: int) -> OrderState:
    """Return a batch in which nothing is placed."""
    shape = batch_size, space.bit_values.shape[0]
    return OrderState(
        placed=jnp.zeros(shape, bool),
        before=jnp.zeros(shape, jnp.int32),
        distant=jnp.full(shape, _UNCONSTRAINED, jnp.int32),
    )


def masses(space: OrderSpace, state: OrderState) -> Masses:
    """Return what each variable would weigh if it were placed next.

    Parameters
    ----------
    space : OrderSpace
    state : OrderState
        Batch of ``B`` orders.

    Returns
    -------
    Masses
        Minus infinity where no parent set is left. No variable is legal where an order has come to
        a dead end, which can happen only where not all variables are candidates.
    """
    variable = jnp.arange(space.bit_values.shape[0])
    whole = space.log_sums[variable, state.before]
    part = space.log_sums[variable, jnp.maximum(state.distant, 0)]
    constrained = state.distant != _UNCONSTRAINED
    # Minus infinity less minus infinity is no number, and means that nothing is taken away.
    ratio = jnp.where(part > -jnp.inf, part - whole, -jnp.inf)
    log_share = jnp.log1p(-jnp.exp(jnp.minimum(ratio, -1e-7)))
    log_share = jnp.maximum(log_share, _SMALLEST_SHARE)
    possible = (whole > -jnp.inf) & ~(constrained & (state.distant == state.before))
    log_mass = jnp.where(constrained, whole + log_share, whole)
    return Masses(
        log_mass=jnp.where(possible, log_mass, -jnp.inf),
        log_mass_in_any_order=whole,
        constrained=constrained,
        legal=possible & ~state.placed,
    )


def step(space: OrderSpace, state: OrderState, variable: jax.Array) -> OrderState:
    """Place one variable in every order.

    Parameters
    ----------
    space : OrderSpace
    state : OrderState
        Batch of ``B`` orders.
    variable : int32 [B]

    Returns
    -------
    OrderState
    """
    passed_over = space.rank < space.rank[variable, None]
    return OrderState(
        placed=state.placed | (space.rank == space.rank[variable, None]),
        before=state.before + space.bit_values.T[variable],
        distant=jnp.where(passed_over, state.before, state.distant),
    )


@numba.njit(cache=True)
def canonical_orders(adjacency: NDArray[np.int8], rank: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the canonical order of each graph.

    Parameters
    ----------
    adjacency : int8 [N, d, d]
        Acyclic.
    rank : int32 [d]
        A permutation.

    Returns
    -------
    int32 [N, d]
        The variable at each place.
    """
    num_graphs, d, _ = adjacency.shape
    orders = np.empty((num_graphs, d), np.int32)
    by_rank = np.argsort(rank)
    for graph in range(num_graphs):
        num_missing = np.zeros(d, np.int64)
        for child in range(d):
            for parent in range(d):
                num_missing[child] += adjacency[graph, parent, child]
        for place in range(d):
            first = 0
            while num_missing[by_rank[first]] != 0:
                first += 1
            variable = by_rank[first]
            orders[graph, place] = variable
            num_missing[variable] = -1
            for child in range(d):
                num_missing[child] -= adjacency[graph, variable, child]
    return orders
