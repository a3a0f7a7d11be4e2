"""How the flow over canonical orders fares where exact sums are out of reach.

    .venv/bin/python experiments/scaling/run.py [--only cost alarm large]

Every run has a process of its own; results of other studies are kept in results.jsonl, from which
the tables of README.md are made.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import dag_gfn as dg
from dag_gfn.diagnostics import UntrustedPosteriorWarning

FOLDER = Path(__file__).parent
RESULTS, README = FOLDER / "results.jsonl", FOLDER / "README.md"
COST_VARIABLES = (5, 10, 20, 37, 50, 100)
LARGE = ((50, 100), (50, 1000), (100, 100), (100, 1000))  # variables, rows
ALARM_SECONDS, ALARM_CHAIN_SECONDS, LARGE_SECONDS = 240.0, 240.0, 240.0

Row = dict[str, Any]


def simulation(d: int, rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw a linear-Gaussian table with an edge for each variable, and its true graph."""
    rng = np.random.default_rng(0)
    truth = dg.datasets.random_dag(d, num_edges=d, random_state=rng)
    table = dg.datasets.simulate_linear_gaussian(truth, rows, random_state=rng).table
    return table, truth


def fitted(estimator: Any, scores: dg.LocalScores) -> tuple[Any, float]:
    """Return the estimator and its seconds; what a warning would say is in the tables."""
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrustedPosteriorWarning)
        estimator.infer(scores)
    return estimator, time.perf_counter() - begin


def cost(d: int) -> Row:
    """Time the compiled training loop, apart from the chains and the looks between chunks."""
    import jax
    import jax.numpy as jnp

    from dag_gfn.mcmc.candidates import candidate_table
    from dag_gfn.mcmc.parent_sums import parent_sums
    from dag_gfn.orderflow import OrderSettings
    from dag_gfn.orderflow.space import order_space
    from dag_gfn.orderflow.training import init, sample_orders, train

    scores = dg.local_scores(
        simulation(d, 100)[0], standardize=True, max_parents=None if d <= 20 else 5
    )
    begin = time.perf_counter()
    space = order_space(parent_sums(candidate_table(scores)), np.arange(d, dtype=np.int32))
    tables = time.perf_counter() - begin
    settings = OrderSettings()
    state = init(space, settings, jax.random.key(0))
    drawn = sample_orders(space, settings, state.params, jax.random.key(1), batch_size=1024)
    orders, rates = drawn.variable.T, jnp.full(50, 1e-3)
    seconds = []
    for _ in range(6):
        begin = time.perf_counter()
        state, losses = train(space, settings, state, orders, rates, balance=0.0)
        jax.block_until_ready(losses)
        seconds.append((time.perf_counter() - begin) / len(rates))
    estimator, _ = fitted(dg.OrderGFlowNet(num_updates=200, progress=False, random_state=0), scores)
    begin = time.perf_counter()
    estimator.sample(10_000, random_state=0)
    draws = time.perf_counter() - begin
    return {
        "variables": d,
        "updates_per_second": 1 / float(np.median(seconds[1:])),
        "milliseconds_per_update": 1e3 * float(np.median(seconds[1:])),
        "tables_seconds": tables,
        "draws_per_minute": 60 * 10_000 / draws,
    }


def alarm() -> Row:
    """Fit 1 000 rows of the alarm network, and compare with long partition chains."""
    table = dg.datasets.sample_network("alarm", 1000, random_state=0)
    scores = dg.local_scores(table, "bde", max_parents=4)
    flow, seconds = fitted(
        dg.OrderGFlowNet(
            max_seconds=ALARM_SECONDS,
            num_updates=10**6,
            n_samples=50_000,
            progress=False,
            random_state=0,
        ),
        scores,
    )
    chain, chain_seconds = fitted(
        dg.PartitionMCMC(max_seconds=ALARM_CHAIN_SECONDS, progress=False, random_state=0), scores
    )
    return {
        "seconds": seconds,
        "updates": int(flow.history_["update"].iloc[-1]),
        "khat": flow.posterior_.khat,
        "efficiency": flow.posterior_.efficiency,
        "edge_difference": dg.metrics.edge_error(
            flow.posterior_.edge_marginals(), chain.edge_marginals_
        ).max,
        "partition_seconds": chain_seconds,
        "partition_rhat": chain.rhat_,
    }


def large(d: int, rows: int) -> Row:
    """Fit a large table, and compare with partition chains of the same time."""
    table, truth = simulation(d, rows)
    scores = dg.local_scores(table, standardize=True, max_parents=5)
    result: Row = {"variables": d, "rows": rows}
    for name, estimator in {
        "flow": dg.OrderGFlowNet(max_seconds=LARGE_SECONDS, num_updates=10**6),
        "partition": dg.PartitionMCMC(max_seconds=LARGE_SECONDS),
    }.items():
        estimator.set_params(progress=False, random_state=0)
        _, seconds = fitted(estimator, scores)
        posterior = estimator.posterior_
        result |= {
            f"{name}_seconds": seconds,
            f"{name}_shd": dg.metrics.expected_shd(posterior, truth),
            f"{name}_auroc": dg.metrics.auroc(posterior, truth),
            f"{name}_trust": dg.diagnostics.assess(posterior).level,
        }
        if name == "flow":
            result |= {"khat": posterior.khat, "efficiency": posterior.efficiency}
        else:
            result["rhat"] = estimator.rhat_
    return result


STUDIES: dict[str, tuple[Callable[..., Row], list[tuple[int, ...]]]] = {
    "cost": (cost, [(d,) for d in COST_VARIABLES]),
    "alarm": (alarm, [()]),
    "large": (large, list(LARGE)),
}


def _measured(study: str, case: tuple[int, ...], pipe: Any) -> None:
    row = {"study": study, **STUDIES[study][0](*case)}
    # Linux counts the largest resident size in KiB.
    row["memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pipe.send(row)


def measured(study: str, case: tuple[int, ...]) -> Row:
    """Run one case in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(study, case, sending))
    process.start()
    sending.close()
    try:
        return receiving.recv()
    finally:
        process.join()


def markdown(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table."""
    frame = pd.DataFrame(rows).drop(columns="study")
    lines = [
        "| " + " | ".join(name.replace("_", " ") for name in frame.columns) + " |",
        "| " + " | ".join("---" for _ in frame.columns) + " |",
    ]
    for values in frame.itertuples(index=False):
        cells = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    for study in args.only:
        kept = [row for row in _stored() if row["study"] != study]
        for case in STUDIES[study][1]:
            row = measured(study, case)
            print(row, flush=True)
            kept.append(row)
            RESULTS.write_text("".join(json.dumps(one) + "\n" for one in kept), encoding="utf-8")
            _write_tables()


def _stored() -> list[Row]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def _write_tables() -> None:
    text = README.read_text(encoding="utf-8")
    for study in STUDIES:
        rows = [row for row in _stored() if row["study"] == study]
        if rows:
            before, rest = text.split(f"<!-- begin {study} -->\n")
            after = rest.split(f"<!-- end {study} -->")[1]
            table = markdown(rows)
            text = f"{before}<!-- begin {study} -->\n{table}\n<!-- end {study} -->{after}"
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
