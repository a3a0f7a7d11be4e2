from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.datasets import random_dag, simulate_linear_gaussian
from dag_gfn.exact import enumerate_posterior
from dag_gfn.mcmc.candidates import candidate_table
from dag_gfn.mcmc.generator import generators
from dag_gfn.mcmc.parent_sums import parent_sums
from dag_gfn.mcmc.partition import (
    _SHARES,
    _STAY,
    _WALK,
    _WALK_STEPS,
    MOVES,
    _random_layers,
    _step,
    _walk,
    add_edge_probabilities,
    partition_kernel,
    partition_state,
)
from dag_gfn.mcmc.partition_moves import MOVES as PARTITION_MOVES, propose
from dag_gfn.scores import local_scores

WORDS = {
    "free": {},
    "constrained": {
        "required_edges": [("X0", "X2")],
        "forbidden_edges": [("X1", "X0")],
        "max_parents": 2,
    },
}


def some_scores(d, **words):
    table = simulate_linear_gaussian(d, 30, random_state=d).table
    return local_scores(table, standardize=True, **words)


def partitions_of(d):
    """The layer of each node, for all ordered partitions."""
    return [
        layer
        for layer in itertools.product(range(d), repeat=d)
        if set(layer) == set(range(max(layer) + 1))
    ]


def layers_of(graph):
    layer = np.zeros(len(graph), dtype=int)
    for _ in range(len(graph)):
        for node in range(len(graph)):
            layer[node] = 1 + max(layer[graph[:, node] == 1], default=-1)
    return tuple(layer.tolist())


def sets_of(layer):
    return [frozenset(np.flatnonzero(np.equal(layer, k)).tolist()) for k in range(max(layer) + 1)]


def layer_of(sets):
    layer = [0] * sum(map(len, sets))
    for place, nodes in enumerate(sets):
        for node in nodes:
            layer[node] = place
    return tuple(layer)


def state_at(sums, layer, generator=None):
    return partition_state(
        sums, np.array(layer), generators(0, 1)[0] if generator is None else generator
    )


def room_for(d):
    whole = np.zeros(d, dtype=np.int64)
    return whole, whole.copy(), whole.copy(), np.zeros(d)


def log_weights(scores):
    """Log-weight of every partition: the sum over its DAGs, one by one."""
    posterior = enumerate_posterior(scores)
    layers = [layers_of(graph) for graph in posterior.adjacency]
    return np.array(
        [
            logsumexp([-np.inf, *posterior.log_weights[[layer == own for own in layers]]])
            for layer in partitions_of(scores.num_variables)
        ]
    )


def proposals(layer, move):
    """Yield every proposal from a partition with its probability, from the move's definition."""
    sets, d = sets_of(layer), len(layer)
    large = [place for place, nodes in enumerate(sets) if len(nodes) > 1]
    if move == "split":
        for place in large:
            nodes = sets[place]
            for size in range(1, len(nodes)):
                share = 1 / len(large) / (len(nodes) - 1) / math.comb(len(nodes), size)
                for part in map(frozenset, itertools.combinations(sorted(nodes), size)):
                    yield [*sets[:place], part, nodes - part, *sets[place + 1 :]], share
    elif move == "join":
        for place in range(len(sets) - 1):
            joined = sets[place] | sets[place + 1]
            yield [*sets[:place], joined, *sets[place + 2 :]], 1 / (len(sets) - 1)
    elif move == "move":
        for node in range(d):
            rest = [nodes - {node} for nodes in sets if nodes != {node}]
            ways = [
                [*rest[:place], rest[place] | {node}, *rest[place + 1 :]]
                for place in range(len(rest))
            ] + [[*rest[:place], {node}, *rest[place:]] for place in range(len(rest) + 1)]
            ways = [way for way in ways if layer_of(way) != layer]
            assert len(ways) == 2 * len(rest)
            for way in ways:
                yield way, 1 / d / len(ways)
    else:
        for node in range(d):
            partners = [
                other
                for other in range(d)
                if layer[other] != layer[node]
                and (move == "swap any two" or abs(layer[other] - layer[node]) == 1)
            ]
            for other in partners:
                exchange = {node: other, other: node}
                yield (
                    [{exchange.get(v, v) for v in nodes} for nodes in sets],
                    1 / d / len(partners),
                )


