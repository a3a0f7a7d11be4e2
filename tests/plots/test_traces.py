"""Traces show what the chains did."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dag_gfn.mcmc import Chains, Draws
from dag_gfn.plots import traces


def chains(log_scores: np.ndarray, thin: int = 10, burn_in: int = 50) -> Chains:
    num_chains, num_draws = log_scores.shape
    adjacency = np.zeros((num_chains, num_draws, 2, 2), dtype=np.int8)
    return Chains(
        Draws(adjacency, log_scores, np.zeros_like(log_scores)),
        edge_marginals=np.zeros((num_chains, 2, 2)),
        seconds=np.zeros(num_draws),
        num_steps=burn_in + thin * num_draws,
        thin=thin,
        acceptance={},
        path=np.zeros((1, 2, 2)),
        path_seconds=np.zeros(1),
    )


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_each_chain_has_a_trace_over_its_steps_and_an_average():
    log_scores = np.random.default_rng(0).normal(size=(3, 200))
    ax = traces(chains(log_scores))
    assert len(ax.lines) == 6
    for chain in range(3):
        trace, average = ax.lines[2 * chain : 2 * chain + 2]
        np.testing.assert_array_equal(trace.get_xdata(), 50 + 10 * np.arange(1, 201))
        np.testing.assert_array_equal(trace.get_ydata(), log_scores[chain])
        means = log_scores[chain].reshape(40, 5).mean(axis=1)
        np.testing.assert_allclose(average.get_ydata(), means)
        assert average.get_color() == trace.get_color()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["chain 1", "chain 2", "chain 3"]
    assert len({line.get_color() for line in ax.lines}) == 3
    assert ax.get_xlim() == (60, 2050)


def test_title_says_how_far_to_trust_the_chains():
    log_scores = np.random.default_rng(0).normal(size=(4, 500))
    assert "above" not in traces(chains(log_scores)).get_title(loc="left")
    shifted = log_scores + np.arange(4)[:, None]
    assert "above 1.01; 2000 draws worth" in traces(chains(shifted)).get_title(loc="left")


def test_long_and_many_chains_stay_readable():
    log_scores = np.random.default_rng(0).normal(size=(8, 5000))
    ax = traces(SimpleNamespace(chains_=chains(log_scores)))
    assert ax.get_legend() is None
    assert all(len(line.get_xdata()) <= 1000 for line in ax.lines)


def test_given_axes_are_used():
    ax = plt.subplots()[1]
    assert traces(chains(np.zeros((2, 8))), ax) is ax
    assert "R-hat 1.000; 16 draws worth 16" in ax.get_title(loc="left")


def test_what_has_no_chains_is_refused():
    with pytest.raises(TypeError, match="fitted estimator such as StructureMCMC, not list"):
        traces([1, 2])
