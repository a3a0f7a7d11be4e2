from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dag_gfn import ExactPosterior, local_scores
from dag_gfn.exact import enumerate_posterior


def measurements(d, num_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(num_rows, d))
    values[:, 1:] += 0.6 * values[:, :-1]
    return pd.DataFrame(values, columns=[f"gene{j}" for j in range(d)])


def categories(d, num_rows=60, seed=0):
    codes = np.random.default_rng(seed).integers(0, 2, (num_rows, d))
    codes[:, 1:] |= codes[:, :-1]
    return pd.DataFrame(codes, columns=[f"item{j}" for j in range(d)]).astype("category")


def test_up_to_five_variables_all_graphs_are_kept():
    table = measurements(5)
    expected = enumerate_posterior(local_scores(table))
    model = ExactPosterior().fit(table)
    assert model.posterior_.exact and len(model.posterior_) == 29_281
    assert model.log_evidence_ == expected.log_evidence
    assert 0 < model.error_estimate_ < 1e-12


def test_beyond_five_variables_marginals_are_exact_and_graphs_are_drawn():
    table = measurements(8)
    model = ExactPosterior(progress=False, random_state=0).fit(table)
    posterior = model.posterior_
    assert len(posterior) == 10_000 and not posterior.exact
    assert not posterior.log_weights.any() and posterior.log_evidence == model.log_evidence_
    assert model.error_estimate_ < 1e-10
    assert not hasattr(model, "markov_blanket_marginals_")
    for name in ("edge_marginals", "path_marginals"):
        exact = getattr(model, f"{name}_")
        assert list(exact.index) == list(exact.columns) == list(table.columns)
        limit = 5 * np.sqrt(exact * (1 - exact) / len(posterior)) + 5 / len(posterior)
        assert ((getattr(posterior, name)() - exact).abs() <= limit).to_numpy().all()
    assert np.diag(model.edge_marginals_).sum() == np.diag(model.path_marginals_).sum() == 0
    assert (model.path_marginals_ >= model.edge_marginals_ - 1e-9).to_numpy().all()


def test_a_sixth_column_without_edges_changes_no_marginal():
    # Counts of five columns do not depend on the sixth, so enumeration is a check beyond five.
    table = categories(6)
    words = {"forbidden_edges": [(i, 5) for i in range(5)] + [(5, i) for i in range(5)]}
    five = ExactPosterior("bde").fit(table.iloc[:, :5])
    six = ExactPosterior("bde", n_samples=10, progress=False).fit(table, **words)
    for name in ("edge_marginals_", "path_marginals_"):
        np.testing.assert_allclose(
            getattr(six, name).iloc[:5, :5], getattr(five, name), rtol=0, atol=1e-9
        )
    alone = local_scores(table, "bde").local_score(5, [])
    assert six.log_evidence_ == pytest.approx(five.log_evidence_ + alone, abs=1e-9)


def test_constraints_hold_of_every_draw_and_of_the_marginals():
    table = measurements(7)
    model = ExactPosterior(max_parents=2, n_samples=500, progress=False, random_state=0).fit(
        table, required_edges=[("gene0", "gene3")], forbidden_edges=[("gene1", "gene2")]
    )
    graphs = model.posterior_.adjacency
    assert graphs[:, 0, 3].all() and not graphs[:, 1, 2].any()
    assert graphs.sum(axis=1).max() == 2
    assert model.edge_marginals_.loc["gene0", "gene3"] == pytest.approx(1)
    assert model.edge_marginals_.loc["gene1", "gene2"] == 0
    assert model.path_marginals_.loc["gene3", "gene0"] < 1e-12
    assert np.isfinite(model.scores_.log_score(graphs)).all()


def test_random_state_reproduces_the_draws():
    table = measurements(6)
    graphs = [
        ExactPosterior(n_samples=50, progress=False, random_state=seed)
        .fit(table)
        .posterior_.adjacency
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(graphs[0], graphs[1])
    assert np.any(graphs[0] != graphs[2])


def test_a_second_fit_leaves_nothing_of_the_first():
    model = ExactPosterior(n_samples=10, progress=False)
    assert hasattr(model.fit(measurements(3)), "markov_blanket_marginals_")
    assert not hasattr(model.fit(measurements(6)), "markov_blanket_marginals_")


def test_a_progress_bar_is_shown_where_asked_for(capsys):
    ExactPosterior(n_samples=10, progress=True).fit(measurements(6))
    shown = capsys.readouterr().err
    for phase in ("local scores", "sums over sets", "marginals", "draws"):
        assert phase in shown
    ExactPosterior(n_samples=10, progress=False).fit(measurements(6))
    assert capsys.readouterr().err == ""


def test_too_many_variables_are_refused_before_any_work():
    with pytest.raises(ValueError, match="of 30 variables would take .* GiB .*; use PartitionMCMC"):
        ExactPosterior().fit(measurements(30, num_rows=100))
