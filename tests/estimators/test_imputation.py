"""Tables with missing values, against sums and integrals over what the values may be."""

from __future__ import annotations

import inspect
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import dag_gfn as dg
from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.graphs import all_dags
from dag_gfn.posterior import Posterior

QUIET = {"progress": False, "random_state": 0}
PAIR_TARGETS = [None] * 4 + ["a"] * 3 + ["b"] * 3
PAIR_HOLES = [(4, "b"), (8, "a")]
FEW = {"num_tables": 8, "burn_in": 1, "n_samples": 80} | QUIET


def measurements(num_rows: int = 40, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(num_rows, 3))
    values[:, 1] += 0.5 * values[:, 0]
    return pd.DataFrame(values, columns=["a", "b", "c"])


def categories(num_rows: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, num_rows)
    b = np.where(rng.random(num_rows) < 0.8, a, 1 - a)
    return pd.DataFrame({"a": a, "b": b, "c": rng.integers(0, 3, num_rows)})


def with_holes(table: pd.DataFrame, *holes: tuple[int, str]) -> pd.DataFrame:
    table = table.copy()
    for row, name in holes:
        table.loc[row, name] = np.nan
    return table


def pair(seed: int) -> pd.DataFrame:
    """Return two columns, each set in three of ten rows and missing in one where the other was."""
    rng = np.random.default_rng(seed)
    a, noise = rng.normal(size=(2, 10))
    b = 1.5 * a + 0.7 * noise
    b[7:] = 1.5 * rng.normal(size=3)
    return with_holes(pd.DataFrame({"a": 5 + 3 * a, "b": b}), *PAIR_HOLES)


def exact_model(*settings, **words) -> dg.ExactPosterior:
    return dg.ExactPosterior(*settings, progress=False, **words)


def expected_failures(estimator):
    return {
        "check_estimators_dtypes": (
            "integers with few values are refused by BGe as codes of categories, on purpose"
        ),
    }


# The array API check is skipped with a warning where SCIPY_ARRAY_API is not set.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [dg.MultipleImputation(exact_model(), **FEW)], expected_failed_checks=expected_failures
)
def test_scikit_learn(estimator, check):
    check(estimator)


# --- theory ------------------------------------------------------------------------------------


def edges_given_observed(log_scores: np.ndarray) -> np.ndarray:
    """Return edge marginals [d, d] from log p(D, G) of each completion, [completions, G]."""
    dags = all_dags(2 if log_scores.shape[1] == 3 else 3)
    log_joint = logsumexp(log_scores, axis=0)
    return np.tensordot(np.exp(log_joint - logsumexp(log_joint)), dags, axes=1)


def check_against(model: dg.MultipleImputation, exact: np.ndarray, wrong: list[np.ndarray]):
    """Assert that the marginals are right, and that wrong ones would have been found out."""
    # Beyond 4.5 standard errors once in 10^5, and somewhat more often as they are estimated; the
    # rest is for the quadrature.
    limit = 4.5 * model.edge_standard_errors_.to_numpy() + 0.002
    assert (np.abs(model.edge_marginals_ - exact) <= limit).all(axis=None)
    for other in wrong:
        assert (np.abs(other - exact) > 2 * limit).any(axis=None)
    # The pooled draws are resampled, as many of each table.
    pooled = model.posterior_.edge_marginals() - model.edge_marginals_
    assert pooled.abs().max(axis=None) < 2.5 / np.sqrt(len(model.posterior_))


