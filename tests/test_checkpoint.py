"""Checkpoints: whole or recognised as not whole, one run a folder, never executed."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
import zipfile
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dag_gfn.checkpoint import (
    CheckpointError,
    Checkpoints,
    StopRequests,
    discard_checkpoints,
    diverged,
    files,
    first_bad_update,
    folder as folder_module,
    has_checkpoint,
    locked,
    named_arrays,
    read_file,
    tree_like,
    write_file,
)


class Pair(NamedTuple):
    left: object
    right: object


def tree() -> dict:
    return {
        "layer/~/linear": {"w": jnp.array([[1.0, -0.0, jnp.nan]]), "b": jnp.zeros((0, 3))},
        "step": jnp.array(7, jnp.int32),
        "keys": Pair(jax.random.key(1), jax.random.split(jax.random.key(2), 3)),
        "words": np.array([2**64 - 1, 1], np.uint64),
        "draws": np.arange(12, dtype=np.int32).reshape(3, 4).T,
        "is_there": [np.array(True), np.float64(0.1)],
    }


HEADER = {"rows": [{"loss": 0.1, "spread": float("inf")}], "done": np.int64(3), "name": "Größe"}


def write(path, **words) -> bytes:
    arrays, generators = named_arrays(tree())
    write_file(path, {**HEADER, "generators": generators}, arrays, **words)
    return path.read_bytes()


# --- the file ------------------------------------------------------------------------------------


def test_everything_comes_back_bit_for_bit(tmp_path):
    write(tmp_path / "a.npz")
    header, arrays = read_file(tmp_path / "a.npz")
    assert {name: header[name] for name in HEADER} == HEADER
    again = tree_like(tree(), arrays, header["generators"])
    assert jax.tree.structure(again) == jax.tree.structure(tree())
    for one, other in zip(jax.tree.leaves(tree()), jax.tree.leaves(again), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert isinstance(other, jax.Array) == isinstance(one, jax.Array)
        if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    # Any reader of .npz will do, and the same state makes the same file, whatever the clock says.
    assert np.load(tmp_path / "a.npz", allow_pickle=False)["['step']"] == 7
    assert write(tmp_path / "a.npz") == write(tmp_path / "b.npz")


def test_a_file_that_was_cut_short_is_recognised_at_any_length(tmp_path):
    whole = write(tmp_path / "a.npz")
    for length in [*range(0, len(whole), 5), *range(len(whole) - 200, len(whole))]:
        (tmp_path / "a.npz").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="cut short|not written by dag_gfn"):
            read_file(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError, match="cut short"):
        read_file(tmp_path / "a.npz")


def test_a_flipped_bit_is_recognised_wherever_it_is(tmp_path):
    whole = write(tmp_path / "a.npz")
    bits = np.random.default_rng(0).integers(8, size=len(whole))
    for place in [*range(60), *range(60, len(whole), 4)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bits[place]
        (tmp_path / "a.npz").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged|not written by dag_gfn"):
            read_file(tmp_path / "a.npz")


def test_files_of_others_are_recognised(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, step=np.arange(3))
    for content in (b"", b"x" * 5000, buffer.getvalue(), b"PK\x05\x06" + b"\0" * 18):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(CheckpointError, match="was not written by dag_gfn"):
            read_file(tmp_path / "a.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_file(tmp_path / "folder.npz")


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def sealed(path, name, array) -> None:
    """Write an array that may be a pickle, in a file that is otherwise a checkpoint."""
    with open(path, "w+b") as file:
        with zipfile.ZipFile(file, "w") as archive:
            with archive.open(f"{files._HEADER}.npy", "w") as member:
                np.save(member, np.frombuffer(b'{"format": 1}', np.uint8))
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=True)
            archive.comment = files._MARK + b"0" * 64
        file.seek(0)
        digits = hashlib.sha256(file.read()[:-64]).hexdigest().encode()
        file.seek(-64, os.SEEK_END)
        file.write(digits)


def test_a_pickle_is_refused_and_never_executed(tmp_path):
    trace = tmp_path / "executed"
    for content in (pickle.dumps(Payload(trace)), pickle.dumps(Payload(trace), protocol=0)):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(CheckpointError):
            read_file(tmp_path / "a.npz")
    sealed(tmp_path / "a.npz", "weights", np.arange(3))
    assert read_file(tmp_path / "a.npz").arrays["weights"].tolist() == [0, 1, 2]
    sealed(tmp_path / "a.npz", "weights", np.array([Payload(trace)], object))
    with pytest.raises(CheckpointError, match="not written by dag_gfn"):
        read_file(tmp_path / "a.npz")
    assert not trace.exists()
    np.load(tmp_path / "a.npz", allow_pickle=True)["weights"]  # it would have been
    assert trace.exists()
    with pytest.raises(ValueError):
        write_file(tmp_path / "b.npz", {}, {"weights": np.array([Payload(trace)], object)})
    assert not (tmp_path / "b.npz").exists()


def test_another_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FORMAT", 2)
    write(tmp_path / "a.npz")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2, where .* knows 1"):
        read_file(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda like: like.pop("step"), r"has an array \['step'\]"),
        (lambda like: like.update(more=np.zeros(2)), r"lacks the array \['more'\]"),
        (lambda like: like.update(words=np.zeros(2)), r"uint64 \[2\].*float64 \[2\]"),
        (lambda like: like.update(words=np.zeros(3, np.uint64)), r"uint64 \[3\]"),
        (lambda like: like.update(step=jax.random.key(0)), "key<fry>"),
    ],
)
def test_arrays_of_another_version_are_named(change, message):
    like = tree()
    change(like)
    with pytest.raises(CheckpointError, match=message):
        tree_like(like, *named_arrays(tree()))


# --- the folder ----------------------------------------------------------------------------------

IDENTITY = {"method": "a flow", "rate": 0.5, "local scores": "sha256:1"}


def state_of(step: int):
    return lambda: ({"weights": jnp.full(3, step)}, {"done": step})


def run_to(folder, *steps: int, identity=IDENTITY) -> None:
    with Checkpoints(folder, every=0.0) as checkpoints:
        checkpoints.resume(identity)
        for step in steps:
            checkpoints.after_chunk(step, state_of(step))


def found_in(folder, identity=IDENTITY):
    with Checkpoints(folder, every=0.0) as checkpoints:
        return checkpoints.resume(identity)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_are_kept_and_the_newest_is_taken(tmp_path):
    folder = tmp_path / "not" / "there"
    assert found_in(folder) is None
    assert not has_checkpoint(folder)
    run_to(folder, 10, 20, 30)
    assert names(folder) == ["checkpoint.before.npz", "checkpoint.npz"]
    found = found_in(folder)
    assert (found.step, found.state) == (30, {"done": 30})
    assert found.tree({"weights": jnp.zeros(3, int)})["weights"].tolist() == [30] * 3
    with pytest.raises(ValueError, match="has an array .*weights.*begin anew in another folder"):
        found.tree({})
    assert has_checkpoint(folder)
    (folder / "mine.txt").touch()
    discard_checkpoints(folder)
    assert names(folder) == ["mine.txt"]
    (folder / "mine.txt").unlink()
    discard_checkpoints(folder)
    assert not folder.exists()


def damage(path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_where_the_newest_is_damaged_the_one_before_is_used(tmp_path):
    run_to(tmp_path, 10, 20)
    damage(tmp_path / "checkpoint.npz")
    with pytest.warns(UserWarning, match=r"checkpoint.npz was cut short.*before.npz, of update 10"):
        assert found_in(tmp_path).step == 10
    # The good one stays until there are two new ones.
    with pytest.warns(UserWarning):
        run_to(tmp_path, 15)
    assert read_file(tmp_path / "checkpoint.before.npz").header["step"] == 10
    assert read_file(tmp_path / "checkpoint.npz").header["step"] == 15
    run_to(tmp_path, 25)
    assert read_file(tmp_path / "checkpoint.before.npz").header["step"] == 15


def test_killed_between_two_renames(tmp_path):
    run_to(tmp_path, 10, 20)
    (tmp_path / "checkpoint.npz").rename(tmp_path / "checkpoint.before.npz")
    (tmp_path / "checkpoint.writing").write_bytes(b"half of it")
    assert found_in(tmp_path).step == 20
    run_to(tmp_path, 30)
    assert names(tmp_path) == ["checkpoint.before.npz", "checkpoint.npz"]
    assert read_file(tmp_path / "checkpoint.before.npz").header["step"] == 20


def test_where_none_can_be_read_training_begins_anew(tmp_path):
    run_to(tmp_path, 10, 20)
    damage(tmp_path / "checkpoint.npz")
    np.savez(tmp_path / "checkpoint.before.npz", weights=np.zeros(3))
    with pytest.warns(UserWarning, match="training begins anew") as warned:
        assert found_in(tmp_path) is None
    assert [str(one.message).split(";")[0].split("/")[-1] for one in warned] == [
        "checkpoint.npz was cut short or damaged",
        "checkpoint.before.npz was not written by dag_gfn",
    ]


def test_a_file_without_what_a_training_needs_is_not_one(tmp_path):
    run_to(tmp_path, 10, 20)
    write(tmp_path / "checkpoint.npz")
    with pytest.warns(UserWarning, match="npz was not written by a training.*of update 10"):
        assert found_in(tmp_path).step == 10


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rate": 0.25}, r"\(rate is 0.5 there and 0.25 here\)"),
        ({"local scores": "sha256:2"}, r"\(other local scores\)"),
        ({"more": 1}, r"\(more is None there and 1 here\)"),
        (
            {"method": "b", "rate": 1, "local scores": "sha256:", "more": 1},
            "method is 'a flow' there and 'b' here, rate.*, other local scores, and more",
        ),
    ],
)
def test_another_run_is_refused_by_what_differs(tmp_path, change, named):
    run_to(tmp_path, 10, 20, identity=IDENTITY | {"rate": np.float64(0.5)})
    with pytest.raises(ValueError, match=f"belongs to another run .*{named}"):
        found_in(tmp_path, IDENTITY | change)
    # It was not touched.
    assert found_in(tmp_path).step == 20


def test_where_the_newest_is_of_another_run_the_one_before_is_used(tmp_path):
    run_to(tmp_path / "other", 5, identity=IDENTITY | {"rate": 0.25})
    run_to(tmp_path / "run", 10, 20)
    (tmp_path / "other" / "checkpoint.npz").replace(tmp_path / "run" / "checkpoint.npz")
    with pytest.warns(UserWarning, match="rate is 0.25 there and 0.5 here.*of update 10"):
        assert found_in(tmp_path / "run").step == 10


def test_one_run_a_folder(tmp_path):
    with Checkpoints(tmp_path, every=0.0):
        with pytest.raises(ValueError, match=f"another run is writing to {tmp_path}"):
            with Checkpoints(tmp_path, every=0.0):
                pass
        assert names(tmp_path) == ["checkpoint.lock"]
    assert names(tmp_path) == []
    with Checkpoints(tmp_path, every=0.0):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, time, pathlib; from dag_gfn.checkpoint.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.lock")], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(ValueError, match="another run"), locked(tmp_path / "a.lock"):
        pass
    process.kill()
    process.communicate()
    assert (tmp_path / "a.lock").exists()
    with locked(tmp_path / "a.lock"):
        pass
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_refused_at_the_door(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(OSError), Checkpoints(folder, every=0.0):
            pass


def test_a_full_disk_costs_one_checkpoint_and_a_warning(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Checkpoints(tmp_path, every=0.0) as checkpoints:
        checkpoints.resume(IDENTITY)
        monkeypatch.setattr(files.os, "fsync", full)
        with pytest.warns(UserWarning, match="update 5 could not .*No space left.*there is none"):
            checkpoints.after_chunk(5, state_of(5))
        monkeypatch.undo()
        checkpoints.after_chunk(10, state_of(10))
        monkeypatch.setattr(files.os, "fsync", full)
        with pytest.warns(UserWarning, match="update 20 could not.*the last is of update 10"):
            checkpoints.after_chunk(20, state_of(20))
        assert names(tmp_path) == ["checkpoint.lock", "checkpoint.npz"]
        monkeypatch.undo()
        checkpoints.after_chunk(30, state_of(30))
        assert checkpoints.last == (30, tmp_path / "checkpoint.npz")
    assert read_file(tmp_path / "checkpoint.before.npz").header["step"] == 10


def test_checkpoints_are_as_far_apart_as_was_said_whatever_the_clock_shows(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(folder_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(folder_module.time, "time", lambda: 1e9 - 1e6 * now[0])
    written = []
    with Checkpoints(tmp_path, every=60.0) as checkpoints:
        checkpoints.resume(IDENTITY)
        for step in range(10, 110, 10):
            now[0] += 25.0
            checkpoints.after_chunk(step, state_of(step))
            written.append(checkpoints.last and checkpoints.last[0])
        assert written == [None, None, 30, 30, 30, 60, 60, 60, 90, 90]
        checkpoints.finish(100, state_of(100))
        assert checkpoints.last[0] == 100
        before = (tmp_path / "checkpoint.npz").stat().st_mtime_ns
        checkpoints.finish(100, state_of(100))
    assert (tmp_path / "checkpoint.npz").stat().st_mtime_ns == before


def test_a_seed_that_nobody_gave_is_that_of_the_run_in_the_folder(tmp_path):
    seeds = []
    for given in (None, None, 7, None):
        with Checkpoints(tmp_path, every=0.0) as checkpoints:
            seeds.append(checkpoints.random_state(given))
            checkpoints.resume(IDENTITY)
            checkpoints.after_chunk(1, state_of(1))
    assert seeds == [seeds[0], seeds[0], 7, 7]
    assert 0 <= seeds[0] < 2**32
    generator = np.random.RandomState(0)
    with Checkpoints(tmp_path, every=0.0) as checkpoints:
        assert checkpoints.random_state(generator) is generator


# --- requests to stop ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_request_is_honoured_after_a_checkpoint(number, expected, tmp_path):
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with Checkpoints(tmp_path, every=3600.0) as checkpoints:
        checkpoints.resume(IDENTITY)
        with pytest.raises(expected) as stopped, checkpoints.listening():
            checkpoints.after_chunk(10, state_of(10))
            assert checkpoints.last is None
            os.kill(os.getpid(), number)
            # The first is noted; the next one would act as it does without this.
            assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
            checkpoints.after_chunk(20, state_of(20))
        assert checkpoints.last[0] == 20
    if expected is SystemExit:
        assert stopped.value.code == 143
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_requests_are_honoured_at_the_end_and_errors_come_first():
    with pytest.raises(KeyboardInterrupt), StopRequests():
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(ZeroDivisionError), StopRequests():
        os.kill(os.getpid(), signal.SIGINT)
        raise ZeroDivisionError


def test_what_is_ignored_stays_so_and_other_threads_are_left_alone():
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequests():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
    seen = []

    def look():
        with StopRequests():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


# --- losses that are no numbers ------------------------------------------------------------------


def test_the_first_bad_update_is_found():
    assert first_bad_update([1.0, 2.0], [-np.inf, 0.0], done=10) is None
    assert first_bad_update([1.0, np.inf, np.nan], [0.0], done=10) == 12
    assert first_bad_update([1.0, 2.0], [0.0, np.nan], done=10) == 12


def test_the_message_names_the_update_the_checkpoint_and_the_cause(tmp_path):
    error = diverged(12, learning_rate=0.5, score_span=100.0, checkpoints=None)
    assert str(error) == (
        "the loss is not finite at update 12; most likely the learning rate of 0.5 is too large: "
        "lower learning_rate, and begin anew."
    )
    assert (error.update, error.checkpoint) == (12, None)
    with Checkpoints(tmp_path, every=0.0) as checkpoints, warnings.catch_warnings():
        checkpoints.resume(IDENTITY)
        checkpoints.after_chunk(10, state_of(10))
        error = diverged(12, learning_rate=0.5, score_span=1e7, checkpoints=checkpoints)
    assert error.checkpoint == tmp_path / "checkpoint.npz"
    assert f"before is {error.checkpoint}, of update 10)" in str(error)
    assert "extreme, 1e+07 nats apart: pass standardize=True" in str(error)
