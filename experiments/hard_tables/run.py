"""Run the samplers on every hard table and write results.jsonl and the tables of the README.

    .venv/bin/python -m experiments.hard_tables.run [--only TABLE ...] [--methods METHOD ...]

Each method is run with the same local scores and the same time, as often as `Config` says; results
of other tables and methods are kept. At the end manifest.json says what they were made with.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import dag_gfn as dg
from dag_gfn.comparison.methods import run_method
from dag_gfn.estimators.base import marginals_of
from dag_gfn.mcmc.candidates import candidate_table
from dag_gfn.mcmc.chains import Kernel
from dag_gfn.mcmc.starts import random_starts
from dag_gfn.mcmc.structure import structure_kernel
from dag_gfn.scores import LocalScores
from experiments import manifest
from experiments.hard_tables.tables import TABLES, local_scores
from experiments.records import fill, replace

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
README = FOLDER / "README.md"


@dataclass(frozen=True)
class Config:
    """What the study depends on, besides the tables.

    Flows are run once: `DAGGFlowNet` for some updates, the one over canonical orders for so many
    seconds, of which compiling takes some, and single-edge chains once more for as long.
    """

    seconds: float = 3.0  # of each method with chains
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    flow_updates: int = 2000
    flow_seconds: float = 20.0
    flow_draws: int = 50_000  # of the flow over orders
    flow_seeds: tuple[int, ...] = (0,)


class SingleEdgeMCMC(dg.StructureMCMC):
    """Structure MCMC without the edge-reversal move, which is what these tables are made for."""

    def _kernel(self) -> Callable[..., Any]:
        return partial(structure_kernel, reversal_period=0)


class RandomStartMCMC(dg.StructureMCMC):
    """The same from random graphs, as chains are often started; those above are annealed first."""

    def _kernel(self) -> Callable[..., Any]:
        def kernel(
            scores: LocalScores, *, num_chains: int, seed: int, max_candidates: int
        ) -> Kernel:
            table = candidate_table(scores, max_candidates)
            return structure_kernel(
                scores,
                num_chains=num_chains,
                seed=seed,
                max_candidates=max_candidates,
                reversal_period=0,
                initial=random_starts(scores, table, num_chains, seed=seed),
            )

        return kernel


METHODS: dict[str, Callable[[Config], Any]] = {
    "single edges, random starts": lambda config: RandomStartMCMC(max_seconds=config.seconds),
    "single edges": lambda config: SingleEdgeMCMC(max_seconds=config.seconds),
    "structure": lambda config: dg.StructureMCMC(max_seconds=config.seconds),
    "order": lambda config: dg.OrderMCMC(max_seconds=config.seconds),
    "partition": lambda config: dg.PartitionMCMC(max_seconds=config.seconds),
    "flow": lambda config: dg.DAGGFlowNet(num_updates=config.flow_updates),
    "single edges as long": lambda config: SingleEdgeMCMC(max_seconds=config.flow_seconds),
    "order flow": lambda config: dg.OrderGFlowNet(
        max_seconds=config.flow_seconds, n_samples=config.flow_draws
    ),
}
RUN_ONCE = ("flow", "single edges as long", "order flow")


def part(method: str, table: str) -> str:
    """Return the name in the manifest of what can be measured alone."""
    return f"{method}, {table}"


CONFIGS = {part(method, table): Config() for method in METHODS for table in TABLES}


def measure(table: str, method: str, seed: int, config: Config) -> dict[str, Any]:
    """Run one method on one table and compare it with the stored exact marginals."""
    stored = json.loads((FOLDER / "exact" / f"{table}.json").read_text(encoding="utf-8"))
    names = stored["variables"]
    exact = pd.DataFrame(stored["edge_marginals"], index=names, columns=names)
    scores = local_scores(table)
    scores.unconstrained_table  # noqa: B018 (computed now, outside the clock)
    estimator = METHODS[method](config).set_params(random_state=seed, progress=False)
    begin = time.process_time()
    run = run_method(estimator, scores, table=pd.DataFrame(), constraints={})
    if run.refusal:
        raise RuntimeError(f"{method} on {table}: {run.refusal}")
    error = dg.metrics.edge_error(marginals_of(estimator), exact)
    posterior = estimator.posterior_
    chains = getattr(estimator, "chains_", None)
    return {
        "table": table,
        "method": method,
        "seed": seed,
        "max_error": error.max,
        "mean_error": error.mean,
        "rhat": getattr(estimator, "rhat_", None),
        "ess": getattr(estimator, "ess_", posterior.ess),
        "khat": None if np.ptp(posterior.weights) == 0 else posterior.khat,
        "trust": dg.diagnostics.assess(posterior).level,
        "steps": None if chains is None else chains.num_steps * len(chains.edge_marginals),
        "cpu_seconds": time.process_time() - begin,
        "wall_seconds": run.seconds,
    }


def report(results: pd.DataFrame) -> str:
    """Return the results as a Markdown table: a row a table, a column a method."""
    methods = [method for method in METHODS if method in set(results["method"])]
    lines = [
        "| table | " + " | ".join(methods) + " |",
        "| --- |" + " --- |" * len(methods),
    ]
    for table in TABLES:
        rows = results[results["table"] == table]
        if len(rows):
            cells = [_cell(rows[rows["method"] == method]) for method in methods]
            lines.append(f"| {table} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: pd.DataFrame) -> str:
    """Return the median and the worst error, and how many runs say that they are to be trusted."""
    if rows.empty:
        return "–"
    worst, median = rows["max_error"].max(), rows["max_error"].median()
    errors = f"{median:.3f}" if len(rows) == 1 else f"{median:.3f} ({worst:.3f})"
    if rows["rhat"].notna().all():
        passed = int((rows["rhat"] <= dg.convergence.RHAT_LIMIT).sum())
        return f"{errors}, R-hat passes {passed}/{len(rows)}"
    return f"{errors}, called {rows['trust'].mode()[0]}"


def _stored() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    results = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    # Infinities are text there, since JSON does not know them.
    return [
        {key: float(value) if value in ("inf", "nan") else value for key, value in result.items()}
        for result in results
    ]


def main(configs: Mapping[str, Config] = CONFIGS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    args = parser.parse_args()
    run = manifest.about(manifest.command("hard_tables"))
    for method in args.methods:
        # Compiled once, outside the clock of any run.
        if method not in RUN_ONCE:
            config = configs[part(method, args.only[0])]
            METHODS[method](config).set_params(max_seconds=1.0, progress=False).infer(
                local_scores("balanced_parity")
            )
        for table in args.only:
            config = configs[part(method, table)]
            for seed in config.flow_seeds if method in RUN_ONCE else config.seeds:
                made = measure(table, method, seed, config)
                print(json.dumps(made), flush=True)
                key = ("table", "method", "seed")
                kept = [old for old in _stored() if any(old[k] != made[k] for k in key)]
                lines = [json.dumps(_plain(result)) for result in [*kept, made]]
                replace(RESULTS, "\n".join(lines) + "\n")
    fill(README, "results", report(pd.DataFrame(_stored())))
    parts = [part(method, table) for method in args.methods for table in args.only]
    manifest.write(FOLDER, manifest.entries(run, {name: configs[name] for name in parts}))


def _plain(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with rounded numbers, and infinities as text, which JSON does not know."""
    return {
        key: (f"{value:.4g}" if not np.isfinite(value) else float(f"{value:.5g}"))
        if isinstance(value, float)
        else value
        for key, value in result.items()
    }


if __name__ == "__main__":
    main()
