"""Measure flow matching on the hypergrid, and write results.jsonl, the picture and the table.

    .venv/bin/python -m experiments.flow_matching.run [--only METHOD ...]

What all of it was made with goes to manifest.json.
"""

from __future__ import annotations

import argparse
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dag_gfn.gflownet.generic import GenericSettings
from experiments import manifest, records
from experiments.flow_matching.baselines import metropolis_curve, random_curve
from experiments.flow_matching.curves import (
    WINDOW,
    columns,
    grid,
    learning_curve,
    mean_error,
    policy_distribution,
    sampling_floor,
    uniform_policy,
)
from experiments.processes import run_cases

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
README = FOLDER / "README.md"


@dataclass(frozen=True)
class Config:
    """What the study depends on."""

    dimension: int = 4  # of the grid
    height: int = 8  # cells a side
    least_rewards: tuple[float, ...] = (1e-1, 1e-2, 1e-3)  # R0, of a grid each
    seeds: tuple[int, ...] = (0, 1)
    num_updates: int = 6400
    every: int = 10  # updates between two looks, at first
    num_states: int = 4_000_000  # that the baselines visit; about as many as training does
    at: int = 1_000_000  # states, where the curves of the paper end
    policy: GenericSettings = GenericSettings(
        width=128, num_layers=2, batch_size=32, exploration=0.0, learning_rate=1e-3
    )


METHODS = {
    "flow_matching": "flow matching",
    "trajectory_balance": "trajectory balance",
    "metropolis": "Metropolis-Hastings",
    "random": "random actions",
}
CONFIG = Config()
CONFIGS = dict.fromkeys(METHODS, CONFIG)  # of each part of the manifest
COLOURS = dict(zip(METHODS, ("#0072B2", "#E69F00", "#D55E00", "#7F7F7F"), strict=True))


def measure(method: str, least_reward: float, seed: int, config: Config) -> records.Row:
    """Run one sampler on one grid."""
    made = grid(least_reward, dimension=config.dimension, height=config.height)
    if method == "metropolis":
        curve = metropolis_curve(made, seed, num_states=config.num_states)
    elif method == "random":
        curve = random_curve(made, seed, num_states=config.num_states)
    else:
        settings = config.policy._replace(objective=method)
        curve = learning_curve(
            made, settings, seed, num_updates=config.num_updates, every=config.every
        )
    return {"least_reward": least_reward, "method": method, "seed": seed, **columns(curve)}


@functools.cache
def references(least_reward: float, config: Config) -> dict[str, float]:
    """Return errors that need no run: of exact draws, and of two policies that learn nothing."""
    made = grid(least_reward, dimension=config.dimension, height=config.height)
    num_cells = len(made.target)
    return {
        "floor": sampling_floor(made.target, WINDOW),
        "uniform": mean_error(made.target, np.full(num_cells, 1 / num_cells)),
        "random": mean_error(made.target, policy_distribution(made, uniform_policy(made))),
    }


def value_at(row: records.Row, name: str, states: float) -> float | None:
    """Return an entry of a curve at a number of states, linear between the looks."""
    values = row[name]
    if values[0] is None:
        return None
    return float(np.interp(states, row["states"], values))


def states_until(row: records.Row) -> int:
    """Return how many states were visited at the first look that saw all modes ever met."""
    return row["states"][row["modes"].index(row["modes"][-1])]


