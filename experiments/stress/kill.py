"""Kill a run at a random moment, let it go on, and compare with one that was never stopped."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.records import Row
from experiments.stress.runs import FLOWS, finish, newest_update, same_outcome, start

# Any moment of the process; of its training, after the first checkpoint; during a checkpoint.
MOMENTS = ("any", "training", "write")
_LAST = 0.95  # share of the time that a whole run takes, after which none is killed
LOOK = 2e-4  # seconds between looks for a file that is being written
_WRITING = "checkpoint.writing"
_WRITE = 0.004  # seconds after a write was seen to begin within which the process is killed


class Undisturbed(NamedTuple):
    """A run that was never stopped."""

    updates: int
    whole: dict[str, bytes]  # its outcome
    seconds: float
    training: float  # seconds from the first checkpoint to the last


def kill_once(
    flow: str,
    moment: str,
    repetition: int,
    *,
    table: Path,
    work: Path,
    undisturbed: Undisturbed,
) -> Row:
    """Kill one run and let it end.

    Parameters
    ----------
    flow, moment, repetition
        The moment is drawn with the repetition as seed.
    table, work : Path
    undisturbed : Undisturbed
    """
    rng = np.random.default_rng([list(FLOWS).index(flow), MOMENTS.index(moment), repetition])
    folder = work / f"{flow}_{moment}_{repetition}"
    how, begin = FLOWS[flow], time.monotonic()
    checkpoints, updates = folder / how.checkpoints, undisturbed.updates
    while True:
        process = start(how.begin(table, folder, updates), work)
        after = _wait(process, moment, rng, checkpoints, undisturbed)
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
        "in_a_write": (checkpoints / _WRITING).exists(),
        "update": newest_update(checkpoints),
    }
    code, said = finish(start(how.resume(table, folder, updates), work))
    row |= {
        "exit_code": code,
        "identical": code == 0 and same_outcome(folder, undisturbed.whole),
        "said": " ".join(said.split()),
        "seconds": time.monotonic() - begin,
    }
    shutil.rmtree(folder)
    return row


def _wait(
    process: subprocess.Popen[str],
    moment: str,
    rng: np.random.Generator,
    checkpoints: Path,
    undisturbed: Undisturbed,
) -> float:
    """Wait for the moment to kill a process, or for its end; return the seconds that took."""
    begin = time.monotonic()

    def wait_for(name: str) -> None:
        while process.poll() is None and not (checkpoints / name).exists():
            time.sleep(LOOK)

    if moment == "any":
        time.sleep(rng.uniform(0.0, _LAST * undisturbed.seconds))
    else:
        wait_for("checkpoint.npz")
        time.sleep(rng.uniform(0.0, _LAST * undisturbed.training))
    if moment == "write":
        wait_for(_WRITING)
        time.sleep(rng.uniform(0.0, _WRITE))
    return time.monotonic() - begin