def proposal_matrix(d, move):
    partitions = partitions_of(d)
    matrix = np.zeros((len(partitions), len(partitions)))
    for row, layer in enumerate(partitions):
        for sets, share in proposals(layer, MOVES[move]):
            matrix[row, partitions.index(layer_of(sets))] += share
    return matrix


def reverse_of(move):
    return MOVES.index({"split": "join", "join": "split"}.get(MOVES[move], MOVES[move]))


def edge_matrix(posterior):
    """Single edges that come, go or turn round, over all DAGs of positive weight."""
    codes = [graph.tobytes() for graph in posterior.adjacency]
    d = posterior.num_variables
    matrix = np.zeros((len(codes), len(codes)))
    for row, graph in enumerate(posterior.adjacency):
        for cause, effect in itertools.permutations(range(d), 2):
            new = graph.copy()
            new[cause, effect] ^= 1
            new[effect, cause] = 0
            if new.tobytes() in codes:
                column = codes.index(new.tobytes())
                gain = posterior.log_weights[column] - posterior.log_weights[row]
                matrix[row, column] += np.exp(min(gain, 0)) / (d * (d - 1))
    np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
    return matrix


def walk_matrix(scores):
    """From a partition to one of its DAGs, along edges, and to the partition of the DAG there."""
    posterior = enumerate_posterior(scores)
    partitions, d = partitions_of(scores.num_variables), scores.num_variables
    belongs = np.zeros((len(posterior), len(partitions)))
    for row, graph in enumerate(posterior.adjacency):
        belongs[row, partitions.index(layers_of(graph))] = 1
    total = np.maximum(posterior.weights @ belongs, 1e-300)
    drawn = (belongs * posterior.weights[:, None] / total).T
    return drawn @ np.linalg.matrix_power(edge_matrix(posterior), _WALK_STEPS * d) @ belongs


def transition_matrix(scores):
    """The whole chain by Hastings' rule, each move with its reverse, and the walk."""
    log_weight, d = log_weights(scores), scores.num_variables
    size = len(log_weight)
    log_weight = np.where(np.isfinite(log_weight), log_weight, -1e9)
    matrix = np.zeros((size, size))
    for move, share in enumerate(_SHARES):
        there, back = proposal_matrix(d, move), proposal_matrix(d, reverse_of(move)).T
        np.testing.assert_array_equal(there > 0, back > 0)
        log_ratio = np.log(np.divide(back, there, out=np.ones_like(there), where=there > 0))
        gains = np.minimum(log_weight[None, :] - log_weight[:, None] + log_ratio, 0)
        matrix += (1 - _STAY - _WALK) * share * there * np.exp(gains)
    assert np.all(np.diag(matrix) == 0)
    np.fill_diagonal(matrix, 1 - _WALK - matrix.sum(axis=1))
    return matrix + _WALK * walk_matrix(scores)


def test_there_are_as_many_partitions_as_the_fubini_numbers_say():
    assert [len(partitions_of(d)) for d in range(1, 5)] == [1, 3, 13, 75]


@pytest.mark.parametrize("move", range(len(PARTITION_MOVES)))
@pytest.mark.parametrize(("d", "num_draws"), [(3, 1_000), (4, 400)])
def test_proposals_and_their_ratios_are_as_defined(d, move, num_draws):
    assert _SHARES[move] == _SHARES[reverse_of(move)] and sum(_SHARES) == pytest.approx(1)
    partitions = partitions_of(d)
    there, back = proposal_matrix(d, move), proposal_matrix(d, reverse_of(move))
    generator = generators(move, 1)[0]
    for row, layer in enumerate(partitions):
        found = np.zeros(len(partitions))
        for _ in range(num_draws):
            proposal = np.zeros(d, dtype=np.int64)
            log_ratio, _, _ = propose(np.array(layer), proposal, move, generator)
            if log_ratio == -np.inf:
                assert there[row].sum() == 0
                continue
            column = partitions.index(tuple(proposal.tolist()))
            assert there[row, column] > 0
            expected = np.log(back[column, row] / there[row, column])
            assert log_ratio == pytest.approx(expected, abs=1e-12)
            found[column] += 1 / num_draws
        standard_error = np.sqrt(there[row] * (1 - there[row]) / num_draws)
        assert np.all(np.abs(found - there[row]) <= 5 * standard_error + 1e-12)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("d", [3, 4])
