"""Study of interventions: which variable to set next, with a simulator as the laboratory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import dag_gfn as dg
from dag_gfn.datasets.networks import sample_gaussian
from dag_gfn.design import expected_information_gain

# How the next variable is chosen; observation is more rows without intervention.
STRATEGIES = ("information gain", "random", "round robin", "observation")


@dataclass(frozen=True)
class InterventionSettings:
    """How large the study is."""

    num_variables: int = 5  # d; up to five the posterior is enumerated
    num_edges: int = 6
    num_start_rows: int = 100  # without intervention
    num_rounds: int = 8
    num_rows: int = 5  # n, of each experiment
    num_outcomes: int = 300  # S, simulated for each candidate
    set_to: tuple[float, float] = (0.0, 1.0)  # mean and standard deviation of values that are set
    seeds: tuple[int, ...] = tuple(range(20))  # of campaigns, for each strategy


def campaign(settings: InterventionSettings, strategy: str, seed: int) -> Iterator[dict[str, Any]]:
    """Run one campaign of experiments; the seed fixes the network, first rows and their noise.

    Yields what is known before the first round and after each of them.
    """
    rng = np.random.default_rng(seed)
    graph = dg.datasets.random_dag(
        settings.num_variables, num_edges=settings.num_edges, random_state=rng
    )
    simulation = dg.datasets.simulate_linear_gaussian(
        graph, settings.num_start_rows, random_state=rng
    )
    table = simulation.table
    targets: list[str | None] = [None] * len(table)
    order = rng.permutation(table.columns)  # of the round robin
    predicted = target = None
    for number in range(settings.num_rounds + 1):
        posterior = dg.ExactPosterior().fit(table, interventions=targets).posterior_
        yield {
            "strategy": strategy,
            "seed": seed,
            "round": number,
            "target": target,
            "entropy": posterior.entropy(),
            "expected_shd": dg.metrics.expected_shd(posterior, graph),
            "true_graph": posterior.probability(lambda one: np.array_equal(one, graph)),
            "predicted_gain": predicted,
        }
        if number == settings.num_rounds:
            return
        target, predicted = None, None
        if strategy == "information gain":
            gains = expected_information_gain(
                posterior,
                num_rows=settings.num_rows,
                set_to=settings.set_to,
                num_outcomes=settings.num_outcomes,
                random_state=np.random.default_rng([seed, number]),
            )["gain"]
            target, predicted = str(gains.idxmax()), float(gains.max())
        elif strategy == "random":
            target = str(np.random.default_rng([seed, number]).choice(order))
        elif strategy == "round robin":
            target = str(order[number % len(order)])
        # The same noise for each strategy.
        rows = sample_gaussian(
            simulation.network,
            settings.num_rows,
            interventions=[target] * settings.num_rows,
            random_state=np.random.default_rng([seed, number, 1]),
        )
        table = pd.concat([table, rows], ignore_index=True)
        targets = [*targets, *[target] * settings.num_rows]
