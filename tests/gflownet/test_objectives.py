from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dag_gfn.gflownet.objectives import (
    OBJECTIVES,
    Window,
    modified_detailed_balance,
    windowed_balance,
)
from dag_gfn.gflownet.training import init, train

LAMBDAS = [0.0, 0.5, 0.9, 1.0]
OF_WINDOWS = [name for name, (_, of) in OBJECTIVES.items() if of is Window]


def random_window(num_windows, length, seed=0, stops=0.25):
    rng = np.random.default_rng(seed)
    is_edge = rng.random((num_windows, length)) >= stops
    return Window(
        log_stop=-rng.exponential(2.0, (num_windows, length + 1)).astype(np.float32),
        log_stop_target=-rng.exponential(2.0, (num_windows, length + 1)).astype(np.float32),
        log_forward=np.where(is_edge, -rng.exponential(2.0, is_edge.shape), 0).astype(np.float32),
        delta=np.where(is_edge, rng.normal(0, 3, is_edge.shape), 0).astype(np.float32),
        log_backward=-np.log(rng.integers(1, 9, is_edge.shape)).astype(np.float32),
        is_edge=is_edge,
    )


def huber(residual, limit):
    return residual**2 / 2 if abs(residual) <= limit else limit * (abs(residual) - limit / 2)


def stretches(window, lambda_, limit=1.0):
    """The loss by its definition, stretch by stretch, in float64."""
    w = Window(*(np.asarray(leaf, float) for leaf in window[:-1]), window.is_edge)
    total = weight = 0.0
    for b, row in enumerate(w.is_edge):
        for m in range(len(row)):
            path = 0.0
            for k in range(m + 1, len(row) + 1):
                if not row[k - 1]:
                    break
                path += w.log_forward[b, k - 1] - w.delta[b, k - 1]
                path -= w.log_backward[b, k - 1]
                residual = -w.log_stop[b, m] + path + w.log_stop_target[b, k]
                total += lambda_ ** (k - m - 1) * huber(residual, limit)
                weight += lambda_ ** (k - m - 1)
    return total / weight


@pytest.mark.parametrize("huber_delta", [0.5, 1.0, 5.0])
def test_one_step_loss_is_the_published_one(huber_delta):
    window = random_window(64, 1, stops=0.2)
    # Deleu et al. 2022, equation 8, as it stands: a product of probabilities in each half.
    p = {name: np.exp(np.asarray(getattr(window, name), float)) for name in window._fields[:5]}
    forth = p["delta"][:, 0] * p["log_backward"][:, 0] * p["log_stop"][:, 0]
    back = p["log_forward"][:, 0] * p["log_stop_target"][:, 1]
    residual = np.log(forth / back)[window.is_edge[:, 0]]
    expected = np.mean([huber(r, huber_delta) for r in residual])
    for loss in (
        modified_detailed_balance(window, huber_delta=huber_delta),
        windowed_balance(window, lambda_=0.0, huber_delta=huber_delta),
        windowed_balance(window, lambda_=0.9, huber_delta=huber_delta),
    ):
        np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 12, 25])
def test_zero_lambda_is_the_published_loss(length):
    for seed in range(5):
        window = random_window(32, length, seed=seed)
        np.testing.assert_allclose(
            windowed_balance(window, lambda_=0.0), modified_detailed_balance(window), rtol=2e-6
        )


@pytest.mark.parametrize("lambda_", LAMBDAS)
@pytest.mark.parametrize("length", [1, 2, 5, 12])
def test_windowed_loss_is_its_definition(length, lambda_):
    for seed, stops in ((0, 0.0), (1, 0.25), (2, 0.7)):
        window = random_window(8, length, seed=seed, stops=stops)
        np.testing.assert_allclose(
            windowed_balance(window, lambda_=lambda_), stretches(window, lambda_), rtol=5e-6
        )


@pytest.mark.parametrize("objective", OF_WINDOWS)
def test_windows_without_an_edge_have_no_loss_and_no_gradient(objective):
    window = random_window(4, 5, stops=1.1)
    assert not window.is_edge.any()

    def loss(log_stop):
        return OBJECTIVES[objective].loss(
            window._replace(log_stop=log_stop), lambda_=0.9, huber_delta=1.0
        )

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(window.log_stop))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("lambda_", LAMBDAS)
@pytest.mark.parametrize("objective", OF_WINDOWS)
def test_gradients_are_finite_and_those_of_the_loss(objective, lambda_):
    window = random_window(6, 5)

    def loss(floats):
        return OBJECTIVES[objective].loss(
            Window(*floats, window.is_edge), lambda_=lambda_, huber_delta=1.0
        )

    floats = tuple(jnp.asarray(leaf) for leaf in window[:5])
    gradient = jax.grad(loss)(floats)
    assert all(np.isfinite(leaf).all() and np.any(leaf != 0) for leaf in gradient)
    # Where the window stops, nothing that is written there matters.
    for leaf in gradient[2:]:
        np.testing.assert_array_equal(np.asarray(leaf)[~window.is_edge], 0)
    direction = [np.random.default_rng(3).normal(size=leaf.shape) for leaf in floats]
    small = 1e-2
    ahead, behind = (
        float(loss(tuple(f + sign * small * u for f, u in zip(floats, direction, strict=True))))
        for sign in (1, -1)
    )
    slope = sum(float(np.sum(g * u)) for g, u in zip(gradient, direction, strict=True))
    assert abs((ahead - behind) / (2 * small) - slope) < 0.02 * max(1.0, abs(slope))


