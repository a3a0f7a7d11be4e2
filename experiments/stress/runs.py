"""Short runs in processes of their own, which can be killed, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import dag_gfn as dg
from dag_gfn.checkpoint import CheckpointError, read_file

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Table:
    """The table that all runs are fitted to."""

    num_variables: int = 6
    num_rows: int = 60
    seed: int = 0


class Flow(NamedTuple):
    """A run of one flow: how it is started, and started again."""

    begin: Callable[[Path, Path, int], list[str]]  # (table, folder, updates) -> arguments
    resume: Callable[[Path, Path, int], list[str]]
    checkpoints: str  # folder of its checkpoints, within its own


def _command(table: Path, folder: Path, updates: int) -> list[str]:
    options = ("--updates", str(updates), "--samples", "500", "--seed", "3", "--quiet")
    # A folder that was made before the request was written is in the way otherwise.
    return [
        "-m",
        "dag_gfn",
        "fit",
        str(table),
        "--output",
        str(folder),
        "--overwrite",
        *options,
    ] + [
        "--checkpoint-every",
        "0",
    ]


def _resumed_command(table: Path, folder: Path, updates: int) -> list[str]:
    if not (folder / "request.json").exists():
        return _command(table, folder, updates)
    return ["-m", "dag_gfn", "fit", "--resume", str(folder), "--quiet"]


def _script(table: Path, folder: Path, updates: int) -> list[str]:
    return ["-m", "experiments.stress.edges", str(table), str(folder), str(updates)]


FLOWS = {
    # `dag-gfn fit`, and the estimator in a script: the flow over orders, and the one over edges.
    "orders": Flow(_command, _resumed_command, "checkpoints"),
    "edges": Flow(_script, _script, "."),
}


def make_table(folder: Path, table: Table) -> Path:
    """Write the table that all runs are fitted to."""
    path = folder / "table.csv"
    simulated = dg.datasets.simulate_linear_gaussian(
        table.num_variables, table.num_rows, random_state=table.seed
    )
    simulated.table.to_csv(path, index=False)
    return path


def start(arguments: list[str], work: Path, **words: Any) -> subprocess.Popen[str]:
    """Start a Python process; programs that were compiled once are kept in the folder `work`."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(work / "compiled"),
        "JAX_PERSISTENT_COMPILATION_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **words,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process; return its exit code and what it said on the standard error stream."""
    _, said = process.communicate(timeout=600)
    return process.returncode, said


def outcome(folder: Path) -> dict[str, bytes]:
    """Return the results of a run, bit for bit: draws, weights, history, parameters if kept."""
    found: dict[str, bytes] = {"history": (folder / "history.csv").read_bytes()}
    posterior = dg.Posterior.load(folder / "posterior.npz")
    found["adjacency"] = posterior.adjacency.tobytes()
    found["log_weights"] = posterior.log_weights.tobytes()
    if (folder / "parameters.npz").exists():
        with np.load(folder / "parameters.npz", allow_pickle=False) as stored:
            found |= {name: stored[name].tobytes() for name in stored.files}
    return found


def same_outcome(folder: Path, whole: Mapping[str, bytes]) -> bool:
    return outcome(folder) == whole


def newest_file(folder: Path) -> int | None:
    """Return the number of the file (inode) that holds the newest checkpoint, None without one."""
    try:
        return (folder / "checkpoint.npz").stat().st_ino
    except FileNotFoundError:
        return None


def newest_update(folder: Path) -> int:
    """Return the update of the newest checkpoint that can be read, 0 where there is none."""
    for name in ("checkpoint.npz", "checkpoint.before.npz"):
        try:
            return int(read_file(folder / name).header["step"])
        except CheckpointError:
            continue
    return 0
