from __future__ import annotations

import itertools
import os
import warnings

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from dag_gfn.features import edge, in_class, path, v_structure
from dag_gfn.graphs import all_dags, cpdag, dag_codes, markov_blankets, transitive_closure
from dag_gfn.posterior import (
    Posterior,
    distinct as distinct_module,
    effective_sample_size,
    pareto_khat,
)

NAMES = ["a", "b", "c"]
CHAIN = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
COLLIDER = [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
EMPTY = [[0, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.fixture
def weighted():
    """Four draws of three graphs: the chain twice, with weights 1 and 3; 4 and 2 for the others."""
    return Posterior([CHAIN, COLLIDER, CHAIN, EMPTY], np.log([1.0, 4.0, 3.0, 2.0]), NAMES)


@pytest.fixture
def exact():
    log_scores = np.random.default_rng(0).normal(-500, 2, size=543)
    return Posterior(all_dags(4), log_scores, list("abcd"), exact=True)


# --- marginals worked out by hand --------------------------------------------------------------


def test_marginals_of_a_hand_made_posterior(weighted):
    edges = pd.DataFrame([[0.0, 0.4, 0.4], [0, 0, 0.8], [0.0, 0, 0]], index=NAMES, columns=NAMES)
    pd.testing.assert_frame_equal(weighted.edge_marginals(), edges)
    paths = edges.copy()
    paths.loc["a", "c"] = 0.8
    pd.testing.assert_frame_equal(weighted.path_marginals(), paths)
    blankets = [[0, 0.8, 0.4], [0.8, 0, 0.8], [0.4, 0.8, 0]]
    np.testing.assert_allclose(weighted.markov_blanket_marginals(), blankets)


def test_weights_of_a_hand_made_posterior(weighted):
    np.testing.assert_allclose(weighted.weights, [0.1, 0.4, 0.3, 0.2])
    assert weighted.ess == pytest.approx(100 / 30)
    assert weighted.efficiency == pytest.approx(100 / 120)
    assert weighted.log_evidence == pytest.approx(np.log(2.5))
    # sd(w) / (mean(w) sqrt(S)), with the unbiased sd
    assert weighted.log_evidence_standard_error == pytest.approx(
        np.std([1, 4, 3, 2], ddof=1) / 2.5 / 2
    )


def test_graphs_and_classes_of_a_hand_made_posterior(weighted):
    unique = weighted.unique()
    assert unique.counts[2] == 1
    assert unique.counts.sum() == 4
    np.testing.assert_allclose(unique.probabilities, [0.4, 0.4, 0.2])
    assert {codes.tobytes() for codes in unique.adjacency[:2]} == {
        np.array(graph, np.int8).tobytes() for graph in (CHAIN, COLLIDER)
    }
    np.testing.assert_array_equal(weighted.most_probable(10).adjacency[2], EMPTY)
    assert len(weighted.most_probable().adjacency) == 1


def test_classes_pool_equivalent_graphs():
    fork = [[0, 0, 0], [1, 0, 1], [0, 0, 0]]
    posterior = Posterior(
        [CHAIN, COLLIDER, fork, EMPTY, fork], np.log([1, 2.5, 2, 0.5, 4]), NAMES, exact=False
    )
    classes = posterior.equivalence_classes()
    np.testing.assert_allclose(classes.probabilities, [0.7, 0.25, 0.05])
    np.testing.assert_array_equal(classes.num_dags, [2, 1, 1])
    np.testing.assert_array_equal(classes.cpdags, cpdag([CHAIN, COLLIDER, EMPTY]))


# --- exact posteriors --------------------------------------------------------------------------


def test_exact_posterior_is_certain_of_itself(exact):
    assert exact.log_evidence == pytest.approx(logsumexp(exact.log_weights))
    assert exact.log_evidence_standard_error == 0
    assert exact.ess == np.inf
    assert exact.khat == -np.inf
    assert exact.efficiency == 1
    assert not exact.edge_marginals_standard_error().to_numpy().any()


def test_exact_marginals_are_plain_weighted_sums(exact):
    weights = np.exp(exact.log_weights - logsumexp(exact.log_weights))
    for frame, features in (
        (exact.edge_marginals(), all_dags(4)),
        (exact.path_marginals(), transitive_closure(all_dags(4))),
        (exact.markov_blanket_marginals(), markov_blankets(all_dags(4))),
    ):
        np.testing.assert_allclose(frame, np.einsum("n,nij->ij", weights, features), rtol=1e-12)


def test_uniform_posterior_over_three_nodes_has_known_classes():
    posterior = Posterior(all_dags(3), np.zeros(25), NAMES, exact=True)
    classes = posterior.equivalence_classes()
    assert len(classes.cpdags) == 11
    # 6 for the complete graph, 3 for each of the three chains, 2 for each of the three single
    # edges, 1 for each of the three colliders and for the empty graph
    np.testing.assert_array_equal(np.sort(classes.num_dags), [1] * 4 + [2] * 3 + [3] * 3 + [6])
    np.testing.assert_allclose(classes.probabilities, classes.num_dags / 25)
    assert posterior.log_evidence == pytest.approx(np.log(25))


# --- Monte Carlo theory ------------------------------------------------------------------------


def test_importance_weights_correct_the_draws_and_their_errors_are_honest(exact):
    """Draw from a wrong proposal, reweight, and compare z-scores with the exact answers."""
    rng = np.random.default_rng(1)
    graphs, target = exact.adjacency, exact.log_weights
    log_proposal = 0.7 * (target - target.max()) + rng.normal(0, 0.3, size=543)
    log_proposal -= logsumexp(log_proposal)
    truth = exact.edge_marginals().to_numpy()
    off_diagonal = ~np.eye(4, dtype=bool)
    edge_z, evidence_z = [], []
    for _ in range(200):
        draws = rng.choice(543, size=2000, p=np.exp(log_proposal))
        posterior = Posterior(
            graphs[draws], (target - log_proposal)[draws], exact.names, method="toy"
        )
        error = posterior.edge_marginals().to_numpy() - truth
        edge_z.append(error / posterior.edge_marginals_standard_error().to_numpy().clip(1e-12))
        evidence_z.append(
            (posterior.log_evidence - exact.log_evidence) / posterior.log_evidence_standard_error
        )
    edge_z = np.array(edge_z)[:, off_diagonal]  # [200, 12]
    # With 200 repeats the mean of z has standard error 0.071 and its standard deviation 0.05;
    # limits at about 4 of them, a little more because z is a ratio.
    assert np.abs(edge_z.mean(axis=0)).max() < 0.3
    assert np.all(np.abs(edge_z.std(axis=0) - 1) < 0.25)
    assert abs(np.mean(evidence_z)) < 0.3
    assert abs(np.std(evidence_z) - 1) < 0.25


def test_standard_error_of_equal_weights_is_binomial():
    draws = [CHAIN] * 30 + [EMPTY] * 70
    posterior = Posterior(draws, np.zeros(100), NAMES)
    assert posterior.edge_marginals_standard_error().loc["a", "b"] == pytest.approx(
        np.sqrt(0.3 * 0.7 / 100)
    )


def test_sample_follows_the_weights(exact):
    sample = exact.sample(20_000, random_state=0)
    assert sample.shape == (20_000, 4, 4)
    assert sample.dtype == np.int8
    marginals = exact.edge_marginals().to_numpy()
    error = np.abs(sample.mean(axis=0) - marginals)
    assert np.all(error <= 4.5 * np.sqrt(marginals * (1 - marginals) / 20_000) + 1e-12)
    np.testing.assert_array_equal(sample, exact.sample(20_000, random_state=0))
    np.testing.assert_array_equal(
        sample[:5], exact.sample(20_000, random_state=np.random.default_rng(0))[:5]
    )
    assert (sample != exact.sample(20_000, random_state=1)).any()


# --- k-hat and ESS -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [0.3, 0.5, 0.7, 1.0, 1.5])
def test_khat_of_pareto_weights(shape):
    rng = np.random.default_rng(2)
    estimates = [pareto_khat(np.log1p(rng.pareto(1 / shape, 40_000))) for _ in range(20)]
    # The tail of 600 draws gives a standard error of (1 + k) / sqrt(600) each; the mean of 20 has
    # that over sqrt(20). The prior moves it by at most 10 / 610 of the distance from 0.5.
    limit = 4 * (1 + shape) / np.sqrt(600 * 20) + abs(shape - 0.5) * 10 / 610
    assert abs(np.mean(estimates) - shape) < limit


@pytest.mark.parametrize("num_draws", [30, 200, 1_000, 5_000])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_khat_agrees_with_arviz(num_draws, spread):
    from arviz_stats.base import array_stats

    log_weights = np.random.default_rng(3).normal(-1e4, spread, num_draws)
    _, expected = array_stats.psislw(-log_weights)
    assert pareto_khat(log_weights) == pytest.approx(expected, abs=1e-8)


def test_khat_of_bounded_weights_is_low():
    weights = np.random.default_rng(4).uniform(size=10_000)
    assert pareto_khat(np.log(weights)) < 0  # the shape of a uniform tail is -1


@pytest.mark.parametrize(
    ("log_weights", "expected"),
    [
        ([0.0], -np.inf),
        ([5.0] * 1_000, -np.inf),
        (np.r_[-np.ones(500), np.zeros(500)], -np.inf),
        (np.arange(24.0), np.inf),
        (np.r_[np.full(976, -np.inf), np.arange(24.0)], np.inf),
        (np.random.default_rng(5).normal(0, 4_000, size=1_000), np.inf),
        (np.full(10, -np.inf), np.inf),
    ],
    ids=["one", "constant", "tied", "few", "few that count", "underflow", "none"],
)
def test_khat_at_the_edges(log_weights, expected):
    assert pareto_khat(log_weights) == expected


@pytest.mark.parametrize("num_draws", [25, 100, 500, 1_111])
@pytest.mark.parametrize("num_values", [2, 3, 10])
def test_khat_of_tied_weights_is_a_number(num_draws, num_values):
    rng = np.random.default_rng(num_draws + num_values)
    for spread in (1e-3, 0.1, 5.0):
        values = rng.normal(0, spread, num_values)
        assert not np.isnan(pareto_khat(rng.choice(values, num_draws)))


def test_draws_that_do_not_count_leave_khat_alone_and_lower_efficiency():
    log_weights = np.random.default_rng(6).normal(0, 1, 1_000)
    padded = np.r_[log_weights, np.full(1_000, -np.inf)]
    assert pareto_khat(padded) == pareto_khat(log_weights)
    assert effective_sample_size(padded) == pytest.approx(effective_sample_size(log_weights))


# --- expectations ------------------------------------------------------------------------------


def test_expectation_of_numbers_arrays_and_batches(weighted):
    assert weighted.expectation(lambda graph: graph.sum()) == pytest.approx(0.4 * 2 + 0.4 * 2)
    np.testing.assert_allclose(
        weighted.expectation(lambda graph: graph), weighted.edge_marginals().to_numpy()
    )
    np.testing.assert_allclose(
        weighted.expectation(transitive_closure, vectorised=True),
        weighted.path_marginals().to_numpy(),
    )
    assert weighted.probability(lambda graph: graph[0, 1] == 1) == pytest.approx(0.4)
    assert weighted.probability(lambda graph: graph[1, 2]) == pytest.approx(0.8)


def test_expectation_skips_graphs_of_weight_zero_and_repeats():
    posterior = Posterior([CHAIN, EMPTY, CHAIN], [0.0, -np.inf, 0.0], NAMES)
    seen = []

    def edges_inverse(graph):
        seen.append(graph.sum())
        return 1 / graph.sum()

    assert posterior.expectation(edges_inverse) == 0.5
    assert seen == [2]
    assert len(posterior.equivalence_classes().cpdags) == 1


def test_chunks_do_not_change_answers(exact, monkeypatch):
    marginals = exact.path_marginals()
    classes = exact.equivalence_classes()
    monkeypatch.setattr(distinct_module, "CHUNK_ENTRIES", 16 * 100)
    pd.testing.assert_frame_equal(exact.path_marginals(), marginals)
    np.testing.assert_array_equal(exact.equivalence_classes().cpdags, classes.cpdags)


def test_expectation_refuses_functions_that_do_not_fit(weighted):
    with pytest.raises(ValueError, match="one value for each"):
        weighted.expectation(lambda graphs: graphs.sum(), vectorised=True)
    with pytest.raises(ValueError, match="different shapes"):
        weighted.expectation(lambda graph: np.zeros(int(graph.sum())))


# --- probabilities of features -----------------------------------------------------------------


def test_probabilities_of_features_and_functions_worked_out_by_hand(weighted):
    assert weighted.probability(path("a", "c")) == pytest.approx(0.8)
    assert weighted.probability(path("a", "c") & ~edge("a", "c")) == pytest.approx(0.4)
    for given in (edge("b", "c"), lambda graph: graph[1, 2]):
        assert weighted.probability(edge("a", "b"), given) == pytest.approx(0.5)
        assert weighted.probability(lambda graph: graph[0, 1], given) == pytest.approx(0.5)


def test_conditional_probabilities_of_an_exact_posterior_are_ratios(exact):
    feature, condition = path("a", "d"), v_structure("a", "b", "c") | edge("d", "c")
    true, fulfilled = (one.evaluate(exact.adjacency, exact.names) for one in (feature, condition))
    expected = exact.weights[true & fulfilled].sum() / exact.weights[fulfilled].sum()
    assert exact.probability(feature, given=condition) == pytest.approx(expected)
    assert exact.probability(feature) == pytest.approx(exact.path_marginals().loc["a", "d"])
    assert exact.probability_standard_error(feature, given=condition) == 0.0


def test_classes_have_the_probabilities_of_their_features(exact):
    classes = exact.equivalence_classes()
    for pattern, probability in zip(classes.cpdags[:5], classes.probabilities[:5], strict=True):
        assert exact.probability(in_class(pattern)) == pytest.approx(probability)


def test_what_is_always_true_has_a_probability_of_one(exact):
    tautology = edge("a", "b") | ~edge("a", "b")
    assert exact.probability(tautology) == 1.0
    assert exact.probability(~tautology) == 0.0
    assert exact.probability(lambda graph: True, given=path("a", "b")) == 1.0


def test_predicates_are_asked_only_where_they_count():
    posterior = Posterior(
        [CHAIN, EMPTY, CHAIN, COLLIDER], [0.0, -np.inf, 0.0, 0.0], NAMES, log_evidence=np.nan
    )
    asked, conditions = [], []

    def predicate(graph):
        asked.append(graph.tolist())
        return True

    def condition(graph):
        conditions.append(graph.tolist())
        return graph[0, 1]

    assert posterior.probability(predicate, given=condition) == 1.0
    assert asked == [CHAIN]
    assert sorted(conditions) == sorted([CHAIN, COLLIDER])
    with pytest.raises(ValueError, match="no drawn graph fulfils the condition"):
        posterior.probability(predicate, given=lambda graph: graph.sum() == 0)
    with pytest.raises(ValueError, match="no drawn graph fulfils the condition"):
        posterior.probability_standard_error(edge("a", "b"), given=edge("c", "a"))


def test_anything_that_can_be_evaluated_is_a_predicate(weighted):
    class Sparse:
        def evaluate(self, adjacency, names):
            assert names == tuple(NAMES)
            return adjacency.sum(axis=(1, 2)) < 2

    class Wrong:
        def evaluate(self, adjacency, names):
            return True

    assert weighted.probability(Sparse()) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="predicate.evaluate returned shape .* one value for each"):
        weighted.probability(Wrong())
    with pytest.raises(TypeError, match="predicate must be a function .* it is a str"):
        weighted.probability("a -> b")
    with pytest.raises(TypeError, match="given must be a function .* it is a bool"):
        weighted.probability(edge("a", "b"), given=True)
    with pytest.raises(ValueError, match="no variable 'x'; there are a, b, c"):
        weighted.probability(edge("a", "x"))


def test_chunks_do_not_change_probabilities(exact, monkeypatch):
    def ask():
        return exact.probability(path("a", "b"), given=lambda graph: graph.sum() > 2)

    whole = ask()
    monkeypatch.setattr(distinct_module, "CHUNK_ENTRIES", 16 * 100)
    assert ask() == whole


def test_standard_error_of_probabilities_of_equal_weights_is_binomial():
    posterior = Posterior([CHAIN] * 30 + [COLLIDER] * 20 + [EMPTY] * 50, np.zeros(100), NAMES)
    assert posterior.probability_standard_error(edge("a", "b")) == pytest.approx(
        np.sqrt(0.3 * 0.7 / 100)
    )
    assert posterior.probability_standard_error(
        edge("a", "b"), given=edge("b", "c")
    ) == pytest.approx(np.sqrt(0.6 * 0.4 / 50))
    assert posterior.probability_standard_error(edge("c", "a")) == 0.0


def test_standard_error_of_a_probability_is_that_of_the_edge(exact):
    log_weights = np.random.default_rng(0).normal(size=543)
    posterior = Posterior(exact.adjacency, log_weights, exact.names)
    assert posterior.probability_standard_error(edge("a", "b")) == pytest.approx(
        posterior.edge_marginals_standard_error().loc["a", "b"]
    )


@pytest.mark.parametrize("given", [None, edge("c", "b") | edge("d", "b")], ids=str)
def test_standard_error_of_probabilities_is_the_spread_of_reweighted_draws(exact, given):
    rng = np.random.default_rng(2)
    feature = path("a", "b")
    log_proposal = exact.log_weights * 0.7
    log_proposal -= logsumexp(log_proposal)
    z = []
    for _ in range(200):
        drawn = rng.choice(len(exact), size=2000, p=np.exp(log_proposal))
        draws = Posterior(
            exact.adjacency[drawn], exact.log_weights[drawn] - log_proposal[drawn], exact.names
        )
        error = draws.probability_standard_error(feature, given)
        z.append((draws.probability(feature, given) - exact.probability(feature, given)) / error)
    # 200 standard normal numbers: the limits are four standard errors of their mean and variance.
    assert abs(np.mean(z)) < 4 / np.sqrt(200)
    assert abs(np.var(z) - 1) < 4 * np.sqrt(2 / 200)


# --- consensus ---------------------------------------------------------------------------------


def test_consensus_keeps_the_probable_edges(weighted):
    graph = weighted.consensus()
    assert isinstance(graph, nx.DiGraph)
    assert list(graph.nodes) == NAMES
    assert list(graph.edges) == [("b", "c")]
    assert graph.edges["b", "c"]["probability"] == pytest.approx(0.8)
    assert set(weighted.consensus(0.4).edges) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert not weighted.consensus(0.81).edges


def test_consensus_skeleton_adds_the_directions_up(exact):
    marginals = exact.edge_marginals()
    both = exact.consensus(1e-9, skeleton=True)
    assert not both.is_directed()
    assert both.number_of_edges() == 6
    for first, second, probability in both.edges(data="probability"):
        assert probability == pytest.approx(
            marginals.loc[first, second] + marginals.loc[second, first]
        )
    reversals = Posterior([CHAIN, np.transpose(CHAIN)], [0.0, 0.0], NAMES)
    assert not reversals.consensus(0.51).edges
    assert set(reversals.consensus(0.51, skeleton=True).edges) == {("a", "b"), ("b", "c")}


def test_consensus_has_no_cycle_above_the_threshold_at_which_there_can_be_one():
    chains = [np.roll(CHAIN, (shift, shift), axis=(0, 1)) for shift in range(3)]
    posterior = Posterior(chains, np.zeros(3), NAMES)
    cycle = posterior.consensus(2 / 3)
    assert set(cycle.edges) == {("a", "b"), ("b", "c"), ("c", "a")}
    assert not posterior.consensus(0.67).edges
    two = Posterior([CHAIN, np.transpose(CHAIN)], [0.0, 0.0], NAMES).consensus(0.5)
    assert set(two.edges) == {("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")}


def test_rounding_does_not_change_the_consensus():
    """An edge of all draws is there at a threshold of one, and no other at the smallest one."""
    log_weights = np.random.default_rng(3).normal(0, 3, size=543)
    graphs = all_dags(4)
    kept = graphs[:, 0, 1] == 1
    posterior = Posterior(graphs[kept], log_weights[kept], list("abcd"))
    assert list(posterior.consensus(1.0).edges) == [("a", "b")]
    assert list(posterior.consensus(1.0, skeleton=True).edges) == [("a", "b")]
    assert not nx.number_of_selfloops(posterior.consensus(1e-300))
    assert not posterior.consensus(1e-300).has_edge("b", "a")


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, np.nan])
def test_consensus_refuses_thresholds_that_are_no_probability(weighted, threshold):
    with pytest.raises(ValueError, match=f"threshold is {threshold}"):
        weighted.consensus(threshold)


