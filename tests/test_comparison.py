"""Methods side by side: shared scores, a reference, errors over time, and stand-ins of peers."""

from __future__ import annotations

import sys
import time
import types

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.comparison import METHODS, comparing, parse_budget, reference as reference_module
from dag_gfn.comparison.methods import Method, prepared, resolve_methods
from dag_gfn.comparison.paths import Path, error_path, errors_of, path_of
from dag_gfn.comparison.peers import MarginalDiBS, SumuGadget
from dag_gfn.comparison.reference import worst
from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.mcmc.chains import Chains, Draws

QUIET = {"random_state": 0, "progress": False}


@pytest.fixture(scope="module")
def table():
    return dg.datasets.simulate_linear_gaussian(4, 60, random_state=0).table


_ENDS = np.unique(np.geomspace(2, 1000, 30).astype(int))


class StandIn(PosteriorEstimator):
    """Draws from the exact posterior, dressed as what another method leaves behind."""

    def __init__(self, kind="chain", max_seconds=None, random_state=None, progress=True):
        self.kind = kind
        self.max_seconds = max_seconds
        self.random_state = random_state
        self.progress = progress

    def _check_settings(self):
        pass

    def _infer(self, scores):
        if self.kind == "refuses":
            raise ValueError("this table is too large for me.")
        exact = dg.ExactPosterior().infer(scores).posterior_
        if self.kind == "weighted":
            import warnings

            warnings.warn("do not trust this", UntrustedPosteriorWarning, stacklevel=2)
            # Uniform draws with their scores as weights.
            draws = np.random.default_rng(0).integers(len(exact), size=4000)
            self.posterior_ = dg.Posterior(
                exact.adjacency[draws], exact.log_weights[draws], scores.names
            )
            return
        draws = exact.sample(2000, random_state=0)
        self.posterior_ = dg.Posterior(
            draws, np.zeros(2000), scores.names, log_evidence=np.nan, method="chains"
        )
        paired = draws.reshape(2, 1000, *draws.shape[1:])
        self.chains_ = Chains(
            Draws(paired, np.zeros((2, 1000)), np.zeros((2, 1000))),
            paired.mean(axis=1),
            np.linspace(0.1, 1.0, 1000),
            num_steps=1000,
            thin=1,
            acceptance={},
            path=np.stack([paired[:, :end].mean(axis=(0, 1)) for end in _ENDS]),
            path_seconds=_ENDS / 1000,
        )
        d = scores.num_variables
        self.rhat_ = np.full((d, d), 1.01)
        self.ess_ = np.full((d, d), 900.0)
        self.rhat_[0, 1], self.ess_[0, 1] = 1.04, 700.0
        self.rhat_[np.eye(d, dtype=bool)] = self.ess_[np.eye(d, dtype=bool)] = np.nan


# --- the budget --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [("60s", 60), ("2min", 120), ("1.5h", 5400), (" 90 ", 90), (7, 7), (0.5, 0.5), ("1e2 s", 100)],
)
def test_budgets_are_read(budget, seconds):
    assert parse_budget(budget) == seconds


@pytest.mark.parametrize("budget", ["", "s", "5x", "-1s", 0, "inf", "nan", "1 2", None, True])
def test_what_is_no_time_is_refused(budget):
    with pytest.raises(ValueError, match="budget must be a positive time"):
        parse_budget(budget)


# --- which methods -----------------------------------------------------------------------------


def test_methods_are_found_by_name_or_given():
    mine = dg.ExactPosterior(prior="fair")
    found = resolve_methods(["exact", ("mine", mine), "bootstrap_pc"])
    assert list(found) == ["exact", "mine", "bootstrap_pc"]
    assert found["mine"] is not mine and found["mine"].prior == "fair"
    assert isinstance(found["bootstrap_pc"], dg.BootstrapPC)


@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        (["gibbs"], ValueError, "method must be one of flow, independence, .*, not 'gibbs'"),
        ([], ValueError, "give at least one method"),
        (["exact", "exact"], ValueError, "two methods are called 'exact'"),
        ([("mine", "exact")], TypeError, "method 'mine' must be an estimator"),
    ],
)
def test_bad_methods_are_refused(methods, error, message):
    with pytest.raises(error, match=message):
        resolve_methods(methods)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(
        METHODS,
        "absent",
        Method("dag_gfn.estimators", "ExactPosterior", "no_such_package", "peers"),
    )
    with pytest.raises(ModuleNotFoundError, match=r"no_such_package.*dag_gfn\[peers\]"):
        resolve_methods(["absent"])