# Far out in the tails the columns differ in scale.
@pytest.mark.filterwarnings("ignore:the standard deviations of the columns differ:UserWarning")
@pytest.mark.parametrize(("seed", "standardize"), [(2, False), (5, True)])
def test_measurements_against_the_integral(seed, standardize):
    """p(G | observed) by quadrature over two cells, each missing beside a variable that was set."""
    table, words = pair(seed), {"interventions": PAIR_TARGETS}
    scored = (table - table.mean()) / table.std(ddof=0) if standardize else table.copy()
    mean, spread = scored.mean(), scored.std()
    # The integrand has the tails of Student's t, which sinh makes exponential ones; so many nodes
    # leave an error of 0.002.
    log_scores = []
    for places in product(np.linspace(-5, 5, 21), repeat=2):
        for (row, name), place in zip(PAIR_HOLES, places, strict=True):
            scored.loc[row, name] = mean[name] + spread[name] * np.sinh(place)
        scores = dg.local_scores(scored, **words)
        log_scores.append(scores.log_score(all_dags(2)) + np.log(np.cosh(places)).sum())
    exact = edges_given_observed(np.array(log_scores))

    inside = exact_model(standardize=standardize)
    model = dg.MultipleImputation(inside, num_tables=400, **QUIET).fit(table, **words)
    filled = inside.fit(table.fillna(table.mean()), **words).edge_marginals_
    check_against(model, exact, [filled])


def test_categories_against_the_sum():
    """p(G | observed) by summing over all states of eight cells."""
    rng = np.random.default_rng(5)
    a = rng.random(30) < 0.5
    b = np.where(rng.random(30) < 0.85, a, ~a)
    b[18:24] = rng.random(6) < 0.5
    c = np.where(rng.random(30) < 0.85, b, ~b)
    c[24:] = rng.random(6) < 0.5
    targets = [None] * 18 + ["b"] * 6 + ["c"] * 6
    holes = [(0, "a"), (1, "a"), (1, "c"), (2, "b"), (3, "b"), (20, "a"), (26, "b"), (27, "a")]
    table = with_holes(pd.DataFrame({"a": a, "b": b, "c": c}).astype(int).astype(float), *holes)
    declared = pd.CategoricalDtype([0.0, 1.0])
    log_scores = []
    for states in product([0.0, 1.0], repeat=len(holes)):
        completed = table.copy()
        for (row, name), state in zip(holes, states, strict=True):
            completed.loc[row, name] = state
        scores = dg.local_scores(completed.astype(declared), "bde", interventions=targets)
        log_scores.append(scores.log_score(all_dags(3)))
    exact = edges_given_observed(np.array(log_scores))

    inside = exact_model("bde")
    model = dg.MultipleImputation(inside, num_tables=300, **QUIET)
    model.fit(table, interventions=targets)
    modes = table.fillna(table.mode().iloc[0]).astype(declared)
    kept = table.dropna()
    wrong = [
        inside.fit(modes, interventions=targets).edge_marginals_,
        inside.fit(
            kept.astype(declared), interventions=[targets[row] for row in kept.index]
        ).edge_marginals_,
    ]
    check_against(model, exact, wrong)


@pytest.mark.parametrize("score", ["bge", "bde"])
def test_rows_without_any_value_say_nothing(score):
    table = measurements(12) if score == "bge" else categories(30)[["a", "b"]].astype("category")
    exact = exact_model(score).fit(table).edge_marginals_
    longer = pd.concat([table, table.iloc[:3]], ignore_index=True)
    longer.iloc[-3:] = np.nan
    model = dg.MultipleImputation(exact_model(score), num_tables=150, **QUIET).fit(longer)
    assert model.posterior_.metadata["num_missing"] == 3 * table.shape[1]
    limit = 4.5 * model.edge_standard_errors_
    assert ((model.edge_marginals_ - exact).abs() <= limit).all(axis=None)
    assert (limit.max() < 0.15).all()