# --- other libraries ---------------------------------------------------------------------------


def test_networkx_and_pgmpy(weighted):
    assert set(weighted.to_networkx(1).edges) == {("a", "c"), ("b", "c")}
    assert list(weighted.to_networkx(3).nodes) == NAMES
    assert set(weighted.to_pgmpy(0).edges()) == {("a", "b"), ("b", "c")}


def test_arviz_means_are_the_marginals(exact):
    from arviz_stats.base import array_stats

    tree = exact.to_arviz(num_draws=4_000, random_state=0)
    edge = tree["posterior"]["edge"]
    assert edge.dims == ("chain", "draw", "cause", "effect")
    assert edge.sizes["draw"] == 4_000
    marginals = exact.edge_marginals().to_numpy()
    limit = 4.5 * np.sqrt(marginals * (1 - marginals) / 4_000) + 1e-12
    assert np.all(np.abs(edge.mean(["chain", "draw"]).to_numpy() - marginals) <= limit)
    raw = tree["weighted_draws"]
    np.testing.assert_array_equal(raw["log_weight"][0], exact.log_weights)
    np.testing.assert_array_equal(raw["edge"].sel(cause="b", effect="a")[0], all_dags(4)[:, 1, 0])
    # the diagonal, where nothing ever happens, does not upset the diagnostics
    assert np.isfinite(array_stats.ess(edge.to_numpy(), chain_axis=0, draw_axis=1)).all()


