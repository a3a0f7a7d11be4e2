"""The flow over canonical orders, as an estimator."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import dag_gfn as dg

jax.config.update("jax_disable_most_optimizations", True)

TINY = {
    "width": 8,
    "batch_size": 8,
    "num_updates": 1,
    "n_samples": 256,
    "progress": False,
}


def measurements(d: int = 3) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(40, d))
    values[:, 1] += 0.5 * values[:, 0]
    return pd.DataFrame(values, columns=[f"gene{j}" for j in range(d)])


def expected_failures(estimator):
    return {
        "check_estimators_dtypes": (
            "integers with few values are refused by BGe as codes of categories, on purpose"
        ),
    }


# One update trains nothing.
@pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")
# The array API check is skipped with a warning where SCIPY_ARRAY_API is not set.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([dg.OrderGFlowNet(**TINY)], expected_failed_checks=expected_failures)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted() -> dg.OrderGFlowNet:
    model = dg.OrderGFlowNet(**TINY | {"num_updates": 600, "n_samples": 10_000}, random_state=0)
    return model.fit(measurements(4))


def test_weighted_marginals_are_the_exact_ones(fitted):
    exact = dg.ExactPosterior().fit(measurements(4)).edge_marginals_
    error = np.abs(fitted.posterior_.edge_marginals() - exact).to_numpy().max()
    # Five standard errors of independent draws.
    assert error < 2.5 / np.sqrt(fitted.posterior_.ess)


def test_probabilities_need_no_estimate(fitted):
    draws = fitted.sample(100, random_state=3)
    log_prob = fitted.log_prob(draws.adjacency)
    expected = fitted.scores_.log_score(draws.adjacency) - draws.log_weights
    np.testing.assert_allclose(log_prob, expected, atol=1e-4)
    with pytest.raises(ValueError, match="adjacency"):
        fitted.log_prob(np.ones((4, 4)))


def test_fresh_draws_are_reproducible_and_differ(fitted):
    one, same, other = (fitted.sample(200, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.adjacency, same.adjacency)
    assert np.any(one.adjacency != other.adjacency)


def test_time_ends_a_fit():
    model = dg.OrderGFlowNet(**TINY | {"num_updates": 10**9}, max_seconds=8.0, random_state=0)
    model.fit(measurements())
    assert model.history_["update"].iloc[-1] < 10**9


@pytest.mark.parametrize(
    ("setting", "value"),
    [("width", 0), ("learning_rate", 2.0), ("max_seconds", 0.0), ("max_candidates", 0.5)],
)
def test_settings_are_checked_at_the_door(setting, value):
    with pytest.raises(ValueError, match=setting):
        dg.OrderGFlowNet(**TINY | {setting: value}).fit(measurements())
