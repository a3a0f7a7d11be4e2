"""What the Sachs table says with its nine conditions, and what the interventions are taken for.

    .venv/bin/python -m experiments.interventions.run

Results go to results.jsonl, from which the tables of the README are made, and what they were made
with to manifest.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import dag_gfn as dg
from dag_gfn.plots.style import VERMILION
from experiments import manifest
from experiments.records import Row, fill, markdown, provenance, put, read

FOLDER = Path(__file__).parent
KEY = ("study", "score", "case")


@dataclass(frozen=True)
class Config:
    """What the study depends on, besides the cells."""

    levels: tuple[str, ...] = ("low", "middle", "high")  # that columns are cut into for BDe
    adjacent: float = 0.5  # probability above which two proteins count as joined by an edge
    settled: float = 0.95  # share of the likelier direction above which it counts as known
    seed: int = 0  # of the graphs that are drawn from a posterior


CONFIG = Config()
CONFIGS = {"interventions": CONFIG}  # of each part of the manifest; there is but one


class Cells(NamedTuple):
    """The measurements and what was done to each cell."""

    table: pd.DataFrame  # float64 [n, d], raw intensities
    targets: pd.Series  # str or None [n]
    conditions: pd.Series  # str [n]


class Model(NamedTuple):
    """A score, and the table in the form that it takes."""

    transform: Callable[[pd.DataFrame, Config], pd.DataFrame]
    words: dict[str, Any]


def load() -> Cells:
    return Cells(*dg.datasets.load_sachs(interventions=True, conditions=True))


def logarithms(table: pd.DataFrame, _: Config) -> pd.DataFrame:
    return np.log(table)


def levels(table: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Cut every column into levels with as many rows each."""
    names = list(config.levels)
    return table.apply(lambda column: pd.qcut(column, len(names), labels=names))


MODELS = {
    "bge": Model(logarithms, {"score": "bge", "standardize": True}),
    "bde": Model(levels, {"score": "bde"}),
}
ANALYSES = {
    "one condition": "the first condition alone (853 cells)",
    "as if observed": "all cells, as if none had been intervened on",
    "perfect": "all cells, perfect interventions",
    "imperfect": "all cells, imperfect interventions",
}


