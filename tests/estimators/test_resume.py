"""A fit that was stopped and goes on ends as one that was not, bit for bit."""

from __future__ import annotations

import os
import signal
from functools import cache
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.checkpoint import (
    TrainingDiverged,
    divergence,
    folder as folder_module,
    read_file,
)
from dag_gfn.gflownet import fitting as edges
from dag_gfn.orderflow import fitting as orders

jax.config.update("jax_disable_most_optimizations", True)

CHUNK = 20
UPDATES = 110  # the last chunk is a short one
QUIET = {"n_samples": 400, "progress": False, "random_state": 3}
FLOWS = {
    # The target network is carried along as well.
    "edges": lambda **words: dg.DAGGFlowNet(
        **{
            **{"num_updates": UPDATES, "window": 2, "target_period": 7, "early_stopping": False},
            **{"num_environments": 4, "batch_size": 4},
            **QUIET,
            **words,
        }
    ),
    "orders": lambda **words: dg.OrderGFlowNet(
        **{
            **{"num_updates": UPDATES, "width": 8, "batch_size": 8, "early_stopping": False},
            **QUIET,
            **words,
        }
    ),
}
FITTING = {"edges": edges, "orders": orders}

# So few updates train little, which is not what is asked here.
pytestmark = pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")


class Stopped(Exception):
    """What ends a fit in these tests."""


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    for module in FITTING.values():
        monkeypatch.setattr(module, "CHUNK", CHUNK)


def table(seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(40, 3))
    values[:, 1] += values[:, 0]
    return pd.DataFrame(values, columns=list("abc"))


@cache
def never_stopped(name: str):
    return FLOWS[name]().fit(table())


def stop_from(update: int):
    def callback(row):
        if row["update"] >= update:
            raise Stopped

    return callback


def fit_until(name: str, folder, update: int, **words) -> None:
    model = FLOWS[name](
        checkpoint_dir=folder, checkpoint_every=0.0, callback=stop_from(update), **words
    )
    with pytest.raises(Stopped):
        model.fit(table())


def go_on(name: str, folder, **words):
    return FLOWS[name](checkpoint_dir=folder, checkpoint_every=0.0, **words).fit(table())


def assert_same(one, other) -> None:
    leaves = zip(
        *(jax.tree.leaves(model.flow_.params) for model in (one, other)),
        strict=True,
    )
    for left, right in leaves:
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()
    pd.testing.assert_frame_equal(one.history_, other.history_, check_exact=True)
    for model in (one, other):
        assert model.posterior_.adjacency.any()
    assert one.posterior_.adjacency.tobytes() == other.posterior_.adjacency.tobytes()
    assert one.posterior_.log_weights.tobytes() == other.posterior_.log_weights.tobytes()
    assert one.posterior_.metadata == other.posterior_.metadata


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("stops", [(40,), (60, 100), (110,)])
def test_bit_for_bit(name, stops, tmp_path):
    whole = never_stopped(name)
    compiled = FITTING[name].train._cache_size()
    for update in stops:
        fit_until(name, tmp_path, update)
        newest = read_file(tmp_path / "checkpoint.npz").header
        # The callback raised before that chunk was kept.
        assert newest["step"] == update - CHUNK if update % CHUNK == 0 else update - 10
    seen = []
    model = go_on(name, tmp_path, callback=lambda row: seen.append(row["update"]))
    assert_same(model, whole)
    assert seen == list(range(newest["step"] + CHUNK, UPDATES, CHUNK)) + [UPDATES]
    # Arrays from a file are those that the program was compiled for.
    assert FITTING[name].train._cache_size() == compiled
    # What is finished is only drawn from again.
    assert_same(go_on(name, tmp_path, callback=stop_from(0)), whole)