def test_networks_are_drawn_given_what_was_observed():
    """A leaf that is missing beside its cause leaves its mechanism to the complete rows."""
    table = measurements(15, seed=1)[["a", "b"]]
    known = {"required_edges": [("a", "b")]}
    model = dg.MultipleImputation(exact_model(), num_tables=400, **QUIET)
    model.fit(with_holes(table, *((row, "b") for row in range(6))), **known)
    mechanisms = exact_model().fit(table[6:], **known).posterior_.mechanisms
    graph = np.array([[[0, 1], [0, 0]]], np.int8)
    expected = mechanisms.mean_parameters(graph, np.zeros(1))
    for name in ("coefficients", "intercepts", "variances"):
        drawn = getattr(model.networks_, name)[..., 1].reshape(400, -1)[:, :1]
        # Batch means see the autocorrelation; Student's t with 24 degrees of freedom.
        batches = drawn.reshape(25, 16).mean(axis=1)
        error = batches.std(ddof=1) / 5
        assert abs(batches.mean() - getattr(expected, name)[..., 1].ravel()[0]) < 4.5 * error


# --- the scale ---------------------------------------------------------------------------------


def test_units_do_not_matter_when_standardised():
    table = with_holes(measurements(20), (0, "b"), (1, "b"), (1, "c"), (5, "a"))
    shift, unit = np.array([5.0, -300.0, 0.0]), np.array([1e-3, 40.0, 2.0])
    model, other = (
        dg.MultipleImputation(exact_model(standardize=True), **FEW).fit(given)
        for given in (table, shift + unit * table)
    )
    np.testing.assert_allclose(
        model.table_edge_marginals_, other.table_edge_marginals_, rtol=1e-6, atol=1e-9
    )
    np.testing.assert_array_equal(model.networks_.adjacency, other.networks_.adjacency)
    slopes = model.networks_.coefficients * unit / unit[:, None]
    np.testing.assert_allclose(other.networks_.coefficients, slopes, rtol=1e-6)
    variances = model.networks_.variances * unit**2
    np.testing.assert_allclose(other.networks_.variances, variances, rtol=1e-6)


def test_the_scale_is_that_of_the_observed_values_in_every_table(monkeypatch):
    table = with_holes(measurements(20), (0, "b"), (1, "b"), (5, "a"))
    seen = []
    fit = dg.ExactPosterior.fit

    def watched(self, X, *args, **words):
        seen.append((X.copy(), self.standardize))
        return fit(self, X, *args, **words)

    monkeypatch.setattr(dg.ExactPosterior, "fit", watched)
    dg.MultipleImputation(exact_model(standardize=True), **FEW).fit(table)
    observed = ((table - table.mean()) / table.std(ddof=0)).to_numpy()
    present = ~np.isnan(observed)
    assert len(seen) == 9
    for completed, standardize in seen:
        assert not standardize
        np.testing.assert_allclose(completed.to_numpy()[present], observed[present])
    imputed = np.array([completed.to_numpy()[~present] for completed, _ in seen])
    assert len(np.unique(imputed)) == imputed.size


# --- what a fit shows --------------------------------------------------------------------------


def test_a_table_without_missing_values_is_fitted_once():
    table, targets = measurements(), [None] * 30 + ["b"] * 10
    model = dg.MultipleImputation(exact_model(standardize=True), **FEW)
    # Imperfect interventions need no draws here.
    model.fit(table, interventions=targets, conditions=targets)
    inside = exact_model(standardize=True).fit(table, interventions=targets, conditions=targets)
    assert model.posterior_.exact and model.posterior_.log_evidence == inside.log_evidence_
    pd.testing.assert_frame_equal(model.edge_marginals_, inside.edge_marginals_)
    assert not model.edge_standard_errors_.to_numpy().any()
    assert len(model.networks_) == 8
    assert model.accuracy_.between_share == 0
    assert np.isfinite(model.score(measurements(10, seed=1)))


