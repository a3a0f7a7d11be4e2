from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from dag_gfn.exact import enumerate_posterior
from dag_gfn.scores import PRIORS, local_scores


def measurements(d, num_rows=40, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(num_rows, d)) @ (np.eye(d) + np.triu(np.ones((d, d)), 1) / 2)
    return pd.DataFrame(values, columns=list("abcdefgh")[:d])


def categories(d, num_rows=40, seed=0):
    codes = np.random.default_rng(seed).integers(0, 2, (num_rows, d))
    codes[:, 1] |= codes[:, 0]
    return pd.DataFrame(codes, columns=list("abcdefgh")[:d]).astype("category")


def by_hand(scores):
    """Log-score of every directed graph of which networkx finds no cycle."""
    names = scores.names
    pairs = list(itertools.permutations(names, 2))
    table = {}
    for chosen in itertools.product([False, True], repeat=len(pairs)):
        graph = nx.DiGraph()
        graph.add_nodes_from(names)
        graph.add_edges_from(pair for pair, take in zip(pairs, chosen, strict=True) if take)
        if nx.is_directed_acyclic_graph(graph):
            key = frozenset(graph.edges)
            table[key] = sum(scores.local_score(v, list(graph.predecessors(v))) for v in names)
    return {key: value for key, value in table.items() if value > -np.inf}


WORDS = {
    "uniform": {},
    **{prior: {"prior": prior} for prior in PRIORS if prior != "uniform"},
    "constrained": {
        "required_edges": [("a", "c")],
        "forbidden_edges": [("b", "a")],
        "max_parents": 1,
    },
    "interventions": {"interventions": ["a"] * 10 + [None] * 30},
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("score", ["bge", "bde"])
def test_three_variables_by_hand(score, words):
    table = {"bge": measurements, "bde": categories}[score](3)
    scores = local_scores(table, score, **words)
    expected = by_hand(scores)
    posterior = enumerate_posterior(scores)
    assert posterior.exact and posterior.names == ("a", "b", "c")
    assert len(posterior) == len(expected) and (len(expected) == 25 or "max_parents" in words)
    found = {
        frozenset((posterior.names[i], posterior.names[j]) for i, j in np.argwhere(graph)): value
        for graph, value in zip(posterior.adjacency, posterior.log_weights, strict=True)
    }
    assert found.keys() == expected.keys()
    for graph, value in expected.items():
        assert found[graph] == pytest.approx(value, rel=1e-12)
    evidence = logsumexp(list(expected.values()))
    assert posterior.log_evidence == pytest.approx(evidence, rel=1e-12)
    assert posterior.weights.sum() == pytest.approx(1.0)
    marginal = sum(np.exp(v - evidence) for graph, v in expected.items() if ("b", "c") in graph)
    assert posterior.edge_marginals().loc["b", "c"] == pytest.approx(marginal, rel=1e-9)


@pytest.mark.parametrize(("d", "count"), [(2, 3), (3, 25), (4, 543), (5, 29_281)])
def test_every_dag_is_scored(d, count):
    scores = local_scores(measurements(d))
    posterior = enumerate_posterior(scores)
    assert len(posterior) == count
    some = np.random.default_rng(0).integers(0, count, 20)
    np.testing.assert_allclose(
        posterior.log_weights[some], scores.log_score(posterior.adjacency[some]), rtol=1e-12
    )
    assert posterior.ess == np.inf and posterior.khat == -np.inf


def test_two_dags_of_a_class_are_as_probable():
    marginals = enumerate_posterior(local_scores(measurements(2))).edge_marginals()
    assert marginals.loc["a", "b"] == pytest.approx(marginals.loc["b", "a"], rel=1e-9)
    # With an intervention on the cause the direction is known better.
    table = measurements(2, num_rows=60)
    table.loc[:29, "a"] = np.random.default_rng(1).normal(scale=3, size=30)
    table.loc[:29, "b"] = table.loc[:29, "a"] + np.random.default_rng(2).normal(scale=0.5, size=30)
    scores = local_scores(table, interventions=["a"] * 30 + [None] * 30)
    marginals = enumerate_posterior(scores).edge_marginals()
    assert marginals.loc["a", "b"] > marginals.loc["b", "a"] + 0.1


def test_more_than_five_variables_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match="at most 5 variables and the table has 6; use"):
        enumerate_posterior(local_scores(measurements(6)))
