from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from dag_gfn.graphs import all_dags
from dag_gfn.metrics import (
    auprc,
    auroc,
    edge_error,
    expected_shd,
    jensen_shannon,
    total_variation,
)
from dag_gfn.posterior import Posterior

NAMES = list("abcd")


@pytest.fixture
def posterior():
    log_scores = np.random.default_rng(0).normal(0, 2, size=543)
    return Posterior(all_dags(4), log_scores, NAMES, exact=True)


TRUTH = pd.DataFrame(
    [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]], index=NAMES, columns=NAMES
)


# --- distances between distributions -----------------------------------------------------------


def test_distances_are_zero_symmetric_and_bounded():
    rng = np.random.default_rng(1)
    log_p, log_q = rng.normal(0, 3, size=(2, 50))
    for distance, largest in ((total_variation, 1.0), (jensen_shannon, np.log(2))):
        assert distance(log_p, log_p + 1_000) == pytest.approx(0, abs=1e-12)
        assert distance(log_p, log_q) == pytest.approx(distance(log_q, log_p))
        assert 0 < distance(log_p, log_q) < largest
        disjoint = np.array([0.0, 0.0, -np.inf])
        assert distance(disjoint, [-np.inf, -np.inf, 5.0]) == pytest.approx(largest)


def test_distances_agree_with_their_definitions():
    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.ones(20), size=2)
    # the largest difference of probability of any event
    event = p > q
    assert total_variation(np.log(p), np.log(q)) == pytest.approx(p[event].sum() - q[event].sum())
    assert jensen_shannon(np.log(p), np.log(q)) == pytest.approx(jensenshannon(p, q) ** 2)


@pytest.mark.parametrize(
    ("log_p", "log_q", "message"),
    [
        ([0.0, 0.0], [0.0], "same things in the same order"),
        ([0.0, np.nan], [0.0, 0.0], "log_p holds NaN"),
        ([0.0, 0.0], [np.inf, 0.0], "log_q holds NaN or \\+inf"),
        ([-np.inf, -np.inf], [0.0, 0.0], "log_p has no mass"),
    ],
)
def test_distances_refuse_what_is_no_distribution(log_p, log_q, message):
    for distance in (total_variation, jensen_shannon):
        with pytest.raises(ValueError, match=message):
            distance(log_p, log_q)


def test_edge_error_leaves_the_diagonal_out_and_matches_names():
    reference = pd.DataFrame([[0.0, 0.5], [0.1, 0.0]], index=["a", "b"], columns=["a", "b"])
    marginals = pd.DataFrame([[9.0, 0.4], [0.5, 9.0]], index=["b", "a"], columns=["b", "a"])
    error = edge_error(marginals, reference)
    assert error.max == pytest.approx(0.3)
    assert error.mean == pytest.approx(0.15)
    assert error.rms == pytest.approx(0.3 / np.sqrt(2))
    assert edge_error(reference.to_numpy(), reference) == (0, 0, 0)
    with pytest.raises(ValueError, match="reference has no variable 'b'"):
        edge_error(marginals, reference.rename(index={"b": "c"}, columns={"b": "c"}))
    with pytest.raises(ValueError, match=r"must be \[2, 2\]"):
        edge_error(marginals.to_numpy(), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="two variables"):
        edge_error([[0.0]], [[0.0]])


# --- distances from a true graph ---------------------------------------------------------------


def test_expected_shd_is_the_mean_over_graphs(posterior):
    truth = TRUTH.to_numpy()
    upper = np.triu_indices(4, k=1)

    def distance(graph):
        return np.sum((graph != truth)[upper] | (graph.T != truth.T)[upper])

    assert expected_shd(posterior, TRUTH) == pytest.approx(posterior.expectation(distance))


def test_reversed_edge_counts_once_and_two_way_truth_is_never_met():
    point = Posterior([[[0, 0], [1, 0]]], [0.0], ["a", "b"])
    assert expected_shd(point, [[0, 1], [0, 0]]) == 1
    assert expected_shd(point, [[0, 0], [1, 0]]) == 0
    assert expected_shd(point, [[0, 0], [0, 0]]) == 1
    assert expected_shd(point, [[0, 1], [1, 0]]) == 1


def test_auroc_is_the_share_of_pairs_in_order(posterior):
    off_diagonal = ~np.eye(4, dtype=bool)
    marginals = posterior.edge_marginals().to_numpy()[off_diagonal]
    labels = TRUTH.to_numpy()[off_diagonal] == 1
    difference = marginals[labels][:, None] - marginals[~labels]
    share = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert auroc(posterior, TRUTH) == pytest.approx(share)


def test_auprc_is_the_mean_precision_at_true_edges(posterior):
    off_diagonal = ~np.eye(4, dtype=bool)
    marginals = posterior.edge_marginals().to_numpy()[off_diagonal]
    labels = TRUTH.to_numpy()[off_diagonal] == 1
    precisions = [labels[marginals >= level].mean() for level in marginals[labels]]
    assert auprc(posterior, TRUTH) == pytest.approx(np.mean(precisions))


def test_perfect_and_inverted_posteriors():
    certain = Posterior([TRUTH.to_numpy()], [0.0], NAMES)
    assert auroc(certain, TRUTH) == 1
    assert auprc(certain, TRUTH) == 1
    inverted = pd.DataFrame(1 - TRUTH.to_numpy() - np.eye(4), index=NAMES, columns=NAMES)
    assert auroc(certain, inverted) == 0


@pytest.mark.parametrize("metric", [expected_shd, auroc, auprc])
def test_truth_is_matched_by_name_never_by_position(posterior, metric):
    expected = metric(posterior, TRUTH)
    shuffled = TRUTH.loc[list("cabd"), list("dbca")]
    assert metric(posterior, shuffled) == expected
    graph = nx.DiGraph([("b", "d"), ("a", "c"), ("a", "b")])
    assert metric(posterior, graph) == expected
    assert metric(posterior, TRUTH.to_numpy()) == expected


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (TRUTH.rename(index={"d": "e"}, columns={"d": "e"}), "no variable 'd'"),
        (TRUTH.drop(index="d", columns="d"), "no variable 'd'"),
        (
            TRUTH.reindex(index=[*NAMES, "e"], columns=[*NAMES, "e"], fill_value=0),
            "a variable 'e' too many",
        ),
        (nx.DiGraph([("a", "b")]), "no variable"),
        (np.zeros((3, 3)), r"must be \[4, 4\]"),
        (TRUTH * 2, "must hold 0 and 1"),
        (np.eye(4), "0 on the diagonal"),
    ],
)
def test_truth_that_does_not_fit(posterior, truth, message):
    for metric in (expected_shd, auroc, auprc):
        with pytest.raises(ValueError, match=message):
            metric(posterior, truth)


def test_curves_need_edges_and_gaps(posterior):
    for metric in (auroc, auprc):
        with pytest.raises(ValueError, match="has no edge"):
            metric(posterior, TRUTH * 0)
        with pytest.raises(ValueError, match="has every edge"):
            metric(posterior, 1 - np.eye(4))
