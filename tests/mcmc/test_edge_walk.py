from __future__ import annotations

import itertools

import numpy as np
import pytest

from dag_gfn.datasets import simulate_linear_gaussian
from dag_gfn.exact import enumerate_posterior
from dag_gfn.graphs import is_acyclic
from dag_gfn.mcmc.candidates import CandidateTable, candidate_table
from dag_gfn.mcmc.edge_walk import walk_edges
from dag_gfn.mcmc.generator import generators
from dag_gfn.mcmc.parent_sums import parent_sums
from dag_gfn.scores import local_scores

WORDS = {
    "free": {},
    "constrained": {
        "required_edges": [("X0", "X2")],
        "forbidden_edges": [("X1", "X0")],
        "max_parents": 1,
    },
}


def some_scores(d, **words):
    table = simulate_linear_gaussian(d, 30, random_state=d).table
    return local_scores(table, standardize=True, **words)


def code_of(graph):
    return "".join(map(str, np.ravel(graph)))


def transition_matrix(posterior):
    """The chain over all DAGs of positive weight, from its definition."""
    codes = [code_of(graph) for graph in posterior.adjacency]
    d, size = posterior.num_variables, len(codes)
    matrix = np.zeros((size, size))
    for row, graph in enumerate(posterior.adjacency):
        for cause, effect in itertools.permutations(range(d), 2):
            new = graph.copy()
            new[cause, effect] ^= 1
            new[effect, cause] = 0
            if code_of(new) in codes:
                column = codes.index(code_of(new))
                gain = posterior.log_weights[column] - posterior.log_weights[row]
                matrix[row, column] += np.exp(min(gain, 0)) / (d * (d - 1))
    np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
    return matrix


def masks_of(sums, graph):
    return np.array(
        [
            np.sum(graph[candidates, node].astype(np.int64) << np.arange(len(candidates)))
            for node, candidates in enumerate(sums.candidates)
        ]
    )


def graph_of(sums, masks):
    graph = np.zeros((len(masks), len(masks)), dtype=np.int8)
    for node, candidates in enumerate(sums.candidates):
        graph[candidates, node] = (masks[node] >> np.arange(len(candidates))) & 1
    return graph


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_detailed_balance_on_all_graphs(words):
    scores = some_scores(3, **words)
    posterior = enumerate_posterior(scores)
    chain = transition_matrix(posterior)
    flow = posterior.weights[:, None] * chain
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    assert np.all(np.linalg.matrix_power(chain, 20) > 0)
    sums = parent_sums(candidate_table(scores))
    codes = [code_of(graph) for graph in posterior.adjacency]
    generator, num_steps = generators(0, 1)[0], 2_000
    for row, graph in enumerate(posterior.adjacency):
        found = np.zeros(len(codes))
        for _ in range(num_steps):
            masks = masks_of(sums, graph)
            walk_edges(sums, masks, 1, generator)
            found[codes.index(code_of(graph_of(sums, masks)))] += 1 / num_steps
        assert np.all(chain[row, found > 0] > 0)
        # A rare transition may be seen a few times where less than one is expected.
        standard_error = np.sqrt(chain[row] * (1 - chain[row]) / num_steps)
        assert np.all(np.abs(found - chain[row]) <= 5 * standard_error + 3 / num_steps)


def test_graphs_stay_acyclic_and_within_their_candidates():
    # Scores that favour many edges, so that many proposals would close a cycle.
    d, m = 8, 4
    rng = np.random.default_rng(0)
    candidates = np.array(
        [np.sort(rng.choice(np.delete(np.arange(d), node), m, False)) for node in range(d)]
    )
    candidates[3, 2:] = -1
    log_scores = np.tile(np.bitwise_count(np.arange(2**m)).astype(float), (d, 1))
    log_scores[3, 4:] = -np.inf
    sums = parent_sums(CandidateTable(candidates, log_scores))
    masks, generator = np.zeros(d, dtype=np.int64), generators(0, 1)[0]
    graphs = []
    for _ in range(500):
        walk_edges(sums, masks, 10, generator)
        assert np.all(np.isfinite(log_scores[np.arange(d), masks]))
        graphs.append(graph_of(sums, masks))
    assert np.all(is_acyclic(np.array(graphs)))
    assert np.mean(np.sum(graphs, axis=(1, 2))) > 8