@pytest.mark.parametrize("name", FLOWS)
def test_checkpoints_change_no_number(name, tmp_path):
    assert_same(go_on(name, tmp_path), never_stopped(name))


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_chunk_under_way_and_no_other(name, number, tmp_path):
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]

    def callback(row):
        if row["update"] == 60:
            os.kill(os.getpid(), number)

    model = FLOWS[name](checkpoint_dir=tmp_path, checkpoint_every=3600.0, callback=callback)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as stopped:
        model.fit(table())
    assert getattr(stopped.value, "code", 143) == 143
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]
    assert read_file(tmp_path / "checkpoint.npz").header["step"] == 60
    assert_same(go_on(name, tmp_path), never_stopped(name))


@pytest.mark.parametrize("name", FLOWS)
def test_stopped_while_it_writes(name, tmp_path, monkeypatch):
    def crash(path, *_, **__):
        if (tmp_path / "checkpoint.before.npz").exists():
            (tmp_path / "checkpoint.writing").write_bytes(b"PK")
            raise Stopped
        return write(path, *_, **__)

    write = folder_module.write_file
    monkeypatch.setattr(folder_module, "write_file", crash)
    with pytest.raises(Stopped):
        go_on(name, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(FITTING[name], "CHUNK", CHUNK)
    assert_same(go_on(name, tmp_path), never_stopped(name))


@pytest.mark.parametrize("name", FLOWS)
def test_a_damaged_checkpoint_costs_the_way_back_to_the_one_before(name, tmp_path):
    fit_until(name, tmp_path, 80)
    newest = tmp_path / "checkpoint.npz"
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="npz was cut short or damaged; going on from .* 40."):
        model = go_on(name, tmp_path)
    assert_same(model, never_stopped(name))


# What makes each flow's weights good enough to end soon.
EASILY_PLEASED = {
    "edges": {"_PATIENCE": 4, "_SETTLED": 0.0},
    "orders": {"_GOOD": 0.0},
}


@pytest.mark.parametrize("name", FLOWS)
def test_that_training_comes_to_its_end_is_not_forgotten(name, tmp_path, monkeypatch):
    for setting, value in EASILY_PLEASED[name].items():
        monkeypatch.setattr(FITTING[name], setting, value)
    early = {"early_stopping": True, "num_updates": 1000}
    whole = FLOWS[name](**early).fit(table())
    assert 80 < whole.history_["update"].iloc[-1] < 200
    fit_until(name, tmp_path, 100, **early)
    assert_same(go_on(name, tmp_path, **early), whole)


@pytest.mark.parametrize("name", FLOWS)
def test_the_time_that_was_spent_before_counts(name, tmp_path, monkeypatch):
    now = [0.0]
    state_at = {"edges": 3, "orders": 2}[name]

    def slow_train(*arguments, **_):
        now[0] += 1.0
        return arguments[state_at], jnp.zeros(CHUNK)

    monkeypatch.setattr(FITTING[name], "train", slow_train)
    monkeypatch.setattr(FITTING[name], "time", SimpleNamespace(perf_counter=lambda: now[0]))
    limited = {"num_updates": 10**6, "max_seconds": 12.0}
    whole = FLOWS[name](**limited).fit(table())
    chunks = len(whole.history_)
    assert 10 <= chunks <= 12
    now[0] = 1000.0
    fit_until(name, tmp_path, 6 * CHUNK, **limited)
    now[0] = 5.0  # another process
    went_on = go_on(name, tmp_path, **limited)
    # The chunk that was lost took its time; the first one of a process does not tell how long.
    assert chunks - 2 <= len(went_on.history_) <= chunks


@pytest.mark.parametrize("name", FLOWS)
def test_another_run_is_refused_by_what_differs(name, tmp_path):
    fit_until(name, tmp_path, 40)
    other = next(one for one in FLOWS if one != name)
    for make, X, words, message in (
        (name, table(), {"learning_rate": 0.01}, "learning_rate is .* there and 0.01 here"),
        (name, table(), {"random_state": 4}, r"seed \(of random_state\) is"),
        (name, table(), {"num_updates": 200}, "num_updates is 110 there and 200 here"),
        (name, table(), {"prior": "fair"}, r"\(other prior, other local scores\)"),
        (name, table(1), {}, r"\(other local scores\)"),
        (name, table().set_axis(list("xyz"), axis=1), {}, r"\(other columns\)"),
        (other, table(), {}, f"method is 'flow over {'edges' if name == 'edges' else 'can'}"),
    ):
        with pytest.raises(ValueError, match=f"belongs to another run .*{message}"):
            FLOWS[make](checkpoint_dir=tmp_path, **words).fit(X)
    with pytest.raises(ValueError, match="other forbidden edges"):
        FLOWS[name](checkpoint_dir=tmp_path).fit(table(), forbidden_edges=[("a", "b")])
    assert_same(go_on(name, tmp_path), never_stopped(name))


