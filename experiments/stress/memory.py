"""The largest resident memory of fits with a hundred variables, each in a process of its own.

.venv/bin/python -m experiments.stress.memory "scores of a million rows"
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from experiments.records import Row

_VARIABLES = 100


def _table(num_rows: int):
    import dag_gfn as dg

    return dg.datasets.simulate_linear_gaussian(_VARIABLES, num_rows, random_state=0).table


def _import() -> None:
    import dag_gfn as dg

    dg.OrderGFlowNet, dg.StructureMCMC  # noqa: B018  # their names load them, and jax


def _scores() -> None:
    import dag_gfn as dg

    scores = dg.local_scores(_table(1_000_000), standardize=True)
    chain = np.eye(_VARIABLES, k=1, dtype=np.int8)
    if not np.isfinite(scores.log_score(chain)):
        raise FloatingPointError("the score of a chain is not finite.")


def _fit(name: str, **settings: object) -> None:
    import dag_gfn as dg

    model = getattr(dg, name)(**settings, prior="fair", progress=False, random_state=0)
    with warnings.catch_warnings():
        # Short as they are, these are not answers.
        warnings.simplefilter("ignore", dg.diagnostics.UntrustedPosteriorWarning)
        marginals = model.fit(_table(500)).posterior_.edge_marginals()
    if not np.isfinite(marginals).all(axis=None):
        raise FloatingPointError("an edge marginal is not finite.")


CASES: dict[str, Callable[[], None]] = {
    "the package loaded": _import,
    "scores of a million rows": _scores,
    "StructureMCMC, 10 000 draws": lambda: _fit("StructureMCMC", n_samples=10_000),
    "PartitionMCMC, 10 000 draws": lambda: _fit("PartitionMCMC", n_samples=10_000),
    "OrderGFlowNet, 1000 updates, 10 000 draws": lambda: _fit("OrderGFlowNet", num_updates=1000),
    "DAGGFlowNet, 4 environments, 250 updates, 256 draws": lambda: _fit(
        "DAGGFlowNet", num_environments=4, batch_size=4, num_updates=250, n_samples=256
    ),
}


def measure(case: str) -> Row:
    """Run a case in a process of its own."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "experiments.stress.memory", case]
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
    CASES[sys.argv[1]]()
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))
