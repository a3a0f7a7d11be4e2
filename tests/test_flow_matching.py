"""Flow matching on the hypergrid: what is measured is right, and all of it runs, small."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dag_gfn.gflownet.generic import GenericSettings
from experiments import records
from experiments.flow_matching import run
from experiments.flow_matching.baselines import metropolis_curve, random_curve
from experiments.flow_matching.curves import (
    Visits,
    checkpoints_at,
    grid,
    mean_error,
    policy_distribution,
    sampling_floor,
    uniform_policy,
)
from experiments.processes import run_cases


@pytest.fixture(scope="module")
def small():
    return grid(0.1, dimension=2)


def test_the_target_is_that_of_the_paper(small):
    assert len(small.target) == 64
    assert small.is_mode.sum() == 2**2
    # 4 of 8 coordinates are on the plateau.
    total = 64 * 0.1 + 4**2 * 0.5 + 4 * 2.0
    np.testing.assert_allclose(small.target[small.is_mode], 2.6 / total, rtol=1e-6)
    assert small.target.sum() == pytest.approx(1.0)


def test_the_empirical_error_is_that_of_the_last_objects(small, monkeypatch):
    monkeypatch.setattr("experiments.flow_matching.curves.WINDOW", 2)
    visits = Visits(small)
    corner, mode = np.array([0, 0]), np.array([1, 6])
    visits.add(np.array([corner, mode, mode]), 10)
    look = visits.checkpoint(0.5)
    at_mode = (np.asarray(small.enumeration.states) == mode).all(axis=1)
    assert look.empirical == pytest.approx(np.abs(small.target - at_mode).mean())
    assert (look.states, look.objects, look.exact, look.modes) == (10, 3, 0.5, 1)


def test_the_floor_is_that_of_independent_draws(small):
    # The mean absolute error of a binomial share is near that of a normal one.
    expected = np.sqrt(2 * small.target * (1 - small.target) / (np.pi * 10_000)).mean()
    assert sampling_floor(small.target, 10_000) == pytest.approx(expected, rel=0.1)


def test_random_actions_draw_what_their_probabilities_say(small):
    distribution = policy_distribution(small, uniform_policy(small))
    assert distribution.sum() == pytest.approx(1.0)
    last = random_curve(small, 0, num_states=300_000)[-1]
    assert last.states >= 300_000
    # Both errors are of the same distribution, but for the noise of about 1e5 draws.
    noise = np.sqrt(distribution / last.objects).mean()
    assert last.empirical == pytest.approx(mean_error(small.target, distribution), abs=2 * noise)


def test_metropolis_hastings_comes_to_the_target(small):
    curve = metropolis_curve(small, 0, num_states=400_000)
    assert curve[-1].states == curve[-1].objects == 400_000
    # Draws of a chain are dependent: on so small a grid by much less than a hundredfold.
    assert curve[-1].empirical < 10 * sampling_floor(small.target, 400_000)
    assert curve[-1].modes == 4


def test_looks_are_spread_on_a_log_scale():
    looks = checkpoints_at(640)
    assert looks[0] == 1
    assert looks[-1] == 640
    assert looks == sorted(set(looks))


def test_all_of_it_runs_and_is_reported(small, monkeypatch, tmp_path):
    (tmp_path / "README.md").write_text(run.README.read_text(encoding="utf-8"), encoding="utf-8")
    for name, value in {
        "FOLDER": tmp_path,
        "README": tmp_path / "README.md",
        "grid": lambda *_, **__: small,  # so that it is listed and compiled once
    }.items():
        monkeypatch.setattr(run, name, value)
    config = run.Config(
        least_rewards=(0.1,),
        num_states=5000,
        num_updates=300,
        policy=GenericSettings(width=32, batch_size=16, learning_rate=5e-3),
    )
    stored = tmp_path / "results.jsonl"
    for method in ("flow_matching", "metropolis", "random"):
        row = run.measure(method, 0.1, 0, config)
        records.put(stored, row, ("method", "least_reward", "seed"))
    rows = records.read(stored)
    assert all(row["states"] == sorted(row["states"]) for row in rows)
    learned = rows[0]
    assert learned["objects"][-1] == 300 * 16 < learned["states"][-1]
    assert learned["exact"][-1] < 0.2 * learned["exact"][0]
    assert learned["modes"][-1] == 4
    run.report(rows, 1.0, config)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.count("| 0.1 | Metropolis-Hastings |") == 1
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_what_is_read_off_a_curve():
    row = {"states": [10, 20], "exact": [0.4, 0.2], "modes": [3, 16]}
    assert run.value_at(row, "exact", 15) == pytest.approx(0.3)
    assert run.states_until(row) == 20


def test_cases_run_in_other_processes():
    assert sorted(run_cases(math.pow, [(2, 3), (3, 2), (5, 1)])) == [5.0, 8.0, 9.0]