def test_what_the_user_set_is_kept():
    settings = {"budget": 5.0, "model": {"score": "bde"}, "seed": 3, "progress": False}
    chosen = prepared(StandIn(max_seconds=2.0), **settings)
    assert (chosen.max_seconds, chosen.random_state, chosen.progress) == (2.0, 3, False)
    free = prepared(StandIn(random_state=8), **settings)
    assert (free.max_seconds, free.random_state) == (5.0, 8)
    # Only what makes its own scores is told which.
    assert prepared(dg.BootstrapGES(), **settings).score_setting == "bde"
    assert prepared(dg.ExactPosterior(), **settings).score_setting == "bge"


# --- a comparison ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparison(table):
    methods = [
        "exact",
        ("chain", StandIn()),
        ("weighted", StandIn("weighted")),
        ("refuses", StandIn("refuses")),
        ("pc", dg.BootstrapPC(n_samples=4)),
    ]
    return dg.compare(table, methods, budget="20s", prior="fair", **QUIET)


def test_the_reference_is_the_exact_posterior(comparison, table):
    exact = dg.ExactPosterior(prior="fair").fit(table)
    pd.testing.assert_frame_equal(comparison.reference, exact.edge_marginals_)
    assert comparison.reference_is_exact
    assert comparison.reference_name == "the exact posterior (ExactPosterior)"
    row = comparison.summary.loc["exact"]
    assert row["max_error"] == row["mean_error"] == 0
    assert np.isinf(row["ess"])


def test_the_scores_are_the_same_for_all(comparison):
    # The stand-in draws from the posterior of the scores it is given: 4.5 standard errors.
    worst_error = 4.5 * 0.5 / np.sqrt(2000)
    assert 0 < comparison.summary.loc["chain", "max_error"] < worst_error
    assert comparison.summary.loc["weighted", "max_error"] < 0.1


def test_figures_are_those_of_the_method(comparison):
    summary = comparison.summary
    chain = summary.loc["chain"]
    assert chain["rhat"] == 1.04 and chain["ess"] == 700  # the worst of all edges
    assert chain["ess_per_second"] == pytest.approx(700 / chain["wall_seconds"])
    assert np.isnan(chain["khat"])
    weighted, posterior = summary.loc["weighted"], comparison.posteriors["weighted"]
    assert weighted["khat"] == posterior.khat and weighted["ess"] == posterior.ess
    assert np.isnan(weighted["rhat"])
    pc = summary.loc["pc"]
    assert np.isnan(pc[["ess", "khat", "rhat"]].astype(float)).all()
    assert pc["remark"] == "bootstrap frequencies of PC, not a posterior"
    for name, marginals in comparison.marginals.items():
        error = dg.metrics.edge_error(marginals, comparison.reference)
        assert summary.loc[name, "max_error"] == error.max
        assert summary.loc[name, "mean_error"] == error.mean


def test_a_method_that_refuses_leaves_the_others(comparison):
    row = comparison.summary.loc["refuses"]
    assert row["remark"] == "this table is too large for me."
    assert row.drop(["remark", "wall_seconds"]).isna().all()
    assert "refuses" not in comparison.marginals
    assert "refuses" not in set(comparison.errors_over_time["method"])


def test_errors_over_time(comparison):
    errors = comparison.errors_over_time
    assert errors.columns.tolist() == ["method", "seconds", "max_error", "mean_error"]
    counts = errors["method"].value_counts()
    assert counts["exact"] == counts["weighted"] == counts["weighted, unweighted"] == 1
    chain = errors[errors["method"] == "chain"]
    assert len(chain) > 20
    assert chain["max_error"].iloc[0] > 5 * chain["max_error"].iloc[-1]
    raw = comparison.posteriors["weighted"].adjacency.mean(axis=0)
    last = errors[errors["method"] == "weighted, unweighted"]["max_error"].item()
    expected = dg.metrics.edge_error(raw, comparison.reference.to_numpy()).max
    assert last == pytest.approx(expected)


def test_it_is_printed_with_what_it_is_measured_against(comparison):
    for text in (str(comparison), comparison._repr_html_()):
        assert "Errors are against the exact posterior (ExactPosterior)" in text
        assert "each method had 20 s" in text
        assert "refuses: this table is too large for me." in text
        assert "bootstrap frequencies of PC, not a posterior" in text
        for name in comparison.summary.index:
            assert name in text
    assert repr(comparison).startswith("<Comparison of exact, chain")


