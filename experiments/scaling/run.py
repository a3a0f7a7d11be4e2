"""How the flow over canonical orders fares on larger tables, and beside other samplers.

    .venv/bin/python -m experiments.scaling.run [--only cost alarm large race]

Every run has a process of its own; results of other runs are kept in results.jsonl, from which the
tables and the picture of README.md are made. manifest.json says what they were made with. `race`
runs the packages sumu and dibs-lib too where they are installed (the extra `peers`).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import dag_gfn as dg
from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import marginals_of
from experiments import manifest
from experiments.records import fill, replace

FOLDER = Path(__file__).parent
RESULTS, README = FOLDER / "results.jsonl", FOLDER / "README.md"
PEERS = {"SumuGadget": "sumu", "MarginalDiBS": "dibs"}  # and the package that each needs
UPDATES = 10**6  # so many that the time decides

Row = dict[str, Any]


@dataclass(frozen=True)
class CostConfig:
    """What the study of the training loop depends on."""

    variables: tuple[int, ...] = (5, 10, 20, 37, 50, 100)
    num_rows: int = 100
    max_parents: int = 5  # from 21 variables on
    num_calls: int = 6  # of the training loop that are timed; the first compiles
    call_updates: int = 50  # of such a call
    fit_updates: int = 200  # before draws are timed
    num_draws: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class AlarmConfig:
    """What the fit of the alarm network depends on."""

    num_rows: int = 1000
    max_parents: int = 4
    flow_seconds: float = 240.0
    chain_seconds: float = 240.0
    num_draws: int = 50_000  # of the flow
    seed: int = 0


@dataclass(frozen=True)
class LargeConfig:
    """What the fits of large tables depend on."""

    # (variables, rows)
    tables: tuple[tuple[int, int], ...] = ((50, 100), (50, 1000), (100, 100), (100, 1000))
    max_parents: int = 5
    seconds: float = 240.0  # of the flow, and of the chains
    seed: int = 0


@dataclass(frozen=True)
class RaceConfig:
    """What the race against the exact posterior depends on."""

    num_variables: int = 20
    rows: tuple[int, ...] = (100, 1000)
    # Seconds that each sampler is given, in runs of their own.
    seconds: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "OrderGFlowNet": (12.0, 25.0, 50.0, 100.0),
            "StructureMCMC": (0.5, 2.0, 8.0, 32.0),
            "PartitionMCMC": (4.0, 16.0, 64.0),
            "SumuGadget": (30.0, 100.0),
            "MarginalDiBS": (100.0,),
        }
    )
    num_draws: int = 50_000  # of the flow
    limit: float = 0.05  # the edge error to be reached first
    seed: int = 0  # of the samplers; exact marginals are stored for tables of one seed


CONFIGS: dict[str, Any] = {
    "cost": CostConfig(),
    "alarm": AlarmConfig(),
    "large": LargeConfig(),
    "race": RaceConfig(),
}


def simulation(d: int, rows: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw a linear-Gaussian table with an edge for each variable, and its true graph."""
    rng = np.random.default_rng(seed)
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


def cost(d: int, config: CostConfig) -> Row:
    """Time the compiled training loop, apart from the chains and the looks between chunks."""
    import jax
    import jax.numpy as jnp

    from dag_gfn.mcmc.candidates import candidate_table
    from dag_gfn.mcmc.parent_sums import parent_sums
    from dag_gfn.orderflow import OrderSettings
    from dag_gfn.orderflow.space import order_space
    from dag_gfn.orderflow.training import init, sample_orders, train

    scores = dg.local_scores(
        simulation(d, config.num_rows, config.seed)[0],
        standardize=True,
        max_parents=None if d <= 20 else config.max_parents,
    )
    begin = time.perf_counter()
    rank = np.arange(d, dtype=np.int32)
    space = order_space(parent_sums(candidate_table(scores)), rank)
    tables = time.perf_counter() - begin
    settings = OrderSettings()
    state = init(space, settings, jax.random.key(config.seed))
    drawn = sample_orders(
        space, settings, state.params, jax.random.key(config.seed + 1), batch_size=1024
    )
    orders, rates = drawn.variable.T, jnp.full(config.call_updates, 1e-3)
    seconds = []
    for _ in range(config.num_calls):
        begin = time.perf_counter()
        state, losses = train(space, settings, state, orders, rates, balance=0.0)
        jax.block_until_ready(losses)
        seconds.append((time.perf_counter() - begin) / len(rates))
    estimator, _ = fitted(
        dg.OrderGFlowNet(num_updates=config.fit_updates, progress=False, random_state=config.seed),
        scores,
    )
    begin = time.perf_counter()
    estimator.sample(config.num_draws, random_state=config.seed)
    draws = time.perf_counter() - begin
    return {
        "variables": d,
        "updates_per_second": 1 / float(np.median(seconds[1:])),
        "milliseconds_per_update": 1e3 * float(np.median(seconds[1:])),
        "tables_seconds": tables,
        "draws_per_minute": 60 * config.num_draws / draws,
    }


