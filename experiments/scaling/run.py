"""How the flow over canonical orders fares on larger tables, and beside other samplers.

    .venv/bin/python experiments/scaling/run.py [--only cost alarm large race]

Every run has a process of its own; results of other runs are kept in results.jsonl, from which the
tables and the picture of README.md are made. `race` runs the packages sumu and dibs-lib too where
they are installed (the extra `peers`).
"""

from __future__ import annotations

import argparse
import importlib.util
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
from dag_gfn.estimators.base import marginals_of

FOLDER = Path(__file__).parent
RESULTS, README = FOLDER / "results.jsonl", FOLDER / "README.md"
COST_VARIABLES = (5, 10, 20, 37, 50, 100)
LARGE = ((50, 100), (50, 1000), (100, 100), (100, 1000))  # variables, rows
ALARM_SECONDS, ALARM_CHAIN_SECONDS, LARGE_SECONDS = 240.0, 240.0, 240.0
RACE_ROWS = (100, 1000)
# Seconds that each sampler is given, in runs of their own.
RACE: dict[str, tuple[float, ...]] = {
    "OrderGFlowNet": (12.0, 25.0, 50.0, 100.0),
    "StructureMCMC": (0.5, 2.0, 8.0, 32.0),
    "PartitionMCMC": (4.0, 16.0, 64.0),
    "SumuGadget": (30.0, 100.0),
    "MarginalDiBS": (100.0,),
}
PEERS = {"SumuGadget": "sumu", "MarginalDiBS": "dibs"}  # and the package that each needs
RACE_LIMIT = 0.05  # the edge error to be reached first

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
    rank = np.arange(d, dtype=np.int32)
    space = order_space(parent_sums(candidate_table(scores)), rank)
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
            early_stopping=False,
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
        "flow": dg.OrderGFlowNet(
            max_seconds=LARGE_SECONDS, num_updates=10**6, early_stopping=False
        ),
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


def race(rows: int, name: str, seconds: float) -> Row:
    """Fit 20 variables in a given time, from the table on, and compare with the exact posterior."""
    from dag_gfn.comparison.peers import MarginalDiBS, SumuGadget

    table, _ = simulation(20, rows)
    exact = _exact_marginals(rows)
    peers = {"SumuGadget": SumuGadget, "MarginalDiBS": MarginalDiBS}
    make = peers[name] if name in peers else getattr(dg, name)
    settings = {"standardize": True, "prior": "fair", "max_seconds": seconds}
    if name == "OrderGFlowNet":
        settings |= {"num_updates": 10**6, "early_stopping": False, "n_samples": 50_000}
    estimator = make(**settings, progress=False, random_state=0)
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrustedPosteriorWarning)
        try:
            estimator.fit(table)
        except RuntimeError as refusal:  # of DiBS, where all particles have a cycle
            return {"rows": rows, "sampler": name, "seconds": seconds, "refusal": str(refusal)}
    return {
        "rows": rows,
        "sampler": name,
        "seconds": time.perf_counter() - begin,
        "edge_error": dg.metrics.edge_error(marginals_of(estimator), exact).max,
    }


def _exact_marginals(rows: int) -> pd.DataFrame:
    """Read the exact edge marginals of a table of the race, or sum them once for all runs."""
    stored = FOLDER / "exact" / f"gaussian20_{rows}.csv"
    if not stored.exists():
        exact = dg.ExactPosterior(standardize=True, prior="fair", n_samples=1, progress=False)
        stored.parent.mkdir(exist_ok=True)
        exact.fit(simulation(20, rows)[0]).edge_marginals_.to_csv(stored)
    return pd.read_csv(stored, index_col=0)


def _race_cases() -> list[tuple[int | str | float, ...]]:
    return [
        (rows, name, seconds)
        for rows in RACE_ROWS
        for name, budgets in RACE.items()
        if name not in PEERS or importlib.util.find_spec(PEERS[name])
        for seconds in budgets
    ]


def draw_race(rows: list[Row]) -> None:
    """Draw the largest edge error over time, a panel for each table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    frame = pd.DataFrame(rows)
    frame = frame[frame["edge_error"].notna()]
    figure, panels = plt.subplots(1, len(RACE_ROWS), figsize=(11, 4.2), sharey=True)
    for axes, num_rows in zip(panels, RACE_ROWS, strict=True):
        for position, name in enumerate(RACE):
            runs = frame[(frame["sampler"] == name) & (frame["rows"] == num_rows)]
            runs = runs.sort_values("seconds")
            axes.plot(
                runs["seconds"], runs["edge_error"], "o-", color=f"C{position}", label=name, ms=4
            )
        axes.axhline(RACE_LIMIT, color="0.5", linestyle=":", linewidth=1)
        axes.set(xscale="log", yscale="log", title=f"20 variables, {num_rows} rows")
        axes.set_xlabel("seconds from the table to the posterior")
    panels[0].set_ylabel("largest error of an edge marginal")
    panels[0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(FOLDER / "error_over_time.png", dpi=150)
    plt.close(figure)


STUDIES: dict[str, tuple[Callable[..., Row], list[tuple[Any, ...]]]] = {
    "cost": (cost, [(d,) for d in COST_VARIABLES]),
    "alarm": (alarm, [()]),
    "large": (large, list(LARGE)),
    "race": (race, _race_cases()),
}


def _measured(study: str, case: tuple[Any, ...], pipe: Any) -> None:
    row = {"study": study, "case": case, **STUDIES[study][0](*case)}
    # Linux counts the largest resident size in KiB.
    row["memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pipe.send(row)


def measured(study: str, case: tuple[Any, ...]) -> Row:
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
    frame = pd.DataFrame(rows).drop(columns=["study", "case"], errors="ignore")
    lines = [
        "| " + " | ".join(name.replace("_", " ") for name in frame.columns) + " |",
        "| " + " | ".join("---" for _ in frame.columns) + " |",
    ]
    for values in frame.itertuples(index=False):
        cells = (
            "" if pd.isna(value) else f"{value:.4g}" if isinstance(value, float) else str(value)
            for value in values
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    for study in args.only:
        for case in STUDIES[study][1]:
            row = measured(study, case)
            print(row, flush=True)
            kept = [old for old in _stored() if (old["study"], *old["case"]) != (study, *case)]
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
            if study == "race" and {row["rows"] for row in rows} == set(RACE_ROWS):
                draw_race(rows)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