def test_constraints_reach_every_method(table):
    names = table.columns
    edges = iter([(names[0], names[1])])  # an iterator can be read only once
    comparison = dg.compare(
        table,
        ["exact", "bootstrap_ges", ("chain", StandIn())],
        budget=5,
        forbidden_edges=edges,
        **QUIET,
    )
    assert comparison.reference.loc[names[0], names[1]] == 0
    assert comparison.marginals["chain"].loc[names[0], names[1]] == 0
    assert "GES cannot honour forbidden_edges" in comparison.summary.loc["bootstrap_ges", "remark"]


@pytest.mark.parametrize(
    "words",
    [
        {"tiers": pd.Series({"X1": 1, "X0": 2})},
        {"tiers": iter([["X1"], ["X0"]])},
        {"edge_probabilities": {("X0", "X1"): 0, ("X2", "X3"): 0.9}},
    ],
    ids=["series", "lists", "probabilities"],
)
def test_knowledge_reaches_every_method(table, words):
    methods = ["exact", "bootstrap_pc", ("chain", StandIn())]
    comparison = dg.compare(table, methods, budget=5, **words, **QUIET)
    assert comparison.reference.loc["X0", "X1"] == comparison.marginals["chain"].iloc[0, 1] == 0
    assert "PC cannot honour" in comparison.summary.loc["bootstrap_pc", "remark"]


def test_bad_words_are_refused_before_anything_runs(table, monkeypatch):
    monkeypatch.setattr(comparing, "find_reference", None)
    with pytest.raises(ValueError, match="method must be one of"):
        dg.compare(table, ["gibbs"])
    with pytest.raises(ValueError, match="budget must be"):
        dg.compare(table, ["exact"], budget="soon")
    with pytest.raises(ValueError, match="prior must be one of"):
        dg.compare(table, ["exact"], prior="strong")


# --- the reference where the exact one is out of reach -------------------------------------------


def test_elsewhere_the_reference_is_a_long_partition_chain(table, monkeypatch):
    monkeypatch.setattr(reference_module, "exact_reference", lambda scores, progress: None)
    started = []

    class Partition(StandIn):
        def _infer(self, scores):
            started.append(self.max_seconds)
            super()._infer(scores)

    monkeypatch.setitem(METHODS, "partition", Method(__name__, "Partition"))
    module = types.ModuleType(__name__)
    module.Partition = Partition
    monkeypatch.setitem(sys.modules, __name__, module)
    comparison = dg.compare(table, ["exact", "partition"], budget=2, **QUIET)
    assert started == [5 * 2.0, 2.0]
    assert not comparison.reference_is_exact
    assert "a partition chain of" in comparison.reference_name
    assert comparison.reference_name.endswith("(R-hat 1.040, which has not settled), not exact")
    assert comparison.summary.loc["exact", "max_error"] > 0


def test_a_table_too_large_for_the_exact_posterior_has_no_exact_reference(monkeypatch):
    scores = dg.local_scores(np.random.default_rng(0).normal(size=(50, 3)))

    def refuse(self, scores):
        raise ValueError("too many variables")

    monkeypatch.setattr(dg.ExactPosterior, "_infer", refuse)
    assert reference_module.exact_reference(scores) is None


def test_the_worst_diagnostic():
    assert worst([[np.nan, 1.2], [1.1, np.nan]], np.nanmax) == 1.2
    assert np.isnan(worst(np.nan, np.nanmax))
    assert worst(pd.DataFrame([[3.0, 2.0]]), np.nanmin) == 2


# --- the path ----------------------------------------------------------------------------------


def test_the_path_of_weighted_draws_ends_at_their_weighted_mean():
    rng = np.random.default_rng(0)
    adjacency = np.zeros((3, 500, 2, 2), np.int8)
    adjacency[..., 0, 1] = rng.random((3, 500)) < 0.4
    log_weights = rng.normal(size=(3, 500)) - 2000.0
    reference = pd.DataFrame([[0, 0.5], [0, 0]])
    path = Path(adjacency, log_weights, np.arange(500) / 100)
    errors = error_path(path, reference)
    weights = np.exp(log_weights + 2000.0)
    for row in errors.itertuples():
        end = int(round(row.seconds * 100)) + 1
        mean = np.average(adjacency[:, :end, 0, 1], weights=weights[:, :end])
        assert row.max_error == pytest.approx(abs(mean - 0.5))
        assert row.mean_error == pytest.approx(abs(mean - 0.5) / 2)
    assert errors["seconds"].is_monotonic_increasing and len(errors) <= 40
    assert errors["seconds"].iloc[-1] == 4.99