def test_arviz_keeps_draws_of_equal_weight_as_they_are():
    draws = np.array([CHAIN, EMPTY, COLLIDER] * 4)
    tree = Posterior(draws, np.zeros(12), NAMES).to_arviz()
    np.testing.assert_array_equal(tree["posterior"]["edge"][0], draws)


# --- files -------------------------------------------------------------------------------------


def test_save_and_load_bring_everything_back(weighted, tmp_path):
    path = tmp_path / "posterior.npz"
    original = Posterior(
        weighted.adjacency,
        weighted.log_weights,
        ["x", "längd", "日本"],
        log_evidence=-12.5,
        method="toy",
        metadata={"seed": 3, "score": {"name": "bge"}},
    )
    original.save(path)
    original.save(str(path))  # and again, over the first
    loaded = Posterior.load(path)
    np.testing.assert_array_equal(loaded.adjacency, original.adjacency)
    assert loaded.adjacency.dtype == np.int8
    np.testing.assert_array_equal(loaded.log_weights, original.log_weights)
    assert loaded.names == original.names
    assert loaded.log_evidence == -12.5
    assert loaded.method == "toy"
    assert loaded.metadata == original.metadata
    assert os.listdir(tmp_path) == ["posterior.npz"]


def test_exact_posteriors_and_computed_evidence_survive_a_file(exact, tmp_path):
    exact.save(tmp_path / "p")
    loaded = Posterior.load(tmp_path / "p")
    assert loaded.exact
    assert loaded.log_evidence == exact.log_evidence
    unknown = Posterior([EMPTY], [0.0], NAMES, log_evidence=np.nan)
    unknown.save(tmp_path / "q")
    assert np.isnan(Posterior.load(tmp_path / "q").log_evidence)
    assert np.isnan(unknown.log_evidence_standard_error)


