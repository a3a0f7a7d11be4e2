"""Log Z, entropy, mutual information and conditional flows, held against enumeration.

    .venv/bin/python -m experiments.foundations.run [--only STUDY ...]

Results go to results.jsonl, from which the tables of the README and the picture are made, and what
they were made with to manifest.json.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp
from tqdm import trange

import dag_gfn as dg
from dag_gfn import OrderGFlowNet
from dag_gfn.gflownet.conditional import begin_at, conditional
from dag_gfn.gflownet.enumeration import Enumeration, enumerate_states
from dag_gfn.gflownet.generic import (
    GenericSettings,
    GenericState,
    evaluate_policy,
    init,
    roll_out,
    update,
)
from dag_gfn.gflownet.spaces import Space, binary_vectors, dag_edges, hypergrid
from dag_gfn.plots.style import BLUE, VERMILION
from experiments import manifest
from experiments.records import Row, fill, markdown, provenance, put, read

FOLDER = Path(__file__).parent
GREEN = "#009E73"  # of Okabe and Ito's colours, as the others


@dataclass(frozen=True)
class FlowsConfig:
    """What the study of state-conditional flows depends on."""

    spaces: tuple[str, ...] = ("hypergrid", "spins", "graphs")
    grid: tuple[int, int] = (3, 6)  # dimension of the hypergrid, cells a side
    least_reward: float = 0.01  # of the hypergrid
    num_spins: int = 5
    graph_variables: int = 4
    graph_rows: int = 30
    table_seed: int = 3
    policy: GenericSettings = GenericSettings("sub_trajectory_balance", width=128, batch_size=64)
    # Updates at each learning rate, one after the other.
    schedule: tuple[tuple[int, float], ...] = ((6000, 4e-3), (2000, 1e-3), (1000, 2e-4))
    chunk: int = 500  # updates
    seeds: tuple[int, int] = (0, 1)  # of the networks for R and for -R log R


@dataclass(frozen=True)
class ConditionConfig:
    """What the study of conditions on a posterior depends on."""

    tables: tuple[str, ...] = ("gaussian5", "gaussian10", "sachs")
    num_rows: int = 100  # of the simulated ones
    table_seed: int = 1
    num_draws: int = 50_000  # graphs
    max_seconds: float = 60.0  # of the training
    seeds: tuple[int, int] = (0, 1)  # of the flow, and of the draws for a condition


CONFIGS: dict[str, Any] = {"flows": FlowsConfig(), "condition": ConditionConfig()}


def chain_of_spins(vectors: jax.Array) -> jax.Array:
    """Neighbours agree, and the first is more often zero."""
    return 1.2 * (vectors[:, 1:] == vectors[:, :-1]).sum(axis=1) - 0.8 * vectors[:, 0]


def small_table(config: FlowsConfig) -> pd.DataFrame:
    return dg.datasets.simulate_linear_gaussian(
        config.graph_variables, config.graph_rows, random_state=config.table_seed
    ).table


SPACES: dict[str, Callable[[FlowsConfig], Space]] = {
    "hypergrid": lambda config: hypergrid(*config.grid, least_reward=config.least_reward),
    "spins": lambda config: binary_vectors(config.num_spins, chain_of_spins),
    "graphs": lambda config: dag_edges(dg.local_scores(small_table(config))),
}


# --- state-conditional flows -------------------------------------------------------------------


def reached(space: Space, found: Enumeration) -> NDArray[np.bool_]:
    """Return which states each state leads to, [N, N]."""
    num = len(found.depth)
    reaches = jax.jit(space.reaches)

    def from_one(row: int) -> jax.Array:
        repeated = jax.tree.map(lambda leaf: jnp.repeat(leaf[row : row + 1], num, 0), found.states)
        return reaches(repeated, found.states)

    return np.asarray(jnp.stack([from_one(row) for row in range(num)]))


def train_given(
    space: Space, found: Enumeration, seed: int, config: FlowsConfig
) -> tuple[Space, GenericState]:
    """Train one network for the samplers that begin at all the states."""
    known, num = conditional(space), len(found.depth)
    # Every depth begins as often, as most states are deep and have the simplest flows.
    num_alike = np.bincount(found.depth)
    starts_at = jnp.asarray(1.0 / (num_alike[found.depth] * len(num_alike)))

    @partial(jax.jit, static_argnames="settings")
    def train(state: GenericState, settings: GenericSettings) -> GenericState:
        def learn(state: GenericState, _: None) -> tuple[GenericState, jax.Array]:
            key, key_start, key_walk = jax.random.split(state.key, 3)
            rows = jax.random.choice(
                key_start, num, (settings.batch_size,), p=starts_at / starts_at.sum()
            )
            start = begin_at(jax.tree.map(lambda leaf: leaf[rows], found.states))
            rollout = roll_out(known, settings, state.params["network"], key_walk, start)
            return update(known, settings, state._replace(key=key), rollout)

        return jax.lax.scan(learn, state, None, length=config.chunk)[0]

    state = init(known, config.policy, jax.random.key(seed))
    for num_updates, rate in config.schedule:
        for _ in trange(max(1, num_updates // config.chunk), desc=f"rate {rate:g}", leave=False):
            state = train(state, config.policy._replace(learning_rate=rate))
    return known, state


def log_flows(
    space: Space, found: Enumeration, seed: int, config: FlowsConfig
) -> NDArray[np.float64]:
    """Return the learned log F(s | s) of all states, [N]."""
    known, state = train_given(space, found, seed, config)
    output = evaluate_policy(known, config.policy, state.params["network"], begin_at(found.states))
    return np.asarray(output.log_flow, float)


def conditional_flows(name: str, config: FlowsConfig) -> Row:
    """Learn F(s | s) of the rewards R and -R log R, and what follows from the two."""
    begin = time.perf_counter()
    space = SPACES[name](config)
    found = enumerate_states(space)
    # So that -R log R is positive and falls with R: the largest reward is 1/e.
    shift = float(found.log_reward.max()) + 1.0
    log_reward = found.log_reward - shift
    scaled = space._replace(log_reward=lambda states: space.log_reward(states) - shift)

    def log_entropic(states: Any) -> jax.Array:
        return scaled.log_reward(states) + jnp.log(-scaled.log_reward(states))

    entropic = scaled._replace(log_reward=log_entropic)
    learned = log_flows(scaled, found, config.seeds[0], config)
    learned_entropic = log_flows(entropic, found, config.seeds[1], config)
    inside = np.where(reached(space, found), log_reward, -np.inf)
    flow = logsumexp(inside, axis=1)
    share = np.exp(inside - flow[:, None])
    entropy = -np.sum(share * np.where(share > 0, inside - flow[:, None], 0.0), axis=1)
    learned_entropy = learned + np.exp(learned_entropic - learned)
    row = {
        "study": "flows",
        "case": name,
        "states": len(found.depth),
        "log_z": float(flow[0] + shift),
        "log_z_learned": float(learned[0] + shift),
        "entropy": float(entropy[0]),
        "entropy_learned": float(learned_entropy[0]),
        "flow_rms": _rms(learned - flow),
        "flow_max": float(np.abs(learned - flow).max()),
        "entropy_rms": _rms(learned_entropy - entropy),
        "entropy_max": float(np.abs(learned_entropy - entropy).max()),
        "points": {
            "flow": [_listed(flow + shift), _listed(learned + shift)],
            "entropy": [_listed(entropy), _listed(learned_entropy)],
        },
    }
    if name in FEATURES:
        row |= information(FEATURES[name](found), flow, learned)
    return row | {"seconds": time.perf_counter() - begin}


# --- mutual information from ratios of flows ---------------------------------------------------


def spin_events(found: Enumeration) -> dict[tuple, int]:
    """Return the state in which one or two coordinates are set, by what is set."""
    states = np.asarray(found.states)
    is_set = states >= 0
    return {
        tuple((i, int(states[row, i])) for i in np.flatnonzero(is_set[row])): row
        for row in np.flatnonzero(is_set.sum(axis=1) <= 2)
    }


def edge_events(found: Enumeration) -> dict[tuple, int]:
    """Return the state with one or two edges, by what they are."""
    graphs = np.asarray(found.states.adjacency).reshape(len(found.depth), -1)
    return {
        tuple((int(edge), 1) for edge in np.flatnonzero(graphs[row])): row
        for row in np.flatnonzero(graphs.sum(axis=1) <= 2)
    }


FEATURES = {"spins": spin_events, "graphs": edge_events}


def information(
    events: dict[tuple, int],
    log_flow: NDArray[np.float64],
    learned: NDArray[np.float64],
) -> Row:
    """Compare the mutual information of all pairs of binary features.

    p(features of s) = F(s | s) / F(s_0 | s_0); that a feature is absent follows by the difference.
    """
    single = sorted({event[0][0] for event in events if len(event) == 1})
    pairs = list(itertools.combinations(single, 2))
    values = [
        [_pair_information(partial(_probability, events, flow), *pair) for pair in pairs]
        for flow in (log_flow, learned)
    ]
    return {
        "pairs": len(pairs),
        "information_rms": _rms(np.subtract(*values)),
        "information_max": float(np.abs(np.subtract(*values)).max()),
        "information": [_listed(one) for one in values],
    }


def _probability(events: dict[tuple, int], log_flow: NDArray[np.float64], *event: Any) -> float:
    """Return the probability of an event; zero where no state has it, as two edges that cycle."""
    row = events.get(tuple(sorted(event)))
    return 0.0 if row is None else float(np.exp(log_flow[row] - log_flow[0]))


def _pair_information(probability: Callable[..., float], first: int, second: int) -> float:
    one, other = probability((first, 1)), probability((second, 1))
    both = probability((first, 1), (second, 1))
    joint = np.array([both, one - both, other - both, 1 - one - other + both])
    # Learned probabilities can be a little inconsistent, so that a difference is below zero.
    joint = np.maximum(joint, 0.0) / np.maximum(joint, 0.0).sum()
    table = joint.reshape(2, 2)
    product = np.outer(table.sum(axis=1), table.sum(axis=0)).ravel()
    return float(np.sum(joint[joint > 0] * np.log(joint[joint > 0] / product[joint > 0])))


# --- conditions on a table's posterior ---------------------------------------------------------


def table_scores(name: str, config: ConditionConfig) -> dg.LocalScores:
    if name == "sachs":
        return dg.local_scores(np.log(dg.datasets.load_sachs()), standardize=True)
    d = int(name.removeprefix("gaussian"))
    table = dg.datasets.simulate_linear_gaussian(
        d, config.num_rows, random_state=config.table_seed
    ).table
    return dg.local_scores(table, standardize=True)


def conditions(scores: dg.LocalScores, edges: NDArray[np.float64]) -> list[list[tuple[int, int]]]:
    """Choose sets of one, two and three edges over the range of their probabilities."""
    rng = np.random.default_rng(0)
    pairs = [divmod(int(k), len(edges)) for k in np.argsort(edges, axis=None)]
    pairs = [(i, j) for i, j in pairs if i != j]
    chosen = [[pairs[k]] for k in np.linspace(0, len(pairs) - 1, 12).astype(int)]
    while len(chosen) < 36:
        some = [pairs[k] for k in rng.choice(len(pairs), 2 + len(chosen) % 2, replace=False)]
        try:
            scores.constrained(some)
        except ValueError:
            continue  # they contain a cycle
        chosen.append(some)
    return chosen


def condition(name: str, config: ConditionConfig) -> Row:
    """Condition one trained flow over and over, beside an exact posterior for each condition."""
    begin = time.perf_counter()
    scores = table_scores(name, config)
    exact = dg.ExactPosterior(progress=False, random_state=0).infer(scores)
    seed, draws_seed = config.seeds
    model = OrderGFlowNet(
        random_state=seed, n_samples=config.num_draws, max_seconds=config.max_seconds
    )
    model.infer(scores)
    trained = time.perf_counter()
    points: dict[str, list[float]] = {
        key: [] for key in ("exact", "learned", "error", "efficiency", "khat", "marginal_error")
    }
    condition_seconds = []
    for edges in conditions(scores, exact.edge_marginals_.to_numpy()):
        given_exact = dg.ExactPosterior(progress=False).infer(scores.constrained(edges))
        before = time.perf_counter()
        given = model.condition(edges, random_state=draws_seed)
        condition_seconds.append(time.perf_counter() - before)
        probability = given.metadata["probability"]
        difference = given.edge_marginals() - given_exact.edge_marginals_
        points["exact"].append(given_exact.log_evidence_ - exact.log_evidence_)
        points["learned"].append(float(np.log(probability)))
        points["error"].append(given.metadata["probability_standard_error"] / probability)
        points["efficiency"].append(given.efficiency)
        points["khat"].append(given.khat)
        points["marginal_error"].append(float(difference.abs().max(axis=None)))
    off = np.abs(np.subtract(points["learned"], points["exact"]))
    good = np.array(points["khat"]) < dg.diagnostics.KHAT_LIMIT
    log_score = scores.log_score
    exact_draws = exact.posterior_
    return {
        "study": "condition",
        "case": name,
        "variables": scores.num_variables,
        "efficiency": model.posterior_.efficiency,
        "train_seconds": trained - begin,
        "condition_seconds": float(np.median(condition_seconds)),
        "conditions": len(off),
        "least_log_probability": float(min(points["exact"])),
        "log_probability_median": float(np.median(off)),
        "log_probability_max": float(off.max()),
        "within_three_errors": int(np.sum(off <= 3 * np.array(points["error"]))),
        "marginal_median": float(np.median(points["marginal_error"])),
        "marginal_max": float(np.max(points["marginal_error"])),
        "trusted": int(good.sum()),
        "trusted_marginal_max": float(np.max(np.array(points["marginal_error"])[good])),
        "efficiency_median": float(np.median(points["efficiency"])),
        "efficiency_least": float(np.min(points["efficiency"])),
        "entropy": model.posterior_.entropy(log_score),
        "entropy_error": model.posterior_.entropy_standard_error(log_score),
        "entropy_exact": (
            exact_draws.entropy()
            if exact_draws.exact
            else exact.log_evidence_ - float(log_score(exact_draws.adjacency).mean())
        ),
        "points": points,
        "seconds": time.perf_counter() - begin,
    }


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _listed(values: Any) -> list[float]:
    return [float(value) for value in values]


# --- what is shown -----------------------------------------------------------------------------

STUDIES: dict[str, Callable[[str, Any], Row]] = {
    "flows": conditional_flows,
    "condition": condition,
}
COLUMNS: dict[str, dict[str, str | Callable[[Row], str]]] = {
    "flows": {
        "space": "case",
        "states": "states",
        "log Z, learned": lambda row: f"{row['log_z']:.3f}, {row['log_z_learned']:.3f}",
        "entropy, learned": lambda row: f"{row['entropy']:.3f}, {row['entropy_learned']:.3f}",
        "log F(s given s): RMS, largest error": lambda row: (
            f"{row['flow_rms']:.3f}, {row['flow_max']:.3f}"
        ),
        "H(s): RMS, largest error": lambda row: (
            f"{row['entropy_rms']:.3f}, {row['entropy_max']:.3f}"
        ),
        "mutual information: pairs, RMS, largest error": lambda row: (
            f"{row['pairs']}, {row['information_rms']:.4f}, {row['information_max']:.4f}"
            if "pairs" in row
            else "–"
        ),
        "seconds": lambda row: f"{row['seconds']:.0f}",
    },
    "condition": {
        "table": "case",
        "conditions": "conditions",
        "least probable, log p": lambda row: f"{row['least_log_probability']:.1f}",
        "error of log p: median, largest": lambda row: (
            f"{row['log_probability_median']:.4f}, {row['log_probability_max']:.3f}"
        ),
        "within 3 standard errors": lambda row: f"{row['within_three_errors']}",
        "edge error: median, largest": lambda row: (
            f"{row['marginal_median']:.4f}, {row['marginal_max']:.3f}"
        ),
        "of those with k-hat < 0.7: how many, largest": lambda row: (
            f"{row['trusted']}, {row['trusted_marginal_max']:.3f}"
        ),
        "efficiency: median, least": lambda row: (
            f"{row['efficiency_median']:.2f}, {row['efficiency_least']:.3f}"
        ),
        "seconds: training, a condition": lambda row: (
            f"{row['train_seconds']:.0f}, {row['condition_seconds']:.1f}"
        ),
        "entropy, exact": lambda row: (
            f"{row['entropy']:.3f} ± {row['entropy_error']:.3f}, {row['entropy_exact']:.3f}"
        ),
    },
}


def cases(configs: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the spaces and the tables, by study."""
    return {"flows": configs["flows"].spaces, "condition": configs["condition"].tables}


