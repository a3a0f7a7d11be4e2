"""The largest resident memory of fits with a hundred variables, each in a process of its own.

.venv/bin/python -m experiments.stress.memory "scores of a million rows"
"""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from experiments.records import Row


@dataclasses.dataclass(frozen=True)
class Config:
    """What the study depends on; how long the fits are is in the names of its cases."""

    num_variables: int = 100
    num_rows: int = 500  # of the tables that are fitted
    seed: int = 0  # of tables and fits


def _table(num_rows: int, config: Config):
    import dag_gfn as dg

    return dg.datasets.simulate_linear_gaussian(
        config.num_variables, num_rows, random_state=config.seed
    ).table


def _import(_: Config) -> None:
    import dag_gfn as dg

    dg.OrderGFlowNet, dg.StructureMCMC  # noqa: B018  # their names load them, and jax


def _scores(config: Config) -> None:
    import dag_gfn as dg

    scores = dg.local_scores(_table(1_000_000, config), standardize=True)
    chain = np.eye(config.num_variables, k=1, dtype=np.int8)
    if not np.isfinite(scores.log_score(chain)):
        raise FloatingPointError("the score of a chain is not finite.")


def _fit(name: str, config: Config, **settings: object) -> None:
    import dag_gfn as dg

    model = getattr(dg, name)(**settings, prior="fair", progress=False, random_state=config.seed)
    with warnings.catch_warnings():
        # Short as they are, these are not answers.
        warnings.simplefilter("ignore", dg.diagnostics.UntrustedPosteriorWarning)
        marginals = model.fit(_table(config.num_rows, config)).posterior_.edge_marginals()
    if not np.isfinite(marginals).all(axis=None):
        raise FloatingPointError("an edge marginal is not finite.")


CASES: dict[str, Callable[[Config], None]] = {
    "the package loaded": _import,
    "scores of a million rows": _scores,
    "StructureMCMC, 10 000 draws": lambda config: _fit("StructureMCMC", config, n_samples=10_000),
    "PartitionMCMC, 10 000 draws": lambda config: _fit("PartitionMCMC", config, n_samples=10_000),
    "OrderGFlowNet, 1000 updates, 10 000 draws": lambda config: _fit(
        "OrderGFlowNet", config, num_updates=1000
    ),
}


def measure(case: str, config: Config) -> Row:
    """Run a case in a process of its own."""
    begin = time.monotonic()
    settings = json.dumps(dataclasses.asdict(config))
    command = [sys.executable, "-m", "experiments.stress.memory", case, settings]
    done = subprocess.run(command, capture_output=True, text=True)
    failed = done.returncode != 0
    return {
        "study": "memory",
        "case": case,
        "gib": None if failed else json.loads(done.stdout.splitlines()[-1]),
        "said": done.stderr.strip().splitlines()[-1] if failed else "",
        "seconds": time.monotonic() - begin,
    }


if __name__ == "__main__":
    CASES[sys.argv[1]](Config(**(json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})))
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))
