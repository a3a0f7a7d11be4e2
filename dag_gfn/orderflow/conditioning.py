"""Draw from the posterior given some edges, with a network that was trained without them.

Two samplers come from the one network. It can be shown the masses of the parent sets that are left,
on which its steps are then based: good where the condition changes much. Or it can be shown the
masses it knows, and each step be tilted by the share of the mass that is left: good where the
condition changes little, and exact where it changes nothing. Half of the draws come from each, and
the weights are those of the mixture, so that they are at most twice those of the better one (the
balance heuristic of Veach and Guibas 1995).

Glossary: ``B`` orders a batch, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from dag_gfn.mcmc.candidates import CandidateTable
from dag_gfn.mcmc.parent_sums import parent_sums
from dag_gfn.orderflow.fitting import OrderFlow
from dag_gfn.orderflow.sampling import (
    SAMPLING_BATCH,
    Walked,
    log_prob_of_orders,
    orders_in_batches,
    posterior_of_orders,
)
from dag_gfn.orderflow.space import OrderSpace, OrderState, initial, masses, order_space, step
from dag_gfn.orderflow.training import (
    Observation,
    OrderSettings,
    follow_orders,
    make_policy,
    sample_orders,
)
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

_LEAST = float(np.finfo(np.float32).min)  # so that what follows is a number


class _Spaces(NamedTuple):
    """The space that a flow was trained on, and that of what is left."""

    known: OrderSpace
    given: OrderSpace
    offset: jax.Array  # float32 [d], log share of all parent sets of each variable that is left


def draw_order_posterior_given(
    flow: OrderFlow, scores: LocalScores, num_samples: int, *, seed: int = 0
) -> Posterior:
    """Draw a weighted posterior that is constrained further than the one a flow was trained on.

    Parameters
    ----------
    flow : OrderFlow
    scores : LocalScores
        Those it was trained on, with further required or forbidden edges.
    num_samples : int
    seed : int

    Returns
    -------
    Posterior
        Draws with log-weights ``log R(G) - log P(G)``; minus infinity where an order came to a dead
        end.

    Raises
    ------
    ValueError
        If an edge is required whose cause is not among the candidate parents of its effect.
    """
    given = _constrained(flow, scores)

    def sample_shown(key: jax.Array) -> Walked:
        drawn = sample_orders(
            given.space, flow.settings, flow.params, key, batch_size=SAMPLING_BATCH
        )
        return drawn.variable, drawn.log_forward

    def follow_shown(orders: NDArray[np.int32]) -> Walked:
        followed = follow_orders(given.space, flow.settings, flow.params, orders)
        return followed.variable, followed.log_forward

    # Masses are relative to the sum of all parent sets, which is another one in each space.
    offset = jnp.asarray(given.sums.log_sums[:, -1] - flow.sums.log_sums[:, -1], jnp.float32)
    tilted_network = _Spaces(flow.space, given.space, offset), flow.settings, flow.params
    sample_tilted = partial(_sample_tilted, *tilted_network)
    follow_tilted = partial(_follow_tilted, *tilted_network)
    key_shown, key_tilted = jax.random.split(jax.random.key(seed))
    num_shown = num_samples // 2
    shown, by_shown = orders_in_batches(sample_shown, num_shown, key_shown)
    tilted, by_tilted = orders_in_batches(sample_tilted, num_samples - num_shown, key_tilted)
    log_shown = np.concatenate([by_shown, log_prob_of_orders(follow_shown, tilted)])
    log_tilted = np.concatenate([log_prob_of_orders(follow_tilted, shown), by_tilted])
    share = num_shown / num_samples
    with np.errstate(divide="ignore"):  # of a single draw, none is from the first
        log_forward = np.logaddexp(np.log(share) + log_shown, np.log1p(-share) + log_tilted)
    orders = np.concatenate([shown, tilted])
    return posterior_of_orders(given, scores, orders, log_forward, seed=seed)


def _constrained(flow: OrderFlow, scores: LocalScores) -> OrderFlow:
    """Return the same network with the sums over the parent sets that are left."""
    candidates, log_scores = flow.sums.candidates, flow.sums.log_scores.copy()
    for node, of_node in enumerate(candidates):
        unknown = np.setdiff1d(np.flatnonzero(scores.required[:, node]), of_node)
        if len(unknown):
            cause, effect = scores.names[unknown[0]], scores.names[node]
            raise ValueError(
                f"edge {cause!r} -> {effect!r} is not among the candidates that the sampler was "
                "trained with; give it as a required edge to fit."
            )
        for bit, parent in enumerate(of_node):
            with_or_without = log_scores[node].reshape(-1, 2, 1 << bit)
            if scores.required[parent, node]:
                with_or_without[:, 0] = -np.inf
            if scores.forbidden[parent, node]:
                with_or_without[:, 1] = -np.inf
    sums = parent_sums(CandidateTable(candidates, log_scores))
    space = order_space(sums, np.asarray(flow.space.rank))
    return flow._replace(sums=sums, space=space, highest_log_score=-np.inf)


def _tilted_policy(
    spaces: _Spaces,
    settings: OrderSettings,
    params: Any,
    states: tuple[OrderState, OrderState],
) -> jax.Array:
    """Return log P of the next variable, float32 [B, d], from its state in either space."""
    mass, mass_given = masses(spaces.known, states[0]), masses(spaces.given, states[1])
    log_policy = make_policy(settings).apply(params, Observation(states[0].placed, mass))
    legal = mass_given.legal & mass.legal
    log_share = mass_given.log_mass + spaces.offset - mass.log_mass
    # An order at a dead end goes on with any variable; it has no weight.
    allowed = legal | (~legal.any(axis=1, keepdims=True) & ~states[0].placed)
    logits = jnp.maximum(log_policy, _LEAST) + jnp.where(legal, log_share, 0.0)
    return jax.nn.log_softmax(jnp.where(allowed, logits, -jnp.inf))


def _walk_tilted(
    spaces: _Spaces,
    settings: OrderSettings,
    params: Any,
    choose: Callable[[jax.Array, Any], jax.Array],
    choices: jax.Array,
) -> Walked:
    """Place what is chosen, with the log-policy and one entry of `choices` at hand each time."""

    def place_one(states: tuple[OrderState, OrderState], choice: jax.Array) -> tuple:
        log_policy = _tilted_policy(spaces, settings, params, states)
        variable = choose(log_policy, choice)
        after = step(spaces.known, states[0], variable), step(spaces.given, states[1], variable)
        return after, (variable, jnp.take_along_axis(log_policy, variable[:, None], axis=1)[:, 0])

    start = initial(spaces.known, SAMPLING_BATCH), initial(spaces.given, SAMPLING_BATCH)
    return jax.lax.scan(place_one, start, choices)[1]


@partial(jax.jit, static_argnames="settings")
def _sample_tilted(spaces: _Spaces, settings: OrderSettings, params: Any, key: jax.Array) -> Walked:
    def draw(log_policy: jax.Array, key: jax.Array) -> jax.Array:
        return jax.random.categorical(key, log_policy).astype(jnp.int32)

    keys = jax.random.split(key, spaces.offset.shape[0])
    return _walk_tilted(spaces, settings, params, draw, keys)


@partial(jax.jit, static_argnames="settings")
def _follow_tilted(
    spaces: _Spaces, settings: OrderSettings, params: Any, orders: jax.Array
) -> Walked:
    return _walk_tilted(spaces, settings, params, lambda _, variable: variable, orders.T)
