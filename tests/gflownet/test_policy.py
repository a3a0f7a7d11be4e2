from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logsumexp

from dag_gfn.gflownet import POLICIES
from dag_gfn.gflownet.lookahead import lookahead
from dag_gfn.gflownet.policy import combine
from dag_gfn.gflownet.spaces.dag import from_adjacency, initial, legal_edges, step
from dag_gfn.gflownet.training import make_policy, make_problem, observe
from dag_gfn.graphs import all_dags

CONSTRAINTS = {
    "none": {},
    "all": {"forbidden_edges": [(0, 1)], "required_edges": [(2, 0)], "max_parents": 2},
}


def probabilities(output):
    """Of all actions, to stop last, float64 [B, d * d + 1]."""
    return np.exp(np.concatenate([output.log_edges, output.log_stop[:, None]], axis=1, dtype=float))


def test_combine_is_stop_or_go_then_which():
    rng = np.random.default_rng(0)
    odds = rng.normal(size=5, scale=3)
    logits = rng.normal(size=(5, 3, 3), scale=3)
    legal = rng.random((5, 3, 3)) < 0.5
    legal[0] = False
    legal[1] = np.arange(9).reshape(3, 3) == 5
    output = combine(jnp.asarray(odds), jnp.asarray(logits), jnp.asarray(legal))
    found = probabilities(output)
    assert output.log_stop[0] == 0 and (output.log_edges[0] == -np.inf).all()
    for row in range(1, 5):
        share = np.where(legal[row], np.exp(logits[row]), 0).ravel()
        share /= share.sum()
        expected = np.append(expit(odds[row]) * share, expit(-odds[row]))
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_combine_is_finite_at_any_size_of_logits(size):
    legal = jnp.ones((4, 2, 2), bool).at[0].set(False)
    odds = jnp.array([1.0, -1.0, 1.0, 0.0]) * size
    logits = jnp.linspace(-size, size, 16).reshape(4, 2, 2)

    def total(odds, logits):
        output = combine(odds, logits, legal)
        return output.log_stop.sum() + jnp.where(legal.reshape(4, -1), output.log_edges, 0.0).sum()

    output = combine(odds, logits, legal)
    assert np.isfinite(output.log_stop).all()
    assert np.isfinite(np.asarray(output.log_edges)[1:]).all()
    gradients = jax.grad(total, argnums=(0, 1))(odds, logits)
    assert all(np.isfinite(leaf).all() for leaf in gradients)


@pytest.mark.parametrize("words", CONSTRAINTS.values(), ids=CONSTRAINTS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_at_every_dag_of_four_nodes(policy, words, small_of, gaussian_scores, untrained):
    scores = gaussian_scores(4, **words)
    settings = small_of(policy)
    flow = untrained(scores, settings)
    graphs = all_dags(4)
    graphs = graphs[np.isfinite(scores.log_score(graphs))]
    local = np.stack(
        [
            scores.local_scores_of(node, graphs[:, :, node])
            - scores.local_scores_of(node, scores.required[None, :, node])
            for node in range(4)
        ],
        axis=1,
    )
    apply = make_policy(settings).apply

    @jax.jit
    def evaluate(params, graphs, local):
        state = from_adjacency(flow.problem.space, flow.gains_function, graphs, local)
        look = lookahead(flow.problem.parent_sets, state)

        def total(params):
            output = apply(params, observe(flow.problem, state))
            legal = legal_edges(state).reshape(len(graphs), -1)
            # Entries of edges that are not legal are -inf, and in no loss.
            entropy = -jnp.where(legal, jnp.exp(output.log_edges) * output.log_edges, 0.0).sum()
            return entropy + output.log_stop.sum(), (output, legal)

        (_, (output, legal)), gradient = jax.value_and_grad(total, has_aux=True)(params)
        return output, legal, gradient, look

    output, legal, gradient, look = jax.device_get(
        evaluate(flow.params, jnp.asarray(graphs, bool), jnp.asarray(local, jnp.float32))
    )
    assert output.log_stop.shape == (len(graphs),)
    assert output.log_edges.shape == (len(graphs), 16)
    np.testing.assert_array_equal(output.log_edges > -np.inf, legal)
    np.testing.assert_allclose(probabilities(output).sum(axis=1), 1.0, atol=1e-5)
    full = ~legal.any(axis=1)
    assert full.any() and not full.all()
    np.testing.assert_array_equal(output.log_stop[full], 0.0)
    assert np.isfinite(output.log_stop).all() and (output.log_stop[~full] < 0).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(look))
    leaves = jax.tree.leaves(gradient)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    # No parameter is idle, but for an offset to all edges, which cancels in their softmax.
    assert sum(not np.any(leaf != 0) for leaf in leaves) <= 1


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_hold_where_data_are_strong_and_variables_many(
    policy, small_of, gaussian_scores, untrained
):
    scores = gaussian_scores(12, num_rows=2000, forbidden_edges=[(0, 1)])
    settings = small_of(policy)
    flow = untrained(scores, settings)
    assert np.nanmax(np.where(np.isfinite(flow.problem.space.initial_gains),
                              flow.problem.space.initial_gains, np.nan)) > 300  # fmt: skip
    apply = make_policy(settings).apply

    @jax.jit
    def walk(params, key):
        def advance(state, key):
            observation = observe(flow.problem, state)
            output = apply(params, observation)
            legal = legal_edges(state).reshape(32, -1)
            logits = jnp.where(legal, 0.0, -jnp.inf)
            action = jnp.where(legal.any(axis=1), jax.random.categorical(key, logits), 144)
            after, _, _ = step(flow.problem.space, flow.gains_function, state, action)
            return after, (output, legal, observation.lookahead)

        keys = jax.random.split(key, 66)
        return jax.lax.scan(advance, initial(flow.problem.space, 32), keys)[1]

    output, legal, look = jax.device_get(walk(flow.params, jax.random.key(0)))
    np.testing.assert_array_equal(output.log_edges > -np.inf, legal)
    total = np.logaddexp(logsumexp(output.log_edges.astype(float), axis=-1), output.log_stop)
    np.testing.assert_allclose(total, 0.0, atol=1e-4)
    assert np.isfinite(output.log_stop).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(look))


def test_the_lookahead_knows_no_table_but_its_own(small, gaussian_scores):
    """It is finite at the initial graph and differs between tables."""
    looks = []
    for seed in range(2):
        problem, _ = make_problem(gaussian_scores(4, seed=seed), small)
        looks.append(
            jax.tree.leaves(jax.jit(lookahead)(problem.parent_sets, initial(problem.space, 2)))
        )
    assert all(np.isfinite(leaf).all() for look in looks for leaf in look)
    assert any(np.any(a != b) for a, b in zip(*looks, strict=True))
    # A batch of equal states gets equal rows.
    for leaf in looks[0]:
        np.testing.assert_array_equal(leaf[0], leaf[1])