def test_draws_that_came_together_count_together():
    adjacency = np.zeros((1, 4, 2, 2), np.int8)
    adjacency[0, :, 0, 1] = [1, 1, 0, 1]
    path = Path(adjacency, np.zeros((1, 4)), np.array([0.5, 0.5, 0.5, 1.0]))
    errors = error_path(path, pd.DataFrame([[0, 0.75], [0, 0]]))
    assert errors["seconds"].tolist() == [0.5, 1.0]
    assert errors["max_error"].tolist() == pytest.approx([0.75 - 2 / 3, 0.0])


def test_methods_without_a_path_have_none():
    assert path_of(dg.ExactPosterior()) is None
    assert errors_of(dg.ExactPosterior(), pd.DataFrame(np.zeros((2, 2)))) is None


def test_the_path_of_chains_ends_at_the_marginals_of_all_steps():
    scores = dg.local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    chains = dg.StructureMCMC(num_steps=200_000, n_samples=8000, progress=False, random_state=0)
    chains.infer(scores)
    exact = dg.ExactPosterior().infer(scores).edge_marginals_
    errors = errors_of(chains, exact)
    assert errors["seconds"].is_monotonic_increasing
    assert np.all(errors["seconds"].diff().iloc[1:] > 0)
    last = np.abs(chains.chains_.path[-1] - exact.to_numpy()).max()
    assert errors["max_error"].iloc[-1] == pytest.approx(last)
    assert last < 0.02


# --- peers, as stand-ins of their packages ------------------------------------------------------


class FakeGadget:
    """What the adapter calls of sumu 0.1.2; draws from the posterior under the prior "fair"."""

    def __init__(self, **settings):
        self.settings = settings
        values = settings["data"].values
        assert settings["scoref"] == "bge" and values.dtype == np.float64
        self.exact = dg.ExactPosterior(prior="fair").fit(values).posterior_

    def _init_mcmc(self):
        self.mcmc = types.SimpleNamespace(sample=lambda: (time.sleep(1e-5), 0.0))

    _find_candidate_parents = lambda self: None  # noqa: E731
    _precompute_scores_for_all_candidate_psets = _find_candidate_parents
    _precompute_candidate_restricted_scoring = _find_candidate_parents
    _precompute_candidate_complement_scoring = _find_candidate_parents

    def _sample_dags(self):
        size = len(self.Rs)
        draws = np.random.choice(len(self.exact), size=size, p=self.exact.weights)  # noqa: NPY002
        dags = [
            [
                (node, tuple(np.flatnonzero(graph[:, node]))) if graph[:, node].any() else (node,)
                for node in range(len(graph))
            ]
            for graph in self.exact.adjacency[draws]
        ]
        return dags, list(self.exact.log_weights[draws])


@pytest.fixture
def fake_sumu(monkeypatch):
    module = types.ModuleType("sumu")
    module.Gadget = FakeGadget
    module.Data = lambda values, discrete: types.SimpleNamespace(values=values)
    module.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "sumu", module)


@pytest.mark.parametrize("prior", ["uniform", "fair"])
def test_sumu_is_weighted_to_the_prior_of_the_others(fake_sumu, table, prior):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    model = SumuGadget(prior=prior, n_samples=1000, max_seconds=0.5, **QUIET).fit(table)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    posterior = model.posterior_
    assert 1000 <= len(posterior) < 2000
    assert (np.ptp(posterior.log_weights) == 0) == (prior == "fair")
    assert np.isnan(posterior.log_evidence)
    exact = dg.ExactPosterior(prior=prior).fit(table).edge_marginals_
    error = (posterior.edge_marginals() - exact).abs()
    assert (error <= 4.5 * posterior.edge_marginals_standard_error() + 5e-3).all(axis=None)


def test_sumu_takes_part_in_a_comparison(fake_sumu, table):
    comparison = dg.compare(table, ["sumu"], budget=0.5, **QUIET)
    row = comparison.summary.loc["sumu"]
    assert row["max_error"] < 0.1
    assert np.isnan(row["ess"])  # a single chain says nothing of how its draws depend


