from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dag_gfn.gflownet import (
    POLICIES,
    draw_posterior,
    fit_flow,
    fitting,
    terminal_distribution,
)
from dag_gfn.gflownet.sampling import sample_trajectories
from dag_gfn.gflownet.training import init, make_problem, train
from dag_gfn.graphs import all_dags
from dag_gfn.metrics import total_variation


def same(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_seed_reproduces_a_run_bit_for_bit(policy, small_of, gaussian_scores):
    scores = gaussian_scores(4)
    settings = small_of(policy)
    one, again, other = (
        fit_flow(scores, settings, num_updates=100, seed=seed) for seed in (5, 5, 6)
    )
    assert same(one.params, again.params)
    assert one.history.equals(again.history)
    assert not same(one.params, other.params)
    assert np.isfinite(one.history.to_numpy()).all()


def test_each_jitted_function_is_traced_once_for_tables_of_a_shape(small, gaussian_scores):
    fit_flow(gaussian_scores(4, seed=1), small, num_updates=260)
    traced = train._cache_size(), sample_trajectories._cache_size(), init._cache_size()
    # Other rows, another prior and constraints, another length of the run: the same programs.
    fit_flow(gaussian_scores(4, seed=2), small, num_updates=600, early_stopping=False)
    fit_flow(
        gaussian_scores(4, seed=3, num_rows=80, prior="edge", forbidden_edges=[(0, 1)]),
        small,
        num_updates=10,
        learning_rate=1e-3,
        seed=1,
    )
    assert (train._cache_size(), sample_trajectories._cache_size(), init._cache_size()) == traced


@pytest.mark.parametrize("objective", ["modified_detailed_balance", "windowed_balance"])
def test_training_brings_the_sampler_to_the_posterior(objective, small, gaussian_scores, untrained):
    scores = gaussian_scores(4, num_rows=60)
    settings = small._replace(objective=objective)
    flow = fit_flow(scores, settings, num_updates=1000, early_stopping=False)
    graphs, log_prob = terminal_distribution(flow, scores)
    _, before = terminal_distribution(untrained(scores, settings), scores)
    distance = total_variation(log_prob, scores.log_score(graphs))
    assert distance < 0.1
    assert distance < total_variation(before, scores.log_score(graphs)) / 2
    assert flow.history["log_weight_std"].iloc[-1] < 0.5
    assert flow.history["efficiency"].iloc[-1] > 0.8


@pytest.mark.parametrize("target_period", [0, 3])
def test_the_target_network_is_a_copy_from_time_to_time(target_period, small, gaussian_scores):
    settings = small._replace(target_period=target_period)
    problem, gains_function = make_problem(gaussian_scores(4), settings)
    state = init(problem, settings, jax.random.key(0))
    target = start = jax.device_get(state.params)
    copies = 0
    for number in range(1, 14):
        state, losses = train(
            problem, gains_function, settings, state, jnp.full(1, 1e-2, jnp.float32)
        )
        params = jax.device_get(state.params)
        if target_period and number % target_period == 0:
            target, copies = params, copies + 1
        assert same(state.target_params, target)
        # Until the replay holds a window nothing is learned.
        assert same(params, start) == (number <= settings.window)
        assert (losses[0] == 0) == (number <= settings.window)
    assert copies == (4 if target_period else 0)
    assert same(target, start) == (not target_period)


def test_a_run_stops_early_once_its_weights_have_settled(small, gaussian_scores, monkeypatch):
    # Fewer looks, so that the test is short.
    monkeypatch.setattr(fitting, "_PATIENCE", 4)
    flow = fit_flow(gaussian_scores(4), small, num_updates=20_000)
    done = flow.history["update"].iloc[-1]
    # As many looks as are compared, and then the fall of the learning rate.
    at_least = 4 * fitting.CHUNK / (1 - fitting._COOL_DOWN)
    assert at_least - 1 <= done < 10_000
    spread = flow.history["log_weight_std"]
    assert spread.iloc[-1] < spread.iloc[0]


def test_the_highest_score_met_in_training_is_that_of_a_graph(small, gaussian_scores):
    scores = gaussian_scores(4)
    flow = fit_flow(scores, small, num_updates=250)
    best = scores.log_score(all_dags(4)).max()
    assert scores.log_score(scores.required) <= flow.highest_log_score <= best + 1e-3
    posterior = draw_posterior(flow, scores, 500)
    highest = posterior.metadata["highest_log_score"]
    drawn = scores.log_score(posterior.adjacency).max()
    assert highest == max(flow.highest_log_score, drawn)
    assert highest <= posterior.log_evidence + 1e-3


def test_a_run_ends_cooled_down_when_its_time_is_up(small, gaussian_scores, monkeypatch):
    seconds, rates = [0.0], []

    def slow_train(problem, gains_function, settings, state, learning_rates, **_):
        seconds[0] += 1.0
        rates.extend(np.asarray(learning_rates))
        return state, jnp.zeros(len(learning_rates))

    monkeypatch.setattr(fitting, "train", slow_train)
    monkeypatch.setattr(fitting, "time", SimpleNamespace(perf_counter=lambda: seconds[0]))
    flow = fit_flow(gaussian_scores(4), small, num_updates=10**6, max_seconds=10)
    assert flow.history["update"].iloc[-1] == 10 * fitting.CHUNK
    assert seconds[0] == 10
    assert rates[6 * fitting.CHUNK - 1] == max(rates)
    assert 0 < rates[-1] < 0.01 * max(rates)


def test_rates_rise_stay_and_fall_to_zero():
    update = np.arange(1000)
    rates = fitting._schedule(update, 700, 1000)
    assert rates[0] == 0.01 and (np.diff(rates[:99]) > 0).all()
    assert (rates[100:700] == 1).all()
    assert (np.diff(rates[700:]) < 0).all() and 0 < rates[-1] < 0.01


def test_history_callback_and_bar(small, gaussian_scores, capsys):
    scores = gaussian_scores(4)
    seen = []
    flow = fit_flow(scores, small, num_updates=600, callback=seen.append)
    quiet = capsys.readouterr()
    assert quiet.out == "" and quiet.err == ""
    assert [row["update"] for row in seen] == [250, 500, 600]
    assert [row.pop("updates_left") for row in seen] == [350, 100, 0]
    assert flow.history.to_dict("records") == seen
    exact = np.logaddexp.reduce(scores.log_score(terminal_distribution(flow, scores)[0]))
    assert abs(seen[-1]["log_evidence"] - exact) < 0.5
    fit_flow(scores, small, num_updates=10, progress=True)
    shown = capsys.readouterr().err
    assert "10/10" in shown and "log-weight sd" in shown


def test_required_edges_shift_the_evidence_of_the_history(small, gaussian_scores):
    scores = gaussian_scores(4, required_edges=[(1, 0)])
    flow = fit_flow(scores, small, num_updates=100)
    graphs, _ = terminal_distribution(flow, scores)
    exact = np.logaddexp.reduce(scores.log_score(graphs))
    assert abs(flow.history["log_evidence"].iloc[-1] - exact) < 0.5


def test_a_loss_that_is_not_finite_ends_the_run_with_a_sentence(
    small, gaussian_scores, monkeypatch
):
    def diverged(problem, gains_function, settings, state, learning_rates, **_):
        return state, jnp.full(len(learning_rates), jnp.nan)

    monkeypatch.setattr(fitting, "train", diverged)
    with pytest.raises(FloatingPointError, match="not finite at update 1;.*learning_rate"):
        fit_flow(gaussian_scores(4), small, num_updates=20)


def test_a_window_that_the_replay_cannot_hold_is_refused(small, gaussian_scores):
    with pytest.raises(ValueError, match="window.*256"):
        fit_flow(gaussian_scores(3), small._replace(window=256))
