"""Measure both studies of active learning, and write results.jsonl, the pictures and the tables.

    .venv/bin/python -m experiments.active_learning.run [--only interventions sequences]

Two processes share the work, one core each. What all of it was made with goes to manifest.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dag_gfn.plots.style import BLUE, GREY, INK, VERMILION
from experiments import manifest, records
from experiments.active_learning import interventions, sequences
from experiments.processes import run_cases

FOLDER = Path(__file__).parent
GREEN, ORANGE = "#009E73", "#E69F00"  # of Okabe and Ito's colours too

Row = dict[str, Any]
Settings = interventions.InterventionSettings | sequences.SequenceSettings
Case = tuple[str, str, int, Settings]  # study, method, seed


class Study(NamedTuple):
    """What runs one campaign over all rounds, for which methods, and what is drawn of it."""

    campaign: Callable[..., Iterable[Row]]  # of settings, method and seed
    methods: tuple[str, ...]
    panels: dict[str, str]  # of the picture: a curve, and how its axis is called
    round: str  # what a round is


STUDIES = {
    "interventions": Study(
        campaign=interventions.campaign,
        methods=interventions.STRATEGIES,
        panels={
            "entropy": "entropy of the posterior (nats)",
            "expected_shd": "expected SHD from the true graph (edges)",
        },
        round="round, of 5 rows",
    ),
    "sequences": Study(
        campaign=sequences.campaign,
        methods=tuple(sequences.METHODS),
        panels={
            "performance": "performance: mean score of the best 50",
            "diversity": "diversity: mean Hamming distance (tokens)",
            "optima": "share of the arrangements of optima found",
        },
        round="round, of 64 measurements",
    ),
}
CONFIGS: dict[str, Settings] = {
    "interventions": interventions.InterventionSettings(),
    "sequences": sequences.SequenceSettings(),
}
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, INK, GREY)
MARKERS = "osD^vx"


def measured(study: str, method: str, seed: int, settings: Settings) -> Row:
    """Run one campaign, and return its curves over the rounds."""
    begin = time.perf_counter()
    rounds = list(STUDIES[study].campaign(settings, method, seed))
    curves = {
        name: [one[name] for one in rounds]
        for name in rounds[0]
        if name not in ("strategy", "method", "seed")
    }
    seconds = time.perf_counter() - begin
    return {"study": study, "method": method, "seed": seed, "seconds": seconds, **curves}


def runs(rows: list[Row], study: str, method: str) -> list[Row]:
    """Return the campaigns of one method, by seed."""
    chosen = [row for row in rows if (row["study"], row["method"]) == (study, method)]
    return sorted(chosen, key=lambda row: row["seed"])


def curves(rows: list[Row], study: str, method: str, name: str) -> np.ndarray:
    """Return one quantity over the rounds, by seed, [seeds, rounds]."""
    return np.array([row[name] for row in runs(rows, study, method)], float)


def standard_error(values: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean over the first axis."""
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


