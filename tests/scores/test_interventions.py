"""Interventions: what is left out, what a changed mechanism adds, and what both can tell apart."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_t

from dag_gfn.graphs import all_dags, cpdag
from dag_gfn.scores import SCORES, BDe, BGe, LocalLikelihood, LocalScores, local_scores
from dag_gfn.scores.subsets import subset_masks

NAMES = ["a", "b", "c", "e"]
# Two conditions with rows of both targets, and a label where there is no target.
TARGETS = [None] * 14 + ["a"] * 16 + ["e"] * 20
CONDITIONS = [None] * 7 + ["x"] * 7 + ["x", "y"] * 8 + ["y"] * 12 + ["z"] * 8

FACTOR = np.random.default_rng(3).normal(size=(4, 4))
BGE = BGe(alpha_mu=0.7, alpha_w=8.5, nu=[1.0, 0.5, -4, 2], T=FACTOR @ FACTOR.T + np.eye(4))


@pytest.fixture(params=["bge", "bge by numbers", "bde"])
def model(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, Any]:
    """Return a table of 50 rows and its score."""
    table = request.getfixturevalue("categories" if request.param == "bde" else "measurements")
    score = {"bge": BGe(), "bge by numbers": BGE, "bde": BDe(3.0)}[request.param]
    return table.iloc[:50].reset_index(drop=True), score


def groups(node: str, conditions: list[Any]) -> list[np.ndarray]:
    """Return the rows that share parameters in the mechanism of a node, bool [50] each."""
    is_set = np.array([target == node for target in TARGETS])
    labels = {label for label, target in zip(conditions, TARGETS, strict=True) if target == node}
    by_label = [is_set & np.array([label == one for one in conditions]) for label in labels]
    return [~is_set, *by_label]


def test_the_score_is_the_sum_of_the_scores_of_the_rows_of_each_mechanism(model) -> None:
    table, score = model
    values = local_scores(table, score, interventions=TARGETS, conditions=CONDITIONS).table()
    for j, node in enumerate(NAMES):
        rows = groups(node, CONDITIONS)
        assert len(rows) == {"a": 3, "b": 1, "c": 1, "e": 3}[node]
        expected = sum(local_scores(table[some], score).table()[j] for some in rows)
        np.testing.assert_allclose(values[j], expected, rtol=1e-10)


def test_standardising_is_of_the_whole_table(measurements: pd.DataFrame) -> None:
    table = measurements.iloc[:50]
    words = {"interventions": TARGETS, "conditions": CONDITIONS}
    by_hand = (table - table.mean()) / table.std(ddof=0)
    found = local_scores(table, standardize=True, **words).table()
    np.testing.assert_allclose(found, local_scores(by_hand, **words).table(), rtol=1e-10)


def test_a_condition_of_one_row_has_its_prior_predictive_density(
    measurements: pd.DataFrame,
) -> None:
    # One row under a normal-Wishart prior has a multivariate t density.
    table = measurements.iloc[:20]
    targets = ["b"] + [None] * 19
    words = {"score": BGE, "interventions": targets}
    imperfect = local_scores(table, **words, conditions=targets)
    perfect = local_scores(table, **words)
    degrees = BGE.alpha_w - 4 + 1
    shape = np.asarray(BGE.T) * (BGE.alpha_mu + 1) / (BGE.alpha_mu * degrees)

    def log_density(columns: list[int]) -> float:
        if not columns:
            return 0.0
        sub = shape[np.ix_(columns, columns)]
        return multivariate_t.logpdf(
            table.iloc[0, columns], np.asarray(BGE.nu)[columns], sub, degrees
        )

    for parents in ([], [0], [2, 3], [0, 2, 3]):
        added = imperfect.local_score("b", parents) - perfect.local_score("b", parents)
        assert added == pytest.approx(log_density([*parents, 1]) - log_density(parents), abs=1e-9)


def test_every_way_to_the_scores_gives_the_same(model) -> None:
    table, score = model
    scores = local_scores(
        table, score, "fair", interventions=TARGETS, conditions=CONDITIONS, max_parents=2
    )
    values, likelihood = scores.table(), scores.likelihood
    masks = subset_masks(3, 2)
    function, arrays = scores.gains()
    gains = jax.jit(function)
    for node in range(4):
        parent_sets = np.insert(masks, node, False, axis=1)
        one_by_one = scores.local_scores_of(node, parent_sets)
        np.testing.assert_allclose(values[node], one_by_one, rtol=1e-10)
        rest = np.delete(np.arange(4), node)
        arguments = (node, rest[1:], 2, rest[:1])
        np.testing.assert_allclose(
            likelihood.log_marginals_of_subsets(*arguments),
            super(type(likelihood), likelihood).log_marginals_of_subsets(*arguments),
            rtol=1e-10,
        )
        added = np.delete(np.asarray(gains(arrays, np.int32(node), np.zeros(4, bool))), node)
        expected = one_by_one[1:4] - one_by_one[0]  # the sets of one parent follow the empty one
        np.testing.assert_allclose(added, expected, atol=1e-4)


def test_few_of_many_subsets() -> None:
    # 20 candidates and at most 2 parents take the other path than the sweep over all minors.
    values = np.random.default_rng(5).normal(size=(40, 21))
    targets = [20] * 15 + [None] * 25
    words = {"interventions": targets, "conditions": [1] * 5 + [2] * 35}
    likelihood = local_scores(values, **words).likelihood
    found = likelihood.log_marginals_of_subsets(20, range(20), 2)
    expected = super(type(likelihood), likelihood).log_marginals_of_subsets(20, range(20), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    blocks = [values[15:], values[:5], values[5:15]]
    total = sum(local_scores(block).local_score(20, [3, 7]) for block in blocks)
    parents = np.isin(np.arange(21), [3, 7])[None]
    assert likelihood.log_marginals(20, parents)[0] == pytest.approx(total, rel=1e-10)


def test_without_conditions_interventions_are_perfect(model) -> None:
    table, score = model
    perfect = local_scores(table, score, interventions=TARGETS)
    given_none = local_scores(table, score, interventions=TARGETS, conditions=None)
    np.testing.assert_array_equal(perfect.table(), given_none.table())
    for j, node in enumerate(NAMES):
        kept = groups(node, CONDITIONS)[0]
        own = local_scores(table[kept], score).table()[j]
        np.testing.assert_allclose(perfect.table()[j], own, rtol=1e-10)
    # Nothing was set, so that nothing can have changed.
    plain = local_scores(table, score).table()
    labelled = local_scores(table, score, interventions=[None] * 50, conditions=CONDITIONS)
    np.testing.assert_array_equal(labelled.table(), plain)


def test_conditions_leave_what_is_known_of_rows_that_were_not_set(model) -> None:
    # Parameters and effects are those of a column's own mechanism.
    table, score = model
    perfect = local_scores(table, score, interventions=TARGETS).likelihood
    imperfect = local_scores(table, score, interventions=TARGETS, conditions=CONDITIONS).likelihood
    if isinstance(score, BGe):
        np.testing.assert_array_equal(imperfect.version, perfect.version)
        for name in ("posterior_scale", "posterior_mean", "num_rows"):
            found, expected = (getattr(one, name) for one in (imperfect, perfect))
            np.testing.assert_array_equal(found[perfect.version], expected[perfect.version])
        assert len(imperfect.num_rows) == len(perfect.num_rows) + 4
    else:
        for node in range(4):
            tables = []
            for likelihood in (imperfect, perfect):
                codes, counts = likelihood._observed(node)
                tables.append(pd.DataFrame(codes.T).assign(n=counts).groupby([0, 1, 2, 3]).sum())
            pd.testing.assert_frame_equal(*tables)


def test_labels_are_only_names(model) -> None:
    table, score = model

    def values(conditions: Any, order: np.ndarray | None = None) -> np.ndarray:
        rows = np.arange(50) if order is None else order
        labels = pd.Series(list(conditions), dtype=object).iloc[rows]
        targets = pd.Series(TARGETS, dtype=object).iloc[rows]
        return local_scores(
            table.iloc[rows], score, interventions=targets, conditions=labels
        ).table()

    expected = values(CONDITIONS)
    for renamed in ({"x": "y", "y": "z", "z": "x"}, {"x": 2, "y": (1, "dose"), "z": 0.5}):
        found = values([renamed.get(label) for label in CONDITIONS])
        np.testing.assert_array_equal(found, expected)
    # Labels of rows without a target are not looked at, nor is the order of the rows.
    found = values([None] * 14 + CONDITIONS[14:])
    np.testing.assert_array_equal(found, expected)
    shuffled = values(CONDITIONS, np.random.default_rng(0).permutation(50))
    np.testing.assert_allclose(shuffled, expected, rtol=1e-10)
    # One condition for each target is that of the targets themselves.
    np.testing.assert_array_equal(values(TARGETS), values(["same"] * 50))
    assert np.abs(values(TARGETS) - expected).max() > 0.1


@pytest.mark.parametrize("conditions", [None, CONDITIONS])
@pytest.mark.parametrize("score_name", SCORES)
def test_graphs_that_interventions_cannot_tell_apart(
    score_name: str, conditions: list[str] | None, request: pytest.FixtureRequest
) -> None:
    # Tian and Pearl 2001: those of one class in which each target has the same parents.
    name = {"bge": "measurements", "bde": "categories"}[score_name]
    table = request.getfixturevalue(name).iloc[:50]
    dags = all_dags(4)
    log_likelihood = local_scores(
        table, score_name, interventions=TARGETS, conditions=conditions
    ).log_score(dags)
    set_columns = [NAMES.index("a"), NAMES.index("e")]
    told_by = np.hstack(
        [cpdag(dags).reshape(len(dags), -1), dags[:, :, set_columns].reshape(len(dags), -1)]
    )
    _, member_of = np.unique(told_by, axis=0, return_inverse=True)
    num_classes = member_of.max() + 1
    assert 185 < num_classes < 543
    lowest = np.full(num_classes, np.inf)
    np.minimum.at(lowest, member_of, log_likelihood)
    np.testing.assert_allclose(log_likelihood, lowest[member_of], rtol=1e-11)
    # And no two of these classes score the same.
    assert np.min(np.diff(np.sort(lowest))) > 1e-9 * np.abs(lowest).max()


def test_a_mechanism_that_changed_shows_which_way_the_edge_goes() -> None:
    # What is done to the effect makes it depend on its cause less, but does not cut it off.
    rng = np.random.default_rng(0)
    cause = rng.normal(size=400)
    slope = np.where(np.arange(400) < 200, 1.0, 0.5)
    table = pd.DataFrame({"cause": cause, "effect": slope * cause + 0.5 * rng.normal(size=400)})
    targets = [None] * 200 + ["effect"] * 200
    right, wrong = [[0, 1], [0, 0]], [[0, 0], [1, 0]]

    def log_odds(**words: Any) -> float:
        return float(np.subtract(*local_scores(table, **words).log_score([right, wrong])))

    assert log_odds() == pytest.approx(0, abs=1e-9)
    assert log_odds(interventions=targets, conditions=targets) > 10
    # Where the effect is taken for cut off, only the wrong graph explains that they vary together.
    assert log_odds(interventions=targets) < -10


def test_too_many_variables_ask_for_fewer_parents() -> None:
    values = np.random.default_rng(0).normal(size=(30, 40))
    targets = [3] * 10 + [None] * 20
    scores = local_scores(values, interventions=targets, conditions=targets)
    with pytest.raises(ValueError, match="set max_parents to 4 or less"):
        scores.gains()
    assert local_scores(values, interventions=targets).gains()


def test_columns_that_are_the_same_in_one_condition() -> None:
    # T keeps them apart, unless it is far smaller than the scale of the table.
    values = np.random.default_rng(0).normal(size=(30, 3))
    values[:10, 0], values[:10, 1] = 2.5, -1.5
    words = {"interventions": ["a"] * 10 + [None] * 20, "conditions": ["x"] * 30}
    scores = local_scores(pd.DataFrame(values, columns=list("abc")), **words)
    assert np.all(np.isfinite(scores.table()))
    with pytest.raises(ValueError, match="'[ab]' is .* in rows of one condition in which 'a' was"):
        local_scores(pd.DataFrame(1e7 * values, columns=list("abc")), **words)


class PerfectAlone:
    def prepare(self, frame: pd.DataFrame, targets: np.ndarray) -> LocalLikelihood:
        return BGe().prepare(frame, targets)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"interventions": None}, ValueError, "give interventions as well"),
        ({"conditions": CONDITIONS[1:]}, ValueError, "49 labels for 50 rows"),
        ({"conditions": "x"}, TypeError, "one label per row, not the single label 'x'"),
        ({"conditions": [None] * 50}, ValueError, "row 14 has an intervention and no condition"),
        ({"conditions": ["x"] * 30 + [np.nan] * 20}, ValueError, "row 30 has an intervention and"),
        ({"conditions": ["x"] * 49 + [[1]]}, TypeError, "condition of row 49 must be a name or"),
        ({"score": PerfectAlone()}, ValueError, "PerfectAlone knows of perfect interventions al"),
    ],
)
def test_bad_conditions(
    measurements: pd.DataFrame, words: dict, error: type[Exception], message: str
) -> None:
    words = {"interventions": TARGETS, "conditions": CONDITIONS} | words
    with pytest.raises(error, match=message):
        local_scores(measurements.iloc[:50], **words)


def test_a_score_of_your_own_needs_conditions_for_no_more_than_conditions(
    measurements: pd.DataFrame,
) -> None:
    scores = local_scores(measurements.iloc[:50], PerfectAlone(), interventions=TARGETS)
    assert isinstance(scores, LocalScores)
