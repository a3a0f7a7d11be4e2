"""Objectives on two hypergrids of as many cells: short trajectories, and long ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dag_gfn.gflownet.generic import GenericSettings
from experiments import records
from experiments.flow_matching.curves import columns, grid, learning_curve, mean_error

OBJECTIVES = {
    "trajectory_balance": ("trajectory balance", "#0072B2"),
    "sub_trajectory_balance": ("sub-trajectory balance", "#009E73"),
    "detailed_balance": ("detailed balance", "#E69F00"),
    "flow_matching": ("flow matching", "#D55E00"),
}
LEARN_BACKWARD = ("trajectory_balance", "detailed_balance")  # flow matching has none to learn


@dataclass(frozen=True)
class Config:
    """What the study depends on; grids are known by their names."""

    grids: dict[str, tuple[int, int]] = field(  # dimension, cells a side
        default_factory=lambda: {"4-D, 8 cells a side": (4, 8), "2-D, 64 cells a side": (2, 64)}
    )
    least_reward: float = 1e-3  # R0
    updates: dict[str, int] = field(
        default_factory=lambda: {"4-D, 8 cells a side": 3000, "2-D, 64 cells a side": 1000}
    )
    every: int = 10  # updates between two looks, at first
    seeds: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"4-D, 8 cells a side": (0, 1), "2-D, 64 cells a side": (0,)}
    )
    policy: GenericSettings = GenericSettings(
        width=128, num_layers=2, batch_size=32, exploration=0.01, learning_rate=1e-3
    )


def cases(config: Config) -> list[tuple[str, str, bool, int]]:
    """Return grid, objective, whether P_B is learned, and seed, the slowest first."""
    return [
        (name, objective, learned, seed)
        for name in reversed(config.grids)
        for objective in reversed(OBJECTIVES)
        for learned in ((False, True) if objective in LEARN_BACKWARD else (False,))
        for seed in config.seeds[name]
    ]


def measure(
    name: str, objective: str, learned_backward: bool, seed: int, config: Config
) -> records.Row:
    """Train by one objective, and follow the exact error."""
    dimension, height = config.grids[name]
    made = grid(config.least_reward, dimension=dimension, height=height)
    num_cells = len(made.target)
    begin = time.process_time()
    settings = config.policy._replace(objective=objective, learned_backward=learned_backward)
    num_updates = config.updates[name]
    curve = columns(
        learning_curve(made, settings, seed, num_updates=num_updates, every=config.every)
    )
    return {
        "study": "grids",
        "grid": name,
        "objective": objective,
        "learned_backward": learned_backward,
        "seed": seed,
        **{column: curve[column] for column in ("states", "objects", "exact")},
        "alike": mean_error(made.target, np.full(num_cells, 1 / num_cells)),
        "seconds": time.process_time() - begin,
    }


def table(rows: list[records.Row], config: Config) -> str:
    """Return a line for each objective and backward policy, averaged over seeds."""
    lines = []
    for name, (dimension, height) in config.grids.items():
        for objective, (label, _) in OBJECTIVES.items():
            for learned in (False, True):
                runs = [row for row in rows if _is(row, name, objective, learned)]
                if not runs:
                    continue
                backward = "learned" if learned else "uniform"
                lines.append(
                    {
                        "grid": name,
                        "objective": label,
                        "P_B": "none" if objective == "flow_matching" else backward,
                        "half-way": _mean([row["exact"][_half(row)] for row in runs]),
                        "at the end": _mean([row["exact"][-1] for row in runs]),
                        "total variation": f"{_variation(height**dimension, runs):.3f}",
                        "states visited": f"{np.mean([row['states'][-1] for row in runs]):.2g}",
                        "CPU seconds": f"{np.mean([row['seconds'] for row in runs]):.0f}",
                    }
                )
    return records.markdown(lines, {name: name for name in lines[0]})


def _is(row: records.Row, name: str, objective: str, learned: bool) -> bool:
    return (row["grid"], row["objective"], row["learned_backward"]) == (name, objective, learned)


def _half(row: records.Row) -> int:
    return int(np.searchsorted(row["objects"], row["objects"][-1] / 2))


def _mean(errors: list[float]) -> str:
    return f"{np.mean(errors):.1e}"


def _variation(num_cells: int, runs: list[records.Row]) -> float:
    return num_cells / 2 * float(np.mean([row["exact"][-1] for row in runs]))


def draw(rows: list[records.Row], path: Path, config: Config) -> None:
    """Draw the exact error over the states that were visited, a panel for each grid."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, panels = plt.subplots(
        1, len(config.grids), figsize=(11, 4.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, name in zip(panels[0], config.grids, strict=True):
        for objective, (_, colour) in OBJECTIVES.items():
            for learned, linestyle in ((False, "-"), (True, "--")):
                for row in rows:
                    if _is(row, name, objective, learned):
                        axes.plot(
                            row["states"],
                            row["exact"],
                            color=colour,
                            linestyle=linestyle,
                            linewidth=1.5,
                        )
        alike = next(row["alike"] for row in rows if row["grid"] == name)
        axes.axhline(alike, color="0.3", linewidth=1, linestyle="-.")
        axes.set(xscale="log", yscale="log", title=name, xlabel="states visited")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel("mean $|p - q|$ over 4 096 cells, exact")
    handles = [Line2D([], [], color=colour, label=label) for label, colour in OBJECTIVES.values()]
    handles += [
        Line2D([], [], color="0.3", label="$P_B$ uniform"),
        Line2D([], [], color="0.3", linestyle="--", label="$P_B$ learned"),
        Line2D([], [], color="0.3", linestyle="-.", label="every cell alike"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