def test_files_that_are_no_posterior(weighted, tmp_path):
    path = tmp_path / "posterior.npz"
    weighted.save(path)
    whole = path.read_bytes()
    with pytest.raises(FileNotFoundError, match="no file"):
        Posterior.load(tmp_path / "missing.npz")
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="not a posterior that dag_gfn saved"):
            Posterior.load(path)
    middle = len(whole) // 2
    path.write_bytes(whole[: middle - 40] + bytes(80) + whole[middle + 40 :])
    with pytest.raises(ValueError, match="not a posterior that dag_gfn saved"):
        Posterior.load(path)
    np.savez(path, adjacency=np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="not a posterior that dag_gfn saved"):
        Posterior.load(path)
    np.savez(path, format=np.array({"an": "object"}, dtype=object))
    with pytest.raises(ValueError, match="not a posterior that dag_gfn saved"):
        Posterior.load(path)


def test_metadata_that_cannot_be_saved_leaves_the_old_file(weighted, tmp_path):
    path = tmp_path / "posterior.npz"
    weighted.save(path)
    bad = Posterior([EMPTY], [0.0], NAMES, metadata={"array": np.zeros(2)})
    with pytest.raises(TypeError, match="metadata cannot be saved"):
        bad.save(path)
    assert len(Posterior.load(path)) == 4
    assert os.listdir(tmp_path) == ["posterior.npz"]


