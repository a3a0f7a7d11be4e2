"""Predictions of new rows: ratios of marginal likelihoods, averaged over the posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import dag_gfn as dg

CHAIN = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], np.int8)
TARGETS = [None] * 25 + ["X1"] * 5
NEW_TARGETS = [None, "X0", None, "X2"]


def tables(score):
    simulate = {
        "bge": dg.datasets.simulate_linear_gaussian,
        "bde": dg.datasets.simulate_categorical,
    }[score]
    table = simulate(CHAIN, 34, interventions=[*TARGETS, *NEW_TARGETS], random_state=0).table
    if score == "bde":
        table = table.astype(pd.CategoricalDtype(sorted(pd.unique(table.to_numpy().ravel()))))
    return table[:30], table[30:]


@pytest.mark.parametrize("score", ["bge", "bde"])
def test_log_predictive_is_the_difference_of_log_evidences(score):
    """log p(D' | D) = log p(D, D') - log p(D), each summed over all graphs."""
    table, new = tables(score)
    model = dg.ExactPosterior(score).fit(table, interventions=TARGETS)
    both = dg.ExactPosterior(score).fit(
        pd.concat([table, new]), interventions=[*TARGETS, *NEW_TARGETS]
    )
    expected = both.log_evidence_ - model.log_evidence_
    found = model.posterior_.log_predictive(new, interventions=NEW_TARGETS)
    assert found == pytest.approx(expected, abs=1e-9)
    assert model.score(new, interventions=NEW_TARGETS) == pytest.approx(expected / 4, abs=1e-9)
    one_by_one = model.posterior_.log_predictive(new, interventions=NEW_TARGETS, pointwise=True)
    for row in range(4):
        with_row = dg.ExactPosterior(score).fit(
            pd.concat([table, new[row : row + 1]]), interventions=[*TARGETS, NEW_TARGETS[row]]
        )
        alone = with_row.log_evidence_ - model.log_evidence_
        assert one_by_one[row] == pytest.approx(alone, abs=1e-9)


def test_columns_are_matched_by_name_and_arrays_by_position():
    table, new = tables("bge")
    posterior = dg.ExactPosterior().fit(table).posterior_
    expected = posterior.log_predictive(new)
    assert posterior.log_predictive(new[["X2", "X0", "X1"]]) == pytest.approx(expected)
    assert posterior.log_predictive(new.to_numpy()) == pytest.approx(expected)


def test_a_standardised_fit_predicts_in_the_units_of_the_table():
    table, new = tables("bge")
    mean, sd = table.mean(), table.std(ddof=0)
    standardized = dg.ExactPosterior(standardize=True).fit(table).posterior_
    by_hand = dg.ExactPosterior().fit((table - mean) / sd).posterior_
    expected = by_hand.log_predictive((new - mean) / sd) - len(new) * np.log(sd).sum()
    assert standardized.log_predictive(new) == pytest.approx(expected, abs=1e-8)


def test_probabilities_of_all_possible_rows_add_up_to_one():
    table, _ = tables("bde")
    posterior = dg.ExactPosterior("bde").fit(table).posterior_
    states = posterior.mechanisms.states
    grid = np.array(np.meshgrid(*states, indexing="ij"), dtype=object).reshape(3, -1).T
    rows = pd.DataFrame(grid, columns=table.columns)
    assert np.exp(posterior.log_predictive(rows, pointwise=True)).sum() == pytest.approx(1.0)


def test_weights_of_draws_enter_the_average():
    table, new = tables("bge")
    exact = dg.ExactPosterior().fit(table).posterior_
    picked = np.random.default_rng(0).integers(0, len(exact), 4000)
    weighted = dg.Posterior(
        exact.adjacency[picked],
        exact.log_weights[picked],
        exact.names,
        mechanisms=exact.mechanisms,
    )
    assert weighted.log_predictive(new) == pytest.approx(exact.log_predictive(new), abs=0.05)


def test_scikit_learn_scores_and_searches_and_the_setting_stays_a_setting():
    table, _ = tables("bge")
    model = dg.ExactPosterior(score="bge", standardize=True)
    assert model.get_params()["score"] == "bge"
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(score="bde").score_setting == "bde"
    scored = cross_val_score(clone(model.set_params(score="bge")), table, cv=3)
    assert np.isfinite(scored).all()
    search = GridSearchCV(dg.ExactPosterior(), {"prior": ["uniform", "fair"]}, cv=3).fit(table)
    assert search.best_params_["prior"] in ("uniform", "fair")


@pytest.mark.parametrize("score", ["bge", "bde"])
def test_mechanisms_are_saved_and_loaded(score, tmp_path):
    table, new = tables(score)
    posterior = dg.ExactPosterior(score).fit(table, interventions=TARGETS).posterior_
    posterior.save(tmp_path / "posterior.npz")
    loaded = dg.Posterior.load(tmp_path / "posterior.npz")
    assert loaded.log_predictive(new) == pytest.approx(posterior.log_predictive(new), abs=1e-12)
    first, second = (one.causal_effects(random_state=0).draws for one in (posterior, loaded))
    np.testing.assert_array_equal(first, second)
    dg.Posterior([CHAIN], [0.0], list(table.columns)).save(tmp_path / "bare.npz")
    assert dg.Posterior.load(tmp_path / "bare.npz").mechanisms is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda new: new.drop(columns="X1"), "no column: 'X1'"),
        (lambda new: new.assign(X9=1.0), "not a variable of the posterior: 'X9'"),
        (lambda new: new.assign(X1=np.nan), "column 'X1' of the new rows has no value in row 0"),
        (lambda new: new.assign(X1=np.inf), "column 'X1' of the new rows is inf in row 0"),
        (lambda new: new.assign(X1="tall"), "column 'X1' of the new rows must hold numbers"),
        (lambda new: new[:0], "there are no new rows"),
        (lambda new: new.to_numpy()[:, :2], "2 columns, but the posterior has 3"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change, message):
    table, new = tables("bge")
    posterior = dg.ExactPosterior().fit(table).posterior_
    with pytest.raises(ValueError, match=message):
        posterior.log_predictive(change(new))


def test_a_state_that_was_never_declared_is_refused():
    table, new = tables("bde")
    posterior = dg.ExactPosterior("bde").fit(table).posterior_
    strange = new.astype(object)
    strange.iloc[1, 0] = "elsewhere"
    with pytest.raises(ValueError, match="column 'X0' of the new rows is 'elsewhere' in row 1"):
        posterior.log_predictive(strange)
    with pytest.raises(ValueError, match="the intervention 'X7' of row 0 is not a variable"):
        posterior.log_predictive(new, interventions=["X7", None, None, None])
    with pytest.raises(ValueError, match="interventions has 1 targets for 4 new rows"):
        posterior.log_predictive(new, interventions=["X0"])
