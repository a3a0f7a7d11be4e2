"""Forward policies: networks that choose the next edge or stop.

Both are hierarchical, as published: first whether to stop, then which edge,

    log P_F(stop | s) = -softplus(o(s)),
    log P_F(s -> s' | s) = -softplus(-o(s)) + log softmax over legal edges of e(s),

with ``o`` the log-odds of going on. Where no edge is legal the policy stops with certainty.

Glossary: ``B`` batch, ``d`` variables, ``H`` width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from dag_gfn.gflownet.lookahead import Lookahead


class Observation(NamedTuple):
    """What a policy may look at: the state, and what the scores say of it."""

    adjacency: jax.Array  # bool [B, d, d]
    descendants: jax.Array  # bool [B, d, d]
    gains: jax.Array  # float32 [B, d, d]
    num_added: jax.Array  # int32 [B]
    lookahead: Lookahead


class PolicyOutput(NamedTuple):
    """Log-probabilities of all actions."""

    log_stop: jax.Array  # float32 [B]
    log_edges: jax.Array  # float32 [B, d * d], -inf where the edge is not legal


def combine(log_odds: jax.Array, edge_logits: jax.Array, legal: jax.Array) -> PolicyOutput:
    """Turn the log-odds of going on and the edges' logits into log-probabilities.

    Parameters
    ----------
    log_odds : float32 [B]
        Of adding an edge against stopping.
    edge_logits : float32 [B, d, d]
    legal : bool [B, d, d]
        Edges that may be added.

    Returns
    -------
    PolicyOutput
    """
    batch = log_odds.shape[0]
    flat_legal = legal.reshape(batch, -1)
    any_legal = flat_legal.any(axis=1)
    # A finite mask inside the softmax keeps gradients finite where nothing is legal.
    masked = jnp.where(flat_legal, edge_logits.reshape(batch, -1), -1e30)
    log_share = jax.nn.log_softmax(masked, axis=1)
    log_stop = jnp.where(any_legal, -jax.nn.softplus(log_odds), 0.0)
    log_edges = jnp.where(flat_legal, log_share - jax.nn.softplus(-log_odds)[:, None], -jnp.inf)
    return PolicyOutput(log_stop=log_stop, log_edges=log_edges)


def _legal(observation: Observation) -> jax.Array:
    return ~observation.descendants & (observation.gains > -jnp.inf)


class NodeNetwork(hk.Module):
    """A correction to the score-informed estimate, computed on one token per variable.

    A variable's token reads its row and its column of the features of all ordered pairs, that is,
    its relation to every other variable; a layer mixes it with the mean token. An edge's
    correction is a bilinear form of its two ends' tokens, and a linear one of the pair's own
    features. The last weights start at zero, so that the untrained policy is the estimate itself.
    """

    def __init__(self, width: int, num_layers: int, name: str | None = None):
        super().__init__(name=name)
        self.width = width
        self.num_layers = num_layers

    def __call__(self, observation: Observation) -> PolicyOutput:
        """Return the log-probabilities of all actions."""
        pairs = _pair_features(observation)
        tokens = self._tokens(pairs, observation)
        zero = hk.initializers.Constant(0.0)
        d = tokens.shape[1]
        source = hk.Linear(self.width, name="source")(tokens)
        target = hk.Linear(self.width, w_init=zero, name="target")(tokens)
        correction = jnp.einsum("bih,bjh->bij", source, target)
        correction += hk.Linear(d, w_init=zero, name="effects")(tokens)
        correction += hk.Linear(1, w_init=zero, name="pair")(pairs)[..., 0]
        pooled = hk.Linear(self.width, name="pool")(tokens.reshape(tokens.shape[0], -1))
        odds = hk.Linear(1, w_init=zero, name="odds")(jax.nn.gelu(pooled))[..., 0]
        look = observation.lookahead
        return combine(
            look.log_flow_odds + odds, look.log_edge_share + correction, _legal(observation)
        )

    def _tokens(self, pairs: jax.Array, observation: Observation) -> jax.Array:
        batch, d = pairs.shape[:2]
        look = observation.lookahead
        mass = jnp.log1p(jnp.maximum(look.log_mass, 0.0))
        of_state = jnp.stack(
            [
                observation.num_added / d,
                mass.mean(axis=1),
                jnp.tanh(look.log_flow_odds / 10.0),
                look.log_flow_odds / (10.0 + jnp.abs(look.log_flow_odds)),
            ],
            axis=-1,
        )
        features = jnp.concatenate(
            [
                pairs.reshape(batch, d, -1),
                pairs.swapaxes(1, 2).reshape(batch, d, -1),
                mass[..., None],
                jnp.broadcast_to(of_state[:, None, :], (batch, d, of_state.shape[-1])),
            ],
            axis=-1,
        )
        tokens = jax.nn.gelu(hk.Linear(self.width)(features) + self._identity(d, 0))
        for layer in range(1, self.num_layers + 1):
            mixed = hk.Linear(self.width)(tokens)
            mixed += hk.Linear(self.width, with_bias=False)(tokens.mean(axis=1, keepdims=True))
            tokens += jax.nn.gelu(mixed + self._identity(d, layer))
        return tokens

    def _identity(self, d: int, layer: int) -> jax.Array:
        """Return what tells variables apart, float32 [d, H]: a table has no symmetry."""
        init = hk.initializers.RandomNormal(1.0 / d**0.5)
        return hk.get_parameter(f"identity_{layer}", (d, self.width), init=init)


def _pair_features(observation: Observation) -> jax.Array:
    """Bounded features of every ordered pair, float32 [B, d, d, F]."""
    legal = _legal(observation)
    look = observation.lookahead
    gains = jnp.where(legal, observation.gains, 0.0)
    features = [observation.adjacency, observation.descendants, legal, look.precedes]
    features += [jnp.tanh(gains / 6.0)]
    for share in (look.log_edge_share, look.log_free_share):
        features += [jnp.exp(share), jnp.where(legal, jnp.maximum(share, -12.0) / 6.0, 0.0)]
    return jnp.stack([feature.astype(jnp.float32) for feature in features], axis=-1)


class LinearTransformer(hk.Module):
    """The published network: one token per ordered pair, and attention of linear cost.

    Tokens embed the two ends of the pair and whether the edge is there. Some layers are shared,
    then two heads of their own layers give the edges' logits and the stop's (Deleu et al. 2022;
    linear attention of Katharopoulos et al. 2020, arXiv 2006.16236). It sees the adjacency alone.
    """

    def __init__(self, width: int, num_layers: int, name: str | None = None):
        super().__init__(name=name)
        self.width = width
        self.num_layers = num_layers

    def __call__(self, observation: Observation) -> PolicyOutput:
        """Return the log-probabilities of all actions."""
        batch, d = observation.adjacency.shape[:2]
        source, target = jnp.divmod(jnp.arange(d * d), d)
        ends = [hk.Embed(d, self.width)(source), hk.Embed(d, self.width)(target)]
        present = hk.Embed(2, self.width)(observation.adjacency.reshape(batch, -1).astype(int))
        shared = [jnp.broadcast_to(end, present.shape) for end in ends]
        tokens = hk.Linear(self.width)(jnp.concatenate([*shared, present], axis=-1))
        own_layers = self.num_layers // 2
        for _ in range(self.num_layers - own_layers):
            tokens = self._layer(tokens)
        edges = stop = tokens
        for _ in range(own_layers):
            edges, stop = self._layer(edges), self._layer(stop)
        edge_logits = hk.nets.MLP([self.width, 1])(edges)[..., 0]
        log_odds = hk.nets.MLP([self.width, 1])(stop.mean(axis=1))[..., 0]
        return combine(log_odds, edge_logits.reshape(batch, d, d), _legal(observation))

    def _layer(self, tokens: jax.Array) -> jax.Array:
        tokens += self._attention(_normalised(tokens))
        hidden = jax.nn.gelu(hk.Linear(4 * self.width)(_normalised(tokens)))
        return tokens + hk.Linear(self.width)(hidden)

    def _attention(self, tokens: jax.Array) -> jax.Array:
        shape = (*tokens.shape[:2], self._NUM_HEADS, self.width // self._NUM_HEADS)
        query, key, value = (hk.Linear(self.width)(tokens).reshape(shape) for _ in range(3))
        query, key = jax.nn.elu(query) + 1.0, jax.nn.elu(key) + 1.0
        summary = jnp.einsum("bthk,bthv->bhkv", key, value)
        scale = jnp.einsum("bthk,bhk->bth", query, key.sum(axis=1))
        mixed = jnp.einsum("bthk,bhkv->bthv", query, summary) / (scale[..., None] + 1e-6)
        return hk.Linear(self.width)(mixed.reshape(tokens.shape))

    _NUM_HEADS = 4


def _normalised(tokens: jax.Array) -> jax.Array:
    return hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(tokens)


def node_network(width: int = 64, num_layers: int = 1) -> hk.Transformed:
    """Return the default policy, informed by the scores."""
    return hk.without_apply_rng(
        hk.transform(lambda observation: NodeNetwork(width, num_layers)(observation))
    )


def linear_transformer(width: int = 128, num_layers: int = 5) -> hk.Transformed:
    """Return the published policy on edges, for comparison."""
    return hk.without_apply_rng(
        hk.transform(lambda observation: LinearTransformer(width, num_layers)(observation))
    )


POLICIES: dict[str, Callable[..., hk.Transformed]] = {
    "node": node_network,
    "linear_transformer": linear_transformer,
}
