"""Draw images/prior.png: what the structure priors say of density, before and after a table.

``python docs/explanations/prior.py`` takes half a minute.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import dag_gfn as dg
from dag_gfn.calibration.truth import blank_scores, graphs_from_prior

IMAGE = Path(__file__).parents[1] / "images" / "prior.png"
COLOURS = {"uniform": "#D55E00", "fair": "#0072B2", "edge": "#009E73"}  # Okabe and Ito's
NUM_VARIABLES = NUM_EDGES = 10
ROWS = (10, 20, 50, 100, 200, 500, 1000, 2000)


def true_graph(seed: int) -> np.ndarray:
    """Draw a graph with exactly so many edges, int8 [d, d]."""
    rng = np.random.default_rng(seed)
    causes, effects = np.triu_indices(NUM_VARIABLES, 1)
    chosen = rng.choice(len(causes), NUM_EDGES, replace=False)
    graph = np.zeros((NUM_VARIABLES, NUM_VARIABLES), np.int8)
    graph[causes[chosen], effects[chosen]] = 1
    order = rng.permutation(NUM_VARIABLES)
    return graph[np.ix_(order, order)]


def before(prior: str, num_graphs: int) -> np.ndarray:
    """Return the numbers of edges of graphs drawn from a prior, [S]."""
    scores = blank_scores(NUM_VARIABLES, prior=prior)
    return graphs_from_prior(scores, num_graphs, seed=0).sum(axis=(1, 2))


def after(prior: str, num_tables: int, rows: tuple[int, ...]) -> np.ndarray:
    """Return the expected numbers of edges under exact posteriors, [tables, rows]."""
    expected = np.empty((num_tables, len(rows)))
    for i in range(num_tables):
        table = dg.datasets.simulate_linear_gaussian(true_graph(i), max(rows), random_state=i).table
        for j, num_rows in enumerate(rows):
            model = dg.ExactPosterior(prior=prior, standardize=True, n_samples=1, progress=False)
            marginals = model.fit(table.head(num_rows)).edge_marginals_
            expected[i, j] = marginals.to_numpy().sum()
    return expected


def draw(path: Path, *, num_graphs: int = 100_000, num_tables: int = 20, rows=ROWS) -> None:
    """Draw both panels and print what they show."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    most = NUM_VARIABLES * (NUM_VARIABLES - 1) // 2
    for prior, colour in COLOURS.items():
        drawn = before(prior, num_graphs)
        shares = np.bincount(drawn, minlength=most + 1) / len(drawn)
        left.plot(shares, color=colour, label=prior)
        expected = after(prior, num_tables, rows)
        mean, error = expected.mean(axis=0), expected.std(axis=0, ddof=1) / num_tables**0.5
        right.plot(rows, mean, "o-", color=colour, markersize=4, label=prior)
        right.fill_between(rows, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0)
        print(f"{prior:8} {drawn.mean():.1f} before, {mean.round(1).tolist()} after {rows} rows")
    left.set(xlabel="edges of a graph", ylabel="prior probability", ylim=(0, None))
    left.set_title("Before any table", loc="left")
    right.axhline(NUM_EDGES, color="#7F7F7F", linestyle="--", linewidth=1)
    right.text(rows[0], 0.93 * NUM_EDGES, "edges of the true graph", color="#555555", va="top")
    right.set(xlabel="rows", ylabel="expected edges", xscale="log", ylim=(0, None))
    right.xaxis.set_major_formatter("{x:.0f}")
    right.set_title("After a table: exact posteriors", loc="left")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, title="prior")
    fig.savefig(path, dpi=150)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE)
