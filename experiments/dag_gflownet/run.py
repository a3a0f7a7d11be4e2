"""DAG-GFlowNet beside its baselines: five variables, twenty variables, and the Sachs data.

    .venv/bin/python -m experiments.dag_gflownet.run [--only STUDY ...]

Two processes share the tables, with one core each. Results go to results.jsonl, from which the
tables of the README and the pictures are made, and what they were made with to manifest.json.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import dag_gfn as dg
from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import marginals_of
from experiments import manifest
from experiments.processes import PROCESSES, run_cases
from experiments.records import Row, fill, markdown, provenance, put, read

FOLDER = Path(__file__).parent
OF_PC: dict[str, Any] = {"progress": False, "random_state": 0}
SETTINGS = OF_PC | {"standardize": True}  # PC tests correlations, which have no scale


@dataclass(frozen=True)
class FiveConfig:
    """What the study of five variables depends on.

    Flows train in the time that the first table of a process does not spend on compiling.
    """

    num_variables: int = 5
    edges_per_node: float = 1.0
    num_rows: int = 100
    seeds: tuple[int, ...] = tuple(range(10))  # of the tables
    flow_updates: int = 3000
    chain_seconds: float = 1.0
    bootstrap_seconds: float = 3.0


@dataclass(frozen=True)
class TwentyConfig:
    """What the study of twenty variables depends on."""

    num_variables: int = 20
    edges_per_node: tuple[int, ...] = (1, 2)
    num_rows: int = 100
    seeds: tuple[int, ...] = tuple(range(25))  # of the graphs, for each number of edges
    flow_updates: int = 400
    flow_draws: int = 3000
    chain_seconds: float = 4.0
    ges_seconds: float = 1.0
    num_ges_graphs: int = 8  # one search takes up to 15 seconds
    pc_seconds: float = 2.0


@dataclass(frozen=True)
class SachsConfig:
    """What the study of the Sachs tables depends on, in seconds for each fit."""

    flow_seconds: float = 40.0
    order_flow_seconds: float = 30.0
    chain_seconds: float = 5.0
    bootstrap_seconds: float = 10.0


CONFIGS: dict[str, Any] = {
    "five": FiveConfig(),
    "twenty": TwentyConfig(),
    "sachs": SachsConfig(),
}
METHODS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "five": {
        "DAG-GFlowNet": lambda config: dg.DAGGFlowNet(num_updates=config.flow_updates, **SETTINGS),
        "order flow": lambda config: dg.OrderGFlowNet(num_updates=config.flow_updates, **SETTINGS),
        "structure MCMC": lambda config: dg.StructureMCMC(
            max_seconds=config.chain_seconds, **SETTINGS
        ),
        "bootstrap GES": lambda config: dg.BootstrapGES(
            max_seconds=config.bootstrap_seconds, **SETTINGS
        ),
        "bootstrap PC": lambda config: dg.BootstrapPC(
            max_seconds=config.bootstrap_seconds, **OF_PC
        ),
    },
    "twenty": {
        "order flow": lambda config: dg.OrderGFlowNet(
            num_updates=config.flow_updates, n_samples=config.flow_draws, **SETTINGS
        ),
        "structure MCMC": lambda config: dg.StructureMCMC(
            max_seconds=config.chain_seconds, **SETTINGS
        ),
        "structure MCMC, fair prior": lambda config: dg.StructureMCMC(
            max_seconds=config.chain_seconds, prior="fair", **SETTINGS
        ),
        "bootstrap GES": lambda config: dg.BootstrapGES(max_seconds=config.ges_seconds, **SETTINGS),
        "bootstrap PC": lambda config: dg.BootstrapPC(max_seconds=config.pc_seconds, **OF_PC),
    },
    "sachs": {
        "exact": lambda config: dg.ExactPosterior(),
        "DAG-GFlowNet": lambda config: dg.DAGGFlowNet(max_seconds=config.flow_seconds),
        "order flow": lambda config: dg.OrderGFlowNet(max_seconds=config.order_flow_seconds),
        "structure MCMC": lambda config: dg.StructureMCMC(max_seconds=config.chain_seconds),
        "order MCMC": lambda config: dg.OrderMCMC(max_seconds=config.chain_seconds),
        "partition MCMC": lambda config: dg.PartitionMCMC(max_seconds=config.chain_seconds),
        "bootstrap GES": lambda config: dg.BootstrapGES(max_seconds=config.bootstrap_seconds),
        "bootstrap PC": lambda config: dg.BootstrapPC(max_seconds=config.bootstrap_seconds),
    },
}
FEATURES = {
    "edge": dg.Posterior.edge_marginals,
    "path": dg.Posterior.path_marginals,
    "Markov blanket": dg.Posterior.markov_blanket_marginals,
}


def simulation(
    config: FiveConfig | TwentyConfig, edges_per_node: float, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table and the graph it is from."""
    dag = dg.datasets.random_dag(
        config.num_variables, edges_per_node=edges_per_node, random_state=seed
    )
    simulated = dg.datasets.simulate_linear_gaussian(dag, config.num_rows, random_state=seed)
    names = list(simulated.table.columns)
    return simulated.table, pd.DataFrame(dag, index=names, columns=names)


