"""R-hat and effective sample sizes against what is known of the chains."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from dag_gfn.convergence import RHAT_LIMIT, convergence

NAMES = ["rain", "wet"]


def graphs(indicator: np.ndarray) -> np.ndarray:
    """Two variables, rain -> wet where the indicator [C, S] says so."""
    adjacency = np.zeros((*indicator.shape, 2, 2), dtype=np.int8)
    adjacency[:, :, 0, 1] = indicator
    return adjacency


def two_state_chains(num_chains, num_draws, switch, seed=0):
    """Markov chains on {0, 1} that change their state with the given probability."""
    rng = np.random.default_rng(seed)
    changes = rng.random((num_chains, num_draws)) < switch
    changes[:, 0] = rng.random(num_chains) < 0.5
    return np.cumsum(changes, axis=1) % 2


def test_independent_draws_are_worth_their_number():
    rng = np.random.default_rng(1)
    table = convergence(graphs(rng.random((4, 2000)) < 0.2), rng.normal(size=(4, 2000)), NAMES)
    assert table.index.tolist() == ["log score", "rain -> wet", "wet -> rain"]
    assert np.all(table["rhat"] < RHAT_LIMIT)
    np.testing.assert_allclose(table["ess"], 8000, rtol=0.15)


def test_sample_size_of_a_chain_with_known_correlation():
    # The autocorrelation at lag t is (1 - 2 p)^t, so a draw is worth p / (1 - p) independent ones.
    indicator = two_state_chains(4, 20_000, 0.1)
    # Autoregressive with coefficient 1/2, so a draw is worth a third.
    log_scores = lfilter([1], [1, -0.5], np.random.default_rng(0).normal(size=indicator.shape))
    table = convergence(graphs(indicator), log_scores, NAMES)
    np.testing.assert_allclose(table.loc["rain -> wet", "ess"], 80_000 / 9, rtol=0.15)
    np.testing.assert_allclose(table.loc["log score", "ess"], 80_000 / 3, rtol=0.15)


def test_rhat_of_shifted_chains_follows_its_formula():
    means = np.array([0.2, 0.2, 0.6])
    indicator = np.array([np.arange(1000) % 10 < 10 * mean for mean in means])
    table = convergence(graphs(indicator), indicator * 1.0, NAMES)
    num = 500
    within = np.mean(means * (1 - means)) * num / (num - 1)
    between = np.var(np.repeat(means, 2), ddof=1)
    expected = np.sqrt((num - 1) / num + between / within)
    np.testing.assert_allclose(table.loc["rain -> wet", "rhat"], expected, rtol=1e-10)
    # Two values, so the log-score is an indicator as well.
    np.testing.assert_allclose(table.loc["log score", "rhat"], expected, rtol=1e-10)


def test_rhat_of_the_log_score_sees_location_and_scale():
    log_scores = np.random.default_rng(2).normal(size=(4, 1000))
    edge = graphs(np.zeros((4, 1000)))
    assert convergence(edge, log_scores, NAMES).loc["log score", "rhat"] < RHAT_LIMIT
    shifted = log_scores + np.array([[0], [0], [0], [1]])
    assert convergence(edge, shifted, NAMES).loc["log score", "rhat"] > 1.05
    wider = log_scores * np.array([[1], [1], [1], [4]])
    assert convergence(edge, wider, NAMES).loc["log score", "rhat"] > 1.05


def test_constant_indicators():
    table = convergence(graphs(np.ones((3, 10))), np.zeros((3, 10)), NAMES)
    assert table["rhat"].tolist() == [1, 1, 1]
    assert table["ess"].tolist() == [30, 30, 30]
    assert table["mean"].tolist() == [0, 1, 0]


@pytest.mark.parametrize("num_chains", [2, 4])
def test_chains_that_never_move_and_disagree(num_chains):
    indicator = np.zeros((num_chains, 100))
    indicator[0] = 1
    table = convergence(graphs(indicator), indicator, NAMES)
    assert table["rhat"].tolist() == [np.inf, np.inf, 1]
    assert np.all(table["ess"][:2] < 2 * num_chains + 1)


def test_one_rare_edge_is_no_cause_for_alarm():
    indicator = np.zeros((4, 2500))
    indicator[2, 77] = 1
    table = convergence(graphs(indicator), np.random.default_rng(0).normal(size=(4, 2500)), NAMES)
    assert table.loc["rain -> wet", "rhat"] < RHAT_LIMIT


def test_a_single_chain_is_compared_with_itself():
    indicator = np.random.default_rng(0).random((1, 1000)) < 0.4
    drifting = np.linspace(0, 3, 1000)[None] + indicator
    table = convergence(graphs(indicator), drifting, NAMES)
    assert table.loc["rain -> wet", "rhat"] < RHAT_LIMIT < 1.5 < table.loc["log score", "rhat"]


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="at least 8 draws of each chain and there are 7"):
        convergence(graphs(np.zeros((4, 7))), np.zeros((4, 7)), NAMES)


def test_what_varies_in_the_middle_draw_alone_is_constant():
    values = np.zeros((2, 9))
    values[0, 4] = 1
    table = convergence(graphs(values), values, NAMES)
    assert np.all(table["rhat"] == 1)
    assert table.loc["rain -> wet", "mean"] == 1 / 18
