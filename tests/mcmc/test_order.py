from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.datasets import random_dag, simulate_linear_gaussian
from dag_gfn.exact import enumerate_posterior
from dag_gfn.mcmc.candidates import candidate_table
from dag_gfn.mcmc.generator import generators
from dag_gfn.mcmc.linear_extensions import count_linear_extensions
from dag_gfn.mcmc.order import (
    _SHARES,
    MOVES,
    _step,
    order_kernel,
    order_state,
    propose,
    random_order,
)
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


def orders_of(d):
    return list(itertools.permutations(range(d)))


def state_at(sums, order):
    return order_state(sums, np.array(order), generators(0, 1)[0])


def log_weights(scores):
    """Log-weight of every order: the sum over the DAGs that agree with it, one by one."""
    posterior = enumerate_posterior(scores)
    values = []
    for order in orders_of(scores.num_variables):
        position = np.argsort(order)
        forward = position[:, None] < position[None, :]
        agrees = np.all(forward | (posterior.adjacency == 0), axis=(1, 2))
        values.append(logsumexp(np.append(posterior.log_weights[agrees], -np.inf)))
    return np.array(values)


def proposal_matrix(d, move):
    """Probability of proposing each order from each, from the definition of the move."""
    orders = orders_of(d)
    matrix = np.zeros((len(orders), len(orders)))
    for row, order in enumerate(orders):
        for source, target in itertools.permutations(range(d), 2):
            new = list(order)
            if MOVES[move] == "insert":
                new.insert(target, new.pop(source))
            else:
                new[source], new[target] = new[target], new[source]
            neighbours = abs(source - target) == 1
            if MOVES[move] == "swap neighbours":
                share = neighbours / (2 * (d - 1))
            else:
                share = 1 / (d * (d - 1))
            matrix[row, orders.index(tuple(new))] += share
    return matrix


def transition_matrix(log_weight, d):
    """The chain over all orders with a weight, by Metropolis' rule."""
    proposals = sum(share * proposal_matrix(d, move) for move, share in enumerate(_SHARES))
    gains = np.minimum(log_weight[None, :] - log_weight[:, None], 0)
    matrix = proposals * np.exp(gains)
    np.fill_diagonal(matrix, 0)
    np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
    return matrix


@pytest.mark.parametrize("move", range(len(MOVES)))
@pytest.mark.parametrize("d", [3, 4])
def test_proposals_are_symmetric_and_as_defined(d, move):
    expected = proposal_matrix(d, move)
    np.testing.assert_allclose(expected, expected.T, rtol=1e-12)
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-12)
    generator, num_draws = generators(move, 1)[0], 1_000
    for row, order in enumerate(orders_of(d)):
        found = np.zeros(len(expected))
        for _ in range(num_draws):
            proposal = np.array(order)
            first, last = propose(np.array(order), proposal, move, generator)
            changed = np.flatnonzero(proposal != order)
            assert (first, last) == (changed.min(), changed.max())
            found[orders_of(d).index(tuple(proposal))] += 1 / num_draws
        standard_error = np.sqrt(expected[row] * (1 - expected[row]) / num_draws)
        assert np.all(np.abs(found - expected[row]) <= 5 * standard_error)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("d", [3, 4])
def test_the_weight_of_an_order_is_that_of_its_graphs(d, words):
    scores = some_scores(d, **words)
    sums = parent_sums(candidate_table(scores))
    found = [state_at(sums, order).log_sums.sum() for order in orders_of(d)]
    np.testing.assert_allclose(found, log_weights(scores), rtol=1e-12)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_detailed_balance_on_all_orders(words):
    scores = some_scores(3, **words)
    log_weight = log_weights(scores)
    sums = parent_sums(candidate_table(scores))
    orders = orders_of(3)
    reached = np.flatnonzero(log_weight > -np.inf)
    assert len(reached) == (3 if words else 6)  # X0 comes before X2
    chain = np.zeros((6, 6))
    chain[np.ix_(reached, reached)] = transition_matrix_of(log_weight, reached)
    weight = np.exp(log_weight - logsumexp(log_weight))
    flow = weight[:, None] * chain
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    assert np.all(np.linalg.matrix_power(chain, 20)[np.ix_(reached, reached)] > 0)
    # And the compiled step makes these transitions.
    num_steps = 2_000
    for row in reached:
        found = np.zeros(6)
        state = state_at(sums, orders[row])
        generator = generators(int(row), 1)[0]
        for _ in range(num_steps):
            start = order_state(sums, np.array(orders[row]), generator)
            room = start.order.copy(), np.zeros(3, dtype=np.int64), np.zeros(3)
            _step(sums, start, *room)
            np.testing.assert_array_equal(room[0], start.order)
            found[orders.index(tuple(start.order))] += 1 / num_steps
        assert state.counts.sum() == 0
        assert np.all(chain[row, found > 0] > 0)
        # A rare transition may be seen a few times where less than one is expected.
        standard_error = np.sqrt(chain[row] * (1 - chain[row]) / num_steps)
        assert np.all(np.abs(found - chain[row]) <= 5 * standard_error + 3 / num_steps)


