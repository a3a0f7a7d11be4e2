"""Objectives on bit strings: does log P rank held-out strings, and which modes are met?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from dag_gfn.gflownet.generic import GenericSettings
from experiments import records
from experiments.trajectory_balance.bit_sequences import (
    distances,
    draw_modes,
    exact_draws,
    first_state,
    flipped,
    landscape,
    log_probability,
    trainer,
    words_of,
)

OBJECTIVES = {
    "trajectory_balance": ("trajectory balance", "#0072B2"),
    "detailed_balance": ("detailed balance", "#E69F00"),
    "flow_matching": ("flow matching", "#D55E00"),
}


@dataclass(frozen=True)
class Config:
    """What the study depends on."""

    num_bits: int = 120  # n, of a string
    num_modes: int = 60
    radius: int = 30  # bits from a mode within which it counts as met
    # Of log R with each bit of distance: those of exp(3 (1 - d / n)), exp(-d) and exp(-3 d).
    slopes: dict[str, float] = field(
        default_factory=lambda: {"flat": 3 / 120, "middle": 1.0, "sharp": 3.0}
    )
    word_lengths: tuple[int, ...] = (1, 2, 4, 8)  # k, in bits
    updates: dict[int, int] = field(  # by bits of a word; short words cost more
        default_factory=lambda: {1: 1200, 2: 1500, 4: 3000, 8: 1500}
    )
    every: int = 100  # updates between two looks
    exact_draws: int = 10_000
    held_out_on_the_way: int = 600  # of the strings, for the curve; all of them at the end
    seed: int = 0  # of the modes and of the network; the held-out strings have the next ones
    policy: GenericSettings = GenericSettings(
        width=128, num_layers=2, batch_size=16, exploration=0.001, learning_rate=1e-3
    )


def cases(config: Config) -> list[tuple[str, int, str]]:
    """Return reward, bits of a word, and objective, the slowest first."""
    return [
        (reward, word_length, objective)
        for word_length in config.word_lengths
        for reward in config.slopes
        for objective in OBJECTIVES
    ]


def measure(reward: str, word_length: int, objective: str, config: Config) -> records.Row:
    """Train by one objective, and look at modes and held-out strings on the way."""
    begin = time.process_time()
    modes = draw_modes(config.num_modes, config.num_bits, seed=config.seed)
    made = landscape(modes, word_length, slope=config.slopes[reward])
    settings = config.policy._replace(objective=objective)
    strings = np.random.default_rng(config.seed + 1).permutation(
        flipped(modes, seed=config.seed + 1)
    )
    closeness = -np.asarray(distances(jnp.asarray(strings), modes)).min(axis=1)
    words = jnp.asarray(words_of(strings, word_length))
    log_prob = jax.jit(lambda params, words: log_probability(made.space, settings, params, words))

    def correlation(num: int) -> float:
        ranked = log_prob(state.params["network"], words[:num])
        return float(spearmanr(ranked, closeness[:num])[0])

    state, train = first_state(made, settings, config.seed), trainer(made, settings)
    nearest = np.full(config.num_modes, config.num_bits)
    curve: dict[str, list[float]] = {"objects": [], "modes": [], "spearman": [], "distance": []}
    for update in range(config.every, config.updates[word_length] + 1, config.every):
        state, (_, near) = train(state, config.every)
        nearest = np.minimum(nearest, np.asarray(near).min(axis=0))
        curve["objects"].append(update * settings.batch_size)
        curve["modes"].append(int((nearest <= config.radius).sum()))
        curve["distance"].append(float(np.asarray(near).min(axis=1).mean()))
        curve["spearman"].append(correlation(config.held_out_on_the_way))
    return {
        "study": "strings",
        "reward": reward,
        "word_length": word_length,
        "objective": objective,
        **curve,
        "final_spearman": correlation(len(strings)),
        "nearest": int(nearest.min()),
        "seconds": time.process_time() - begin,
    }


def exact_sampler(reward: str, config: Config) -> dict[str, float]:
    """Return what exact draws from the target come to, which no training can better."""
    modes = draw_modes(config.num_modes, config.num_bits, seed=config.seed)
    made = landscape(modes, 1, slope=config.slopes[reward])
    bits = exact_draws(made, config.exact_draws, np.random.default_rng(config.seed + 2))
    apart = np.asarray(distances(jnp.asarray(bits), modes))
    return {
        "modes": int((apart.min(axis=0) <= config.radius).sum()),
        "nearest": int(apart.min()),
        "distance": float(apart.min(axis=1).mean()),
    }


def table(rows: list[records.Row], config: Config) -> str:
    """Return a line for each reward, word length and objective, and one for exact draws."""
    lines = []
    for reward in (name for name in config.slopes if any(row["reward"] == name for row in rows)):
        for word_length in config.word_lengths:
            for objective, (label, _) in OBJECTIVES.items():
                for row in _runs(rows, reward, word_length, objective):
                    lines.append(
                        {
                            "reward": reward,
                            "k": word_length,
                            "objective": label,
                            "Spearman": f"{row['final_spearman']:.2f}",
                            "best on the way": f"{max(row['spearman']):.2f}",
                            f"modes met, of {config.num_modes}": row["modes"][-1],
                            "closest": row["nearest"],
                            "mean best of a batch": f"{row['distance'][-1]:.1f}",
                            "strings": row["objects"][-1],
                            "CPU seconds": f"{row['seconds']:.0f}",
                        }
                    )
        known = exact_sampler(reward, config)
        lines.append(
            dict.fromkeys(lines[0], "–")
            | {
                "reward": reward,
                "objective": "exact draws",
                "Spearman": "1",
                f"modes met, of {config.num_modes}": known["modes"],
                "closest": known["nearest"],
                "strings": config.exact_draws,
            }
        )
    return records.markdown(lines, {name: name for name in lines[0]})


def _runs(
    rows: list[records.Row], reward: str, word_length: int, objective: str
) -> list[records.Row]:
    return [
        row
        for row in rows
        if (row["reward"], row["word_length"], row["objective"]) == (reward, word_length, objective)
    ]


def draw(rows: list[records.Row], path: Path, config: Config) -> None:
    """Draw rank correlations along training, and below them the modes that were met."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    contents = [*((reward, "spearman") for reward in config.slopes), ("sharp", "modes")]
    figure, panels = plt.subplots(
        len(contents),
        len(config.word_lengths),
        figsize=(11, 2.5 * len(contents)),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for line, (reward, name) in zip(panels, contents, strict=True):
        for axes, word_length in zip(line, config.word_lengths, strict=True):
            for objective, (_, colour) in OBJECTIVES.items():
                for row in _runs(rows, reward, word_length, objective):
                    axes.plot(np.array(row["objects"]) / 1e3, row[name], color=colour)
            axes.axhline(0, color="0.85", linewidth=1, zorder=0)
            axes.spines[["top", "right"]].set_visible(False)
        best = 1.0 if name == "spearman" else config.num_modes
        for axes in line:
            axes.axhline(best, color="0.3", linewidth=1, linestyle=":")
    for axes, word_length in zip(panels[0], config.word_lengths, strict=True):
        axes.set_title(
            f"k = {word_length}: {config.num_bits // word_length} words of {2**word_length}"
        )
    labels = {"spearman": "Spearman", "modes": "modes met"}
    for axes, (reward, name) in zip(panels[:, 0], contents, strict=True):
        axes.set_ylabel(f"{labels[name]}, {reward} reward")
    for axes in panels[-1]:
        axes.set_xlabel("strings drawn, thousands")
    handles = [Line2D([], [], color=colour, label=label) for label, colour in OBJECTIVES.values()]
    handles.append(Line2D([], [], color="0.3", linestyle=":", label="exact sampler"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
