"""How chains are run, on a kernel whose draws say how many steps it has made."""

from __future__ import annotations

import time

import numpy as np
import pytest

from dag_gfn.mcmc import Draws, Kernel, chains_posterior, run_chains, structure_kernel
from dag_gfn.mcmc.order import order_kernel
from dag_gfn.mcmc.partition import partition_kernel
from dag_gfn.scores import local_scores


def counting_kernel(num_chains: int = 2, seconds_per_step: float = 0.0) -> Kernel:
    """The log-score of a draw is the number of steps so far; the edge is there on odd ones."""
    steps = {"done": 0, "forgotten": 0}

    def advance(num_draws, thin):
        time.sleep(num_draws * thin * seconds_per_step)
        numbers = steps["done"] + thin * np.arange(1, num_draws + 1)
        steps["done"] += num_draws * thin
        log_scores = np.tile(numbers.astype(float), (num_chains, 1))
        adjacency = np.zeros((num_chains, num_draws, 2, 2), dtype=np.int8)
        adjacency[:, :, 0, 1] = numbers % 2
        return Draws(adjacency, log_scores, np.zeros_like(log_scores))

    def forget():
        steps["forgotten"] = steps["done"]

    def edge_marginals():
        return np.full((num_chains, 2, 2), float(steps["done"] - steps["forgotten"]))

    return Kernel(advance, forget, edge_marginals, lambda: {"step": 0.25})


@pytest.mark.parametrize(
    ("num_draws", "num_steps", "thin", "total"),
    [(90, 1000, 10, 1000), (100, 1000, 9, 1000), (7, 1000, 128, 996), (50, 20, 1, 52)],
)
def test_steps_are_spread_over_the_draws_after_a_tenth(num_draws, num_steps, thin, total):
    chains = run_chains(counting_kernel(), num_draws=num_draws, num_steps=num_steps)
    burn_in = num_steps // 10
    assert (chains.thin, chains.num_steps) == (thin, total)
    expected = burn_in + thin * np.arange(1, num_draws + 1)
    np.testing.assert_array_equal(chains.draws.log_scores, [expected, expected])
    assert chains.draws.adjacency.shape == (2, num_draws, 2, 2)
    assert chains.draws.log_weights.shape == (2, num_draws)
    # What the kernel has counted since the burn-in.
    assert np.all(chains.edge_marginals == num_draws * thin)
    assert chains.acceptance == {"step": 0.25}
    assert chains.seconds.shape == (num_draws,) and np.all(np.diff(chains.seconds) >= 0)
    assert len(chains.path) == len(chains.path_seconds) >= 1
    assert np.all(chains.path_seconds[1:] >= 1.1 * chains.path_seconds[:-1])


def test_time_decides_when_it_is_given():
    kernel = counting_kernel(seconds_per_step=1e-4)
    begin = time.perf_counter()
    chains = run_chains(kernel, num_draws=20, num_steps=5, max_seconds=1.0)
    assert time.perf_counter() - begin >= 1.0
    num_draws = chains.draws.log_scores.shape[1]
    assert 20 <= num_draws < 40
    steps = chains.draws.log_scores[0]
    np.testing.assert_array_equal(np.diff(steps), chains.thin)
    assert chains.thin & (chains.thin - 1) == 0
    assert steps[-1] == chains.num_steps
    kept = chains.num_steps - steps[0] + chains.thin
    assert np.all(chains.edge_marginals == kept)
    assert len(chains.seconds) == num_draws and 0.1 <= chains.seconds[0] <= chains.seconds[-1]


def test_a_kernel_slower_than_the_time_limit_still_gives_some_draws():
    kernel = counting_kernel(seconds_per_step=0.05)
    chains = run_chains(kernel, num_draws=10, num_steps=5, max_seconds=0.01)
    assert 8 <= chains.draws.adjacency.shape[1] < 20


@pytest.mark.parametrize("make", [structure_kernel, order_kernel, partition_kernel])
def test_looking_at_the_marginals_changes_nothing(make):
    scores = local_scores(np.random.default_rng(0).normal(size=(50, 4)))
    looked, left_alone = (make(scores, num_chains=2, seed=0) for _ in range(2))
    for kernel in (looked, left_alone):
        kernel.forget()
        kernel.advance(1, 1)
        if kernel is looked:
            assert np.all(kernel.edge_marginals() <= 1)
        kernel.advance(5, 100)
    np.testing.assert_array_equal(looked.edge_marginals(), left_alone.edge_marginals())


def test_progress_is_shown_where_wanted(capsys):
    for words in ({}, {"max_seconds": 0.02}):
        for progress in (True, False):
            kernel = counting_kernel(seconds_per_step=1e-4)
            run_chains(kernel, num_draws=5, num_steps=50, progress=progress, **words)
            assert bool(capsys.readouterr().err) == progress


def test_pooled_posterior_has_one_chain_after_another():
    chains = run_chains(counting_kernel(3), num_draws=10, num_steps=20)
    posterior = chains_posterior(chains, ("a", "b"), "counting")
    assert len(posterior) == 30 and posterior.method == "counting"
    np.testing.assert_array_equal(posterior.adjacency.reshape(3, 10, 2, 2), chains.draws.adjacency)
    assert np.isnan(posterior.log_evidence) and posterior.ess == pytest.approx(30)
    assert posterior.metadata == {"num_chains": 3, "num_steps": chains.num_steps, "thin": 1}