# --- the object itself -------------------------------------------------------------------------


def test_representations_say_what_matters(weighted, exact):
    text = repr(weighted)
    assert "3 (a b c)" in text
    assert "4 draws" in text
    assert "ESS: 3.3" in text
    assert "k-hat: inf" in text
    assert "exact" in repr(exact)
    chains = Posterior([EMPTY] * 9, np.zeros(9), ["a", "b", "c"])
    chains.metadata |= {"rhat": 1.14, "ess": 2.5}
    assert "ESS: 2.5, R-hat: 1.140" in repr(chains) and "k-hat" not in repr(chains)
    html = Posterior([EMPTY], [0.0], ["<b>", "b", "c"], method="A & B")._repr_html_()
    assert "&lt;b&gt;" in html
    assert "A &amp; B" in html


def test_a_posterior_cannot_be_changed_from_outside():
    draws = np.array([CHAIN, EMPTY], np.int8)
    log_weights = np.zeros(2)
    posterior = Posterior(draws, log_weights, NAMES)
    draws[:] = 0
    log_weights[:] = 7
    assert posterior.adjacency.sum() == 2
    assert posterior.log_evidence == 0
    for array in (posterior.adjacency, posterior.log_weights, posterior.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_no_warning_for_any_weights():
    rng = np.random.default_rng(0)
    weights = (np.zeros(30), rng.normal(0, 1e3, 30), np.r_[0.0, np.full(29, -np.inf)])
    graphs = all_dags(3)[rng.integers(25, size=30)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for log_weights, offset in itertools.product(weights, (0, -1e5)):
            posterior = Posterior(graphs, log_weights + offset, NAMES)
            assert 1 <= posterior.ess <= 30 + 1e-9
            assert np.isfinite(posterior.log_evidence)
            assert np.isfinite(posterior.log_evidence_standard_error)
            assert np.isfinite(posterior.edge_marginals_standard_error().to_numpy()).all()
            assert repr(posterior)


def test_unique_probabilities_are_the_sums_of_their_draws(exact):
    rng = np.random.default_rng(0)
    draws = rng.integers(543, size=3_000)
    log_weights = rng.normal(size=3_000)
    posterior = Posterior(all_dags(4)[draws], log_weights, list("abcd"))
    unique = posterior.unique()
    expected = np.bincount(draws, posterior.weights, 543)
    codes = dag_codes(all_dags(4))
    position = {code.tobytes(): i for i, code in enumerate(codes)}
    for code, probability in zip(dag_codes(unique.adjacency), unique.probabilities, strict=True):
        assert probability == pytest.approx(expected[position[code.tobytes()]])
    assert unique.counts.sum() == 3_000
    assert np.all(np.diff(unique.probabilities) <= 0)


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"adjacency": CHAIN}, ValueError, r"must be \[S, d, d\]"),
        ({"adjacency": np.zeros((0, 3, 3))}, ValueError, "at least one draw"),
        ({"adjacency": [[[0, 1, 0], [1, 0, 0], [0, 0, 0]]] * 2}, ValueError, "cycle a -> b -> a"),
        ({"adjacency": np.full((2, 3, 3), 0.5)}, ValueError, "other than 0 and 1"),
        ({"log_weights": [0.0]}, ValueError, r"must be \[2\], one for each graph"),
        ({"log_weights": [0.0, np.nan]}, ValueError, r"log_weights\[1\] is nan"),
        ({"log_weights": [np.inf, 0.0]}, ValueError, r"log_weights\[0\] is inf"),
        ({"log_weights": [-np.inf, -np.inf]}, ValueError, "all -inf"),
        ({"names": ["a", "b"]}, ValueError, "3 variables but 2 names"),
        ({"names": ["a", "b", "a"]}, ValueError, "'a' occurs twice"),
        ({"names": ["a", "b", 3]}, TypeError, "3 is not a string"),
        ({"names": "abc"}, TypeError, "not a string"),
        ({"adjacency": [CHAIN, CHAIN], "exact": True}, ValueError, "a graph twice"),
    ],
)
def test_bad_input(changes, error, message):
    arguments = {"adjacency": [CHAIN, EMPTY], "log_weights": [0.0, 0.0], "names": NAMES} | changes
    with pytest.raises(error, match=message):
        Posterior(**arguments)