def test_what_a_fit_shows():
    table = with_holes(measurements(), (0, "b"), (7, "c"))
    model = dg.MultipleImputation(exact_model(), **FEW | {"n_samples": 100}).fit(table)
    posterior = model.posterior_
    assert isinstance(posterior, Posterior) and not posterior.exact
    assert len(posterior) == 8 * 13 and np.ptp(posterior.weights) == 0
    assert np.isnan(posterior.log_evidence) and posterior.mechanisms is None
    assert posterior.method == "multiple imputation, each table by ExactPosterior"
    expected = {"num_tables": 8, "burn_in": 1, "num_missing": 2}
    assert expected.items() <= posterior.metadata.items()
    assert posterior.metadata["effective_tables"] == model.accuracy_.effective_tables
    assert model.table_edge_marginals_.shape == (8, 3, 3)
    assert list(model.edge_marginals_.index) == ["a", "b", "c"] == list(model.feature_names_in_)
    assert model.estimator_.posterior_.names == posterior.names
    assert len(model.networks_) == 8
    assert not hasattr(model.estimator, "posterior_")
    # A complete table afterwards leaves nothing behind.
    assert model.fit(measurements()).table_edge_marginals_.shape == (1, 3, 3)


def test_posterior_can_be_saved(tmp_path):
    table = with_holes(categories(), (0, "b"))
    posterior = dg.MultipleImputation(exact_model("bde"), **FEW).fit(table).posterior_
    posterior.save(tmp_path / "posterior.npz")
    again = Posterior.load(tmp_path / "posterior.npz")
    assert again.metadata == posterior.metadata


def test_random_state_reproduces_a_fit():
    table = with_holes(measurements(12), (0, "b"), (7, "c"))
    inside = exact_model(n_samples=50, random_state=3)
    one, same, other = (
        dg.MultipleImputation(inside, **FEW | {"random_state": seed}).fit(table)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.posterior_.adjacency, same.posterior_.adjacency)
    np.testing.assert_array_equal(one.networks_.variances, same.networks_.variances)
    assert (one.networks_.variances != other.networks_.variances).all()
    # The seed of the estimator inside would have drawn the same graphs from like posteriors.
    draws = one.posterior_.adjacency.reshape(8, 10, 3, 3)
    assert len(np.unique(draws, axis=0)) == 8


def test_parameters_are_those_of_the_estimator_inside_too():
    model = dg.MultipleImputation(exact_model("bde", prior="edge"), **FEW)
    assert model.get_params()["estimator__score"] == "bde" == model.score_setting
    copy = clone(model).set_params(estimator__prior="fair", num_tables=9)
    assert copy.estimator.prior == "fair" and model.estimator.prior == "edge"
    assert copy.num_tables == 9


def test_fit_has_the_words_of_the_other_estimators():
    ours = inspect.signature(dg.MultipleImputation.fit)
    assert ours == inspect.signature(PosteriorEstimator.fit)


def test_words_of_fit_hold_in_every_table():
    table = with_holes(measurements(), (0, "b"), (7, "c"))
    targets = [None] * 30 + ["b"] * 10
    model = dg.MultipleImputation(exact_model(), **FEW).fit(
        table,
        interventions=iter(targets),
        required_edges=iter([("a", "c")]),
        forbidden_edges=((cause, "b") for cause in ["c"]),
        tiers=iter([["a"], ["b"]]),
        max_parents=1,
    )
    # What was used up by the first table would not hold in the others.
    np.testing.assert_allclose(model.table_edge_marginals_[:, 0, 2], 1)
    assert (model.table_edge_marginals_[:, [1, 2], [0, 1]] == 0).all()
    assert model.posterior_.adjacency.sum(axis=1).max() == 1
    assert model.networks_.adjacency[:, 0, 2].all()
    assert model.estimator_.scores_.likelihood.num_rows.tolist() == [40, 30]


def test_chains_inside():
    table = with_holes(measurements(), (0, "b"), (7, "c"))
    inside = dg.StructureMCMC(num_steps=100_000, n_samples=4000)
    model = dg.MultipleImputation(inside, **FEW).fit(table)
    exact = dg.MultipleImputation(exact_model(), **FEW).fit(table)
    assert (model.edge_marginals_ - exact.edge_marginals_).abs().max(axis=None) < 0.05
    assert model.estimator_.chains_.draws.adjacency.shape[0] == 4


