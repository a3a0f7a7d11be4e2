"""BGe against theory and against another implementation."""

from __future__ import annotations

from itertools import chain, combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_t

from dag_gfn.scores import BGe, local_scores


def families(names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return every node with every parent set."""
    return [
        (node, parents)
        for node in names
        for parents in chain.from_iterable(
            combinations([name for name in names if name != node], size)
            for size in range(len(names))
        )
    ]


def log_marginal(
    values: np.ndarray, alpha_mu: float, alpha_w: float, nu: np.ndarray, scale: np.ndarray
) -> float:
    """Return log p(rows) under a normal-Wishart prior as a product of predictive t densities."""
    total = 0.0
    for row in values:
        degrees = alpha_w - len(nu) + 1
        shape = scale * (alpha_mu + 1) / (alpha_mu * degrees)
        total += multivariate_t.logpdf(row, nu, shape, degrees)
        scale = scale + alpha_mu / (alpha_mu + 1) * np.outer(row - nu, row - nu)
        nu = (alpha_mu * nu + row) / (alpha_mu + 1)
        alpha_mu, alpha_w = alpha_mu + 1, alpha_w + 1
    return total


def hyperparameters() -> list[BGe]:
    factor = np.random.default_rng(3).normal(size=(4, 4))
    return [
        BGe(),
        BGe(alpha_mu=0.3, alpha_w=9.5),
        BGe(alpha_mu=2, alpha_w=3.2, nu=[1.0, 0.5, -4, 2], T=0.7),
        BGe(alpha_w=4.5, nu=-1, T=np.diag([0.1, 2.0, 3.0, 0.4])),
        BGe(nu=[1.0, 0.5, -4, 2], T=factor @ factor.T + np.eye(4)),
    ]


@pytest.mark.parametrize("score", hyperparameters())
def test_is_a_ratio_of_normal_wishart_marginals(measurements: pd.DataFrame, score: BGe) -> None:
    # The marginal of a Wishart on l of d columns has alpha_w - d + l degrees of freedom and T_YY.
    scores = local_scores(measurements, score)
    num_variables = 4
    alpha_w = num_variables + 2 if score.alpha_w is None else score.alpha_w
    nu = np.broadcast_to(np.asarray(score.nu, dtype=float), num_variables)
    default = score.alpha_mu * (alpha_w - num_variables - 1) / (score.alpha_mu + 1)
    scale = np.asarray(default if score.T is None else score.T)
    scale = scale * np.eye(num_variables) if scale.ndim == 0 else scale
    values = measurements.to_numpy()

    def marginal(columns: list[int]) -> float:
        if not columns:
            return 0.0
        return log_marginal(
            values[:, columns],
            score.alpha_mu,
            alpha_w - num_variables + len(columns),
            nu[columns],
            scale[np.ix_(columns, columns)],
        )

    for node, parents in [(0, []), (1, [0]), (2, [0, 3]), (3, [0, 1, 2])]:
        expected = marginal([*parents, node]) - marginal(parents)
        assert scores.local_score(node, parents) == pytest.approx(expected, rel=1e-9)


def test_chain_rule_in_any_order(measurements: pd.DataFrame) -> None:
    # Complete DAGs are equivalent: the same joint marginal factorised in every order.
    factor = np.random.default_rng(4).normal(size=(4, 4))
    scores = local_scores(measurements, BGe(T=factor @ factor.T + np.eye(4), nu=1.0))
    totals = [
        sum(scores.local_score(order[i], order[:i]) for i in range(4))
        for order in permutations(range(4))
    ]
    np.testing.assert_allclose(totals, totals[0], rtol=1e-11)


@pytest.mark.parametrize(("alpha_mu", "alpha_w"), [(1.0, 6.0), (0.5, 8.0)])
def test_agrees_with_pybnesian(measurements: pd.DataFrame, alpha_mu: float, alpha_w: float) -> None:
    pybnesian = pytest.importorskip("pybnesian")
    names = list(measurements.columns)
    oracle = pybnesian.BGe(measurements, iss_mu=alpha_mu, iss_w=alpha_w, nu=np.zeros(4))
    model = pybnesian.GaussianNetwork(names)
    scores = local_scores(
        measurements, "bge", score_params={"alpha_mu": alpha_mu, "alpha_w": alpha_w}
    )
    for node, parents in families(names):
        expected = oracle.local_score(model, node, list(parents))
        assert scores.local_score(node, parents) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("score", hyperparameters())
@pytest.mark.parametrize("max_size", [0, 1, 3])
def test_subsets_give_the_values_of_single_sets(
    measurements: pd.DataFrame, score: BGe, max_size: int
) -> None:
    likelihood = local_scores(measurements, score).likelihood
    found = likelihood.log_marginals_of_subsets(1, [0, 2, 3], max_size)
    expected = super(type(likelihood), likelihood).log_marginals_of_subsets(1, [0, 2, 3], max_size)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    found = likelihood.log_marginals_of_subsets(1, [3, 2], min(max_size, 2), base=[0])
    expected = super(type(likelihood), likelihood).log_marginals_of_subsets(
        1, [3, 2], min(max_size, 2), base=[0]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_few_of_many_subsets() -> None:
    # 20 candidates and at most 2 parents take the other path than the sweep over all minors.
    values = np.random.default_rng(5).normal(size=(40, 21))
    likelihood = local_scores(values).likelihood
    found = likelihood.log_marginals_of_subsets(20, range(20), 2)
    expected = super(type(likelihood), likelihood).log_marginals_of_subsets(20, range(20), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_more_columns_than_rows() -> None:
    values = np.random.default_rng(6).normal(size=(4, 10))
    scores = local_scores(values)
    assert np.all(np.isfinite(scores.table()))


def test_columns_that_are_sums_of_others() -> None:
    values = np.random.default_rng(8).normal(size=(30, 3)) @ np.diag([1e7, 1e7, 1e7])
    table = pd.DataFrame(values, columns=["a", "b", "c"])
    table["e"] = table["a"] + table["b"]
    with pytest.raises(ValueError, match="'[abe]' is a linear combination .* standardize=True"):
        local_scores(table)
    # At unit scale T keeps them apart, and the chain rule still holds in any order.
    scores = local_scores(table, standardize=True)
    totals = [
        sum(scores.local_score(order[i], order[:i]) for i in range(4))
        for order in permutations(range(4))
    ]
    np.testing.assert_allclose(totals, totals[0], rtol=1e-9)


def test_no_rows_left_by_interventions() -> None:
    # With no rows of its own a column has the score of an empty table, which is log 1.
    values = np.random.default_rng(7).normal(size=(6, 3))
    scores = local_scores(values, interventions=[0] * 6)
    np.testing.assert_allclose(scores.table()[0], 0, atol=1e-12)


def test_shift_of_the_data_and_of_nu(measurements: pd.DataFrame) -> None:
    shift = np.array([10.0, -20, 0.5, 3])
    scores = local_scores(measurements, BGe(nu=1.0))
    moved = local_scores(measurements + shift, BGe(nu=1.0 + shift))
    np.testing.assert_allclose(moved.table(), scores.table(), rtol=1e-10)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"alpha_mu": 0}, "alpha_mu of BGe must be positive, not 0"),
        ({"alpha_mu": np.nan}, "alpha_mu of BGe must be positive"),
        ({"alpha_w": 3, "T": 1.0}, "alpha_w of BGe must be above d - 1 = 3"),
        ({"alpha_w": 5}, "default T of BGe needs alpha_w above d \\+ 1 = 5, not 5; give T"),
        ({"nu": [1.0, 2.0]}, "nu of BGe .* shape is \\(2,\\)"),
        ({"nu": np.inf}, "nu of BGe must be a finite"),
        ({"T": np.eye(3)}, "T of BGe .* 4 x 4, but its shape is \\(3, 3\\)"),
        ({"T": np.triu(np.ones((4, 4)))}, "T of BGe must be finite and symmetric"),
        ({"T": -1.0}, "T of BGe must be positive definite"),
    ],
)
def test_impossible_hyperparameters(measurements: pd.DataFrame, kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        local_scores(measurements, "bge", score_params=kwargs)