# --- information -------------------------------------------------------------------------------


def log_score_of(exact):
    """The log joint score of the graphs of an exact posterior, as a function of graphs."""
    by_code = dict(zip(dag_codes(exact.adjacency).tolist(), exact.log_weights, strict=True))
    return lambda graphs: np.array([by_code[code] for code in dag_codes(graphs).tolist()])


def test_entropy_is_that_of_the_probabilities(exact):
    expected = -(exact.weights * np.log(exact.weights)).sum()
    assert exact.entropy() == pytest.approx(expected)
    assert exact.entropy_standard_error() == 0.0
    even = Posterior(all_dags(3), np.full(25, -7.0), NAMES, exact=True)
    assert even.entropy() == pytest.approx(np.log(25))


def test_entropy_from_weighted_draws_has_an_honest_error(exact):
    rng = np.random.default_rng(5)
    log_proposal = exact.log_weights * 0.7
    log_proposal -= logsumexp(log_proposal)
    z = []
    for _ in range(200):
        drawn = rng.choice(len(exact), size=2000, p=np.exp(log_proposal))
        draws = Posterior(
            exact.adjacency[drawn], exact.log_weights[drawn] - log_proposal[drawn], exact.names
        )
        log_score = log_score_of(exact)
        error = draws.entropy_standard_error(log_score)
        z.append((draws.entropy(log_score) - exact.entropy()) / error)
    # 200 standard normal numbers: the limits are four standard errors of their mean and variance.
    assert abs(np.mean(z)) < 4 / np.sqrt(200)
    assert abs(np.var(z) - 1) < 4 * np.sqrt(2 / 200)


