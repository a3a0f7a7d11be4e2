"""Are the probabilities right? Networks from the prior, and what is said of them after.

    .venv/bin/python -m experiments.calibration.run [--only METHOD ...]

Results go to results.jsonl, from which the table of the README and the picture are made, and what
they were made with to manifest.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

import dag_gfn as dg
from dag_gfn.plots.style import BLUE, GREY, VERMILION
from experiments import manifest
from experiments.records import Row, fill, markdown, provenance, put, read

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Config:
    """What the study depends on."""

    num_variables: int = 10
    num_rows: int = 100  # of each table
    num_tables: int = 100  # each from a network of its own
    num_updates: int = 1000  # a twentieth of what the flow may take: what a quick fit is worth
    max_parents: int = 3  # of discrete tables
    num_bins: int = 10  # of the probabilities of edges, and of the places of effects
    seed: int = 0  # of networks, tables and fits


class Study(NamedTuple):
    """A method on tables from one model."""

    label: str
    model: str
    estimator: Callable[[Config], Any]


def flow(config: Config, **settings: Any) -> dg.OrderGFlowNet:
    return dg.OrderGFlowNet(num_updates=config.num_updates, progress=False, **settings)


STUDIES = {
    "exact_uniform": Study("exact", "BGe, uniform prior", lambda config: dg.ExactPosterior()),
    "exact_fair": Study("exact", "BGe, fair prior", lambda config: dg.ExactPosterior(prior="fair")),
    "flow_uniform": Study("order flow", "BGe, uniform prior", flow),
    "flow_fair": Study("order flow", "BGe, fair prior", lambda config: flow(config, prior="fair")),
    "exact_bde": Study(
        "exact",
        "BDe, fair prior",
        lambda config: dg.ExactPosterior(score="bde", prior="fair", max_parents=config.max_parents),
    ),
}
CONFIGS = dict.fromkeys(STUDIES, Config())  # of each part of the manifest


def measure(name: str, config: Config) -> Row:
    """Calibrate one method."""
    started = time.perf_counter()
    result = dg.calibrate(
        STUDIES[name].estimator(config),
        num_variables=config.num_variables,
        num_rows=config.num_rows,
        num_tables=config.num_tables,
        n_jobs=2,
        random_state=config.seed,
    )
    summary = result.summary()
    bins = result.reliability(config.num_bins)
    heights, _ = np.histogram(result.pairs["place"], config.num_bins, (0, 1), density=True)
    return {
        "study": name,
        "seconds": time.perf_counter() - started,
        "tables": len(result.fits),
        "fit_seconds": float(result.fits["seconds"].median()),
        "efficiency": float(result.fits["efficiency"].median()),
        "poor_khat": int((result.fits["khat"] > 0.7).sum()),
        "summary": {key: [float(one) for one in row[:2]] for key, *row in summary.itertuples()},
        "bins": bins.to_numpy(float).tolist(),
        "places": heights.tolist(),
    }


def figure_of(key: str, digits: int = 3) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        value, error = row["summary"][key]
        return f"{value:.{digits}f} ± {error:.{digits}f}"

    return show


COLUMNS: dict[str, str | Callable[[Row], str]] = {
    "method": lambda row: STUDIES[row["study"]].label,
    "model": lambda row: STUDIES[row["study"]].model,
    "calibration error of edges": figure_of("calibration error of edges", 4),
    "coverage, all pairs": figure_of("coverage, all pairs"),
    "pairs with an effect": figure_of("coverage, pairs with an effect"),
    "pairs that surely have one": figure_of("coverage, pairs that surely have one"),
    "spike split at random": figure_of("coverage, spike split at random"),
    "p-values of ranks: edges, score": lambda row: (
        f"{row['summary']['rank of the true num_edges, p-value'][0]:.2f}, "
        f"{row['summary']['rank of the true log_score, p-value'][0]:.2f}"
    ),
    "seconds a fit": lambda row: f"{row['fit_seconds']:.1f}",
    "efficiency": lambda row: f"{row['efficiency']:.2f}",
    "k-hat > 0.7": "poor_khat",
}


def draw(rows: list[Row], path: Path) -> None:
    """Draw the reliability of edges and the places of true effects, one column a model."""
    models = list(dict.fromkeys(STUDIES[row["study"]].model for row in rows))
    figure, axes = plt.subplots(
        2, len(models), figsize=(3.7 * len(models), 6.8), layout="constrained", squeeze=False
    )
    for column, model in enumerate(models):
        reliability, places = axes[:, column]
        reliability.axline((0, 0), slope=1, color=GREY, linewidth=0.8, zorder=0)
        places.axhline(1, color=GREY, linewidth=0.8, zorder=0)
        for row in rows:
            study = STUDIES[row["study"]]
            if study.model != model:
                continue
            colour, marker = (BLUE, "o") if study.label == "exact" else (VERMILION, "s")
            count, said, share = np.transpose(row["bins"])
            error = 2 * np.sqrt(said * (1 - said) / count)
            offset = -0.006 if study.label == "exact" else 0.006
            reliability.errorbar(
                said + offset,
                share,
                error,
                fmt=marker,
                markersize=4.5,
                linewidth=1,
                color=colour,
                label=study.label,
            )
            places.stairs(
                row["places"],
                np.linspace(0, 1, len(row["places"]) + 1),
                color=colour,
                linewidth=1.6,
            )
        reliability.set(
            title=model,
            xlabel="posterior probability of the edge",
            ylabel="share that exists",
            xlim=(-0.03, 1.03),
            ylim=(-0.03, 1.03),
        )
        places.set(
            xlabel="share of the posterior below the true effect",
            ylabel="density",
            xlim=(0, 1),
            ylim=(0, 1.6),
        )
        reliability.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(configs: Mapping[str, Config] = CONFIGS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    run = manifest.about(manifest.command("calibration"))
    results, readme = FOLDER / "results.jsonl", FOLDER / "README.md"
    for name in args.only:
        put(results, measure(name, configs[name]), key=("study",))
    found = {row["study"]: row for row in read(results)}
    rows = [found[name] for name in STUDIES if name in found]
    where = provenance(sum(row["seconds"] for row in rows))
    fill(readme, "results", f"{markdown(rows, COLUMNS)}\n\n{where}")
    draw(rows, FOLDER / "figure.png")
    manifest.write(FOLDER, manifest.entries(run, {name: configs[name] for name in args.only}))


if __name__ == "__main__":
    main()
