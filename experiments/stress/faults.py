"""What else can go wrong with a run: each case ends with a sentence, or with the right results."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from experiments.records import Row
from experiments.stress.runs import FLOWS, finish, same_outcome, start

ORDERS = FLOWS["orders"]
# Bytes that a file may have: less than a checkpoint and more than any result, and less than both.
_FULL, _NOTHING = 500_000, 100

# A clock that runs backwards, from a day before the first that a zip archive can show.
_BACKWARDS = """
import sys, time
true, start = time.time, time.time()
time.time = lambda: 315_000_000.0 - 1000.0 * (true() - start)
from dag_gfn.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Setting(NamedTuple):
    """What every case is given."""

    table: Path
    work: Path
    updates: int


class Outcome(NamedTuple):
    """How a case ended."""

    folder: Path | None  # of results, None where there are to be none
    code: int
    said: str


def _begin(setting: Setting, folder: Path, **words) -> subprocess.Popen[str]:
    return start(ORDERS.begin(setting.table, folder, setting.updates), setting.work, **words)


def _resume(setting: Setting, folder: Path, **words) -> subprocess.Popen[str]:
    return start(ORDERS.resume(setting.table, folder, setting.updates), setting.work, **words)


def _at_first_checkpoint(process: subprocess.Popen[str], folder: Path) -> None:
    while not (folder / "checkpoints" / "checkpoint.before.npz").exists():
        if process.poll() is not None:
            raise RuntimeError(f"the run ended before its second checkpoint: {finish(process)}")
        time.sleep(0.01)


def _heed_ctrl_c() -> None:
    # What is started in the background of a script ignores it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FULL, _FULL))


def terminated(setting: Setting, folder: Path) -> Iterator[Outcome]:
    """SIGTERM, and then the rest."""
    process = _begin(setting, folder)
    _at_first_checkpoint(process, folder)
    process.send_signal(signal.SIGTERM)
    yield Outcome(None, *finish(process))
    yield Outcome(folder, *finish(_resume(setting, folder)))


def interrupted(setting: Setting, folder: Path) -> Iterator[Outcome]:
    """Ctrl-C, and then the rest."""
    process = _begin(setting, folder, preexec_fn=_heed_ctrl_c)
    _at_first_checkpoint(process, folder)
    process.send_signal(signal.SIGINT)
    yield Outcome(None, *finish(process))
    yield Outcome(folder, *finish(_resume(setting, folder)))


def damaged(setting: Setting, folder: Path) -> Iterator[Outcome]:
    """A newest checkpoint that lost its last byte."""
    process = _begin(setting, folder)
    _at_first_checkpoint(process, folder)
    process.kill()
    finish(process)
    newest = folder / "checkpoints" / "checkpoint.npz"
    newest.write_bytes(newest.read_bytes()[:-1] if newest.exists() else b"PK")
    yield Outcome(folder, *finish(_resume(setting, folder)))


def full_disk(setting: Setting, folder: Path) -> Iterator[Outcome]:
    """A disk that has no room for a checkpoint, from the beginning."""
    yield Outcome(folder, *finish(_begin(setting, folder, preexec_fn=_small_files)))


def disk_that_fills_up(setting: Setting, folder: Path) -> Iterator[Outcome]:
    """A disk that has no room for another checkpoint, and then for nothing but them."""
    process = _begin(setting, folder)
    _at_first_checkpoint(process, folder)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (_NOTHING, _NOTHING))
    yield Outcome(None, *finish(process))
    yield Outcome(folder, *finish(_resume(setting, folder)))


def read_only(setting: Setting, folder: Path) -> Iterator[Outcome]:
    """An output folder that cannot be made, since a file is where its parent should be."""
    folder.parent.joinpath("file").touch()
    yield Outcome(None, *finish(_begin(setting, folder.parent / "file" / "run")))
    # To the superuser no folder is read-only, but /proc is to everybody.
    closed = Path("/proc/self/run")
    if os.geteuid() != 0:
        closed = folder / "run"
        folder.mkdir(mode=0o500)
    yield Outcome(None, *finish(_begin(setting, closed)))


def two_runs(setting: Setting, folder: Path) -> Iterator[Outcome]:
    """Two further runs into the folder of one that is under way: both begun and gone on with."""
    process = _begin(setting, folder)
    _at_first_checkpoint(process, folder)
    os.kill(process.pid, signal.SIGSTOP)  # so that it is not through before the others look
    yield Outcome(None, *finish(_resume(setting, folder)))
    yield Outcome(None, *finish(_begin(setting, folder)))
    os.kill(process.pid, signal.SIGCONT)
    yield Outcome(folder, *finish(process))


def clock(setting: Setting, folder: Path) -> Iterator[Outcome]:
    """A clock that runs backwards from 1979, and a stop in between."""
    arguments = ["-c", _BACKWARDS, *ORDERS.begin(setting.table, folder, setting.updates)[2:]]
    process = start(arguments, setting.work)
    _at_first_checkpoint(process, folder)
    process.kill()
    finish(process)
    arguments = ["-c", _BACKWARDS, *ORDERS.resume(setting.table, folder, setting.updates)[2:]]
    yield Outcome(folder, *finish(start(arguments, setting.work)))


Case = Callable[[Setting, Path], Iterator[Outcome]]

# How each case is called, and the exit codes of its processes.
CASES: dict[str, tuple[Case, list[int]]] = {
    "SIGTERM, then resumed": (terminated, [143, 0]),
    "Ctrl-C, then resumed": (interrupted, [130, 0]),
    "newest checkpoint damaged": (damaged, [0]),
    "disk without room for checkpoints": (full_disk, [0]),
    "disk full from some moment on, then resumed": (disk_that_fills_up, [1, 0]),
    "read-only output folder, in two ways": (read_only, [1, 1]),
    "two more runs into the folder": (two_runs, [1, 1, 0]),
    "clock that runs backwards from 1979, kill, then resumed": (clock, [0]),
}


def suffer(name: str, setting: Setting, whole: Mapping[str, bytes]) -> Row:
    """Let one thing go wrong, and compare how that ended with what should come of it."""
    case, expected = CASES[name]
    folder, begin = setting.work / "fault", time.monotonic()
    outcomes = list(case(setting, folder))
    results = [one.folder for one in outcomes if one.folder is not None]
    identical = all(same_outcome(one, whole) for one in results) if results else None
    row = {
        "study": "faults",
        "case": name,
        "exit_codes": [one.code for one in outcomes],
        "as_expected": [one.code for one in outcomes] == expected and identical is not False,
        "identical": identical,
        "said": [_sentence(one.said) for one in outcomes],
        "seconds": time.monotonic() - begin,
    }
    shutil.rmtree(folder, ignore_errors=True)
    return row


def _sentence(said: str) -> str:
    """Return the first thing that was said, without the folders of this machine."""
    lines = [line for line in said.splitlines() if line.startswith("dag-gfn: ")]
    words = (lines or [""])[0].removeprefix("dag-gfn: ").split(" ")
    short = (word if "/" not in word else f"…/{word.rsplit('/', 1)[1]}" for word in words)
    return " ".join(short)