# --- kinds of columns --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float", "Int64", "text", "object", "category"])
def test_kinds_of_categories(kind):
    table = categories().astype(float)
    change = {
        "float": lambda t: t,
        "Int64": lambda t: t.astype("Int64"),
        "text": lambda t: t.replace({0.0: "no", 1.0: "so", 2.0: "yes"}),
        "object": lambda t: t.astype("Int64").astype(object).where(t.notna(), None),
        "category": lambda t: t.astype(pd.CategoricalDtype([0.0, 1.0, 2.0, 3.0])),
    }[kind]
    given = change(with_holes(table, (0, "a"), (1, "b"), (4, "c"), (9, "c")))
    model = dg.MultipleImputation(exact_model("bde"), **FEW).fit(given)
    states = model.networks_.states
    expected = {"text": (("no", "so"),) * 2 + (("no", "so", "yes"),)}
    expected["category"] = ((0.0, 1.0, 2.0, 3.0),) * 3
    assert states == expected.get(kind, ((0, 1), (0, 1), (0, 1, 2)))
    # What the states are called does not matter.
    if kind != "category":
        plain = with_holes(table, (0, "a"), (1, "b"), (4, "c"), (9, "c"))
        reference = dg.MultipleImputation(exact_model("bde"), **FEW).fit(plain)
        np.testing.assert_array_equal(model.table_edge_marginals_, reference.table_edge_marginals_)


@pytest.mark.parametrize("kind", ["Float64", "object", "list"])
def test_kinds_of_measurements(kind):
    table = with_holes(measurements(), (0, "b"), (7, "c"))
    given = {
        "Float64": lambda: table.astype("Float64"),
        "object": lambda: table.astype(object).where(table.notna(), None),
        "list": lambda: table.to_numpy().tolist(),
    }[kind]()
    model, reference = (
        dg.MultipleImputation(exact_model(), **FEW).fit(each) for each in (given, table)
    )
    np.testing.assert_array_equal(model.table_edge_marginals_, reference.table_edge_marginals_)


# --- warnings ----------------------------------------------------------------------------------


def test_few_tables_of_much_that_is_missing_are_doubted():
    model = dg.MultipleImputation(exact_model(standardize=True), **FEW)
    message = "edge '. -> .' has a standard error of .*, above 0.05, as the 8 tables are worth"
    with pytest.warns(UntrustedPosteriorWarning, match=message) as caught:
        model.fit(pair(4), interventions=PAIR_TARGETS)
    assert [one.filename for one in caught] == [__file__]
    assert model.edge_standard_errors_.max(axis=None) > 0.05


def test_doubts_of_the_fits_inside_are_said_once():
    table = with_holes(measurements(), (0, "b"))
    inside = dg.StructureMCMC(num_steps=40, n_samples=64)
    with pytest.warns(UntrustedPosteriorWarning) as caught:
        dg.MultipleImputation(inside, **FEW).fit(table)
    told = [str(one.message) for one in caught if "fits to completed tables" in str(one.message)]
    assert len(told) == 1
    assert "from the 9 fits to completed tables, the first of them: The chains do not" in told[0]
    assert len(caught) <= 2 and {one.filename for one in caught} == {__file__}
    with pytest.warns(UntrustedPosteriorWarning, match="^The chains do not agree yet") as caught:
        dg.MultipleImputation(inside, **FEW).fit(measurements())
    assert {one.filename for one in caught} == {__file__}


def test_a_warning_of_the_table_is_given_once():
    table = with_holes(measurements(), (0, "b"))
    table["c"] *= 1e4
    with pytest.warns(UserWarning, match="'c'.*standardize=True") as caught:
        dg.MultipleImputation(exact_model(), **FEW).fit(table)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dg.MultipleImputation(exact_model(standardize=True), **FEW).fit(table)


# --- bad input: one sentence each --------------------------------------------------------------


class Other:
    """A score that is neither BGe nor BDe."""

    def prepare(self, frame, targets):
        return dg.scores.BGe().prepare(frame, targets)


