from __future__ import annotations

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from dag_gfn.gflownet.policy import combine
from dag_gfn.gflownet.spaces.dag import dag_space, from_adjacency, initial, legal_edges, step
from dag_gfn.gflownet.training import draw_action
from dag_gfn.graphs import all_dags
from dag_gfn.scores import local_scores

CONSTRAINTS = {
    "none": {},
    "forbidden": {"forbidden_edges": [(0, 1), (2, 0), (3, 1)]},
    "required": {"required_edges": [(1, 0), (2, 3)]},
    "max_parents": {"max_parents": 1},
    "all": {"forbidden_edges": [(0, 1)], "required_edges": [(2, 0), (1, 3)], "max_parents": 2},
}

_step = jax.jit(step, static_argnums=1)
_from_adjacency = jax.jit(from_adjacency, static_argnums=1)


def legal_by_networkx(adjacency, scores):
    """Edges whose addition keeps the graph acyclic and the constraints, bool [d, d]."""
    graph = nx.from_numpy_array(np.asarray(adjacency, int), create_using=nx.DiGraph)
    legal = np.zeros(adjacency.shape, bool)
    for effect in graph:
        behind = nx.descendants(graph, effect)
        for cause in graph:
            legal[cause, effect] = (
                cause != effect
                and cause not in behind
                and not graph.has_edge(cause, effect)
                and not scores.forbidden[cause, effect]
                and graph.in_degree(effect) < scores.max_parents
            )
    return legal


def random_walks(scores, num_walks, num_steps, seed):
    """Walk at random until no edge is legal; the states [T, B, ...] and actions [T, B]."""
    space, gains_function = dag_space(scores)
    d = scores.num_variables

    @jax.jit
    def walk(space, key):
        def advance(state, key):
            legal = legal_edges(state).reshape(num_walks, -1)
            # Where nothing is legal the walk stops, and another begins.
            stop = ~legal.any(axis=1, keepdims=True)
            logits = jnp.where(jnp.concatenate([legal, stop], axis=1), 0.0, -jnp.inf)
            action = jax.random.categorical(key, logits)
            after, delta, _ = step(space, gains_function, state, action)
            return after, (state, action, delta)

        keys = jax.random.split(key, num_steps)
        return jax.lax.scan(advance, initial(space, num_walks), keys)[1]

    states, actions, deltas = jax.device_get(walk(space, jax.random.key(seed)))
    assert (actions < d * d).any() and (actions >= 0).all() and (actions <= d * d).all()
    return states, actions, deltas


