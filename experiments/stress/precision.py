"""How far log-scores that the device adds up in float32 are from those of the host, in float64."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

from experiments.records import Row


@dataclass(frozen=True)
class Config:
    """What the study depends on."""

    # (flow, variables, rows): more rows set graphs further apart, and float32 rounds by the
    # distance.
    cases: tuple[tuple[str, int, int], ...] = (
        ("orders", 8, 100),
        ("orders", 8, 10_000),
        ("orders", 8, 1_000_000),
        ("orders", 20, 10_000),
        ("edges", 8, 100),
        ("edges", 8, 10_000),
        ("edges", 8, 1_000_000),
    )
    num_updates: int = 500
    num_draws: int = 2048
    seed: int = 0  # of tables and fits


def measure(flow: str, num_variables: int, num_rows: int, config: Config) -> Row:
    """Train briefly, and compare the log-scores of what is drawn."""
    import dag_gfn as dg

    begin = time.monotonic()
    simulation = dg.datasets.simulate_linear_gaussian(
        num_variables, num_rows, random_state=config.seed
    )
    words = {
        "num_updates": config.num_updates,
        "n_samples": config.num_draws,
        "progress": False,
        "random_state": config.seed,
    }
    model = dg.OrderGFlowNet(**words) if flow == "orders" else dg.DAGGFlowNet(**words)
    with warnings.catch_warnings():
        # So short a training is not to be trusted, and nobody does.
        warnings.simplefilter("ignore", dg.diagnostics.UntrustedPosteriorWarning)
        posterior = model.fit(simulation.table).posterior_
    best = float(model.scores_.log_score(posterior.adjacency).max())
    empty = float(model.scores_.log_score(0 * posterior.adjacency[0]))
    return {
        "study": "precision",
        "case": f"{flow}, {num_variables}, {num_rows}",
        "flow": flow,
        "variables": num_variables,
        "rows": num_rows,
        "gain_over_no_edges": best - empty,
        "float32_error": posterior.metadata["float32_error"],
        "efficiency": posterior.ess / len(posterior),
        "seconds": time.monotonic() - begin,
    }