def draw(rows: list[Row], study: str, path: Path) -> None:
    """Draw the curves of a study, the mean over the seeds with a band of one standard error."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels, methods = STUDIES[study].panels, STUDIES[study].methods
    figure, axes = plt.subplots(
        1, len(panels), figsize=(2.4 + 2.7 * len(panels), 4.2), layout="constrained"
    )
    for ax, (name, label) in zip(axes, panels.items(), strict=True):
        for method, colour, marker in zip(methods, COLOURS, MARKERS, strict=False):
            values = curves(rows, study, method, name)
            mean, error = values.mean(axis=0), standard_error(values)
            number = np.array(runs(rows, study, method)[0]["round"])
            ax.plot(number, mean, color=colour, marker=marker, markersize=4, label=method)
            ax.fill_between(number, mean - error, mean + error, color=colour, alpha=0.18, lw=0)
        ax.set(xlabel=STUDIES[study].round, ylabel=label)
        ax.set_ylim(bottom=0)
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True)
    handles, labels = axes[0].get_legend_handles_labels()
    columns = len(labels) if len(labels) < 5 else 3
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def with_error(values: np.ndarray, digits: int = 2) -> str:
    """Write the mean of values [seeds] with its standard error."""
    return f"{values.mean():.{digits}f} ± {standard_error(values):.{digits}f}"


def intervention_table(rows: list[Row]) -> str:
    """Return the state after the last round, and how far each strategy is from random choice."""

    def last(method: str, name: str) -> np.ndarray:
        return curves(rows, "interventions", method, name)[:, -1]

    def area(method: str) -> np.ndarray:
        return curves(rows, "interventions", method, "entropy")[:, 1:].mean(axis=1)

    table = [
        {
            "method": method,
            "entropy": with_error(last(method, "entropy")),
            "mean": with_error(area(method)),
            "difference": with_error(area(method) - area("random")),
            "shd": with_error(last(method, "expected_shd")),
            "true": with_error(last(method, "true_graph")),
        }
        for method in STUDIES["interventions"].methods
    ]
    return records.markdown(
        table,
        {
            "choice": "method",
            "entropy after the last round": "entropy",
            "entropy, mean of the rounds": "mean",
            "the same less that of random choice, paired": "difference",
            "expected SHD at the end": "shd",
            "probability of the true graph": "true",
        },
    )


def prediction_table(rows: list[Row]) -> str:
    """Return the gain that was predicted in each round, and the fall of the entropy that came."""
    entropy = curves(rows, "interventions", "information gain", "entropy")
    predicted = curves(rows, "interventions", "information gain", "predicted_gain")[:, 1:]
    fall = -np.diff(entropy, axis=1)
    table = [
        {
            "round": str(number + 1),
            "predicted": with_error(predicted[:, number], 3),
            "fall": with_error(fall[:, number], 3),
        }
        for number in range(fall.shape[1])
    ]
    return records.markdown(
        table,
        {
            "round": "round",
            "predicted gain (nats)": "predicted",
            "fall of the entropy (nats)": "fall",
        },
    )


def sequence_table(rows: list[Row]) -> str:
    """Return the metrics after the last round."""

    def last(method: str, name: str, digits: int = 2) -> str:
        return with_error(curves(rows, "sequences", method, name)[:, -1], digits)

    table = [
        {
            "method": method,
            "performance": last(method, "performance"),
            "highest": last(method, "highest"),
            "diversity": last(method, "diversity", 1),
            "novelty": last(method, "novelty", 1),
            "optima": last(method, "optima", 3),
        }
        for method in STUDIES["sequences"].methods
    ]
    return records.markdown(
        table,
        {
            "method": "method",
            "performance": "performance",
            "highest score": "highest",
            "diversity": "diversity",
            "novelty": "novelty",
            "share of arrangements": "optima",
        },
    )


TABLES: dict[str, dict[str, Callable[[list[Row]], str]]] = {
    "interventions": {"interventions": intervention_table, "predictions": prediction_table},
    "sequences": {"sequences": sequence_table},
}


def report(study: str, folder: Path) -> None:
    """Draw the picture of a study, and write its tables into the README."""
    rows = records.read(folder / "results.jsonl")
    draw(rows, study, folder / f"{study}.png")
    for name, table in TABLES[study].items():
        records.fill(folder / "README.md", name, table(rows))


def measure(cases: list[Case], folder: Path) -> None:
    """Run the campaigns, and keep their curves."""
    for row in run_cases(measured, cases):
        records.put(folder / "results.jsonl", row, ("study", "method", "seed"))


def main(configs: Mapping[str, Settings] = CONFIGS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    run, begin = manifest.about(manifest.command("active_learning")), time.perf_counter()
    cases = [
        (study, method, seed, configs[study])
        for study in args.only
        for method in STUDIES[study].methods
        for seed in configs[study].seeds
    ]
    measure(cases, FOLDER)
    for study in args.only:
        report(study, FOLDER)
    where = records.provenance(time.perf_counter() - begin)
    records.fill(FOLDER / "README.md", "provenance", where)
    manifest.write(FOLDER, manifest.entries(run, {study: configs[study] for study in args.only}))


if __name__ == "__main__":
    main()