# --- five variables: every feature against the exact posterior ---------------------------------


def five(seed: int, config: FiveConfig) -> list[Row]:
    table, _ = simulation(config, config.edges_per_node, seed)
    exact = dg.ExactPosterior(standardize=True, progress=False).fit(table)
    rows = []
    for name, make in METHODS["five"].items():
        begin = time.perf_counter()
        posterior = make(config).fit(table).posterior_
        seconds = time.perf_counter() - begin
        ways = {name: posterior}
        if name == "DAG-GFlowNet":
            plain = dg.Posterior(posterior.adjacency, np.zeros(len(posterior)), posterior.names)
            ways = {f"{name}, plain draws": plain, f"{name}, weighted": posterior}
        for way, drawn in ways.items():
            points = {
                feature: [
                    _off_diagonal(marginals(exact.posterior_)),
                    _off_diagonal(marginals(drawn)),
                ]
                for feature, marginals in FEATURES.items()
            }
            rows.append(
                {"study": "five", "case": seed, "method": way, "seconds": seconds, "points": points}
            )
    return rows


def _off_diagonal(marginals: pd.DataFrame) -> list[float]:
    values = marginals.to_numpy()
    return [float(value) for value in values[~np.eye(len(values), dtype=bool)]]


def correlations(rows: list[Row]) -> list[Row]:
    """Return a row a method: Pearson r and the errors of each feature over all tables."""
    found = []
    for method in dict.fromkeys(row["method"] for row in rows):
        of_method = [row for row in rows if row["method"] == method]
        summary: Row = {"method": method, "tables": len(of_method)}
        for feature in FEATURES:
            exact, drawn = np.concatenate([row["points"][feature] for row in of_method], axis=1)
            summary[feature] = (
                f"{np.corrcoef(exact, drawn)[0, 1]:.5f}, {np.abs(drawn - exact).max():.3f}"
            )
        summary["seconds"] = f"{np.median([row['seconds'] for row in of_method]):.1f}"
        found.append(summary)
    return found


# --- twenty variables: distance to the graph ---------------------------------------------------


def twenty(edges_per_node: int, seed: int, config: TwentyConfig) -> list[Row]:
    table, truth = simulation(config, edges_per_node, 1000 * edges_per_node + seed)
    scores = dg.local_scores(table, standardize=True)
    rows = []
    for name, make in METHODS["twenty"].items():
        if name == "bootstrap GES" and seed >= config.num_ges_graphs:
            continue
        try:
            judged = _judged(make(config), table, scores, truth)
        except RuntimeError:
            continue  # all replicates of PC contradicted themselves; the table counts the graphs
        del judged["marginals"]  # there is nothing exact to hold them against
        case = f"ER{edges_per_node} {seed}"
        rows.append({"study": "twenty", "case": case, "method": name, **judged})
    return rows


def _judged(
    estimator: Any,
    table: pd.DataFrame,
    scores: dg.LocalScores,
    truth: pd.DataFrame,
) -> Row:
    """Fit one method and hold its posterior against a graph."""
    begin = time.perf_counter()
    if estimator.needs_table or getattr(estimator, "prior", "uniform") != "uniform":
        estimator.fit(table)
    else:
        estimator.infer(scores)
    posterior = estimator.posterior_
    edges = marginals_of(estimator)
    return {
        "shd": dg.metrics.expected_shd(posterior, truth),
        "auroc": dg.metrics.auroc(posterior, truth),
        "edges": float(edges.to_numpy().sum()),
        "khat": float(posterior.khat),
        "efficiency": posterior.efficiency,
        "trust": dg.diagnostics.assess(posterior).level,
        "marginals": [round(value, 5) for value in _off_diagonal(edges)],
        "seconds": time.perf_counter() - begin,
    }


