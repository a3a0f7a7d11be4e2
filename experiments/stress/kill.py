"""Kill a run at a random moment, let it go on, and compare with one that was never stopped."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.records import Row
from experiments.stress.runs import FLOWS, finish, newest_update, same_outcome, start

MOMENTS = ("any", "write")  # any moment of the process; while a checkpoint is being written
_LAST = 0.95  # share of the time that a whole run takes, after which none is killed
_LOOK = 2e-4  # seconds between looks for a file that is being written
_WRITE = 0.004  # seconds after a write was seen to begin within which the process is killed


def kill_once(
    flow: str,
    moment: str,
    repetition: int,
    *,
    table: Path,
    work: Path,
    updates: int,
    seconds: float,
    whole: Mapping[str, bytes],
) -> Row:
    """Kill one run and let it end.

    Parameters
    ----------
    flow, moment, repetition
        The moment is drawn with the repetition as seed.
    table, work : Path
    updates : int
    seconds : float
        That a whole run takes.
    whole : mapping
        The outcome of a run that was never stopped.
    """
    rng = np.random.default_rng([list(FLOWS).index(flow), MOMENTS.index(moment), repetition])
    folder = work / f"{flow}_{moment}_{repetition}"
    how, begin = FLOWS[flow], time.monotonic()
    writing = folder / how.checkpoints / "checkpoint.writing"
    while True:
        process = start(how.begin(table, folder, updates), work)
        after = _wait(process, rng, writing if moment == "write" else None, seconds)
        was_killed = process.poll() is None
        process.kill()
        finish(process)
        if was_killed:
            break
        shutil.rmtree(folder)  # it was through before, so that another moment is drawn
    row = {
        "study": "kills",
        "case": folder.name,
        "flow": flow,
        "moment": moment,
        "killed_after": after,
        "in_a_write": writing.exists(),
        "update": newest_update(folder / how.checkpoints),
    }
    code, said = finish(start(how.resume(table, folder, updates), work))
    row |= {
        "exit_code": code,
        "identical": code == 0 and same_outcome(folder, whole),
        "said": " ".join(said.split()),
        "seconds": time.monotonic() - begin,
    }
    shutil.rmtree(folder)
    return row


def _wait(
    process: subprocess.Popen[str],
    rng: np.random.Generator,
    writing: Path | None,
    seconds: float,
) -> float:
    """Wait for the moment to kill a process, or for its end; return the seconds that took."""
    begin = time.monotonic()
    time.sleep(rng.uniform(0.0, _LAST * seconds))
    if writing is not None:
        while process.poll() is None and not writing.exists():
            time.sleep(_LOOK)
        time.sleep(rng.uniform(0.0, _WRITE))
    return time.monotonic() - begin