def test_without_a_seed_a_fit_goes_on_with_the_one_it_had(tmp_path):
    fit_until("orders", tmp_path, 60, random_state=None)
    drawn = read_file(tmp_path / "checkpoint.npz").header["random_state"]
    model = go_on("orders", tmp_path, random_state=None)
    assert_same(model, FLOWS["orders"](random_state=drawn).fit(table()))


def test_two_fits_into_one_folder(tmp_path):
    def callback(_):
        with pytest.raises(ValueError, match="another run is writing to"):
            go_on("orders", tmp_path)
        raise Stopped

    with pytest.raises(Stopped):
        go_on("orders", tmp_path, callback=callback)


@pytest.mark.parametrize("name", FLOWS)
def test_a_loss_that_is_no_number_ends_the_fit(name, tmp_path, monkeypatch):
    train, calls = FITTING[name].train, []

    def diverging(*arguments, **words):
        state, losses = train(*arguments, **words)
        calls.append(losses)
        return state, losses.at[4].set(jnp.inf) if len(calls) == 3 else losses

    monkeypatch.setattr(FITTING[name], "train", diverging)
    with pytest.raises(TrainingDiverged) as ended:
        go_on(name, tmp_path)
    assert ended.value.update == 2 * CHUNK + 5
    assert ended.value.checkpoint == tmp_path / "checkpoint.npz"
    assert read_file(ended.value.checkpoint).header["step"] == 2 * CHUNK
    for part in ("at update 45", "checkpoint.npz, of update 40", "lower learning_rate"):
        assert part in str(ended.value)


@pytest.mark.parametrize("name", FLOWS)
def test_parameters_that_are_no_numbers_show_in_no_loss_and_are_found(name, monkeypatch):
    train = FITTING[name].train

    def diverging(*arguments, **words):
        state, losses = train(*arguments, **words)
        return state._replace(
            params=jax.tree.map(lambda leaf: leaf * jnp.nan, state.params)
        ), losses

    monkeypatch.setattr(FITTING[name], "train", diverging)
    with pytest.raises(TrainingDiverged, match="at update 20; most likely"):
        FLOWS[name]().fit(table())


@pytest.mark.parametrize("name", FLOWS)
def test_extreme_scores_are_named_as_the_cause(name, monkeypatch):
    scores = dg.local_scores(table())
    gains = scores.table() - scores.table()[:, :1]
    expected = {"edges": np.abs(gains[:, 1:3]).max(), "orders": np.ptp(gains, axis=1).max()}
    train = FITTING[name].train

    def diverging(*arguments, **words):
        state, losses = train(*arguments, **words)
        return state, losses * jnp.nan

    monkeypatch.setattr(FITTING[name], "train", diverging)
    monkeypatch.setattr(divergence, "_EXTREME", expected[name] - 0.01)
    with pytest.raises(TrainingDiverged, match=f"extreme, {expected[name]:.2g} nats apart: pass"):
        FLOWS[name]().fit(table())
    monkeypatch.setattr(divergence, "_EXTREME", expected[name] + 0.01)
    with pytest.raises(TrainingDiverged, match="learning rate of .* too large"):
        FLOWS[name]().fit(table())


@pytest.mark.parametrize(
    ("setting", "value", "error"),
    [("checkpoint_every", -1.0, ValueError), ("checkpoint_dir", 3, TypeError)],
)
@pytest.mark.parametrize("name", FLOWS)
def test_settings_are_checked_at_the_door(name, setting, value, error):
    with pytest.raises(error, match=setting):
        FLOWS[name](**{setting: value}).fit(table())
