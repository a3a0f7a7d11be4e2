"""Parameters of categorical networks, against closed forms, enumeration and pgmpy."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.estimators.mechanisms import mechanisms_of, prior_mechanisms_of
from dag_gfn.graphs import all_dags
from dag_gfn.scores import BDe

NAMES = ["a", "b", "c", "d"]
TARGETS = [None] * 50 + ["b"] * 6 + ["d"] * 4
DIAMOND = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]], np.int8)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 60)
    b = (a + rng.integers(0, 2, 60)) % 2
    c = np.where(rng.random(60) < 0.7, a > 0, rng.integers(0, 2, 60))
    d = (b + c + rng.integers(0, 2, 60)) % 3
    frame = pd.DataFrame({"a": a, "b": b, "c": c.astype(int), "d": d})
    frame["a"] = pd.Categorical(np.array(["low", "mid", "high"])[a], ["low", "mid", "high"])
    return frame.astype({name: "category" for name in "bcd"})


def scores_of(table, size=3.0):
    return dg.local_scores(table, BDe(size), interventions=TARGETS)


def log_likelihood(mechanisms, parameters):
    """Sum the log-probabilities of the cells that were not set."""
    total = np.zeros(len(parameters))
    for node, tables in enumerate(parameters.tables):
        rows = np.flatnonzero(mechanisms.targets != node)
        for draw in range(len(parameters)):
            parents = np.flatnonzero(parameters.adjacency[draw, :, node])
            chances = tables.of(np.array([draw]))[0]
            cells = chances[tuple(mechanisms.codes[member][rows] for member in (*parents, node))]
            total[draw] += mechanisms.counts[rows] @ np.log(cells)
    return total


def test_prior_times_likelihood_over_posterior_is_the_marginal_likelihood(table):
    """p(D | G) = p(D | theta, G) p(theta | G) / p(theta | D, G) at any theta (Chib 1995)."""
    scores = scores_of(table, 20.0)
    prior, posterior = prior_mechanisms_of(scores), mechanisms_of(scores)
    graphs = all_dags(4)[::20]
    rng = np.random.default_rng(1)
    for source in (prior, posterior):
        theta = source.draw(graphs, np.zeros(len(graphs)), rng)
        marginal = (
            log_likelihood(posterior, theta)
            + prior.log_density(theta)
            - posterior.log_density(theta)
        )
        np.testing.assert_allclose(marginal, scores.log_score(graphs), atol=1e-8, rtol=0)


def test_draws_have_the_moments_of_the_closed_form(table):
    size, mechanisms = 20_000, mechanisms_of(scores_of(table))
    drawn = mechanisms.draw(
        np.repeat(DIAMOND[None], size, axis=0), np.zeros(size), np.random.default_rng(0)
    )
    seen = table[[target != "d" for target in TARGETS]]
    counts = np.zeros((2, 2, 3))
    np.add.at(counts, tuple(seen[name].cat.codes for name in "bcd"), 1)
    concentration = counts + 3.0 / 12
    total = concentration.sum(axis=-1, keepdims=True)
    mean = concentration / total
    spread = np.sqrt(mean * (1 - mean) / (total + 1))
    chances = drawn.tables[3].of(np.arange(size))
    assert np.all(np.abs(chances.mean(axis=0) - mean) < 4.5 * spread / np.sqrt(size))
    np.testing.assert_allclose(chances.std(axis=0), spread, rtol=0.1)
    exact = mechanisms.mean_parameters(DIAMOND[None], np.zeros(1))
    np.testing.assert_allclose(exact.tables[3].of(np.array([0]))[0], mean)


def test_a_weak_prior_gives_probabilities_not_missing_values(table):
    mechanisms = mechanisms_of(scores_of(table, 1e-4))
    drawn = mechanisms.draw(
        np.repeat(DIAMOND[None], 200, axis=0), np.zeros(200), np.random.default_rng(0)
    )
    for tables in drawn.tables:
        np.testing.assert_allclose(tables.of(np.arange(200)).sum(axis=-1), 1.0)


def joint_under(parameters, draw, cause, value):
    """P of every joint state when one variable is set, by the product of all other tables."""
    shape = tuple(len(states) for states in parameters.states)
    joint = np.zeros(shape)
    for state in itertools.product(*map(range, shape)):
        chance = float(state[cause] == value)
        for node, tables in enumerate(parameters.tables):
            if node != cause:
                parents = np.flatnonzero(parameters.adjacency[draw, :, node])
                cell = tuple(state[member] for member in (*parents, node))
                chance *= tables.of(np.array([draw]))[0][cell]
        joint[state] = chance
    return joint


def test_interventional_distributions_are_sums_over_all_joint_states(table):
    graphs = np.stack([DIAMOND, DIAMOND.T, *all_dags(4)[[0, 100, 300, 542]], DIAMOND])
    drawn = mechanisms_of(scores_of(table)).draw(
        graphs, np.zeros(len(graphs)), np.random.default_rng(0)
    )
    for cause, effect in itertools.permutations(range(4), 2):
        found = drawn.interventional(cause, effect)
        others = tuple(axis for axis in range(4) if axis != effect)
        for draw in range(len(graphs)):
            expected = [
                joint_under(drawn, draw, cause, value).sum(axis=others)
                for value in range(len(drawn.states[cause]))
            ]
            np.testing.assert_allclose(found[draw], expected, atol=1e-12)


def test_simulated_rows_follow_the_network_also_when_a_variable_is_set(table):
    drawn = mechanisms_of(scores_of(table)).draw(
        np.stack([DIAMOND, DIAMOND.T]), np.zeros(2), np.random.default_rng(0)
    )
    num_rows = 20_000
    for value in (0, 1):
        rows = drawn.simulate(num_rows, {"b": value}, random_state=0)
        assert (rows[:, :, 1] == value).all()
        for draw in range(2):
            cells = np.ravel_multi_index(tuple(rows[draw].T), (3, 2, 2, 3))
            frequency = np.bincount(cells, minlength=36) / num_rows
            expected = joint_under(drawn, draw, 1, value).ravel()
            error = np.sqrt(expected * (1 - expected) / num_rows)
            assert np.all(np.abs(frequency - expected) <= 4.5 * error + 1e-12)


# pgmpy's package of inference imports what it calls deprecated itself.
@pytest.mark.filterwarnings("ignore:.pgmpy.estimators.StructureScore. is deprecated:FutureWarning")
def test_a_draw_becomes_a_network_of_pgmpy_that_predicts_and_simulates(table):
    from pgmpy.inference import VariableElimination

    drawn = dg.ExactPosterior("bde").fit(table).posterior_.sample_parameters(3, random_state=0)
    model = drawn.to_pgmpy(1)
    assert set(model.edges()) == {(NAMES[i], NAMES[j]) for i, j in np.argwhere(drawn.adjacency[1])}
    assert list(model.get_cpds("a").state_names["a"]) == ["low", "mid", "high"]
    inference = VariableElimination(model.do(["b"]))
    asked = inference.query(["d"], evidence={"b": 1}, show_progress=False)
    order = [asked.state_names["d"].index(state) for state in drawn.states[3]]
    expected = joint_under(drawn, 1, 1, 1).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(asked.values[order], expected, atol=1e-6)
    assert model.predict(table[["a", "b", "c"]]).shape[0] == len(table)
    assert model.simulate(20, seed=1, show_progress=False).shape == (20, 4)


def test_tables_that_do_not_fit_into_memory_are_refused():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(0, 4, (40, 14)), columns=[f"x{i}" for i in range(14)])
    mechanisms = mechanisms_of(dg.local_scores(table.astype("category"), "bde", max_parents=1))
    graph = np.zeros((1, 14, 14), np.int8)
    graph[0, :13, 13] = 1
    with pytest.raises(ValueError, match="'x13' have 2.7e\\+08 entries in 1 draws"):
        mechanisms.draw(graph, np.zeros(1), rng)
