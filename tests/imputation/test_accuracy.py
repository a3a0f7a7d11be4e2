"""What the spread from table to table says, against sequences whose autocorrelation is known."""

from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.imputation import imputation_accuracy

NUM_TABLES = 20_000


def sequence(correlation: float, size: int = NUM_TABLES) -> np.ndarray:
    """Return edge marginals [T, 2, 2] about 0.3, one of which is autoregressive of order one."""
    rng = np.random.default_rng(0)
    noise = np.sqrt(1 - correlation**2) * rng.normal(size=size)
    values = np.empty(size)
    values[0] = rng.normal()
    for step in range(1, size):
        values[step] = correlation * values[step - 1] + noise[step]
    marginals = np.zeros((size, 2, 2))
    marginals[:, 0, 1] = 0.3 + 0.02 * values
    marginals[:, 1, 0] = 0.3
    return marginals


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_effective_number_of_tables(correlation):
    found = imputation_accuracy(sequence(correlation))
    # The variance of a mean of AR(1) is (1 + c) / (1 - c) times that of independent values.
    expected = NUM_TABLES * (1 - correlation) / (1 + correlation)
    assert found.effective_tables == pytest.approx(expected, rel=0.15)
    error = 0.02 / np.sqrt(expected)
    np.testing.assert_allclose(found.standard_errors, [[0, error], [0, 0]], rtol=0.1)
    # Half of the variance of both edges is that of the one that varies.
    share = 0.02**2 / (2 * 0.3 * 0.7)
    assert found.between_share == pytest.approx(share, rel=0.1)
    assert found.ess == pytest.approx(found.effective_tables / found.between_share)


def test_variances_within_and_between_add_up():
    rng = np.random.default_rng(1)
    inside = rng.beta(2, 3, 4000)
    marginals = np.zeros((4000, 2, 2))
    marginals[:, 0, 1] = inside
    found = imputation_accuracy(marginals)
    graphs = rng.random(4000) < inside  # draws of the mixture
    total = inside.var() + (inside * (1 - inside)).mean()
    assert total == pytest.approx(graphs.var(), abs=0.02)
    assert found.between_share == pytest.approx(inside.var() / total)


def test_tables_that_agree():
    marginals = np.full((50, 2, 2), 0.25)
    found = imputation_accuracy(marginals)
    assert not found.standard_errors.any()
    assert (found.between_share, found.effective_tables, found.ess) == (0.0, 50.0, np.inf)
    certain = imputation_accuracy(np.zeros((50, 2, 2)))
    assert (certain.between_share, certain.ess) == (0.0, np.inf)


def test_a_step_half_way_is_worth_a_table_or_two():
    marginals = np.zeros((100, 2, 2))
    marginals[50:, 0, 1] = 1.0
    assert imputation_accuracy(marginals).effective_tables < 3


def test_few_tables_are_refused():
    with pytest.raises(ValueError, match="of 7 tables cannot be told; make at least 8"):
        imputation_accuracy(np.zeros((7, 2, 2)))
