"""Structure MCMC against its transition matrix, and against enumerated and long-run marginals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dag_gfn.exact import enumerate_posterior
from dag_gfn.graphs import all_dags, is_acyclic
from dag_gfn.mcmc import candidates as candidates_module
from dag_gfn.mcmc.structure import structure_kernel
from dag_gfn.scores import LocalScores, local_scores

GRAPHS = all_dags(3)


def measurements(d: int, num_rows: int = 30, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(num_rows, d)) @ (np.eye(d) + np.triu(rng.normal(size=(d, d)), 1) / 2)
    return pd.DataFrame(values, columns=[f"gene{j}" for j in range(d)])


SETTINGS = {
    "plain": {},
    "constrained": {"required_edges": [(0, 1)], "forbidden_edges": [(2, 1)]},
    "limited": {"max_parents": 1, "prior": "edge"},
}


# --- the transition matrix over the 25 graphs of three variables -------------------------------


def position(graph: np.ndarray) -> int:
    return int(np.flatnonzero((graph == GRAPHS).all(axis=(1, 2)))[0])


def single_edge_matrix(scores: LocalScores) -> np.ndarray:
    """Propose each free place with the same probability; Metropolis on the scores."""
    fixed = scores.required | scores.required.T | scores.forbidden
    places = np.argwhere(~fixed)
    matrix = np.zeros((25, 25))
    for state, graph in enumerate(GRAPHS):
        log_score = scores.log_score(graph)
        if log_score == -np.inf:
            matrix[state, state] = 1
            continue
        for i, j in places:
            proposal = graph.copy()
            proposal[i, j] = 1 - graph[i, j]
            proposal[j, i] = 0
            accept = 0.0
            if is_acyclic(proposal):
                accept = min(1.0, np.exp(scores.log_score(proposal) - log_score))
            target = position(proposal) if accept else state
            matrix[state, target] += accept / len(places)
            matrix[state, state] += (1 - accept) / len(places)
    return matrix


def proposals_of_parents(scores: LocalScores, graph: np.ndarray, node: int, needed: int | None):
    """Graphs with other parents of a node, and their probabilities relative to one another."""
    found = []
    for bits in range(8):
        parents = (bits >> np.arange(3)) & 1
        proposal = graph.copy()
        proposal[:, node] = parents
        if parents[node] or (needed is not None and not parents[needed]):
            continue
        if is_acyclic(proposal):
            found.append((proposal, np.exp(scores.local_scores_of(node, parents[None])[0])))
    return found, sum(weight for _, weight in found)


def reversal_matrix(scores: LocalScores) -> np.ndarray:
    """Grzegorczyk and Husmeier (2008), section 3, word by word."""
    matrix = np.zeros((25, 25))
    for state, graph in enumerate(GRAPHS):
        edges = np.argwhere(graph)
        if not len(edges) or scores.log_score(graph) == -np.inf:
            matrix[state, state] = 1
            continue
        for i, j in edges:
            orphans = graph.copy()
            orphans[:, [i, j]] = 0
            backward = orphans.copy()
            backward[:, j] = graph[:, j]
            first, z_i = proposals_of_parents(scores, orphans, i, j)
            _, z_j = proposals_of_parents(scores, orphans, j, i)
            _, z_back = proposals_of_parents(scores, backward, i, None)
            left = 1 / len(edges)
            for half, weight in first:
                second, z_forth = proposals_of_parents(scores, half, j, None)
                for proposal, other in second:
                    if weight * other == 0:
                        continue
                    propose = weight / z_i * other / z_forth / len(edges)
                    ratio = len(edges) / proposal.sum() * z_i / z_j * z_forth / z_back
                    matrix[state, position(proposal)] += propose * min(1, ratio)
                    left -= propose * min(1, ratio)
            matrix[state, state] += left
    return matrix


MATRICES = {"single edges": (single_edge_matrix, 0), "edge reversal": (reversal_matrix, 1)}


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("moves", MATRICES)
def test_transition_matrix_is_reversible_and_the_kernel_follows_it(moves, words):
    # A few rows and a shifted score, so that all graphs matter and plain exponentials will do.
    scores = local_scores(measurements(3, num_rows=6), **words)
    make_matrix, period = MATRICES[moves]
    matrix = make_matrix(scores)
    log_scores = scores.log_score(GRAPHS)
    weights = np.exp(log_scores - log_scores.max())
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
    flow = weights[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, rtol=1e-10, atol=1e-15)
    # One step of many chains from each graph.
    repeats = 4000
    starts = np.flatnonzero(weights)
    kernel = structure_kernel(
        scores,
        num_chains=repeats * len(starts),
        seed=1,
        reversal_period=period,
        initial=np.repeat(GRAPHS[starts], repeats, axis=0).astype(np.int8),
    )
    draws = kernel.advance(1, 1)
    code = 2 ** np.arange(9).reshape(3, 3)
    where = np.zeros(512, dtype=np.int64)
    where[(GRAPHS * code).sum(axis=(1, 2))] = np.arange(25)
    reached = where[(draws.adjacency[:, 0] * code).sum(axis=(1, 2))].reshape(-1, repeats)
    np.testing.assert_allclose(
        draws.log_scores[:, 0], log_scores[reached.ravel()], rtol=1e-12, atol=1e-12
    )
    for row, start in enumerate(starts):
        share = np.bincount(reached[row], minlength=25) / repeats
        error = np.sqrt(matrix[start] * (1 - matrix[start]) / repeats)
        assert np.all(np.abs(share - matrix[start]) <= 5 * error + 1e-12)


# --- marginals ---------------------------------------------------------------------------------


def check_marginals(scores: LocalScores, expected: np.ndarray, num_steps: int, **words) -> None:
    """Assert agreement within the Monte Carlo error, estimated from independent chains."""
    num_chains = 16
    kernel = structure_kernel(scores, num_chains=num_chains, seed=2, **words)
    kernel.advance(1, num_steps // 10)
    kernel.forget()
    kernel.advance(1, num_steps)
    marginals = kernel.edge_marginals()
    error = marginals.std(axis=0, ddof=1) / np.sqrt(num_chains)
    # Student's t with 15 degrees of freedom: beyond 6.5 once in 10^5.
    difference = np.abs(marginals.mean(axis=0) - expected)
    assert np.all(difference <= 6.5 * error + 1e-4)
    assert error.max() < 0.02


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("d", [4, 5])
def test_edge_marginals_agree_with_enumeration(d, words):
    scores = local_scores(measurements(d), **words)
    check_marginals(scores, enumerate_posterior(scores).edge_marginals().to_numpy(), 200_000)


def test_draws_agree_with_enumeration():
    scores = local_scores(measurements(4))
    exact = enumerate_posterior(scores)
    kernel = structure_kernel(scores, num_chains=8, seed=3)
    kernel.advance(1, 10_000)
    draws = kernel.advance(500, 300)
    means = draws.adjacency.mean(axis=1)
    error = means.std(axis=0, ddof=1) / np.sqrt(8)
    difference = np.abs(means.mean(axis=0) - exact.edge_marginals().to_numpy())
    assert np.all(difference <= 9 * error + 1e-3)  # t with 7 degrees of freedom
    expected = scores.log_score(draws.adjacency)
    np.testing.assert_allclose(draws.log_scores, expected, rtol=1e-12)


def test_more_variables_than_a_word_has_bits():
    """Blocks of three that forbidden edges cut off from one another, each known exactly."""
    d, table = 69, measurements(69, num_rows=20, seed=4)
    forbidden = np.ones((d, d), dtype=bool)
    for start in range(0, d, 3):
        forbidden[start : start + 3, start : start + 3] = np.eye(3, dtype=bool)
    np.fill_diagonal(forbidden, False)
    scores = local_scores(table, forbidden_edges=forbidden, max_parents=2)
    expected = np.zeros((d, d))
    for start in range(0, d, 3):
        block = np.zeros((25, d, d), dtype=np.int8)
        block[:, start : start + 3, start : start + 3] = GRAPHS
        log_scores = scores.log_score(block)
        weights = np.exp(log_scores - log_scores.max())
        expected += np.einsum("s,sij->ij", weights / weights.sum(), block)
    check_marginals(scores, expected, 1_000_000)


def test_pruned_candidates_give_the_posterior_over_what_they_allow(monkeypatch):
    monkeypatch.setattr(candidates_module, "MAX_TABLE_ENTRIES", 5 * 2**4 - 1)
    scores = local_scores(measurements(5, seed=5))
    table = candidates_module.candidate_table(scores, 2)
    exact = enumerate_posterior(scores)
    allowed = np.zeros((5, 5), dtype=bool)
    allowed[table.candidates.ravel(), np.repeat(np.arange(5), 2)] = True
    kept = ~np.any(exact.adjacency.astype(bool) & ~allowed, axis=(1, 2))
    weights = exact.weights[kept] / exact.weights[kept].sum()
    expected = np.einsum("s,sij->ij", weights, exact.adjacency[kept])
    check_marginals(scores, expected, 200_000, max_candidates=2)


# --- what a kernel promises --------------------------------------------------------------------


def test_constraints_hold_from_the_start():
    words = {"required_edges": [(4, 0), (0, 2)], "forbidden_edges": [(1, 3)], "max_parents": 2}
    scores = local_scores(measurements(5), **words)
    kernel = structure_kernel(scores, num_chains=30, seed=0)
    draws = kernel.advance(50, 1)
    assert np.all(np.isfinite(scores.log_score(draws.adjacency)))
    assert len(np.unique(draws.adjacency[:, 0], axis=0)) > 10


def test_seeds_repeat_and_advancing_in_pieces_is_the_same():
    scores = local_scores(measurements(5))
    kernels = [structure_kernel(scores, num_chains=3, seed=seed) for seed in (1, 1, 2)]
    whole = kernels[0].advance(40, 7)
    pieces = [kernels[1].advance(size, 7) for size in (1, 9, 30)]
    joined = np.concatenate([piece.adjacency for piece in pieces], axis=1)
    np.testing.assert_array_equal(whole.adjacency, joined)
    np.testing.assert_array_equal(kernels[0].edge_marginals(), kernels[1].edge_marginals())
    assert np.any(kernels[2].advance(40, 7).adjacency != joined)


def test_chains_go_on_from_where_they_stood():
    scores = local_scores(measurements(5))
    whole = structure_kernel(scores, num_chains=3, seed=1)
    first = structure_kernel(scores, num_chains=3, seed=1)
    expected = [whole.advance(size, 7).adjacency for size in (9, 30)]
    np.testing.assert_array_equal(first.advance(9, 7).adjacency, expected[0])
    # A copy, as if it came from a file; the seed has no say any more.
    walk = type(first.walk)(*(array.copy() for array in first.walk))
    second = structure_kernel(scores, num_chains=3, seed=2, walk=walk)
    np.testing.assert_array_equal(second.advance(30, 7).adjacency, expected[1])
    np.testing.assert_array_equal(second.edge_marginals(), whole.edge_marginals())
    assert second.acceptance() == whole.acceptance()


def test_edge_marginals_are_the_mean_over_all_steps():
    scores = local_scores(measurements(4))
    kernel = structure_kernel(scores, num_chains=2, seed=0)
    kernel.advance(1, 57)
    for _ in range(2):
        kernel.forget()
        draws = kernel.advance(500, 1)
        np.testing.assert_allclose(kernel.edge_marginals(), draws.adjacency.mean(axis=1))
        assert set(kernel.acceptance()) == {"add", "delete", "reverse", "edge reversal"}
        assert all(0 < share < 1 for share in kernel.acceptance().values())


def test_a_graph_that_nothing_may_change():
    every = np.triu(np.ones((3, 3), dtype=bool), 1)
    scores = local_scores(measurements(3), required_edges=every)
    kernel = structure_kernel(scores, num_chains=1, seed=0)
    draws = kernel.advance(20, 5)
    np.testing.assert_array_equal(draws.adjacency[0], np.repeat([every], 20, axis=0))
    np.testing.assert_array_equal(kernel.edge_marginals()[0], every)


def test_starts_that_cannot_be_are_refused(monkeypatch):
    scores = local_scores(measurements(3), forbidden_edges=[(0, 1)])
    initial = np.zeros((1, 3, 3), dtype=np.int8)
    initial[0, 0, 1] = 1
    with pytest.raises(ValueError, match="breaks the constraints"):
        structure_kernel(scores, num_chains=1, seed=0, initial=initial)
    initial[0, 1, 0] = 1
    for number in (1, 2):
        with pytest.raises(ValueError, match=f"one DAG of 3 variables for each of {number} chains"):
            structure_kernel(scores, num_chains=number, seed=0, initial=initial)
    # Another place than the one candidate of the last variable.
    monkeypatch.setattr(candidates_module, "MAX_TABLE_ENTRIES", 11)
    candidate = candidates_module.candidate_table(scores, 1).candidates[2, 0]
    initial[0] = 0
    initial[0, 1 - candidate, 2] = 1
    with pytest.raises(ValueError, match="not a candidate"):
        structure_kernel(scores, num_chains=1, seed=0, max_candidates=1, initial=initial)