def test_the_weight_of_a_partition_is_that_of_its_graphs(d, words):
    scores = some_scores(d, **words)
    sums = parent_sums(candidate_table(scores))
    found = [state_at(sums, layer).log_sums.sum() for layer in partitions_of(d)]
    np.testing.assert_allclose(found, log_weights(scores), rtol=1e-11)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("d", [3, 4])
def test_detailed_balance_on_all_partitions(d, words):
    scores = some_scores(d, **words)
    log_weight, chain = log_weights(scores), transition_matrix(scores)
    weight = np.exp(log_weight - logsumexp(log_weight))
    flow = weight[:, None] * chain
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    reached = np.flatnonzero(weight)
    assert np.all(np.linalg.matrix_power(chain, 20)[np.ix_(reached, reached)] > 0)


@pytest.mark.parametrize("kind", ["step", "walk"])
@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_compiled_steps_make_these_transitions(words, kind):
    scores = some_scores(3, **words)
    chain = transition_matrix(scores) if kind == "step" else walk_matrix(scores)
    compiled = _step if kind == "step" else _walk
    sums = parent_sums(candidate_table(scores))
    partitions, num_steps = partitions_of(3), 1_000
    for row in np.flatnonzero(log_weights(scores) > -np.inf):
        found = np.zeros(len(partitions))
        generator, room = generators(int(row), 1)[0], room_for(3)
        for _ in range(num_steps):
            state = state_at(sums, partitions[row], generator)
            compiled(sums, state, room)
            found[partitions.index(tuple(state.layer.tolist()))] += 1 / num_steps
        assert np.all(chain[row, found > 0] > 0)
        # A rare transition may be seen a few times where less than one is expected.
        standard_error = np.sqrt(chain[row] * (1 - chain[row]) / num_steps)
        assert np.all(np.abs(found - chain[row]) <= 5 * standard_error + 3 / num_steps)


def test_tied_layers_are_reached_by_the_walk_alone():
    # Two chains of required edges that fill the limit: neither can shift against the other, since
    # each node must stay just behind its only parent.
    scores = some_scores(
        4, required_edges=[("X0", "X1"), ("X2", "X3")], max_parents=1,
    )  # fmt: skip
    log_weight, walk = log_weights(scores), walk_matrix(scores)
    reached = np.flatnonzero(log_weight > -np.inf)
    assert np.all(np.linalg.matrix_power(walk, 5)[np.ix_(reached, reached)] > 0)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_edge_probabilities_given_each_partition(words):
    scores = some_scores(4, **words)
    exact = enumerate_posterior(scores)
    layers = [layers_of(graph) for graph in exact.adjacency]
    sums = parent_sums(candidate_table(scores))
    for layer in partitions_of(4):
        inside = [layer == own for own in layers]
        state = state_at(sums, layer)
        assert any(inside) == bool(np.isfinite(state.log_sums).all())
        if any(inside):
            add_edge_probabilities(sums, state)
            expected = np.average(
                exact.adjacency[inside], axis=0,
                weights=np.exp(exact.log_weights[inside] - exact.log_weights[inside].max()),
            )  # fmt: skip
            np.testing.assert_allclose(state.edges, expected, atol=1e-9)


@pytest.mark.parametrize(("d", "max_candidates"), [(12, 14), (30, 5)])
def test_what_a_chain_carries_is_what_its_partition_says(d, max_candidates):
    scores = some_scores(
        d, required_edges=[("X3", "X0"), ("X0", "X5")], forbidden_edges=[("X1", "X2")],
        max_parents=3,
    )  # fmt: skip
    sums = parent_sums(candidate_table(scores, max_candidates))
    generator = generators(0, 1)[0]
    layer = _random_layers(sums, scores.required, np.random.default_rng(0), generator)
    state, room = partition_state(sums, layer, generator), room_for(d)
    for _ in range(3_000):
        _step(sums, state, room)
        assert set(state.layer) == set(range(state.layer.max() + 1))
        fresh = state_at(sums, state.layer)
        np.testing.assert_array_equal(state.allowed, fresh.allowed)
        np.testing.assert_array_equal(state.distant, fresh.distant)
        np.testing.assert_array_equal(state.log_sums, fresh.log_sums)
    assert np.all(np.isfinite(state.log_sums))
    # With few candidates hardly any layer can be split or joined.
    assert np.all(state.counts[2 if d == 30 else 0 :, 1] > 0)