def alarm(config: AlarmConfig) -> Row:
    """Fit rows of the alarm network, and compare with long partition chains."""
    table = dg.datasets.sample_network("alarm", config.num_rows, random_state=config.seed)
    scores = dg.local_scores(table, "bde", max_parents=config.max_parents)
    flow, seconds = fitted(
        dg.OrderGFlowNet(
            max_seconds=config.flow_seconds,
            num_updates=UPDATES,
            early_stopping=False,
            n_samples=config.num_draws,
            progress=False,
            random_state=config.seed,
        ),
        scores,
    )
    chain, chain_seconds = fitted(
        dg.PartitionMCMC(
            max_seconds=config.chain_seconds, progress=False, random_state=config.seed
        ),
        scores,
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


def large(d: int, rows: int, config: LargeConfig) -> Row:
    """Fit a large table, and compare with partition chains of the same time."""
    table, truth = simulation(d, rows, config.seed)
    scores = dg.local_scores(table, standardize=True, max_parents=config.max_parents)
    result: Row = {"variables": d, "rows": rows}
    for name, estimator in {
        "flow": dg.OrderGFlowNet(
            max_seconds=config.seconds, num_updates=UPDATES, early_stopping=False
        ),
        "partition": dg.PartitionMCMC(max_seconds=config.seconds),
    }.items():
        estimator.set_params(progress=False, random_state=config.seed)
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


def race(rows: int, name: str, seconds: float, config: RaceConfig) -> Row:
    """Fit a table in a given time, from the table on, and compare with the exact posterior."""
    from dag_gfn.comparison.peers import MarginalDiBS, SumuGadget

    table, _ = simulation(config.num_variables, rows)
    exact = _exact_marginals(table)
    peers = {"SumuGadget": SumuGadget, "MarginalDiBS": MarginalDiBS}
    make = peers[name] if name in peers else getattr(dg, name)
    settings = {"standardize": True, "prior": "fair", "max_seconds": seconds}
    if name == "OrderGFlowNet":
        settings |= {
            "num_updates": UPDATES,
            "early_stopping": False,
            "n_samples": config.num_draws,
        }
    estimator = make(**settings, progress=False, random_state=config.seed)
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


def _exact_marginals(table: pd.DataFrame) -> pd.DataFrame:
    """Read the exact edge marginals of a table of the race, or sum them once for all runs."""
    stored = FOLDER / "exact" / f"gaussian{table.shape[1]}_{len(table)}.csv"
    if not stored.exists():
        exact = dg.ExactPosterior(standardize=True, prior="fair", n_samples=1, progress=False)
        stored.parent.mkdir(exist_ok=True)
        exact.fit(table).edge_marginals_.to_csv(stored)
    return pd.read_csv(stored, index_col=0)


def cases(study: str, config: Any) -> list[tuple[Any, ...]]:
    """List the runs of a study; of the race those whose package is installed."""
    if study == "cost":
        return [(d,) for d in config.variables]
    if study == "alarm":
        return [()]
    if study == "large":
        return list(config.tables)
    return [
        (rows, name, seconds)
        for rows in config.rows
        for name, budgets in config.seconds.items()
        if name not in PEERS or importlib.util.find_spec(PEERS[name])
        for seconds in budgets
    ]


def draw_race(rows: list[Row], config: RaceConfig) -> None:
    """Draw the largest edge error over time, a panel for each table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    frame = pd.DataFrame(rows)
    frame = frame[frame["edge_error"].notna()]
    figure, panels = plt.subplots(1, len(config.rows), figsize=(11, 4.2), sharey=True)
    for axes, num_rows in zip(panels, config.rows, strict=True):
        for position, name in enumerate(config.seconds):
            runs = frame[(frame["sampler"] == name) & (frame["rows"] == num_rows)]
            runs = runs.sort_values("seconds")
            axes.plot(
                runs["seconds"], runs["edge_error"], "o-", color=f"C{position}", label=name, ms=4
            )
        axes.axhline(config.limit, color="0.5", linestyle=":", linewidth=1)
        axes.set(
            xscale="log", yscale="log", title=f"{config.num_variables} variables, {num_rows} rows"
        )
        axes.set_xlabel("seconds from the table to the posterior")
    panels[0].set_ylabel("largest error of an edge marginal")
    panels[0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(FOLDER / "error_over_time.png", dpi=150)
    plt.close(figure)


STUDIES: dict[str, Callable[..., Row]] = {
    "cost": cost,
    "alarm": alarm,
    "large": large,
    "race": race,
}


def _measured(study: str, case: tuple[Any, ...], config: Any, pipe: Any) -> None:
    row = {"study": study, "case": case, **STUDIES[study](*case, config)}
    # Linux counts the largest resident size in KiB.
    row["memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pipe.send(row)


def measured(study: str, case: tuple[Any, ...], config: Any) -> Row:
    """Run one case in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(study, case, config, sending))
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


def main(configs: Mapping[str, Any] = CONFIGS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    run = manifest.about(manifest.command("scaling"))
    for study in args.only:
        for case in cases(study, configs[study]):
            row = measured(study, case, configs[study])
            print(row, flush=True)
            kept = [old for old in _stored() if (old["study"], *old["case"]) != (study, *case)]
            kept.append(row)
            replace(RESULTS, "".join(json.dumps(one) + "\n" for one in kept))
            _write_tables(configs)
    manifest.write(FOLDER, manifest.entries(run, {study: configs[study] for study in args.only}))


def _stored() -> list[Row]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def _write_tables(configs: Mapping[str, Any]) -> None:
    for study in STUDIES:
        rows = [row for row in _stored() if row["study"] == study]
        if rows:
            fill(README, study, markdown(rows))
            if study == "race" and {row["rows"] for row in rows} == set(configs[study].rows):
                draw_race(rows, configs[study])


if __name__ == "__main__":
    main()