SET_B = {"interventions": ["b"] + [None] * 39}
BAD = {
    "no value": (measurements().assign(b=np.nan), {}, "'b' has no value in any row"),
    "one value": (measurements().assign(b=[1.5] + [None] * 39), {}, "'b' is constant"),
    "infinite": (
        with_holes(measurements(), (0, "b")).replace(measurements().loc[5, "b"], np.inf),
        {},
        "'b' has infinite values .* in row 5",
    ),
    "what was set": (
        with_holes(measurements(), (0, "b")),
        SET_B,
        "column 'b' has no value in row 0, where it was set by an intervention",
    ),
    "conditions": (
        with_holes(measurements(), (3, "a")),
        SET_B | {"conditions": ["low"] + [None] * 39},
        "conditions are for tables without missing values",
    ),
    "targets": (
        with_holes(measurements(), (3, "a")),
        {"interventions": ["x"] * 40},
        "intervention target of row 0, 'x' is not in the table",
    ),
    "text": (with_holes(measurements(), (3, "a")).assign(c="x"), {}, "'c' is not numeric"),
    "copy": (
        with_holes(measurements(), (3, "a")).assign(c=lambda t: t["a"]),
        {},
        "'c' is a copy of column 'a'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused(case):
    table, words, message = BAD[case]
    model = dg.MultipleImputation(exact_model(), **FEW)
    with pytest.raises(ValueError, match=message) as error:
        model.fit(table, **words)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)
    assert not hasattr(model, "posterior_")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (categories().assign(b=[1.5, 0.5, np.nan, 2.0] * 10), "'b' holds floating-point"),
        (categories().assign(b=[1, np.nan] * 20), "'b' is constant"),
        (categories().assign(b=[None] * 40), "'b' has no value in any row"),
        (
            categories().assign(b=pd.Categorical([None] * 40, ["x", "y"])),
            "'b' has no value in any row",
        ),
        (categories().assign(b=[*range(39), None]), "'b' has a different value in every row"),
    ],
)
def test_bad_tables_of_categories_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        dg.MultipleImputation(exact_model("bde"), **FEW).fit(table)


@pytest.mark.parametrize(
    ("inside", "words", "error", "message"),
    [
        ("exact", {}, TypeError, "one such as ExactPosterior\\(\\), not 'exact'"),
        (dg.ExactPosterior, {}, TypeError, "one such as ExactPosterior\\(\\), not <class"),
        (dg.BootstrapGES(), {}, TypeError, "BootstrapGES gives no posterior"),
        (exact_model(Other()), {}, ValueError, "under the scores BGe and BDe, not under <.*Other"),
        (exact_model("bic"), {}, ValueError, "under the scores BGe and BDe, not under 'bic'"),
        (exact_model("bde", standardize=True), {}, ValueError, "standardize=True is for measure"),
        (exact_model(), {"num_tables": 7}, ValueError, "num_tables must be .* at least 8"),
        (exact_model(), {"burn_in": -1}, ValueError, "burn_in must be .* at least 0"),
        (exact_model(), {"n_samples": 0}, ValueError, "n_samples must be .* at least 1"),
        (exact_model(n_samples=-2), {}, ValueError, "n_samples must be .*, not -2"),
    ],
)
def test_bad_settings_are_refused(inside, words, error, message):
    kind = categories() if getattr(inside, "score_setting", "") == "bde" else measurements()
    table = with_holes(kind, (0, "b"))
    with pytest.raises(error, match=message):
        dg.MultipleImputation(inside, **FEW | words).fit(table)


def test_scores_are_refused():
    scores = dg.local_scores(measurements())
    with pytest.raises(TypeError, match="give it the table, with fit"):
        dg.MultipleImputation(exact_model(), **FEW).infer(scores)


def test_the_other_estimators_name_the_way_out():
    with pytest.raises(ValueError, match="row 3; fill them in, .* with MultipleImputation"):
        exact_model().fit(with_holes(measurements(), (3, "a")))