def transition_matrix_of(log_weight, reached):
    """The chain among the orders with a weight; those without are never entered."""
    finite = np.where(np.isfinite(log_weight), log_weight, -1e9)
    return transition_matrix(finite, 3)[np.ix_(reached, reached)]


def test_what_a_chain_carries_is_what_its_order_says():
    scores = some_scores(
        8, required_edges=[("X3", "X0"), ("X0", "X5")], forbidden_edges=[("X1", "X2")],
        max_parents=3,
    )  # fmt: skip
    sums = parent_sums(candidate_table(scores))
    state = order_state(
        sums, random_order(scores.required, np.random.default_rng(0)), generators(0, 1)[0]
    )
    room = state.order.copy(), np.zeros(8, dtype=np.int64), np.zeros(8)
    for _ in range(2_000):
        _step(sums, state, *room)
    fresh = state_at(sums, state.order)
    np.testing.assert_array_equal(state.position, fresh.position)
    np.testing.assert_array_equal(state.allowed, fresh.allowed)
    np.testing.assert_array_equal(state.log_sums, fresh.log_sums)
    assert np.all(np.isfinite(state.log_sums))
    assert state.counts[:, 0].sum() == 2_000 and np.all(state.counts[:, 1] > 0)


def assert_within_monte_carlo_error(estimates, expected):
    """Each of many independent chains gives one estimate; their spread measures the error."""
    standard_error = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    error = np.abs(estimates.mean(axis=0) - expected)
    # The last term is for what is so rare that hardly a chain has seen it.
    assert np.all(error <= 5 * standard_error + 1e-4)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("thin", [5, 25], ids=["every graph kept", "one of three kept"])
@pytest.mark.parametrize("d", [3, 5])
def test_weighted_draws_have_the_posterior_as_their_limit(d, thin, words):
    scores = some_scores(d, **words)
    exact = enumerate_posterior(scores)
    kernel = order_kernel(scores, num_chains=30, seed=1)
    kernel.advance(1, 500)
    kernel.forget()
    draws = kernel.advance(1_000, thin * d)
    weights = np.exp(draws.log_weights)
    weights /= weights.sum(axis=1, keepdims=True)
    edges = np.einsum("cs,csij->cij", weights, draws.adjacency)
    assert_within_monte_carlo_error(edges, exact.edge_marginals().to_numpy())
    assert_within_monte_carlo_error(kernel.edge_marginals(), exact.edge_marginals().to_numpy())
    some = draws.adjacency[0, :50]
    np.testing.assert_allclose(draws.log_scores[0, :50], scores.log_score(some), rtol=1e-12)
    if d == 3:
        codes = 2 ** np.arange(9).reshape(3, 3)
        drawn = np.sum(draws.adjacency * codes, axis=(2, 3))
        for graph, probability in zip(exact.adjacency, exact.weights, strict=True):
            share = np.sum(weights * (drawn == np.sum(graph * codes)), axis=1)
            assert_within_monte_carlo_error(share, probability)


def test_unweighted_draws_are_biased_towards_graphs_with_many_orders():
    scores = some_scores(3)
    exact = enumerate_posterior(scores)
    tilted = exact.weights * [count_linear_extensions(graph) for graph in exact.adjacency]
    expected = np.einsum("s,sij->ij", tilted / tilted.sum(), exact.adjacency)
    kernel = order_kernel(scores, num_chains=30, seed=2)
    kernel.advance(1, 500)
    draws = kernel.advance(1_000, 10)
    assert_within_monte_carlo_error(draws.adjacency.mean(axis=1), expected)


def test_pruned_candidates_and_many_variables():
    d = 30
    dag = random_dag(d, random_state=0)
    table = simulate_linear_gaussian(dag, 60, random_state=0).table
    scores = local_scores(table, standardize=True, required_edges=[("X29", "X0")])
    kernel = order_kernel(scores, num_chains=2, seed=0, max_candidates=5)
    draws = kernel.advance(5, 200)
    flat = draws.adjacency.reshape(-1, d, d)
    np.testing.assert_allclose(draws.log_scores.ravel(), scores.log_score(flat), rtol=1e-10)
    assert np.all(flat[:, 29, 0] == 1) and np.all(flat.sum(axis=1) <= 5)
    # The same seed, the same draws, however the steps are cut into calls.
    again = order_kernel(scores, num_chains=2, seed=0, max_candidates=5)
    again.advance(4, 50)
    np.testing.assert_array_equal(again.advance(4, 200).adjacency, draws.adjacency[:, 1:])
    assert set(kernel.acceptance()) == set(MOVES)
    assert all(0 < share < 1 for share in kernel.acceptance().values())
    kernel.forget()
    assert kernel.acceptance() == {}
    # Before the next steps, of the order as it stands.
    assert set(np.unique(kernel.edge_marginals())) == {0.0, 1.0}