class FakeMarginalDiBS:
    """What the adapter calls of dibs-lib 1.3: two DAGs and a graph with a cycle."""

    def __init__(self, *, x, graph_model, likelihood_model):
        assert x.dtype == np.float32 and likelihood_model.n_vars == x.shape[1]
        self.prior, self.d = graph_model, x.shape[1]

    def sample(self, *, key, n_particles, steps, callback_every, callback):
        for t in range(0, steps, callback_every):
            callback(dibs=self, t=t + callback_every, zs=np.zeros(3))
        return self.particle_to_g_lim(np.zeros(3))

    def particle_to_g_lim(self, zs):
        graphs = np.zeros((3, self.d, self.d), dtype=np.int32)
        graphs[0, 0, 1] = graphs[2, 0, 1] = graphs[2, 1, 0] = 1
        return graphs


@pytest.fixture
def fake_dibs(monkeypatch):
    package, inference, models = (
        types.ModuleType(name) for name in ("dibs", "dibs.inference", "dibs.models")
    )
    inference.MarginalDiBS = FakeMarginalDiBS
    models.BGe = lambda n_vars: types.SimpleNamespace(n_vars=n_vars)
    package.inference, package.models = inference, models
    for module in (package, inference, models):
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize(("max_seconds", "num_steps"), [(60.0, 200), (0.0, 50)])
def test_dibs_leaves_out_particles_with_a_cycle(fake_dibs, table, max_seconds, num_steps):
    model = MarginalDiBS(num_steps=200, max_seconds=max_seconds, **QUIET).fit(table)
    assert model.posterior_.metadata == {"num_steps": num_steps, "num_cyclic": 1}
    assert model.posterior_.edge_marginals().to_numpy()[0, 1] == 0.5
    assert np.isnan(model.posterior_.log_evidence)


def test_the_prior_that_dibs_asks_for_is_that_of_whole_graphs(table):
    from dag_gfn.comparison.peers import _InterpolatedPrior

    scores = dg.local_scores(table, prior="fair")
    prior = _InterpolatedPrior(scores.log_prior)
    graph = np.triu(np.ones((4, 4), np.float32), 1)
    expected = scores.log_prior.sum()  # in-degrees 0, 1, 2, 3
    assert float(prior.unnormalized_log_prob_soft(soft_g=graph)) == pytest.approx(expected)


@pytest.mark.parametrize("peer", [SumuGadget, MarginalDiBS])
@pytest.mark.parametrize(
    ("settings", "words", "message"),
    [
        ({"score": "bde"}, {}, "run with BGe and its default hyper-parameters"),
        ({"score_params": {"alpha_mu": 2.0}}, {}, "run with BGe and its default hyper-parameters"),
        ({"max_parents": 1}, {}, "without interventions and without constraints"),
        ({}, {"required_edges": [(0, 1)]}, "without interventions and without constraints"),
        ({}, {"tiers": [[0], [1]]}, "without interventions and without constraints"),
        ({}, {"edge_probabilities": {(0, 1): 0.9}}, "or probabilities of edges"),
        ({}, {"interventions": [0] + [None] * 59}, "without interventions and without constraints"),
    ],
)
def test_what_peers_do_not_know_is_refused(peer, settings, words, message, table):
    with pytest.raises(ValueError, match=message):
        peer(**settings, **QUIET).fit(table, **words)
    with pytest.raises(TypeError, match="makes scores of its own"):
        peer(**QUIET).infer(dg.local_scores(table))


# --- the real chains -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")
def test_chains_have_a_path_that_ends_at_their_answer(table):
    kinds = [dg.StructureMCMC, dg.OrderMCMC, dg.PartitionMCMC]
    for kind in kinds:
        # Compiled now, since the budget would be spent on it.
        kind(num_steps=100, n_samples=40, **QUIET).infer(dg.local_scores(table))
    methods = ["structure", "order", "partition"]
    comparison = dg.compare(table, methods, budget=1, **QUIET)
    summary = comparison.summary
    assert summary["remark"].eq("").all()
    assert (summary["ess"] > 100).all()
    # Of the largest of 12 errors; weights and draws of its own make the one of orders larger.
    standard_error = 0.5 / np.sqrt(summary["ess"].astype(float))
    assert (summary["max_error"] < 5 * standard_error + 0.05).all()
    for name in methods:
        errors = comparison.errors_over_time.query("method == @name")
        assert errors["seconds"].is_monotonic_increasing
        assert errors["max_error"].iloc[-1] == summary.loc[name, "max_error"]