def table(rows: list[records.Row], config: Config) -> str:
    """Return a line for each reward and method, averaged over seeds, and for what needs no run."""
    lines = []
    for least_reward in config.least_rewards:
        known = references(least_reward, config)
        for method, label in METHODS.items():
            runs = _runs(rows, method, least_reward)
            if not runs:
                continue
            until = [states_until(row) for row in runs]
            exact = [value_at(row, "exact", config.at) for row in runs]
            last = [row["exact"][-1] for row in runs]
            if method == "random":
                exact = last = [known["random"]]
            lines.append(
                {
                    "R0": f"{least_reward:g}",
                    "sampler": label,
                    "exact at 1e6 states": _error(exact),
                    "exact at the end": _error(last),
                    "empirical at 1e6 states": _error(
                        [value_at(row, "empirical", config.at) for row in runs]
                    ),
                    "empirical at the end": _error([row["empirical"][-1] for row in runs]),
                    "modes": f"{np.mean([row['modes'][-1] for row in runs]):.3g}",
                    "states until then": _count(until),
                    "states in all": _count([row["states"][-1] for row in runs]),
                    "objects in all": _count([row["objects"][-1] for row in runs]),
                }
            )
        empty = dict.fromkeys(lines[0], "–") | {"R0": f"{least_reward:g}"}
        floor = {"sampler": "exact draws", "empirical at the end": _error([known["floor"]])}
        lines.append(empty | floor | {"objects in all": _count([WINDOW])})
        alike = {"sampler": "every cell alike", "exact at the end": _error([known["uniform"]])}
        lines.append(empty | alike)
    return records.markdown(lines, {name: name for name in lines[0]})


def _runs(rows: list[records.Row], method: str, least_reward: float) -> list[records.Row]:
    return [row for row in rows if row["method"] == method and row["least_reward"] == least_reward]


def _error(errors: list[Any]) -> str:
    return "–" if errors[0] is None else f"{np.mean(errors):.1e}"


def _count(numbers: list[float]) -> str:
    """Return the mean with two digits, in thousands."""
    return f"{float(f'{np.mean(numbers) / 1e3:.2g}'):,g} k"


def draw(rows: list[records.Row], path: Path, config: Config) -> None:
    """Draw the errors and the modes over the states that were visited, a column for each R0."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, panels = plt.subplots(
        2,
        len(config.least_rewards),
        figsize=(11, 6.6),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for column, least_reward in enumerate(config.least_rewards):
        errors, modes = panels[:, column]
        known = references(least_reward, config)
        for method in METHODS:
            for row in _runs(rows, method, least_reward):
                style = {"color": COLOURS[method], "linewidth": 1.5}
                if row["exact"][0] is not None:
                    errors.plot(row["states"], row["exact"], **style)
                errors.plot(row["states"], row["empirical"], linestyle="--", **style)
                modes.plot(row["states"], row["modes"], **style)
        errors.axhline(known["uniform"], color="0.3", linewidth=1, linestyle="-.")
        errors.axhline(known["floor"], color="0.3", linewidth=1, linestyle=":")
        errors.set(xscale="log", yscale="log", title=f"$R_0$ = {least_reward:g}")
        modes.set(xlabel="states visited", ylim=(-0.5, 16.8), yticks=(0, 4, 8, 12, 16))
        for axes in (errors, modes):
            axes.axvline(config.at, color="0.85", linewidth=1, zorder=0)
            axes.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel("mean $|p - q|$ over 4 096 cells")
    panels[1, 0].set_ylabel("modes met, of 16")
    handles = [Line2D([], [], color=COLOURS[name], label=METHODS[name]) for name in METHODS]
    for label, linestyle in (
        ("exact $q$ of the policy", "-"),
        (f"$q$ of the last {WINDOW:,} objects".replace(",", " "), "--"),
        ("as many exact draws", ":"),
        ("every cell alike", "-."),
    ):
        handles.append(Line2D([], [], color="0.3", linestyle=linestyle, label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def report(rows: list[records.Row], seconds: float, config: Config) -> None:
    """Draw the picture and fill the tables of the README."""
    draw(rows, FOLDER / "figure.png", config)
    records.fill(README, "results", table(rows, config))
    records.fill(README, "provenance", f"Measured in {records.provenance(seconds)}")


def main(config: Config = CONFIG) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    args = parser.parse_args()
    run, begin = manifest.about(manifest.command("flow_matching")), time.perf_counter()
    cases = [
        (method, least_reward, seed, config)
        for method in args.only
        for least_reward in config.least_rewards
        for seed in config.seeds
    ]
    for row in run_cases(measure, cases):
        records.put(RESULTS, row, ("method", "least_reward", "seed"))
    report(records.read(RESULTS), time.perf_counter() - begin, config)
    manifest.write(FOLDER, manifest.entries(run, dict.fromkeys(args.only, config)))


if __name__ == "__main__":
    main()
