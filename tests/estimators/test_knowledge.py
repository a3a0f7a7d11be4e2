"""Prior knowledge through every estimator, against all graphs of four variables."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.gflownet.spaces.dag import dag_space, from_adjacency
from dag_gfn.graphs import all_dags
from dag_gfn.posterior import Posterior

jax.config.update("jax_disable_most_optimizations", True)

# Samplers trained for a moment may be warned of, and are held against all graphs here.
pytestmark = pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")

NAMES = ["age", "dose", "sign", "cure"]
KNOWLEDGE = {
    "tiers": [["age"], ["dose", "sign"]],  # the cure may come before or after any of them
    "required_edges": [("dose", "cure")],
    "forbidden_edges": [("age", "sign")],
    "edge_probabilities": {("sign", "dose"): 0.85, ("age", "cure"): 0.2},
    "max_parents": 2,
}

QUIET = {"progress": False, "random_state": 0}
FLOWS = {
    "edges": dg.DAGGFlowNet(
        num_updates=100, window=2, num_environments=2, batch_size=2, n_samples=2000, **QUIET
    ),
    "orders": dg.OrderGFlowNet(width=8, batch_size=8, num_updates=200, n_samples=4000, **QUIET),
}
CHAINS = {
    kind.__name__: kind(num_chains=8, num_steps=40_000, n_samples=8_000, **QUIET)
    for kind in (dg.StructureMCMC, dg.OrderMCMC, dg.PartitionMCMC)
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    # Chosen so that each part of the knowledge matters and much is left undecided.
    values = np.random.default_rng(955).normal(size=(60, 4))
    values[:, 1] += -0.6 * values[:, 0]
    values[:, 2] += 0.5 * values[:, 0] - 0.2 * values[:, 1]
    values[:, 3] += 0.8 * values[:, 0] - 0.2 * values[:, 1] - 0.4 * values[:, 2]
    return pd.DataFrame(values, columns=NAMES)


def breaks(graphs: np.ndarray) -> dict[str, np.ndarray]:
    """Return which part of the knowledge each graph breaks, bool [S] each."""
    age, dose, sign, cure = range(4)
    return {
        "tiers": (graphs[:, dose, age] | graphs[:, sign, age]) > 0,
        "required_edges": graphs[:, dose, cure] == 0,
        "forbidden_edges": graphs[:, age, sign] > 0,
        "max_parents": graphs.sum(axis=1).max(axis=1) > 2,
    }


def reference(table: pd.DataFrame, without: str = "") -> np.ndarray:
    """Return edge marginals over all graphs that the knowledge allows, float64 [4, 4]."""
    graphs = all_dags(4)
    log_scores = dg.local_scores(table).log_score(graphs)
    if without != "edge_probabilities":
        log_scores += np.log(0.85 / 0.15) * graphs[:, 2, 1] + np.log(0.2 / 0.8) * graphs[:, 0, 3]
    for part, broken in breaks(graphs).items():
        if part != without:
            log_scores[broken] = -np.inf
    weights = np.exp(log_scores - log_scores.max())
    return np.einsum("g,gij->ij", weights, graphs) / weights.sum()


@pytest.fixture(scope="module")
def marginals(table) -> np.ndarray:
    return reference(table)


def check_draws(posterior: Posterior) -> None:
    drawn = posterior.adjacency[posterior.weights > 0]
    for part, broken in breaks(drawn).items():
        assert not broken.any(), part
    assert len(np.unique(drawn, axis=0)) > 10


@pytest.mark.parametrize("part", KNOWLEDGE)
def test_every_part_of_the_knowledge_counts(table, marginals, part):
    # By more than the limits below, so that a method that overlooks one is found out.
    assert np.abs(reference(table, without=part) - marginals).max() > 0.1
    words = {key: value for key, value in KNOWLEDGE.items() if key != part}
    exact = dg.ExactPosterior(**QUIET).fit(table, **words).edge_marginals_
    np.testing.assert_allclose(exact, reference(table, without=part), atol=1e-9)


@pytest.mark.parametrize("largest", [5, 0], ids=["enumeration", "sums over sets"])
def test_the_exact_posterior(table, marginals, largest, monkeypatch):
    monkeypatch.setattr("dag_gfn.estimators.exact.MAX_VARIABLES", largest)
    model = dg.ExactPosterior(n_samples=4000, **QUIET).fit(table, **KNOWLEDGE)
    np.testing.assert_allclose(model.edge_marginals_, marginals, atol=1e-9)
    check_draws(model.posterior_)
    error = np.abs(model.posterior_.edge_marginals() - marginals)
    assert np.all(error <= 5 * np.sqrt(marginals * (1 - marginals) / 4000) + 1e-9)


@pytest.mark.parametrize("name", FLOWS)
def test_flows(table, marginals, name):
    posterior = FLOWS[name].fit(table, **KNOWLEDGE).posterior_
    check_draws(posterior)
    assert posterior.ess > 1000
    # Five standard errors of independent draws, and the rounding of gains to float32.
    limit = 5 * np.sqrt(marginals * (1 - marginals) / posterior.ess) + 1e-4
    assert np.all(np.abs(posterior.edge_marginals() - marginals) <= limit)


def test_chains_over_the_draws_of_a_flow(table, marginals):
    settings = FLOWS["orders"].get_params() | {"num_updates": 1000, "n_samples": 20_000}
    model = dg.IndependenceMCMC(**settings).fit(table, **KNOWLEDGE)
    check_draws(model.posterior_)
    assert model.ess_ > 1000
    # Five standard errors of a chain whose draws are worth the smallest effective sample size.
    limit = 5 * np.sqrt(marginals * (1 - marginals) / model.ess_) + 1e-4
    assert np.all(np.abs(model.posterior_.edge_marginals() - marginals) <= limit)


@pytest.mark.parametrize("name", CHAINS)
def test_chains(table, marginals, name):
    model = CHAINS[name].fit(table, **KNOWLEDGE)
    check_draws(model.posterior_)
    draws = model.chains_.draws
    weights = np.exp(draws.log_weights - draws.log_weights.max())[:, :, None, None]
    means = (weights * draws.adjacency).sum(axis=1) / weights.sum(axis=1)
    error = means.std(axis=0, ddof=1) / np.sqrt(8)
    assert error.max() < 0.01
    # Student's t with 7 degrees of freedom is beyond 9 once in 10^4.
    for found in (model.edge_marginals_, model.posterior_.edge_marginals()):
        assert np.all(np.abs(found - marginals) <= 9 * error + 1e-3)


def test_the_space_of_edges_without_a_table_of_scores(table, monkeypatch):
    # As where there are too many variables: gains come from Schur complements.
    monkeypatch.setattr("dag_gfn.scores.base.MAX_TABLE_ENTRIES", 0)
    scores = dg.local_scores(table, **KNOWLEDGE)
    space, gains_function = dag_space(scores)
    graphs = all_dags(4)
    log_scores = scores.log_score(graphs)
    graphs, log_scores = graphs[np.isfinite(log_scores)], log_scores[np.isfinite(log_scores)]
    state = from_adjacency(space, gains_function, graphs.astype(bool), np.zeros((len(graphs), 4)))
    known = {graph.tobytes(): value for graph, value in zip(graphs, log_scores, strict=True)}
    num_checked = 0
    for graph, gains, value in zip(graphs, np.asarray(state.gains), log_scores, strict=True):
        for edge in np.argwhere(graph == 0):
            larger = graph.copy()
            larger[tuple(edge)] = 1
            if larger.tobytes() in known:
                expected = known[larger.tobytes()] - value
                assert gains[tuple(edge)] == pytest.approx(expected, abs=2e-4)
                num_checked += 1
    assert num_checked > 50
