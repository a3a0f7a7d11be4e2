"""Interventional rows tell apart what observational rows cannot, in every method."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.exact import exact_marginals, subset_sums
from dag_gfn.graphs import all_dags, cpdag

jax.config.update("jax_disable_most_optimizations", True)

QUIET = {"progress": False, "random_state": 0}


def chain(num_rows: int, targets: list[str | None] | None = None) -> dg.datasets.Simulation:
    """Simulate X0 -> X1 -> X2, of a class with X0 <- X1 -> X2 and X0 <- X1 <- X2."""
    graph = np.diag([1, 1], 1)
    return dg.datasets.simulate_linear_gaussian(
        graph, num_rows, weight_range=(0.7, 1.0), interventions=targets, random_state=2
    )


def pair(num_rows: int, targets: list[str | None] | None = None) -> dg.datasets.Simulation:
    """Simulate X0 -> X1 with three and two states."""
    return dg.datasets.simulate_categorical(
        [[0, 1], [0, 0]], num_rows, num_states=[3, 2], interventions=targets, random_state=0
    )


CASES = {"bge": (chain, 3), "bde": (pair, 2)}


def members_of_the_true_class(
    simulation: dg.datasets.Simulation, exact: dg.ExactPosterior
) -> tuple[np.ndarray, np.ndarray]:
    """Return the true graph and those equivalent to it, int8 [C, d, d], and log-probabilities."""
    truth = simulation.graph.to_numpy()
    dags = all_dags(len(truth))
    alike = (cpdag(dags) == cpdag(truth)).all(axis=(1, 2))
    graphs = np.stack([truth, *(one for one in dags[alike] if (one != truth).any())])
    unique = exact.posterior_.unique()
    places = [np.flatnonzero((unique.adjacency == one).all(axis=(1, 2)))[0] for one in graphs]
    return graphs, np.log(unique.probabilities[places])


@pytest.mark.parametrize("score", CASES)
def test_observational_rows_cannot_tell_the_members_of_a_class_apart(score):
    simulate, size = CASES[score]
    simulation = simulate(400)
    exact = dg.ExactPosterior(score).fit(simulation.table)
    graphs, log_probabilities = members_of_the_true_class(simulation, exact)
    assert len(graphs) == size
    np.testing.assert_allclose(log_probabilities, log_probabilities[0], atol=1e-9)
    assert np.exp(log_probabilities).sum() > 0.8


@pytest.mark.parametrize("imperfect", [False, True])
@pytest.mark.parametrize("score", CASES)
def test_interventional_rows_tell_them_apart(score, imperfect):
    simulate, size = CASES[score]
    targets = [None] * 200 + ["X1"] * 200
    simulation = simulate(400, targets)
    words: dict[str, Any] = {"interventions": targets}
    if imperfect:
        words["conditions"] = targets
    exact = dg.ExactPosterior(score).fit(simulation.table, **words)
    graphs, log_probabilities = members_of_the_true_class(simulation, exact)
    # X1 does not follow X0 where it is set, so X0 -> X1 is sure; its own effect follows it.
    assert np.exp(log_probabilities[0]) > 0.8
    assert (log_probabilities[1:] < log_probabilities[0] - 5).all()
    # The ratio is that of the local scores in which two members differ, and of these alone.
    scores = dg.local_scores(simulation.table, score, **words)
    for other, log_probability in zip(graphs[1:], log_probabilities[1:], strict=True):
        ratio = sum(
            scores.local_score(node, np.flatnonzero(graphs[0, :, node]))
            - scores.local_score(node, np.flatnonzero(other[:, node]))
            for node in range(len(other))
            if (graphs[0, :, node] != other[:, node]).any()
        )
        assert log_probabilities[0] - log_probability == pytest.approx(ratio, abs=1e-8)


def test_what_was_not_set_stays_unknown():
    # X0 has the same parent in both graphs in which X1 is its cause.
    targets = [None] * 100 + ["X0"] * 100
    simulation = chain(200, targets)
    exact = dg.ExactPosterior().fit(simulation.table, interventions=targets)
    graphs, log_probabilities = members_of_the_true_class(simulation, exact)
    np.testing.assert_array_equal(graphs[1:, 1, 0], 1)
    assert log_probabilities[1] == pytest.approx(log_probabilities[2], abs=1e-9)
    assert (log_probabilities[1:] < log_probabilities[0] - 5).all()


# --- every method ------------------------------------------------------------------------------

TARGETS = [None] * 25 + ["X1"] * 10 + ["X3"] * 10
CONDITIONS = {
    "perfect": None,
    "imperfect": [None] * 25 + ["low", "high"] * 5 + ["low"] * 10,
}
CHAIN = {"num_chains": 8, "num_steps": 100_000, "n_samples": 8_000} | QUIET
METHODS = {
    "structure": lambda: dg.StructureMCMC(**CHAIN),
    "order": lambda: dg.OrderMCMC(**CHAIN | {"n_samples": 40_000}),
    "partition": lambda: dg.PartitionMCMC(**CHAIN),
    "order flow": lambda: dg.OrderGFlowNet(num_updates=400, width=16, n_samples=4000, **QUIET),
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    graph = [[0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    return dg.datasets.simulate_linear_gaussian(
        graph, len(TARGETS), weight_range=(0.2, 0.6), interventions=TARGETS, random_state=0
    ).table


@pytest.fixture(scope="module", params=CONDITIONS)
def words(request) -> dict[str, Any]:
    return {"interventions": TARGETS, "conditions": CONDITIONS[request.param]}


@pytest.fixture(scope="module")
def edges(table, words) -> pd.DataFrame:
    """Return the enumerated edge marginals, which interventions do change."""
    edges = dg.ExactPosterior().fit(table, **words).edge_marginals_
    others = [{}, {"interventions": TARGETS}, {"interventions": TARGETS, "conditions": TARGETS}]
    for other in others[: 1 if words["conditions"] is None else 3]:
        changed = edges - dg.ExactPosterior().fit(table, **other).edge_marginals_
        assert changed.abs().to_numpy().max() > 0.05
    return edges


def test_sums_over_sets_agree_with_enumeration(table, words, edges):
    sums = subset_sums(dg.local_scores(table, **words))
    exact = dg.ExactPosterior().fit(table, **words)
    assert sums.log_evidence == pytest.approx(exact.log_evidence_, abs=1e-9)
    np.testing.assert_allclose(exact_marginals(4, sums).edges, edges, atol=1e-9)


# A sampler trained for a moment may be warned of, and is held against the exact posterior here.
@pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")
@pytest.mark.parametrize("method", METHODS)
def test_methods_agree_with_enumeration(method, table, words, edges):
    model = METHODS[method]().fit(table, **words)
    found = model.posterior_.edge_marginals()
    if hasattr(model, "chains_"):
        draws = model.chains_.draws
        weights = np.exp(draws.log_weights - draws.log_weights.max())[:, :, None, None]
        means = (weights * draws.adjacency).sum(axis=1) / weights.sum(axis=1)
        # Student's t with 7 degrees of freedom is beyond 9 once in 10^4.
        limit = 9 * means.std(axis=0, ddof=1) / np.sqrt(len(means)) + 1e-3
    else:
        limit = 5 * model.posterior_.edge_marginals_standard_error().to_numpy() + 1e-3
    assert limit.max() < 0.1
    assert (np.abs(found - edges) <= limit).all(axis=None)


@pytest.mark.parametrize("estimator", [dg.BootstrapGES, dg.BootstrapPC])
def test_bootstraps_refuse_what_they_cannot_honour(estimator, table, words):
    with pytest.raises(ValueError, match="cannot honour interventions; leave them out"):
        estimator(n_samples=2, **QUIET).fit(table, **words)


def test_a_comparison_passes_conditions_on(table, words, edges):
    methods = [("chain", METHODS["partition"]()), ("ges", dg.BootstrapGES(n_samples=2))]
    given = words | {"conditions": iter(words["conditions"])} if words["conditions"] else words
    comparison = dg.compare(table, methods, budget="1s", **QUIET, **given)
    np.testing.assert_allclose(comparison.reference, edges, atol=1e-9)
    assert comparison.summary.loc["chain", "max_error"] < 0.1
    assert "cannot honour interventions" in comparison.summary.loc["ges", "remark"]
