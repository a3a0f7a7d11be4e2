"""Active learning: acquisition functions by quadrature, the generator against what it must draw."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from dag_gfn.gflownet.active import (
    EnsembleSettings,
    choose_batch,
    expected_improvement,
    fit_ensemble,
    predict,
    train_on_both,
    upper_confidence_bound,
)
from dag_gfn.gflownet.enumeration import enumerate_states, terminal_log_prob
from dag_gfn.gflownet.generic import GenericSettings, evaluate_policy, init
from dag_gfn.gflownet.spaces import sequences
from dag_gfn.gflownet.spaces.sequences import Sequence

LENGTH, ALPHABET = 4, 2
POLICY = GenericSettings(width=32, batch_size=32, exploration=0.1, learning_rate=5e-3)
ENSEMBLE = EnsembleSettings(width=32, num_updates=400, learning_rate=5e-3)
KEY = jax.random.key(0, impl="rbg")  # compiles in half the time


# --- acquisition ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "deviation"), [(0.2, 0.5), (1.5, 0.1), (-2.0, 1.0)])
def test_expected_improvement_is_the_integral(mean, deviation):
    best = 0.7
    expected, _ = integrate.quad(
        lambda value: (value - best) * stats.norm(mean, deviation).pdf(value), best, mean + 12
    )
    value = expected_improvement(jnp.array([mean]), jnp.array([deviation]), best=best)
    np.testing.assert_allclose(value[0], expected, atol=1e-5)


def test_without_doubt_only_the_mean_counts():
    mean = jnp.array([0.2, 0.9])
    np.testing.assert_allclose(
        expected_improvement(mean, jnp.zeros(2), best=0.5), [0.0, 0.4], atol=1e-6
    )
    np.testing.assert_allclose(upper_confidence_bound(mean, jnp.zeros(2)), mean)
    gradient = jax.grad(lambda one: expected_improvement(mean, one, best=0.5).sum())(jnp.zeros(2))
    assert np.isfinite(gradient).all()


def test_doubt_is_worth_kappa():
    values = upper_confidence_bound(jnp.zeros(3), jnp.array([0.0, 1.0, 2.0]), kappa=0.1)
    np.testing.assert_allclose(values, [0.0, 0.1, 0.2], rtol=1e-6)


# --- the ensemble --------------------------------------------------------------------------------


def test_an_ensemble_fits_doubts_where_there_are_no_data_and_ignores_what_does_not_count():
    fit = jax.jit(partial(fit_ensemble, ENSEMBLE))
    x = np.random.default_rng(0).uniform(-1, 1, size=(80, 2)).astype(np.float32)
    y = x[:, 0] * x[:, 1]
    params = fit(KEY, x, y, num_known=60)
    mean, deviation = predict(ENSEMBLE, params, x[60:])
    assert np.corrcoef(mean, y[60:])[0, 1] > 0.95
    far = predict(ENSEMBLE, params, 5 * x[60:])[1]
    assert far.mean() > 3 * deviation.mean()
    x[60:], y[60:] = np.nan, np.nan
    again = fit(KEY, x, y, num_known=60)
    for one, other in zip(jax.tree.leaves(params), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert fit._cache_size() == 1


# --- the generator -------------------------------------------------------------------------------


def test_half_offline_training_draws_in_proportion_to_whatever_reward_and_compiles_once():
    """The reward is an argument, as a proxy is; objects that do not count have none at all."""
    empty = sequences(LENGTH, ALPHABET, lambda tokens: jnp.zeros(len(tokens)))

    def space_of(weights):
        return empty._replace(log_reward=lambda state: state.tokens.astype(jnp.float32) @ weights)

    @jax.jit
    def train(weights, state, objects, num_objects):
        return train_on_both(
            space_of(weights),
            POLICY,
            state,
            objects,
            num_objects=num_objects,
            offline_share=0.5,
            num_updates=400,
        )

    # The tokens of objects that do not count would make the loss infinite.
    tokens = np.full((10, LENGTH), np.iinfo(np.int32).max, np.int32)
    tokens[:3] = [[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0]]
    objects = Sequence(jnp.asarray(tokens), jnp.full(10, LENGTH, jnp.int32))
    for weights, num_objects in (([0.0, 1.0, 2.0, -1.0], 3), ([2.0, 0.0, -1.0, 0.5], 2)):
        weights = jnp.array(weights)
        state, losses = train(weights, init(empty, POLICY, KEY), objects, num_objects)
        assert np.isfinite(losses).all()
        found = enumerate_states(space_of(weights))
        log_forward = evaluate_policy(empty, POLICY, state.params["network"], found.states)[0]
        drawn = np.exp(terminal_log_prob(found, np.asarray(log_forward)))
        target = np.exp(found.log_reward - np.logaddexp.reduce(found.log_reward))
        assert np.abs(drawn - target).sum() / 2 < 0.03
    assert train._cache_size() == 1


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.5"):
        train_on_both(None, POLICY, None, None, num_objects=1, offline_share=1.5, num_updates=1)


# --- the batch -----------------------------------------------------------------------------------


def test_the_batch_is_the_best_that_are_apart():
    tokens = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]])
    values = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert choose_batch(values, tokens, 3).tolist() == [0, 1, 2]
    assert choose_batch(values, tokens, 2, min_distance=2).tolist() == [0, 2]
    # Copies come last, and only where there is nothing else.
    assert choose_batch(values, tokens, 5).tolist() == [0, 1, 2, 4, 3]
    values[0] = -np.inf
    assert choose_batch(values, tokens, 2, min_distance=2).tolist() == [1, 2]
    assert choose_batch(values, tokens, 5)[-1] == 0
    with pytest.raises(ValueError, match="5 candidates, fewer than the 6"):
        choose_batch(values, tokens, 6)