def rows_and_words(cells: Cells, analysis: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows of an analysis and what it takes the interventions for."""
    if analysis == "one condition":
        return cells.table[cells.conditions == cells.conditions.iloc[0]], {}
    return cells.table, {
        "as if observed": {},
        "perfect": {"interventions": cells.targets},
        "imperfect": {"interventions": cells.targets, "conditions": cells.conditions},
    }[analysis]


def truth_of(cells: Cells) -> pd.DataFrame:
    return dg.datasets.true_graph("sachs").loc[cells.table.columns, cells.table.columns]


# --- the posterior over graphs -------------------------------------------------------------------


def analyse(
    cells: Cells, score: str, analysis: str, config: Config = CONFIG
) -> tuple[Row, dg.Posterior]:
    """Compute the exact posterior, and hold it against the network of the literature."""
    begin = time.perf_counter()
    model, truth = MODELS[score], truth_of(cells)
    table, words = rows_and_words(cells, analysis)
    scores = dg.local_scores(model.transform(table, config), **model.words, **words)
    exact = dg.ExactPosterior(progress=False, random_state=config.seed).infer(scores)
    posterior, edges = exact.posterior_, exact.edge_marginals_.to_numpy()
    num_set = int(cells.targets.notna().sum()) if analysis == "perfect" else 0
    row = {
        "study": "analyses",
        "score": score,
        "case": analysis,
        "rows": len(table),
        "values": table.size - num_set,
        "edges": float(edges.sum()),
        "expected_shd": dg.metrics.expected_shd(posterior, truth),
        "auroc": dg.metrics.auroc(posterior, truth),
        **directions(edges, truth.to_numpy(bool), config),
        "entropy": posterior.entropy(scores.log_score),
        "log_evidence": exact.log_evidence_,
        "log_evidence_of_all_values": None,
        "marginals": [[float(f"{p:.4f}") for p in line] for line in edges],
        "seconds": time.perf_counter() - begin,
    }
    if analysis != "one condition":
        row["log_evidence_of_all_values"] = exact.log_evidence_ + (
            log_evidence_of_set_values(cells, score, config) if analysis == "perfect" else 0.0
        )
    return row, posterior


def directions(edges: np.ndarray, truth: np.ndarray, config: Config = CONFIG) -> Row:
    """Count the pairs that are joined, those whose direction is known, and which are right."""
    joined = edges + edges.T
    pairs = np.triu(joined > config.adjacent, 1)
    settled = pairs & (np.maximum(edges, edges.T) > config.settled * joined)
    right = (truth & (edges > edges.T)) | (truth & (edges > edges.T)).T
    in_truth = truth | truth.T
    return {
        "joined": int(pairs.sum()),
        "joined_in_truth": int((pairs & in_truth).sum()),
        "settled": int(settled.sum()),
        "settled_in_truth": int((settled & in_truth).sum()),
        "settled_right": int((settled & right).sum()),
    }


def log_evidence_of_set_values(cells: Cells, score: str, config: Config = CONFIG) -> float:
    """Return what the values that were set add to the evidence of perfect interventions.

    In each condition they are taken for draws of one distribution, whatever the rest of the cell is
    like, as the score of imperfect interventions takes them for where there are no parents.
    """
    model = MODELS[score]
    table, words = model.transform(cells.table, config), {"interventions": cells.targets}
    perfect = dg.local_scores(table, **model.words, **words)
    imperfect = dg.local_scores(table, **model.words, **words, conditions=cells.conditions)
    return sum(
        imperfect.local_score(name, []) - perfect.local_score(name, []) for name in perfect.names
    )


# --- the mechanisms ------------------------------------------------------------------------------


def mechanism(cells: Cells, score: str, condition: str, config: Config = CONFIG) -> Row:
    """Ask whether a reagent changed its target's mechanism, and whether it cut it off.

    The parents are those of the network of the literature, for any other set could have the
    target's own effects in it.
    """
    begin = time.perf_counter()
    model, truth = MODELS[score], truth_of(cells)
    table = model.transform(cells.table, config)
    inside = cells.conditions == condition
    target = cells.targets[inside].iloc[0]
    only_here = cells.targets.where(inside, None)
    words = {"interventions": only_here} | model.words
    plain = dg.local_scores(table, **model.words)
    left_out = dg.local_scores(table, **words)
    changed = dg.local_scores(table, **words, conditions=cells.conditions)
    parents = list(truth.index[truth[target] == 1])
    in_these_rows = [
        changed.local_score(target, some) - left_out.local_score(target, some)
        for some in (parents, [])
    ]
    return {
        "study": "mechanisms",
        "score": score,
        "case": condition,
        "target": target,
        "parents": parents,
        "rows": int(inside.sum()),
        "log_odds_of_change": changed.local_score(target, parents)
        - plain.local_score(target, parents),
        "log_odds_of_dependence": in_these_rows[0] - in_these_rows[1] if parents else None,
        "seconds": time.perf_counter() - begin,
    }


# --- what is shown -------------------------------------------------------------------------------


def _of_truth(row: Row, what: str) -> str:
    return f"{row[what]}, {row[f'{what}_in_truth']}"


COLUMNS: dict[str, dict[str, str | Callable[[Row], str]]] = {
    "analyses": {
        "score": "score",
        "analysis": "case",
        "cells, values scored": lambda row: f"{row['rows']}, {row['values']}",
        "expected edges": lambda row: f"{row['edges']:.1f}",
        "expected SHD": lambda row: f"{row['expected_shd']:.1f}",
        "AUROC": lambda row: f"{row['auroc']:.2f}",
        "pairs joined, of the 17": lambda row: _of_truth(row, "joined"),
        "direction settled, of the 17, right": lambda row: (
            f"{_of_truth(row, 'settled')}, {row['settled_right']}"
        ),
        "entropy, nats": lambda row: f"{row['entropy']:.1f}",
        "log evidence": lambda row: f"{row['log_evidence']:.0f}",
        "of all values": lambda row: (
            "–"
            if row["log_evidence_of_all_values"] is None
            else f"{row['log_evidence_of_all_values']:.0f}"
        ),
    },
    "mechanisms": {
        "condition": "case",
        "target": "target",
        "cells": "rows",
        "its causes": lambda row: ", ".join(row["parents"]) or "none",
        "it changed: bge, bde": lambda row: _by_score(row, "log_odds_of_change"),
        "it follows its causes: bge, bde": lambda row: _by_score(row, "log_odds_of_dependence"),
    },
}


def _by_score(row: Row, what: str) -> str:
    values = [row[score][what] for score in MODELS]
    return "–" if None in values else ", ".join(f"{round(value):d}" for value in values)


def tables_of(rows: list[Row], cells: Cells) -> dict[str, str]:
    """Make the tables of the README: by analysis, by edge and by condition."""
    analyses = [row for row in rows if row["study"] == "analyses"]
    by_condition: dict[str, Row] = {}
    for row in rows:
        if row["study"] == "mechanisms":
            by_condition.setdefault(row["case"], {**row})[row["score"]] = row
    truth = truth_of(cells)
    edges: dict[str, str | Callable[[Row], str]] = {"edge": "edge"}
    marginals = {}
    for row in analyses:
        name = f"{row['score']}, {row['case']}"
        marginals[name] = np.array(row["marginals"])
        edges[name] = name
    listed = [
        {"edge": f"{truth.index[i]} → {truth.columns[j]}"}
        | {name: f"{matrix[i, j]:.2f}, {matrix[j, i]:.2f}" for name, matrix in marginals.items()}
        for i, j in np.argwhere(truth.to_numpy())
    ]
    return {
        "analyses": markdown(analyses, COLUMNS["analyses"]),
        "edges": markdown(listed, edges),
        "mechanisms": markdown(by_condition.values(), COLUMNS["mechanisms"]),
    }


def draw(posteriors: dict[str, dg.Posterior], truth: pd.DataFrame, path: Path) -> None:
    """Draw one heat map for each analysis, with a frame round each edge of the literature."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 12.4), layout="constrained")
    for ax, (analysis, posterior) in zip(axes.flat, posteriors.items(), strict=True):
        dg.plots.edge_marginals(posterior, ax=ax)
        ax.images[0].colorbar.remove()  # one for all of them
        ax.set_title(ANALYSES[analysis], fontsize=13)
        for i, j in np.argwhere(truth.to_numpy()):
            frame = plt.Rectangle(
                (j - 0.44, i - 0.44), 0.88, 0.88, fill=False, edgecolor=VERMILION, linewidth=2
            )
            ax.add_patch(frame)
    bar = figure.colorbar(axes[0, 0].images[0], ax=axes, shrink=0.5, aspect=40, pad=0.02)
    bar.set_label("posterior probability of the edge (framed: in the network of the literature)")
    bar.outline.set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(config: Config = CONFIG) -> None:
    run = manifest.about(manifest.command("interventions"))
    results, readme, cells = FOLDER / "results.jsonl", FOLDER / "README.md", load()
    for score in MODELS:
        posteriors = {}
        for analysis in ANALYSES:
            row, posteriors[analysis] = analyse(cells, score, analysis, config)
            print({key: row[key] for key in row if key != "marginals"})
            put(results, row, key=KEY)
        draw(posteriors, truth_of(cells), FOLDER / f"{score}.png")
        for condition in cells.conditions[cells.targets.notna()].unique():
            row = mechanism(cells, score, condition, config)
            print(row)
            put(results, row, key=KEY)
    rows = read(results)
    for name, text in tables_of(rows, cells).items():
        fill(readme, name, text)
    fill(readme, "provenance", provenance(sum(row["seconds"] for row in rows)))
    manifest.write(FOLDER, manifest.entries(run, {"interventions": config}))


if __name__ == "__main__":
    main()
