"""How far log-scores that the device adds up in float32 are from those of the host, in float64."""

from __future__ import annotations

import time
import warnings

from experiments.records import Row

# (flow, variables, rows): more rows set graphs further apart, and float32 rounds by the distance.
CASES = [
    ("orders", 8, 100),
    ("orders", 8, 10_000),
    ("orders", 8, 1_000_000),
    ("orders", 20, 10_000),
    ("edges", 8, 100),
    ("edges", 8, 10_000),
    ("edges", 8, 1_000_000),
]


def measure(flow: str, num_variables: int, num_rows: int) -> Row:
    """Train briefly, and compare the log-scores of what is drawn."""
    import dag_gfn as dg

    begin = time.monotonic()
    simulation = dg.datasets.simulate_linear_gaussian(num_variables, num_rows, random_state=0)
    words = {"num_updates": 500, "n_samples": 2048, "progress": False, "random_state": 0}
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
