"""Are the probabilities right? Networks from the prior, and what is said of them after.

    .venv/bin/python -m experiments.calibration.run [--only METHOD ...]

Results go to results.jsonl, from which the tables of the README and the picture are made.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

import dag_gfn as dg
from dag_gfn.estimators.mechanisms import prior_mechanisms_of
from dag_gfn.plots.style import BLUE, GREY, VERMILION
from dag_gfn.posterior.effects import CausalEffects
from dag_gfn.scores import LocalScores
from dag_gfn.scores.likelihood import LocalLikelihood
from experiments.processes import run_cases
from experiments.records import Row, fill, markdown, provenance, put, read

FOLDER = Path(__file__).parent
NUM_TABLES = 100
NUM_VARIABLES = 10
NUM_ROWS = 100
LEVEL = 0.9
NUM_BINS = 10
NUM_RESAMPLES = 1000  # of the bootstrap over tables


class Method(NamedTuple):
    """An estimator and the prior that it shares with the truth."""

    label: str
    prior: str
    make: Callable[[str, int], Any]  # of the prior and a seed


def exact(prior: str, seed: int) -> Any:
    return dg.ExactPosterior(prior=prior, progress=False, random_state=seed)


def flow(prior: str, seed: int) -> Any:
    # A twentieth of the updates it may take: the calibration of a quick fit.
    return dg.OrderGFlowNet(prior=prior, num_updates=1000, progress=False, random_state=seed)


METHODS = {
    "exact_uniform": Method("exact posterior", "uniform", exact),
    "exact_fair": Method("exact posterior", "fair", exact),
    "flow_uniform": Method("OrderGFlowNet", "uniform", flow),
    "flow_fair": Method("OrderGFlowNet", "fair", flow),
}


class NoData(LocalLikelihood):
    """The likelihood of an empty table, so that the posterior is the prior."""

    def __init__(self, num_variables: int) -> None:
        self._num_variables = num_variables

    @property
    def num_variables(self) -> int:
        return self._num_variables

    def log_marginals(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        return np.zeros(len(parent_sets))


def graphs_from_prior(prior: str, num_variables: int, num_graphs: int) -> NDArray[np.int8]:
    """Draw DAGs from the prior, exactly and independently."""
    model = dg.scores.PRIORS[prior]()
    no_edge = np.zeros((num_variables, num_variables), bool)
    scores = LocalScores(
        NoData(num_variables),
        np.asarray(model.log_prior(np.arange(num_variables), num_variables), float),
        [f"X{i}" for i in range(num_variables)],
        num_rows=0,
        required=no_edge,
        forbidden=np.eye(num_variables, dtype=bool),
        max_parents=num_variables - 1,
    )
    drawn = dg.ExactPosterior(n_samples=num_graphs, progress=False, random_state=0).infer(scores)
    return drawn.posterior_.adjacency


def truth_and_table(
    graph: NDArray[np.int8], num_rows: int, seed: int
) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """Draw parameters from the prior of BGe and rows from the network.

    Returns
    -------
    total effects [d, d] and the table [n, d].
    """
    rng = np.random.default_rng(seed)
    anything = np.random.default_rng(0).normal(size=(30, len(graph)))
    prior = prior_mechanisms_of(dg.local_scores(anything))
    network = prior.draw(graph[None], np.zeros(1), rng)
    rows = network.simulate(num_rows, random_state=rng)[0]
    names = [f"X{i}" for i in range(len(graph))]
    return network.total_effects()[0], pd.DataFrame(rows, columns=names)


def placed(effects: CausalEffects, truth: NDArray[np.float64], rng: np.random.Generator) -> NDArray:
    """Return where the true effects lie in their posteriors, between 0 and 1 [d, d].

    A spike has an interval of places, of which one is drawn, so that under a right posterior all
    places are equally likely (the randomised probability integral transform).
    """
    below = np.tensordot(effects.weights, effects.draws < truth, axes=1)
    upto = np.tensordot(effects.weights, effects.draws <= truth, axes=1)
    return below + rng.random(truth.shape) * (upto - below)


def measure(name: str, number: int, graph: NDArray[np.int8]) -> Row:
    """Fit one table, and count what came true of what the posterior says."""
    method = METHODS[name]
    truth, table = truth_and_table(graph, NUM_ROWS, number)
    started = time.perf_counter()
    with warnings.catch_warnings():
        # The prior makes columns of very different scales, and the score knows.
        warnings.filterwarnings("ignore", message=".*scale", category=UserWarning)
        warnings.simplefilter("ignore", dg.diagnostics.UntrustedPosteriorWarning)
        model = method.make(method.prior, number).fit(table)
    posterior = model.posterior_
    seconds = time.perf_counter() - started
    edges = getattr(model, "edge_marginals_", posterior.edge_marginals()).to_numpy()
    effects = posterior.causal_effects(random_state=number)
    lower, upper = (one.to_numpy() for one in effects.interval(LEVEL))
    off_diagonal = ~np.eye(len(graph), dtype=bool)
    places = placed(effects, truth, np.random.default_rng([number, 1]))[off_diagonal]
    is_covered = ((lower <= truth) & (truth <= upper))[off_diagonal]
    is_effect = (truth != 0)[off_diagonal]
    surely = (effects.no_effect < (1 - LEVEL) / 2)[off_diagonal]
    probability, exists = edges[off_diagonal], graph[off_diagonal].astype(float)
    cell = np.minimum((probability * NUM_BINS).astype(int), NUM_BINS - 1)
    error = np.abs(effects.means - truth)[off_diagonal]
    return {
        "method": name,
        "table": number,
        "seconds": seconds,
        "khat": posterior.khat,
        "efficiency": posterior.efficiency,
        "pairs": int(off_diagonal.sum()),
        "covered": int(is_covered.sum()),
        "effects": int(is_effect.sum()),
        "effects_covered": int(is_covered[is_effect].sum()),
        "sure": int(surely.sum()),
        "sure_covered": int(is_covered[surely].sum()),
        "central": int((np.abs(places - 0.5) <= LEVEL / 2).sum()),
        "places": np.histogram(places, NUM_BINS, (0, 1))[0].tolist(),
        "bin_count": np.bincount(cell, minlength=NUM_BINS).tolist(),
        "bin_probability": np.bincount(cell, probability, NUM_BINS).tolist(),
        "bin_exists": np.bincount(cell, exists, NUM_BINS).tolist(),
        "mean_error": float(error.mean()),
    }


def calibration_error(rows: list[Row]) -> float:
    """Return the expected calibration error: mean over edges of |share that exists - probability|.

    Over ten bins of the probability (Naeini, Cooper and Hauskrecht 2015).
    """
    count, probability, exists = (
        np.sum([row[f"bin_{what}"] for row in rows], axis=0)
        for what in ("count", "probability", "exists")
    )
    return float(np.abs(exists - probability).sum() / count.sum())


def share(rows: list[Row], part: str, whole: str) -> float:
    return sum(row[part] for row in rows) / max(sum(row[whole] for row in rows), 1)


def standard_error(rows: list[Row], statistic: Callable[[list[Row]], float]) -> float:
    """Return the standard deviation of a statistic when tables are drawn again, with return."""
    rng = np.random.default_rng(0)
    again = rng.integers(0, len(rows), (NUM_RESAMPLES, len(rows)))
    return float(np.std([statistic([rows[i] for i in drawn]) for drawn in again]))


def summary(name: str, rows: list[Row]) -> Row:
    """Sum up one method over all tables."""
    shares = {
        "all": ("covered", "pairs"),
        "of_effects": ("effects_covered", "effects"),
        "of_sure": ("sure_covered", "sure"),
        "central": ("central", "pairs"),
    }
    result: Row = {
        "method": METHODS[name].label,
        "prior": METHODS[name].prior,
        "tables": len(rows),
        "seconds": float(np.median([row["seconds"] for row in rows])),
        "efficiency": float(np.median([row["efficiency"] or 0.0 for row in rows])),
        "poor_khat": sum((row["khat"] or 0.0) > 0.7 for row in rows),
        "calibration_error": calibration_error(rows),
        "calibration_error_se": standard_error(rows, calibration_error),
    }
    for key, (part, whole) in shares.items():
        result[key] = share(rows, part, whole)
        result[f"{key}_se"] = standard_error(rows, lambda some, p=part, w=whole: share(some, p, w))
    return result


def percent(key: str) -> Callable[[Row], str]:
    return lambda row: f"{100 * row[key]:.1f} ± {100 * row[key + '_se']:.1f}"


COLUMNS: dict[str, str | Callable[[Row], str]] = {
    "method": "method",
    "prior": "prior",
    "tables": "tables",
    "expected calibration error of edges": lambda row: (
        f"{row['calibration_error']:.4f} ± {row['calibration_error_se']:.4f}"
    ),
    "90 % intervals that hold the true effect, all pairs, %": percent("all"),
    "pairs with an effect, %": percent("of_effects"),
    "pairs that surely have one, %": percent("of_sure"),
    "spike split at random, %": percent("central"),
    "seconds a fit": lambda row: f"{row['seconds']:.1f}",
    "efficiency": lambda row: f"{row['efficiency']:.2f}",
    "k-hat > 0.7": "poor_khat",
}


def draw(by_method: dict[str, list[Row]], path: Path) -> None:
    """Draw the reliability of edges and the places of true effects, one column a prior."""
    figure, axes = plt.subplots(2, 2, figsize=(8.4, 7.6), layout="constrained")
    looks = {"exact": (BLUE, "o", -0.006), "flow": (VERMILION, "s", 0.006)}
    for column, prior in enumerate(("uniform", "fair")):
        reliability, places = axes[:, column]
        reliability.axline((0, 0), slope=1, color=GREY, linewidth=0.8, zorder=0)
        for kind, (colour, marker, offset) in looks.items():
            rows = by_method.get(f"{kind}_{prior}")
            if not rows:
                continue
            label = METHODS[f"{kind}_{prior}"].label
            count, probability, exists = (
                np.sum([row[f"bin_{what}"] for row in rows], axis=0)
                for what in ("count", "probability", "exists")
            )
            filled = count > 0
            said = probability[filled] / count[filled]
            came = exists[filled] / count[filled]
            error = 2 * np.sqrt(np.maximum(said * (1 - said), 1e-4) / count[filled])
            reliability.errorbar(
                said + offset,
                came,
                error,
                fmt=marker,
                markersize=4.5,
                linewidth=1,
                color=colour,
                label=label,
            )
            held = np.sum([row["places"] for row in rows], axis=0)
            places.step(
                np.linspace(0, 1, NUM_BINS + 1),
                np.append(held, held[-1]) / held.sum() * NUM_BINS,
                where="post",
                color=colour,
                label=label,
                linewidth=1.6,
            )
        places.axhline(1, color=GREY, linewidth=0.8, zorder=0)
        reliability.set(
            title=f"Edges, {prior} prior",
            xlabel="posterior probability",
            ylabel="share that exists",
            xlim=(-0.03, 1.03),
            ylim=(-0.03, 1.03),
        )
        places.set(
            title=f"Effects, {prior} prior",
            xlabel="share of the posterior below the true effect",
            ylabel="density",
            ylim=(0, 1.6),
        )
        reliability.legend(frameon=False, loc="upper left")
        places.legend(frameon=False, loc="lower center")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    args = parser.parse_args()
    results, readme = FOLDER / "results.jsonl", FOLDER / "README.md"
    started = time.perf_counter()
    graphs = {
        prior: graphs_from_prior(prior, NUM_VARIABLES, NUM_TABLES)
        for prior in {METHODS[name].prior for name in args.only}
    }
    cases = [
        (name, number, graphs[METHODS[name].prior][number])
        for name in args.only
        for number in range(NUM_TABLES)
    ]
    for row in run_cases(measure, cases):
        put(results, row, key=("method", "table"))
    rows = read(results)
    by_method = {name: [row for row in rows if row["method"] == name] for name in METHODS}
    by_method = {name: some for name, some in by_method.items() if some}
    table = markdown([summary(name, some) for name, some in by_method.items()], COLUMNS)
    fill(readme, "results", f"{table}\n\n{provenance(time.perf_counter() - started)}")
    draw(by_method, FOLDER / "figure.png")


if __name__ == "__main__":
    main()