@pytest.mark.parametrize("words", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_mask_on_every_dag_of_four_nodes(words, gaussian_scores):
    scores = gaussian_scores(4, **words)
    graphs = all_dags(4).astype(bool)
    assert len(graphs) == 543
    space, gains_function = dag_space(scores)
    state = _from_adjacency(space, gains_function, jnp.asarray(graphs), jnp.zeros((543, 4)))
    legal = np.asarray(legal_edges(state))
    allowed = np.isfinite(scores.log_score(graphs))
    assert allowed.all() or words
    for graph, mask in zip(graphs[allowed], legal[allowed], strict=True):
        np.testing.assert_array_equal(mask, legal_by_networkx(graph, scores))


@pytest.mark.parametrize(
    "words",
    [
        {},
        {
            "forbidden_edges": [(i, j) for i in range(5) for j in range(7, 10)],
            "required_edges": [(11, 0), (0, 6), (6, 3)],
            "max_parents": 3,
        },
    ],
    ids=["none", "all"],
)
def test_mask_along_random_walks_of_twelve_nodes(words, gaussian_scores):
    scores = gaussian_scores(12, **words)
    num_walks, num_steps = 1000, 66
    states, actions, _ = random_walks(scores, num_walks, num_steps, seed=0)
    legal = np.asarray(jax.vmap(legal_edges)(states))
    taken = np.take_along_axis(
        legal.reshape(num_steps, num_walks, -1), np.minimum(actions, 143)[..., None], axis=2
    )[..., 0]
    assert taken[actions < 144].all()
    # One moment of every walk, from its first step to its last.
    when = np.random.default_rng(0).integers(0, num_steps, num_walks)
    num_edges = []
    for walk, time in enumerate(when):
        graph = states.adjacency[time, walk]
        assert nx.is_directed_acyclic_graph(nx.from_numpy_array(graph, create_using=nx.DiGraph))
        assert np.all(graph >= scores.required) and not np.any(graph & scores.forbidden)
        np.testing.assert_array_equal(legal[time, walk], legal_by_networkx(graph, scores))
        num_edges.append(graph.sum())
    assert min(num_edges) < 6 and max(num_edges) >= 30


def reachable(scores):
    """Every graph that a breadth-first search through the space finds, bool [N, d, d]."""
    chunk = 2048
    space, gains_function = dag_space(scores)
    level = jax.device_get(initial(space, 1))
    found = [level.adjacency]
    while True:
        row, action = np.nonzero(np.asarray(legal_edges(level)).reshape(len(level.adjacency), -1))
        if not len(row):
            return np.concatenate(found)
        # All batches have one shape; what pads the last one is dropped.
        padded = -(-len(row) // chunk) * chunk
        rows, actions = np.resize(row, padded), np.resize(action, padded).astype(np.int32)
        pieces = []
        for begin in range(0, padded, chunk):
            part = slice(begin, begin + chunk)
            state = jax.tree.map(lambda leaf, of=rows[part]: leaf[of], level)
            after, _, stopped = jax.device_get(
                _step(space, gains_function, state, jnp.asarray(actions[part]))
            )
            assert not stopped.any()
            pieces.append(after)
        grown = jax.tree.map(lambda *leaves: np.concatenate(leaves), *pieces)
        graphs = grown.adjacency[: len(row)].reshape(len(row), -1)
        _, first = np.unique(graphs, axis=0, return_index=True)
        level = jax.tree.map(lambda leaf, of=first: leaf[of], grown)
        found.append(level.adjacency)


@pytest.mark.parametrize(("d", "count"), [(2, 3), (3, 25), (4, 543), (5, 29_281)])
def test_every_dag_is_reachable_once(d, count, gaussian_scores):
    graphs = reachable(gaussian_scores(d))
    assert len(graphs) == count
    np.testing.assert_array_equal(
        np.unique(graphs.reshape(count, -1), axis=0),
        np.unique(all_dags(d).reshape(count, -1), axis=0),
    )


def test_one_variable_is_refused_before_there_is_a_space():
    with pytest.raises(ValueError, match="graph needs at least two"):
        local_scores(np.random.default_rng(0).normal(size=(20, 1)))


@pytest.mark.parametrize("words", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_reachable_graphs_are_those_that_the_constraints_allow(words, gaussian_scores):
    scores = gaussian_scores(4, **words)
    graphs = reachable(scores)
    assert np.isfinite(scores.log_score(graphs)).all()
    assert len(graphs) == np.isfinite(scores.log_score(all_dags(4))).sum()


@pytest.mark.parametrize("score", ["bge", "bde"])
def test_stepping_keeps_closure_gains_and_scores(score, gaussian_scores, categorical_scores):
    make = {"bge": gaussian_scores, "bde": categorical_scores}[score]
    num_rows = 40
    targets = [None] * 30 + [1] * 5 + [4] * 5
    scores = make(
        6,
        num_rows=num_rows,
        prior="fair",
        interventions=targets,
        required_edges=[(3, 1)],
        forbidden_edges=[(0, 5)],
        max_parents=3,
    )
    states, actions, deltas = random_walks(scores, num_walks=40, num_steps=10, seed=1)
    space, gains_function = dag_space(scores)
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), states)
    log_score = scores.log_score(flat.adjacency)
    at_start = float(scores.log_score(scores.required))
    np.testing.assert_allclose(
        flat.local_scores.sum(axis=1, dtype=float), log_score - at_start, atol=1e-4
    )
    for node in range(6):
        expected = scores.local_scores_of(node, flat.adjacency[:, :, node])
        expected -= scores.local_scores_of(node, scores.required[None, :, node])
        np.testing.assert_allclose(flat.local_scores[:, node], expected, atol=1e-4)
    # The rank-one update of the closure, and of one column of the gains, is what a fresh start is.
    fresh = jax.device_get(
        _from_adjacency(
            space, gains_function, jnp.asarray(flat.adjacency), jnp.asarray(flat.local_scores)
        )
    )
    np.testing.assert_array_equal(flat.descendants, fresh.descendants)
    np.testing.assert_array_equal(flat.num_added, fresh.num_added)
    np.testing.assert_allclose(flat.gains, fresh.gains, atol=1e-5)
    for graph, descendants in zip(flat.adjacency[::7], flat.descendants[::7], strict=True):
        closure = nx.to_numpy_array(
            nx.transitive_closure(nx.from_numpy_array(graph, create_using=nx.DiGraph)), weight=None
        )
        np.testing.assert_array_equal(descendants, (closure.T > 0) | np.eye(6, dtype=bool))
    # Each step's delta is the difference of the host's scores.
    log_score = log_score.reshape(10, 40)
    went_on = actions[:-1] < 36
    assert went_on.mean() > 0.8
    np.testing.assert_allclose(
        deltas[:-1][went_on], (log_score[1:] - log_score[:-1])[went_on], atol=1e-4
    )
    # Each gain is the difference that adding the edge would make.
    for row in range(0, 400, 37):
        for cause, effect in np.argwhere(np.asarray(legal_edges(flat))[row]):
            grown = flat.adjacency[row].copy()
            grown[cause, effect] = True
            expected = scores.log_score(grown) - scores.log_score(flat.adjacency[row])
            np.testing.assert_allclose(flat.gains[row, cause, effect], expected, atol=1e-4)


def test_graphs_that_stop_begin_again_and_others_do_not(gaussian_scores):
    scores = gaussian_scores(4, required_edges=[(2, 1)])
    space, gains_function = dag_space(scores)
    start = initial(space, 3)
    once, delta, stopped = _step(space, gains_function, start, jnp.array([1, 16, 3]))
    assert stopped.tolist() == [False, True, False]
    assert delta[1] == 0 and (delta[jnp.array([0, 2])] != 0).all()
    assert once.num_added.tolist() == [1, 0, 1]
    twice, _, stopped = _step(space, gains_function, once, jnp.array([16, 16, 2]))
    assert stopped.tolist() == [True, True, False]
    for after, begun in zip(twice, start, strict=True):
        np.testing.assert_array_equal(after[:2], begun[:2])
    expected = scores.required.copy()
    expected[0, 3] = expected[0, 2] = True
    np.testing.assert_array_equal(twice.adjacency[2], expected)


@pytest.mark.parametrize("exploration", [0.0, 0.3, 1.0])
def test_illegal_actions_are_never_drawn_and_others_as_often_as_they_should(exploration):
    num_states, num_draws = 8, 20_000
    rng = np.random.default_rng(0)
    legal = rng.random((num_states, 3, 3)) < 0.4
    legal[0] = False
    legal[1] = True
    output = combine(
        jnp.asarray(rng.normal(size=num_states), jnp.float32),
        jnp.asarray(3 * rng.normal(size=(num_states, 3, 3)), jnp.float32),
        jnp.asarray(legal),
    )
    draws = jax.vmap(lambda key: draw_action(key, output, exploration))(
        jax.random.split(jax.random.key(0), num_draws)
    )
    count = np.stack([np.bincount(column, minlength=10) for column in np.asarray(draws).T])
    may = np.concatenate([legal.reshape(num_states, 9), np.ones((num_states, 1), bool)], axis=1)
    assert count[~may].sum() == 0
    assert count[0, 9] == num_draws
    policy = np.exp(np.concatenate([output.log_edges, output.log_stop[:, None]], axis=1))
    expected = (1 - exploration) * policy + exploration * may / may.sum(axis=1, keepdims=True)
    standard_error = np.sqrt(expected * (1 - expected) / num_draws)
    assert (np.abs(count / num_draws - expected) <= 5 * standard_error + 1e-6).all()
