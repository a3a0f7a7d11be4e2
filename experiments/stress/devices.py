"""Fit on some simulated devices, and print how fast, what the losses were, and the marginals.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 \\
        .venv/bin/python -m experiments.stress.devices orders 8

Each simulated device is a thread of this machine: what is shown is that the answer stays, and what
sharing costs where there is nothing to gain.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import warnings

import numpy as np

from experiments.records import Row


@dataclasses.dataclass(frozen=True)
class Config:
    """What the study depends on."""

    devices: tuple[int, ...] = (1, 2, 4, 8)  # the first is what the others are compared with
    num_variables: int = 8
    num_rows: int = 100
    updates: dict[str, int] = dataclasses.field(  # by flow
        default_factory=lambda: {"orders": 1000, "edges": 500}
    )
    seed: int = 0  # of the table and the fits


def fit(flow: str, number: int, config: Config) -> Row:
    """Return what a fit on so many devices was like."""
    import dag_gfn as dg

    table = dg.datasets.simulate_linear_gaussian(
        config.num_variables, config.num_rows, random_state=config.seed
    ).table
    words = {
        "num_updates": config.updates[flow],
        "early_stopping": False,
        "progress": False,
        "random_state": config.seed,
        "num_devices": number,
    }
    seen: list[float] = []
    words["callback"] = lambda row: seen.append(time.perf_counter())
    if flow == "orders":
        model = dg.OrderGFlowNet(batch_size=256, **words)
    else:
        model = dg.DAGGFlowNet(num_environments=32, batch_size=32, n_samples=2048, **words)
    with warnings.catch_warnings():
        # So short a training is not to be trusted, and nobody does.
        warnings.simplefilter("ignore", dg.diagnostics.UntrustedPosteriorWarning)
        model.fit(table)
    # The first chunk compiles.
    chunk = np.diff(seen)
    per_chunk = np.diff(model.history_["update"])
    return {
        "updates_per_second": float(np.median(per_chunk / chunk)),
        "losses": model.history_["loss"].tolist(),
        "marginals": model.posterior_.edge_marginals().to_numpy().ravel().tolist(),
        "efficiency": model.posterior_.ess / model.n_samples,
    }


def measure(flow: str, config: Config) -> list[Row]:
    """Fit in a process of its own on each number of devices, and compare with one device."""
    rows: list[Row] = []
    alone: Row = {}
    for number in config.devices:
        begin = time.monotonic()
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={number}",
        }
        settings = json.dumps(dataclasses.asdict(config))
        command = [sys.executable, "-m", "experiments.stress.devices", flow, str(number), settings]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        alone = alone or found
        losses, reference = np.array(found["losses"]), np.array(alone["losses"])
        relative = np.abs(losses - reference) / np.abs(reference)
        difference = np.abs(np.subtract(found["marginals"], alone["marginals"]))
        rows.append(
            {
                "study": "devices",
                "case": f"{flow}, {number}",
                "flow": flow,
                "devices": number,
                "updates": config.updates[flow],
                "updates_per_second": found["updates_per_second"],
                "first_loss_difference": float(relative[0]),
                "last_loss_difference": float(relative[-1]),
                "marginal_difference": float(difference.max()),
                "efficiency": found["efficiency"],
                "seconds": time.monotonic() - begin,
            }
        )
    return rows


if __name__ == "__main__":
    given = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    print(json.dumps(fit(sys.argv[1], int(sys.argv[2]), Config(**given))))
