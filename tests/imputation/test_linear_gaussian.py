"""Missing measurements, against conditioning in the joint normal distribution."""

from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.imputation import draw_missing_values
from dag_gfn.posterior.linear_gaussian import LinearGaussianParameters


@pytest.fixture(scope="module")
def network(graph) -> LinearGaussianParameters:
    rng = np.random.default_rng(0)
    return LinearGaussianParameters(
        names=("a", "b", "c", "d"),
        adjacency=graph[None],
        coefficients=(graph * rng.uniform(0.6, 1.5, (4, 4)) * rng.choice([-1, 1], (4, 4)))[None],
        intercepts=rng.normal(size=(1, 4)),
        variances=rng.uniform(0.3, 2.0, (1, 4)),
        log_weights=np.zeros(1),
    )


def joint_moments(network, target):
    """Return mean and covariance of x = a + B' x + e; what was set is a root of its own."""
    coefficients, intercepts = network.coefficients[0].copy(), network.intercepts[0].copy()
    if target >= 0:
        # Its distribution does not matter, since all is conditioned on its value.
        coefficients[:, target] = 0
        intercepts[target] = 0
    effects = np.linalg.inv(np.eye(4) - coefficients)
    return intercepts @ effects, effects.T @ np.diag(network.variances[0]) @ effects


def test_draws_are_those_of_the_joint_normal_distribution(network, pattern):
    rows, missing, target = pattern
    values = np.random.default_rng(1).normal(scale=2.0, size=(len(rows), 4))
    drawn = draw_missing_values(values, [pattern], network, np.random.default_rng(2))
    np.testing.assert_array_equal(drawn[:, ~missing], values[:, ~missing])

    mean, covariance = joint_moments(network, target)
    across = covariance[np.ix_(missing, ~missing)]
    slopes = np.linalg.solve(covariance[np.ix_(~missing, ~missing)], across.T)
    left = covariance[np.ix_(missing, missing)] - across @ slopes
    expected = mean[missing] + (values[:, ~missing] - mean[~missing]) @ slopes
    # Independent standard normal numbers, whatever the observed values are.
    standard = np.linalg.solve(np.linalg.cholesky(left), (drawn[:, missing] - expected).T)
    features = np.vstack([standard, values[:, ~missing].T / 2, np.ones(len(rows))])
    products = standard @ features.T / len(rows)
    target_products = np.eye(*products.shape)
    # The square of a standard normal number has variance 2.
    assert np.abs(products - target_products).max() < 5 * np.sqrt(2 / len(rows))


def test_rows_of_other_patterns_are_left_alone(network, pattern):
    values = np.random.default_rng(1).normal(size=(len(pattern.rows), 4))
    half = pattern._replace(rows=pattern.rows[::2])
    drawn = draw_missing_values(values, [half], network, np.random.default_rng(2))
    np.testing.assert_array_equal(drawn[1::2], values[1::2])
    assert (drawn[::2][:, pattern.missing] != values[::2][:, pattern.missing]).all()