def distances(rows: list[Row], edges_per_node: int) -> list[Row]:
    """Return a row a method: means over the graphs, with their standard errors."""
    frame = pd.DataFrame([row for row in rows if row["case"].startswith(f"ER{edges_per_node} ")])
    found = []
    for method in METHODS["twenty"]:
        some = frame[frame["method"] == method]
        found.append(
            {
                "graphs": f"{len(some)} ER{edges_per_node}",
                "method": method,
                "shd": _mean(some["shd"]),
                "auroc": _mean(some["auroc"]),
                "edges": f"{some['edges'].mean():.1f}",
                "trust": ", ".join(
                    f"{count} {level}" for level, count in some["trust"].value_counts().items()
                ),
                "seconds": f"{some['seconds'].median():.1f}",
            }
        )
    return found


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.4g} ± {values.std() / np.sqrt(len(values)):.2g}"


# --- Sachs ------------------------------------------------------------------------------------


def sachs(kind: str, method: str, config: SachsConfig) -> list[Row]:
    """Fit one method to the observational or the interventional table."""
    truth = dg.datasets.true_graph("sachs")
    estimator = METHODS["sachs"][method](config)
    known = estimator.get_params()
    settings = {"random_state": 0, "progress": False}
    if kind == "observational":
        table = np.log(dg.datasets.load_sachs())
        scores = dg.local_scores(table, standardize=True)
        settings["standardize"] = True
    else:
        if estimator.needs_table:  # the bootstraps know of no interventions
            return []
        values, targets = dg.datasets.load_sachs(interventions=True)
        table = discretised(values)
        scores = dg.local_scores(table, "bde", interventions=targets)
        settings["score"] = "bde"
    estimator.set_params(**{name: settings[name] for name in settings if name in known})
    judged = _judged(estimator, table, scores, truth)
    return [{"study": "sachs", "case": kind, "method": method, **judged}]


def discretised(values: pd.DataFrame) -> pd.DataFrame:
    """Cut each column into three levels that hold a third of the rows each."""
    return values.apply(lambda column: pd.qcut(column, 3, labels=["low", "average", "high"]))


def beside_exact(rows: list[Row]) -> list[Row]:
    """Add to each row its largest difference to the exact edge marginals of the same table."""
    exact = {row["case"]: row["marginals"] for row in rows if row["method"] == "exact"}
    return [
        row | {"error": float(np.abs(np.subtract(row["marginals"], exact[row["case"]])).max())}
        for row in rows
    ]


# --- what is shown -----------------------------------------------------------------------------

STUDIES: dict[str, Callable[..., list[Row]]] = {"five": five, "twenty": twenty, "sachs": sachs}


def cases(study: str, config: Any) -> list[tuple]:
    """List the cases of a study, each of which is a process's to run."""
    if study == "five":
        return [(seed,) for seed in config.seeds]
    if study == "twenty":
        return [(k, seed) for seed in config.seeds for k in config.edges_per_node]
    kinds = ("observational", "interventional")
    return [(kind, method) for method in METHODS["sachs"] for kind in kinds]


def tables(study: str, rows: list[Row]) -> str:
    """Return the Markdown table of a study."""
    if study == "five":
        columns: dict[str, Any] = {"method": "method", "tables": "tables"}
        columns |= {f"{feature}: r, largest error": feature for feature in FEATURES}
        return markdown(correlations(rows), columns | {"seconds": "seconds"})
    if study == "twenty":
        columns = {
            "graphs": "graphs",
            "method": "method",
            "expected SHD": "shd",
            "AUROC": "auroc",
            "edges": "edges",
            "called": "trust",
            "seconds": "seconds",
        }
        return markdown([*distances(rows, 1), *distances(rows, 2)], columns)
    columns = {
        "table": "case",
        "method": "method",
        "edges": lambda row: f"{row['edges']:.2f}",
        "expected SHD": lambda row: f"{row['shd']:.2f}",
        "AUROC": lambda row: f"{row['auroc']:.3f}",
        "largest error": lambda row: f"{row['error']:.3f}",
        "called": "trust",
        "seconds": lambda row: f"{row['seconds']:.0f}",
    }
    return markdown(sorted(beside_exact(rows), key=lambda row: row["case"], reverse=True), columns)