def assert_within_monte_carlo_error(estimates, expected):
    """Each of many independent chains gives one estimate; their spread measures the error."""
    standard_error = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    error = np.abs(estimates.mean(axis=0) - expected)
    # The last term is for what is so rare that hardly a chain has seen it.
    assert np.all(error <= 5 * standard_error + 1e-4)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("d", [2, 3, 5])
def test_draws_have_the_posterior_as_their_limit(d, words):
    if d == 2 and words:
        words = {"forbidden_edges": [("X1", "X0")]}
    scores = some_scores(d, **words)
    exact = enumerate_posterior(scores)
    kernel = partition_kernel(scores, num_chains=30, seed=1)
    kernel.advance(1, 500)
    kernel.forget()
    draws = kernel.advance(2_000, 5 * d)
    expected = exact.edge_marginals().to_numpy()
    assert np.all(draws.log_weights == 0)
    assert_within_monte_carlo_error(draws.adjacency.mean(axis=1), expected)
    assert_within_monte_carlo_error(kernel.edge_marginals(), expected)
    some = draws.adjacency[0, :50]
    np.testing.assert_allclose(draws.log_scores[0, :50], scores.log_score(some), rtol=1e-12)
    if d == 3:
        codes = 2 ** np.arange(9).reshape(3, 3)
        drawn = np.sum(draws.adjacency * codes, axis=(2, 3))
        for graph, probability in zip(exact.adjacency, exact.weights, strict=True):
            share = np.mean(drawn == np.sum(graph * codes), axis=1)
            assert_within_monte_carlo_error(share, probability)


def test_pruned_candidates_and_many_variables():
    d = 30
    dag = random_dag(d, random_state=0)
    table = simulate_linear_gaussian(dag, 60, random_state=0).table
    scores = local_scores(table, standardize=True, required_edges=[("X29", "X0")])
    kernel = partition_kernel(scores, num_chains=2, seed=0, max_candidates=5)
    draws = kernel.advance(5, 200)
    flat = draws.adjacency.reshape(-1, d, d)
    np.testing.assert_allclose(draws.log_scores.ravel(), scores.log_score(flat), rtol=1e-10)
    assert np.all(flat[:, 29, 0] == 1) and np.all(flat.sum(axis=1) <= 5)
    # The same seed, the same draws, however the steps are cut into calls.
    again = partition_kernel(scores, num_chains=2, seed=0, max_candidates=5)
    again.advance(4, 50)
    np.testing.assert_array_equal(again.advance(4, 200).adjacency, draws.adjacency[:, 1:])
    assert set(kernel.acceptance()) == set(MOVES)
    assert 0 < kernel.acceptance()["move"] < kernel.acceptance()["walk"] <= 1
    kernel.forget()
    assert kernel.acceptance() == {}
    # Before the next steps, of the partition as it stands.
    assert np.all(kernel.edge_marginals()[:, 29, 0] == 1)
    assert np.all(kernel.edge_marginals() <= 1)


def test_a_start_is_found_where_only_the_required_edges_have_weight():
    scores = some_scores(4, required_edges=[("X0", "X1"), ("X1", "X2")], max_parents=1)
    kernel = partition_kernel(scores, num_chains=3, seed=0)
    graphs = kernel.advance(20, 5).adjacency.reshape(-1, 4, 4)
    assert np.all(graphs[:, 0, 1] == 1) and np.all(graphs[:, 1, 2] == 1)
    assert np.all(graphs.sum(axis=1) <= 1)


def test_all_edges_forbidden():
    names = [f"X{i}" for i in range(22)]
    table = simulate_linear_gaussian(22, 30, random_state=0).table
    scores = local_scores(table, forbidden_edges=list(itertools.permutations(names, 2)))
    draws = partition_kernel(scores, num_chains=2, seed=0).advance(3, 500)
    assert not draws.adjacency.any()