# --- flows that are known exactly, at d = 3 ----------------------------------------------------

PROBLEMS = {
    "bge": ("bge", {}),
    "bge_strong": ("bge", {"num_rows": 300}),
    "bde": ("bde", {"prior": "fair"}),
    "constrained": ("bge", {"required_edges": [(2, 0)], "forbidden_edges": [(0, 1)]}),
    "max_parents": ("bge", {"max_parents": 1, "prior": "erdos_renyi"}),
}


@pytest.fixture(params=PROBLEMS)
def table(request, tabular, gaussian_scores, categorical_scores):
    score, words = PROBLEMS[request.param]
    scores = {"bge": gaussian_scores, "bde": categorical_scores}[score](3, **words)
    return tabular(scores)


def all_transitions(table, log_stop, log_edges):
    """Every transition of the space as a window of one step."""
    stop = np.stack([log_stop[table.source], log_stop[table.target]], axis=1)
    return Window(
        log_stop=stop.astype(np.float32),
        log_stop_target=stop.astype(np.float32),
        log_forward=log_edges[table.source, table.action][:, None].astype(np.float32),
        delta=(table.log_r[table.target] - table.log_r[table.source])[:, None].astype(np.float32),
        log_backward=-np.log(table.num_added[table.target])[:, None].astype(np.float32),
        is_edge=np.ones((len(table.source), 1), bool),
    )


def walked(table, log_stop, log_edges, num_windows=100, length=9, seed=0):
    """Windows along random walks, stops inside."""
    rng = np.random.default_rng(seed)
    first = int(np.argmin(table.num_added))
    stop = np.zeros((num_windows, length + 1))
    forward, delta, backward = (np.zeros((num_windows, length)) for _ in range(3))
    is_edge = np.zeros((num_windows, length), bool)
    for b in range(num_windows):
        graph = rng.integers(len(table.graphs))
        for t in range(length):
            stop[b, t] = log_stop[graph]
            ways = np.flatnonzero(table.source == graph)
            # With every action alike, to stop is one of them.
            chosen = rng.integers(len(ways) + 1)
            is_edge[b, t] = chosen < len(ways)
            after = table.target[ways[chosen]] if is_edge[b, t] else first
            if is_edge[b, t]:
                forward[b, t] = log_edges[graph, table.action[ways[chosen]]]
                delta[b, t] = table.log_r[after] - table.log_r[graph]
                backward[b, t] = -np.log(table.num_added[after])
            graph = after
        stop[b, length] = log_stop[graph]
    return Window(*(a.astype(np.float32) for a in (stop, stop, forward, delta, backward)), is_edge)


@partial(jax.jit, static_argnames="objective")
def losses_of(window, lambda_, objective):
    """The loss of each window by itself, [B], and of all together."""

    def of(some):
        return OBJECTIVES[objective].loss(some, lambda_=lambda_, huber_delta=1.0)

    return jax.vmap(lambda one: of(jax.tree.map(lambda leaf: leaf[None], one)))(window), of(window)


def test_exact_flows_are_probabilities(table):
    if not table.scores.required.any() and table.scores.max_parents == 2:
        assert len(table.graphs) == 25
    log_stop, log_edges = table.exact()
    total = np.exp(log_stop) + np.exp(log_edges).sum(axis=1)
    np.testing.assert_allclose(total, 1.0, rtol=1e-10)


@pytest.mark.parametrize("objective", OF_WINDOWS)
def test_exact_flows_balance_every_transition_and_window(objective, table):
    exact = table.exact()
    for window in (all_transitions(table, *exact), walked(table, *exact)):
        assert window.is_edge.any()
        for lambda_ in LAMBDAS:
            each, together = losses_of(window, lambda_, objective)
            assert each.max() < 1e-6 and together < 1e-6


@pytest.mark.parametrize("objective", OF_WINDOWS)
def test_wrong_flows_do_not_balance(objective, table):
    wrong = walked(table, *table.uniform())
    assert OBJECTIVES[objective].loss(wrong, lambda_=0.9, huber_delta=1.0) > 0.05
    right = walked(table, *table.exact())
    # Every term matters: each one changed by itself is seen.
    for change in (
        {"delta": right.delta + 0.2},
        {"log_forward": right.log_forward - 0.2},
        {"log_backward": right.log_backward - 0.2},
        {"log_stop": right.log_stop + 0.2},
        {"log_stop_target": right.log_stop_target + 0.2},
    ):
        seen = OBJECTIVES[objective].loss(right._replace(**change), lambda_=0.9, huber_delta=1.0)
        assert seen > 1e-3, change.keys()


@pytest.mark.parametrize("target_period", [0, 3])
@pytest.mark.parametrize("objective", OF_WINDOWS)
def test_training_on_exact_flows_has_no_loss(objective, target_period, tabular, gaussian_scores):
    """Acting, replay, windows and loss together leave an exact flow as it is."""
    table = tabular(gaussian_scores(3))
    for of, low, high in ((table.exact(), 0.0, 1e-6), (table.uniform(), 0.05, np.inf)):
        flow = table.flow(*of)
        settings = table.settings._replace(objective=objective, target_period=target_period)
        state = init(flow.problem, settings, jax.random.key(0))
        state = state._replace(
            params=flow.params, target_params=jax.tree.map(jnp.copy, flow.params)
        )
        _, losses = train(
            flow.problem, flow.gains_function, settings, state, jnp.zeros(200, jnp.float32)
        )
        later = np.asarray(losses)[settings.window :]
        assert low <= later.min() and later.max() < high
