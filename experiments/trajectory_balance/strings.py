"""Objectives on bit strings: does log P rank held-out strings, and which modes are met?"""

from __future__ import annotations

import time
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

NUM_BITS, NUM_MODES, RADIUS = 120, 60, 30
# Of log R with each bit of distance: those of exp(3 (1 - d / n)), exp(-d) and exp(-3 d).
SLOPES = {"flat": 3 / NUM_BITS, "middle": 1.0, "sharp": 3.0}
WORD_LENGTHS = (1, 2, 4, 8)
OBJECTIVES = {
    "trajectory_balance": ("trajectory balance", "#0072B2"),
    "detailed_balance": ("detailed balance", "#E69F00"),
    "flow_matching": ("flow matching", "#D55E00"),
}
UPDATES = {1: 1200, 2: 1500, 4: 3000, 8: 1500}  # by bits of a word; short words cost more
EVERY = 100  # updates between two looks
EXACT_DRAWS = 10_000
HELD_OUT_ON_THE_WAY = 600  # of the strings, for the curve; all of them at the end
SETTINGS = GenericSettings(
    width=128, num_layers=2, batch_size=16, exploration=0.001, learning_rate=1e-3
)


def cases() -> list[tuple[str, int, str]]:
    """Return reward, bits of a word, and objective, the slowest first."""
    return [
        (reward, word_length, objective)
        for word_length in WORD_LENGTHS
        for reward in SLOPES
        for objective in OBJECTIVES
    ]


def measure(reward: str, word_length: int, objective: str) -> records.Row:
    """Train by one objective, and look at modes and held-out strings on the way."""
    begin = time.process_time()
    modes = draw_modes(NUM_MODES, NUM_BITS, seed=0)
    made = landscape(modes, word_length, slope=SLOPES[reward])
    settings = SETTINGS._replace(objective=objective)
    strings = np.random.default_rng(1).permutation(flipped(modes, seed=1))
    closeness = -np.asarray(distances(jnp.asarray(strings), modes)).min(axis=1)
    words = jnp.asarray(words_of(strings, word_length))
    log_prob = jax.jit(lambda params, words: log_probability(made.space, settings, params, words))

    def correlation(num: int) -> float:
        ranked = log_prob(state.params["network"], words[:num])
        return float(spearmanr(ranked, closeness[:num])[0])

    state, train = first_state(made, settings, 0), trainer(made, settings)
    nearest = np.full(NUM_MODES, NUM_BITS)
    curve: dict[str, list[float]] = {"objects": [], "modes": [], "spearman": [], "distance": []}
    for update in range(EVERY, UPDATES[word_length] + 1, EVERY):
        state, (_, near) = train(state, EVERY)
        nearest = np.minimum(nearest, np.asarray(near).min(axis=0))
        curve["objects"].append(update * settings.batch_size)
        curve["modes"].append(int((nearest <= RADIUS).sum()))
        curve["distance"].append(float(np.asarray(near).min(axis=1).mean()))
        curve["spearman"].append(correlation(HELD_OUT_ON_THE_WAY))
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


def exact_sampler(reward: str) -> dict[str, float]:
    """Return what exact draws from the target come to, which no training can better."""
    modes = draw_modes(NUM_MODES, NUM_BITS, seed=0)
    made = landscape(modes, 1, slope=SLOPES[reward])
    bits = exact_draws(made, EXACT_DRAWS, np.random.default_rng(2))
    apart = np.asarray(distances(jnp.asarray(bits), modes))
    return {
        "modes": int((apart.min(axis=0) <= RADIUS).sum()),
        "nearest": int(apart.min()),
        "distance": float(apart.min(axis=1).mean()),
    }


def table(rows: list[records.Row]) -> str:
    """Return a line for each reward, word length and objective, and one for exact draws."""
    lines = []
    for reward in (name for name in SLOPES if any(row["reward"] == name for row in rows)):
        for word_length in WORD_LENGTHS:
            for objective, (label, _) in OBJECTIVES.items():
                for row in _runs(rows, reward, word_length, objective):
                    lines.append(
                        {
                            "reward": reward,
                            "k": word_length,
                            "objective": label,
                            "Spearman": f"{row['final_spearman']:.2f}",
                            "best on the way": f"{max(row['spearman']):.2f}",
                            f"modes met, of {NUM_MODES}": row["modes"][-1],
                            "closest": row["nearest"],
                            "mean best of a batch": f"{row['distance'][-1]:.1f}",
                            "strings": row["objects"][-1],
                            "CPU seconds": f"{row['seconds']:.0f}",
                        }
                    )
        known = exact_sampler(reward)
        lines.append(
            dict.fromkeys(lines[0], "–")
            | {
                "reward": reward,
                "objective": "exact draws",
                "Spearman": "1",
                f"modes met, of {NUM_MODES}": known["modes"],
                "closest": known["nearest"],
                "strings": EXACT_DRAWS,
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


def draw(rows: list[records.Row], path: Path) -> None:
    """Draw rank correlations along training, and below them the modes that were met."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    contents = [*((reward, "spearman") for reward in SLOPES), ("sharp", "modes")]
    figure, panels = plt.subplots(
        len(contents),
        len(WORD_LENGTHS),
        figsize=(11, 2.5 * len(contents)),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for line, (reward, name) in zip(panels, contents, strict=True):
        for axes, word_length in zip(line, WORD_LENGTHS, strict=True):
            for objective, (_, colour) in OBJECTIVES.items():
                for row in _runs(rows, reward, word_length, objective):
                    axes.plot(np.array(row["objects"]) / 1e3, row[name], color=colour)
            axes.axhline(0, color="0.85", linewidth=1, zorder=0)
            axes.spines[["top", "right"]].set_visible(False)
        best = 1.0 if name == "spearman" else NUM_MODES
        for axes in line:
            axes.axhline(best, color="0.3", linewidth=1, linestyle=":")
    for axes, word_length in zip(panels[0], WORD_LENGTHS, strict=True):
        axes.set_title(f"k = {word_length}: {NUM_BITS // word_length} words of {2**word_length}")
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