SHOWN_OF_FIVE = (
    "DAG-GFlowNet, plain draws",
    "DAG-GFlowNet, weighted",
    "order flow",
    "bootstrap GES",
)


def draw_five(rows: list[Row], path: Path, methods: Sequence[str] = SHOWN_OF_FIVE) -> None:
    """Draw every feature of every table against its exact probability."""
    figure, axes = plt.subplots(
        len(FEATURES), len(methods), figsize=(8, 6.4), sharex=True, sharey=True
    )
    for column, method in enumerate(methods):
        of_method = [row for row in rows if row["method"] == method]
        for line, feature in enumerate(FEATURES):
            exact, drawn = np.concatenate([row["points"][feature] for row in of_method], axis=1)
            one = axes[line, column]
            one.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
            one.scatter(exact, drawn, s=7, alpha=0.5, linewidths=0, color="C0")
            correlation = np.corrcoef(exact, drawn)[0, 1]
            one.text(0.05, 0.93, f"r = {correlation:.4f}", transform=one.transAxes, va="top")
            one.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
            if column == 0:
                one.set_ylabel(f"{feature}\nestimated probability")
            if line == 0:
                one.set_title(method.replace(", ", ",\n"), fontsize=10)
    figure.supxlabel("probability under the exact posterior", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_twenty(rows: list[Row], path: Path) -> None:
    """Draw expected SHD and AUROC of every method over the graphs."""
    figure, axes = plt.subplots(2, 2, figsize=(8, 5.2), sharex="row", layout="constrained")
    methods = list(METHODS["twenty"])
    for column, edges_per_node in enumerate((1, 2)):
        for line, (key, label) in enumerate(
            [("shd", "expected SHD (lower is better)"), ("auroc", "AUROC (higher is better)")]
        ):
            values = [
                [
                    row[key]
                    for row in rows
                    if row["method"] == method and row["case"].startswith(f"ER{edges_per_node} ")
                ]
                for method in methods
            ]
            one = axes[line, column]
            one.boxplot(values[::-1], orientation="horizontal", tick_labels=methods[::-1])
            one.set_xlabel(label)
            if line == 0:
                one.set_title(f"ER{edges_per_node}, {len(values[0])} graphs", fontsize=10)
            if column == 1:
                one.set_yticklabels([])
    figure.savefig(path, dpi=150)
    plt.close(figure)


def measured(study: str, case: tuple, config: Any) -> tuple[str, list[Row], float]:
    """Run one case of a study, and say how long it took."""
    begin = time.perf_counter()
    warnings.simplefilter("ignore", UntrustedPosteriorWarning)  # the tables say so
    rows = STUDIES[study](*case, config)
    return study, rows, time.perf_counter() - begin


def main(configs: Mapping[str, Any] = CONFIGS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    run, spent = manifest.about(manifest.command("dag_gflownet")), dict.fromkeys(args.only, 0.0)
    planned = [
        (study, case, configs[study])
        for study in args.only
        for case in cases(study, configs[study])
    ]
    for study, made, seconds in run_cases(measured, planned):
        for row in made:
            put(FOLDER / "results.jsonl", row, key=("study", "case", "method"))
        spent[study] += seconds / PROCESSES
    for study, seconds in spent.items():
        rows = [row for row in read(FOLDER / "results.jsonl") if row["study"] == study]
        text = f"{tables(study, rows)}\n\n{provenance(seconds)}"
        fill(FOLDER / "README.md", study, text)
    draw_pictures()
    manifest.write(FOLDER, manifest.entries(run, {study: configs[study] for study in args.only}))


def draw_pictures() -> None:
    """Draw what there are results for."""
    rows = read(FOLDER / "results.jsonl")
    for study, draw in (("five", draw_five), ("twenty", draw_twenty)):
        of_study = [row for row in rows if row["study"] == study]
        if of_study:
            draw(of_study, FOLDER / f"{study}.png")


if __name__ == "__main__":
    main()