def test_draws_that_do_not_count_do_not_change_the_entropy(exact):
    log_score = log_score_of(exact)
    without = Posterior(exact.adjacency[:2], [0.0, -1.0], exact.names)
    with_one = Posterior(
        exact.adjacency[:3], [np.log(1.5), np.log(1.5) - 1.0, -np.inf], exact.names
    )
    assert with_one.entropy(
        lambda graphs: np.where(
            (graphs == exact.adjacency[2]).all(axis=(1, 2)), -np.inf, log_score(graphs)
        )
    ) == pytest.approx(without.entropy(log_score))


def test_entropy_needs_scores_and_an_evidence(weighted):
    with pytest.raises(ValueError, match="log_score of LocalScores"):
        weighted.entropy()
    chain = Posterior([CHAIN, EMPTY], [0.0, 0.0], NAMES, log_evidence=np.nan)
    with pytest.raises(ValueError, match="needs the log evidence"):
        chain.entropy(lambda graphs: np.zeros(len(graphs)))


def test_mutual_information_of_a_hand_made_posterior(weighted):
    # a -> b has probability 0.4, b -> c 0.8, both 0.4.
    expected = (
        0.4 * np.log(0.4 / (0.4 * 0.8))
        + 0.4 * np.log(0.4 / (0.6 * 0.8))
        + 0.2 * np.log(0.2 / (0.6 * 0.2))
    )
    found = weighted.mutual_information(lambda g: g[0, 1], lambda g: g[1, 2])
    assert found == pytest.approx(expected)
    assert weighted.mutual_information(lambda g: g[0, 1], lambda g: "same") == pytest.approx(0.0)


def test_what_a_graph_says_of_itself_is_its_entropy(exact):
    found = exact.mutual_information(lambda g: g.tobytes(), lambda g: g.tobytes())
    assert found == pytest.approx(exact.entropy())
