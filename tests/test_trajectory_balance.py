"""Trajectory balance on grids and bit strings: the rewards are right, and all of it runs, small."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dag_gfn.gflownet.enumeration import enumerate_states, terminal_log_prob
from dag_gfn.gflownet.generic import GenericSettings, evaluate_policy, follow, init, roll_out
from dag_gfn.gflownet.objectives import flow_matching
from experiments.flow_matching.curves import Checkpoint
from experiments.trajectory_balance import grids, run, strings
from experiments.trajectory_balance.bit_sequences import (
    BLOCKS,
    bits_of,
    distances,
    draw_modes,
    exact_draws,
    flipped,
    flow_matching_loss,
    landscape,
    log_probability,
    words_of,
)


@pytest.fixture(scope="module")
def small():
    """Strings of 8 bits in words of 2, and two modes."""
    return landscape(draw_modes(2, 8, seed=1), 2, slope=1.0)


@pytest.fixture(scope="module")
def listed(small):
    return enumerate_states(small.space)


def test_modes_are_made_of_the_blocks_of_the_paper():
    modes = draw_modes(60, 120, seed=0)
    assert modes.shape == (60, 120)
    blocks = {"".join(map(str, block)) for block in modes.reshape(-1, 8)}
    assert blocks == set(BLOCKS)
    with pytest.raises(ValueError, match="multiple of 8, not 12"):
        draw_modes(1, 12, seed=0)
    with pytest.raises(ValueError, match="word_length must divide 120, and 7 does not"):
        landscape(modes, 7, slope=1.0)


def test_words_and_bits_are_each_others_inverse():
    bits = np.random.default_rng(0).integers(2, size=(5, 24))
    for word_length in (1, 2, 4, 8):
        words = words_of(bits, word_length)
        assert words.max() < 2**word_length
        np.testing.assert_array_equal(bits_of(jnp.asarray(words), word_length), bits)
    np.testing.assert_array_equal(words_of(np.array([[1, 0, 0, 1]]), 4), [[9]])


def test_the_reward_falls_with_the_distance_to_the_closest_mode(small):
    far = small.modes.copy()
    far[:, :2] ^= 1
    expected = (far[:, None] != small.modes[None]).sum(axis=2)
    np.testing.assert_array_equal(distances(jnp.asarray(far), small.modes), expected)
    state = small.space.initial(2)._replace(tokens=jnp.asarray(words_of(far, 2)))
    np.testing.assert_allclose(small.space.log_reward(state), -expected.min(axis=1))


def test_held_out_strings_have_each_number_of_flips():
    modes = draw_modes(3, 16, seed=0)
    apart = (flipped(modes, seed=0).reshape(3, 16, 16) != modes[:, None]).sum(axis=2)
    np.testing.assert_array_equal(apart, np.tile(np.arange(16), (3, 1)))


def test_exact_draws_have_the_distribution_of_the_target(small, listed):
    whole = np.isfinite(listed.log_reward)
    target = np.exp(listed.log_reward[whole])
    target /= target.sum()
    drawn = words_of(exact_draws(small, 20_000, np.random.default_rng(0)), 2)
    powers = 4 ** np.arange(4)
    place = np.argsort(np.asarray(listed.states.tokens)[whole] @ powers)
    shares = np.bincount(drawn @ powers, minlength=256) / len(drawn)
    # The mean of chi-square over cells is one, with a standard deviation of sqrt(2 / 255).
    squares = (shares - target[place]) ** 2 / target[place] * len(drawn)
    assert squares.sum() / 255 == pytest.approx(1.0, abs=5 * np.sqrt(2 / 255))


def test_the_probability_of_a_string_is_that_of_its_trajectory(small, listed):
    settings = GenericSettings(width=8)
    params = init(small.space, settings, jax.random.key(0)).params["network"]
    whole = np.flatnonzero(np.isfinite(listed.log_reward))
    tokens = listed.states.tokens[whole]
    found = np.asarray(log_probability(small.space, settings, params, tokens))
    assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-5)
    policy = evaluate_policy(small.space, settings, params, listed.states)
    expected = terminal_log_prob(listed, np.asarray(policy.log_forward))[whole]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_loss_with_one_parent_is_flow_matching(small):
    space, settings = small.space, GenericSettings("flow_matching", width=8)
    params = init(space, settings, jax.random.key(0)).params["network"]

    @jax.jit
    def both(key):
        rollout = roll_out(space, settings, params, key, space.initial(6))
        general = flow_matching(follow(space, settings, params, jnp.zeros(()), rollout))
        return flow_matching_loss(space, settings, params, rollout), general

    loss, general = both(jax.random.key(1))
    assert float(loss) == pytest.approx(float(general), rel=1e-5)


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A folder that the study writes into."""
    (tmp_path / "README.md").write_text(run.README.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    monkeypatch.setattr(run, "README", tmp_path / "README.md")
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results.jsonl")
    return tmp_path


def test_strings_are_measured_and_reported(elsewhere):
    config = strings.Config(
        num_bits=8,
        num_modes=3,
        radius=2,
        slopes={"sharp": 3.0},
        word_lengths=(4,),
        updates={4: 100},
        exact_draws=100,
        policy=GenericSettings(width=16, batch_size=8, learning_rate=5e-3),
    )
    row = run.measure("strings", "sharp", 4, "flow_matching", config)
    run.keep(row)
    assert -1 <= row["final_spearman"] <= 1
    # There are 256 strings, and 800 were drawn.
    assert row["modes"] == [3]
    assert row["nearest"] == 0
    run.report(run.records.read(run.RESULTS), 1.0, {"strings": config})
    assert "| sharp | 4 | flow matching |" in run.README.read_text(encoding="utf-8")
    assert (elsewhere / "strings.png").stat().st_size > 10_000


def test_grids_are_measured_and_reported(elsewhere, monkeypatch):
    asked = []

    def curve(made, settings, seed, *, num_updates, every):
        asked.append(settings)
        return [Checkpoint(10 * i, i, 0.2 / i, 0.1 / i, 0) for i in (1, 2, 3)]

    config = grids.Config(grids={"small": (2, 3)}, updates={"small": 20})
    monkeypatch.setattr(grids, "learning_curve", curve)
    row = run.measure("grids", "small", "detailed_balance", True, 0, config)
    run.keep(row)
    assert asked[0].objective == "detailed_balance"
    assert asked[0].learned_backward
    # The four corners are on the plateau, the other five cells are not.
    high, low = 0.501 / (4 * 0.501 + 5 * 0.001), 0.001 / (4 * 0.501 + 5 * 0.001)
    assert row["alike"] == pytest.approx((4 * (high - 1 / 9) + 5 * (1 / 9 - low)) / 9, rel=1e-5)
    run.report(run.records.read(run.RESULTS), 1.0, {"grids": config})
    text = run.README.read_text(encoding="utf-8")
    assert "| small | detailed balance | learned | 5.0e-02 | 3.3e-02 |" in text
    assert (elsewhere / "grids.png").stat().st_size > 10_000
