"""Bootstraps of GES and PC: against enumeration, and what they refuse."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import dag_gfn as dg
from dag_gfn.graphs import all_dags, cpdag
from dag_gfn.mcmc.bootstrap import bootstrap_replicates, ges_pattern, pc_pattern

QUIET = {"progress": False, "random_state": 0}
BOOTSTRAPS = [dg.BootstrapGES, dg.BootstrapPC]


def collider(num_rows: int) -> pd.DataFrame:
    """a -> c <- b, c -> d: the class has this one member."""
    rng = np.random.default_rng(0)
    a, b, noise, other = rng.normal(size=(4, num_rows))
    c = a + b + 0.5 * noise
    return pd.DataFrame({"a": a, "b": b, "c": c, "d": c + 0.5 * other})


def answers(num_rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    flips = rng.random((4, num_rows)) < np.array([0.5, 0.5, 0.1, 0.1])[:, None]
    a, b = flips[:2].astype(int)
    c = (a | b) ^ flips[2]
    return pd.DataFrame({"a": a, "b": b, "c": c, "d": c ^ flips[3]}).astype(str)


COLLIDER = np.array([[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("table", "score"), [(collider(1000), "bge"), (answers(4000), "bde")], ids=["bge", "bde"]
)
def test_ges_finds_the_class_of_the_highest_score(table, score):
    scores = dg.local_scores(table, score)
    dags = all_dags(4)
    best = cpdag(dags[np.argmax(scores.log_score(dags))])
    assert np.array_equal(ges_pattern(scores), best)
    assert np.array_equal(best, COLLIDER)


@pytest.mark.parametrize(
    ("table", "test"), [(collider(1000), "pearsonr"), (answers(4000), "chi_square")]
)
def test_pc_finds_a_class_that_the_table_decides(table, test):
    assert np.array_equal(pc_pattern(table, test=test, significance_level=0.01), COLLIDER)


@pytest.mark.parametrize("estimator", BOOTSTRAPS)
@pytest.mark.parametrize(("make", "score"), [(collider, "bge"), (answers, "bde")])
def test_frequencies_are_of_members_of_the_classes_found(estimator, make, score):
    model = estimator(score, n_samples=10, **QUIET).fit(make(2000))
    posterior, replicates = model.posterior_, model.replicates_
    assert len(posterior) + replicates.num_left_out == 10
    assert np.array_equal(cpdag(posterior.adjacency), replicates.patterns)
    assert np.all(np.diff(replicates.seconds) >= 0)
    pd.testing.assert_frame_equal(model.edge_frequencies_, posterior.edge_marginals())
    assert model.edge_frequencies_.loc["a", "c"] > 0.5
    assert model.edge_frequencies_.columns.tolist() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("estimator", BOOTSTRAPS)
def test_they_say_that_they_are_no_posterior(estimator):
    model = estimator(n_samples=3, **QUIET).fit(collider(100))
    assert model.posterior_.method.startswith("bootstrap frequencies of ")
    assert model.posterior_.method.endswith(", not a posterior")
    assert np.isnan(model.posterior_.log_evidence)
    again = clone(model).fit(collider(100))
    assert np.array_equal(again.posterior_.adjacency, model.posterior_.adjacency)


def test_an_edge_without_direction_counts_half_each_way():
    rng = np.random.default_rng(0)
    cause = rng.normal(size=300)
    table = pd.DataFrame({"x": cause, "y": cause + 0.1 * rng.normal(size=300)})
    model = dg.BootstrapGES(n_samples=400, **QUIET).fit(table)
    assert model.replicates_.patterns.sum() == 800  # x - y each time
    standard_error = 0.5 / np.sqrt(400)
    assert abs(model.edge_frequencies_.loc["x", "y"] - 0.5) < 4.5 * standard_error
    assert abs(model.edge_frequencies_.loc["y", "x"] - 0.5) < 4.5 * standard_error


def test_rows_are_drawn_with_replacement():
    drawn = []

    def learn(rows):
        drawn.append(rows)
        return np.zeros((2, 2), np.int8)

    rng = np.random.default_rng(0)
    found = bootstrap_replicates(learn, 50, num_replicates=400, rng=rng)
    assert found.adjacency.shape == (400, 2, 2)
    counts = np.stack([np.bincount(rows, minlength=50) for rows in drawn])
    # Binomial(50, 1/50) for each row: (1 - 1/50)^50 of them are not drawn.
    never, expected = np.mean(counts == 0), (1 - 1 / 50) ** 50
    assert abs(never - expected) < 4.5 * np.sqrt(expected * (1 - expected) / counts.size)


def test_replicates_without_a_class_are_left_out_and_counted():
    answers = iter([None, np.zeros((2, 2), np.int8), None])
    rng = np.random.default_rng(0)
    found = bootstrap_replicates(lambda rows: next(answers), 5, num_replicates=3, rng=rng)
    assert len(found.adjacency) == len(found.patterns) == len(found.seconds) == 1
    assert found.num_left_out == 2
    with pytest.raises(RuntimeError, match="none of the 4 replicates"):
        bootstrap_replicates(lambda rows: None, 5, num_replicates=4, rng=rng)


def test_a_time_limit_ends_the_replicates_early():
    model = dg.BootstrapGES(n_samples=10_000, max_seconds=0.2, **QUIET).fit(collider(100))
    assert 1 <= len(model.posterior_) < 10_000


def test_states_that_were_not_drawn_still_count():
    table = answers(60)
    table.loc[0, "a"] = "rare"
    assert len(dg.BootstrapGES("bde", n_samples=8, **QUIET).fit(table).posterior_) == 8
    model = dg.BootstrapPC("bde", n_samples=8, **QUIET).fit(table)
    assert len(model.posterior_) + model.replicates_.num_left_out == 8


def test_a_column_that_is_constant_in_the_rows_drawn_costs_a_replicate():
    table = collider(40)
    table["a"] = np.r_[1.5, np.zeros(39)]
    model = dg.BootstrapGES(n_samples=30, **QUIET).fit(table)
    assert 0 < model.replicates_.num_left_out < 30


@pytest.mark.parametrize("estimator", BOOTSTRAPS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interventions", [None] * 49 + ["a"]),
        ("required_edges", [("a", "b")]),
        ("forbidden_edges", [("a", "b")]),
        ("tiers", [["a"], ["b"]]),
        ("edge_probabilities", {("a", "b"): 0.9}),
        ("edge_probabilities", {("a", "b"): 1}),
        ("edge_probabilities", {("a", "b"): 0}),
        ("max_parents", 2),
    ],
)
def test_what_the_algorithm_cannot_honour_is_refused(estimator, name, value):
    model = estimator(n_samples=2, **QUIET)
    with pytest.raises(ValueError, match=f"{model.algorithm} cannot honour .*{name}"):
        model.fit(collider(50), **{name: value})


@pytest.mark.parametrize("estimator", BOOTSTRAPS)
def test_constraints_that_say_nothing_are_not_refused(estimator):
    estimator(n_samples=1, **QUIET).fit(
        collider(50),
        interventions=[None] * 50,
        required_edges=[],
        forbidden_edges=[],
        tiers=[["a", "b"]],
        edge_probabilities={("a", "b"): 0.5},
    )


def test_settings_are_checked():
    table = collider(50)
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 1"):
        dg.BootstrapGES(n_samples=0).fit(table)
    with pytest.raises(ValueError, match="significance_level must be between 0 and 1"):
        dg.BootstrapPC(significance_level=2.0).fit(table)
    with pytest.raises(ValueError, match="GES needs a prior that all members"):
        dg.BootstrapGES(prior="fair", **QUIET).fit(table)
    with pytest.raises(TypeError, match="draws rows of the table"):
        dg.BootstrapPC(**QUIET).infer(dg.local_scores(table))


def test_an_estimator_can_use_scores_that_are_there_already():
    table = collider(60)
    scores = dg.local_scores(table)
    model = dg.ExactPosterior().infer(scores)
    assert model.scores_ is scores
    assert model.n_features_in_ == 4
    pd.testing.assert_frame_equal(
        model.edge_marginals_, dg.ExactPosterior().fit(table).edge_marginals_
    )


def expected_failures(estimator):
    return {
        "check_estimators_dtypes": (
            "integers with few values are refused by BGe as codes of categories, on purpose"
        ),
    }


# The array API check is skipped with a warning where SCIPY_ARRAY_API is not set.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [estimator(n_samples=2, **QUIET) for estimator in BOOTSTRAPS],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn(estimator, check):
    check(estimator)


def test_without_ges_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ges", None)
    with pytest.raises(ImportError, match="needs the package ges; pip install ges"):
        ges_pattern(dg.local_scores(collider(50)))