def draw(rows: list[Row], path: Path, configs: Mapping[str, Any]) -> None:
    """Draw what was learned against what is exact, each study in its panels."""
    figure, axes = plt.subplots(2, 2, figsize=(8, 7.4), layout="constrained")
    colours = {
        name: colour
        for names in cases(configs).values()
        for name, colour in zip(names, (BLUE, VERMILION, GREEN), strict=False)
    }
    flow_axes, entropy_axes, information_axes, condition_axes = axes.flat
    for row in rows:
        name, look = row["case"], {"s": 10, "alpha": 0.6, "linewidths": 0}
        look |= {"label": name, "color": colours[name]}
        if row["study"] == "flows":
            # The initial state comes first; its exact flow is Z.
            flow_axes.scatter(*np.subtract(row["points"]["flow"], row["log_z"]), **look)
            entropy_axes.scatter(*row["points"]["entropy"], **look)
            if "information" in row:
                information_axes.scatter(*row["information"], **look)
        else:
            points = row["points"]
            condition_axes.errorbar(
                points["exact"],
                points["learned"],
                np.multiply(2, points["error"]),
                fmt="o",
                markersize=3,
                linewidth=0.8,
                label=name,
                color=colours[name],
            )
    for one, title, quantity in (
        (flow_axes, "Reward of all that a state reaches", "log F(s | s) - log Z, nats"),
        (entropy_axes, "Entropy of what a state ends in", "H(x | s), nats"),
        (information_axes, "What two features say of each other", "mutual information, nats"),
        (condition_axes, "One to three edges, without retraining", "log p(edges | data), nats"),
    ):
        one.axline((0, 0), slope=1, color="0.6", linewidth=0.8, zorder=0)
        one.set(title=title, xlabel=f"exact {quantity}", ylabel="learned")
        one.title.set_fontsize(10)
        one.legend(fontsize=8, frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(configs: Mapping[str, Any] = CONFIGS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = parser.parse_args()
    run = manifest.about(manifest.command("foundations"))
    results, readme = FOLDER / "results.jsonl", FOLDER / "README.md"
    for study in args.only:
        for case in cases(configs)[study]:
            row = STUDIES[study](case, configs[study])
            print({key: row[key] for key in row if key not in ("points", "information")})
            put(results, row, key=("study", "case"))
        rows = [row for row in read(results) if row["study"] == study]
        where = provenance(sum(row["seconds"] for row in rows))
        fill(readme, study, f"{markdown(rows, COLUMNS[study])}\n\n{where}")
    draw(read(results), FOLDER / "figure.png", configs)
    manifest.write(FOLDER, manifest.entries(run, {study: configs[study] for study in args.only}))


if __name__ == "__main__":
    main()
