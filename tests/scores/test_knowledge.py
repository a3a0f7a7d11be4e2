"""Prior knowledge of single edges: what it is read as, what it does to scores, what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

from dag_gfn.exact import enumerate_posterior
from dag_gfn.exact.parent_sums import node_scores
from dag_gfn.graphs import all_dags
from dag_gfn.mcmc.candidates import candidate_table
from dag_gfn.scores import LocalLikelihood, LocalScores, local_scores, parent_set_list
from dag_gfn.scores.edge_gains import EdgeGains
from dag_gfn.scores.knowledge import (
    edge_probability_matrix,
    prior_knowledge,
    tier_mask,
    tier_numbers,
)
from dag_gfn.scores.schur import schur_gains
from dag_gfn.scores.subsets import member_sums, subset_masks

NAMES = ("a", "b", "c", "e")
PROBABILITIES = {("a", "b"): 0.9, ("c", "b"): 0.2, ("e", "a"): 0.35, ("b", "e"): 0.5}


def log_odds(probabilities: dict[tuple[str, str], float]) -> np.ndarray:
    """Return float64 [4, 4], written out by hand."""
    matrix = np.zeros((4, 4))
    for (cause, effect), p in probabilities.items():
        matrix[NAMES.index(cause), NAMES.index(effect)] = np.log(p / (1 - p))
    return matrix


# --- what is understood --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tiers",
    [
        [["c"], ["a", "b"]],
        [("c",), {"b", "a"}],
        iter([[2], [0, 1]]),
        {"b": 7, "c": -1.5, 0: 7},
        {"c": 1, "a": 2, "b": 2, "e": None},
        pd.Series({"c": 0, "b": 1, "a": 1}),
        pd.Series([1.0, 1.0, 0.0, np.nan], index=NAMES),
    ],
    ids=lambda tiers: type(tiers).__name__,
)
def test_tiers_in_every_form(tiers: Any) -> None:
    expected = np.zeros((4, 4), dtype=bool)
    expected[[0, 1], 2] = True  # a and b come after c; e is free
    np.testing.assert_array_equal(tier_mask(tiers, NAMES), expected)


def test_tiers_are_numbered_from_one() -> None:
    found = tier_numbers([["b"], [], ["a", "e"]], NAMES)
    np.testing.assert_array_equal(found, [3, 1, np.nan, 3])


def test_edge_probabilities_in_every_form() -> None:
    matrix = np.full((4, 4), np.nan)
    for (cause, effect), p in PROBABILITIES.items():
        matrix[NAMES.index(cause), NAMES.index(effect)] = p
    frame = pd.DataFrame(matrix, index=NAMES, columns=NAMES)
    forms: list[Any] = [
        PROBABILITIES,
        {(0, 1): 0.9, ("c", 1): 0.2, (3, "a"): 0.35, (1, 3): 0.5, ("a", "e"): np.nan},
        matrix,
        frame,
        frame.loc[list("ceba"), list("eab")],  # c is no effect of anything known
        frame.convert_dtypes(),
        frame.mask(np.eye(4, dtype=bool), 0.0),
    ]
    for form in forms:
        np.testing.assert_array_equal(edge_probability_matrix(form, NAMES), matrix)
    np.testing.assert_allclose(
        prior_knowledge(NAMES, edge_probabilities=PROBABILITIES).edge_log_odds,
        log_odds(PROBABILITIES),
        rtol=1e-12,
    )


def test_probabilities_of_one_and_zero_are_constraints() -> None:
    known = prior_knowledge(
        NAMES,
        required_edges=[("a", "c")],
        edge_probabilities={("a", "b"): 1, ("b", "c"): 0.0, ("c", "e"): 0.7},
        tiers=[["a"], ["e"]],
    )
    assert np.argwhere(known.required).tolist() == [[0, 1], [0, 2]]
    assert np.argwhere(known.forbidden & ~np.eye(4, dtype=bool)).tolist() == [[1, 2], [3, 0]]
    assert np.flatnonzero(known.edge_log_odds).tolist() == [2 * 4 + 3]


# --- what it does to scores ----------------------------------------------------------------------


class NoInformation(LocalLikelihood):
    """The likelihood of a table that says nothing."""

    num_variables = 4  # type: ignore[assignment]

    def log_marginals(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        return np.zeros(len(parent_sets))


class NoScore:
    def prepare(self, frame: pd.DataFrame, targets: np.ndarray) -> LocalLikelihood:
        return NoInformation()


def test_without_data_edges_are_independent_but_for_acyclicity(measurements: pd.DataFrame) -> None:
    rng = np.random.default_rng(3)
    p = rng.uniform(0.05, 0.95, size=(4, 4))
    p[0, 1], p[2, 3], p[3, 0] = np.nan, 1, 0  # nothing known, required, forbidden
    np.fill_diagonal(p, 0)
    scores = local_scores(measurements, NoScore(), edge_probabilities=p)
    dags = all_dags(4)
    bernoulli = np.where(np.isnan(p), 0.5, p)
    weights = np.prod(np.where(dags, bernoulli, 1 - bernoulli), axis=(1, 2))
    expected = np.einsum("g,gij->ij", weights, dags) / weights.sum()
    found = enumerate_posterior(scores).edge_marginals().to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # Acyclicity takes from every edge that is neither certain nor impossible.
    open_edges = (bernoulli > 0) & (bernoulli < 1)
    assert np.all(found[open_edges] < bernoulli[open_edges])


def test_the_prior_of_two_columns_as_documented(measurements: pd.DataFrame) -> None:
    known = prior_knowledge(("a", "b"), edge_probabilities={("a", "b"): 0.8})
    weights = np.exp([0, known.edge_log_odds[0, 1], known.edge_log_odds[1, 0]])
    assert weights[1] / weights.sum() == pytest.approx(4 / 6)


@pytest.mark.parametrize("words", [{}, {"max_parents": 2}, {"required_edges": [("a", "b")]}])
@pytest.mark.parametrize("kind", ["bge", "bde"])
def test_log_odds_reach_every_way_to_a_score(
    kind: str, words: dict, request: pytest.FixtureRequest
) -> None:
    table = request.getfixturevalue({"bge": "measurements", "bde": "categories"}[kind])
    plain = local_scores(table, kind, "fair", **words)
    scores = local_scores(table, kind, "fair", edge_probabilities=PROBABILITIES, **words)
    odds = log_odds(PROBABILITIES)
    masks = subset_masks(3, scores.max_parents)
    sets = parent_set_list(scores, len(masks))
    candidates = candidate_table(scores)
    bits = 2 ** np.arange(3)
    for node in range(4):
        parent_sets = np.insert(masks, node, False, axis=1)
        expected = plain.local_scores_of(node, parent_sets) + parent_sets @ odds[:, node]
        close = {"rtol": 1e-11}
        np.testing.assert_allclose(scores.local_scores_of(node, parent_sets), expected, **close)
        np.testing.assert_allclose(scores.table()[node], expected, **close)
        np.testing.assert_allclose(
            candidates.log_scores[node, masks @ bits], expected, err_msg="candidates", **close
        )
        listed = sets.log_scores[node][np.isfinite(sets.log_scores[node])]
        np.testing.assert_allclose(
            np.sort(listed), np.sort(expected[np.isfinite(expected)]), err_msg="lists", **close
        )
        free = np.flatnonzero(~scores.forbidden[:, node] & ~scores.required[:, node])
        by_mask = node_scores(scores, node)
        for mask in range(2 ** len(free)):
            parents = scores.required[:, node].copy()
            parents[free[(mask >> np.arange(len(free)) & 1).astype(bool)]] = True
            np.testing.assert_allclose(
                by_mask[mask], scores.local_scores_of(node, parents[None])[0], **close
            )
    dags = all_dags(4)
    np.testing.assert_allclose(
        scores.log_score(dags), plain.log_score(dags) + np.sum(dags * odds, axis=(1, 2)), rtol=1e-11
    )


@pytest.mark.parametrize("exhaustive", [0, 100])
def test_lists_without_a_table_weigh_the_edges(
    exhaustive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dag_gfn.scores.base.MAX_TABLE_ENTRIES", 0)
    monkeypatch.setattr("dag_gfn.scores.parent_sets._EXHAUSTIVE", exhaustive)
    values = np.random.default_rng(0).normal(size=(50, 6))
    probabilities = {(0, 1): 0.999, (2, 1): 0.9, (3, 4): 0.01}
    scores = local_scores(values, edge_probabilities=probabilities)
    masks, log_scores = parent_set_list(scores, 32)
    for node in range(6):
        assert len(np.unique(masks[node], axis=0)) == 32
        np.testing.assert_allclose(
            log_scores[node], scores.local_scores_of(node, masks[node]), rtol=1e-11
        )
    assert masks[1, 0, 0]  # odds of 999 are more than independent columns hold against an edge


@pytest.mark.parametrize("max_size", [0, 1, 3, 5, 9])
def test_member_sums_are_those_of_the_masks(max_size: int) -> None:
    values = np.random.default_rng(0).normal(size=5)
    expected = subset_masks(5, max_size) @ values
    np.testing.assert_allclose(member_sums(values, max_size), expected, atol=1e-14)
    np.testing.assert_array_equal(member_sums(np.zeros(0), max_size), [0.0])


@pytest.mark.parametrize("max_parents", [None, 2])
def test_gains_without_a_table(max_parents: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Six columns would have a table; the Schur complement is for those that do not.
    monkeypatch.setattr("dag_gfn.scores.base.MAX_TABLE_ENTRIES", 0)
    rng = np.random.default_rng(0)
    p = rng.uniform(0.01, 0.99, size=(6, 6))
    p[0, 1], p[4, 2] = 1, 0
    np.fill_diagonal(p, np.nan)
    values = rng.normal(size=(80, 6))
    values[:, 3] += values[:, 0]
    scores = local_scores(values, "bge", "fair", edge_probabilities=p, max_parents=max_parents)
    function, arrays = scores.gains()
    assert function == EdgeGains(schur_gains) and hash(function) == hash(EdgeGains(schur_gains))
    compiled = jax.jit(jax.vmap(function, (None, None, 0)))
    for node in range(6):
        parent_sets = np.insert(subset_masks(5, scores.max_parents), node, False, axis=1)
        parent_sets = parent_sets[scores.allows(node, parent_sets)]
        found = np.asarray(compiled(arrays, np.int32(node), parent_sets))
        for parents, gains in zip(parent_sets, found, strict=True):
            larger = parents | np.eye(6, dtype=bool)
            legal = ~parents & ~scores.forbidden[:, node] & (parents.sum() < scores.max_parents)
            expected = scores.local_scores_of(node, larger[legal])
            expected -= scores.local_scores_of(node, parents[None])
            np.testing.assert_allclose(gains[legal], expected, rtol=1e-5, atol=2e-4)
            assert np.all(np.isneginf(gains[~legal]))


def test_scores_without_knowledge_keep_their_own_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dag_gfn.scores.base.MAX_TABLE_ENTRIES", 0)
    values = np.random.default_rng(0).normal(size=(20, 3))
    assert local_scores(values, edge_probabilities={(0, 1): 0.5}).gains()[0] is schur_gains
    scores = local_scores(values, edge_probabilities={(0, 1): 0.6})
    scores.gains()
    copy: LocalScores = pickle.loads(pickle.dumps(scores))
    assert copy.gains()[0] == EdgeGains(schur_gains)
    np.testing.assert_array_equal(copy.edge_log_odds, scores.edge_log_odds)


def test_constrained_scores_keep_the_log_odds_and_take_tiers(measurements: pd.DataFrame) -> None:
    scores = local_scores(measurements, edge_probabilities=PROBABILITIES, forbidden_edges=[(2, 3)])
    further = scores.constrained([("a", "e")], tiers=[["a"], ["b", "c"]])
    expected = local_scores(
        measurements,
        edge_probabilities=PROBABILITIES,
        required_edges=[("a", "e")],
        forbidden_edges=[("c", "e"), ("b", "a"), ("c", "a")],
    )
    np.testing.assert_array_equal(further.table(), expected.table())
    with pytest.raises(ValueError, match="'b' -> 'a' is required and goes back from tier 2 to"):
        scores.constrained([("b", "a")], tiers=[["a"], ["b"]])


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"tiers": [["a"], ["b", "a"]]}, ValueError, "column 'a' occurs twice in the tiers"),
        ({"tiers": {"a": 1, 0: 2}}, ValueError, "column 'a' occurs twice in the tiers"),
        ({"tiers": [["a"], ["z"]]}, ValueError, "tier column 'z' is not in the table"),
        ({"tiers": pd.Series([1, 2])}, ValueError, "tier column '0' is not in the table"),
        ({"tiers": ["a", "b"]}, TypeError, "tier 1 must be a list of columns, not 'a'"),
        ({"tiers": [["a"], iter("b")]}, TypeError, "tier 2 must be a list of columns"),
        ({"tiers": "ab"}, TypeError, "lists of columns, earliest first, not 'ab'"),
        ({"tiers": 3}, TypeError, "lists of columns, earliest first, not 3"),
        ({"tiers": {"a": "late"}}, TypeError, "tier of column 'a' must be a number, not 'late'"),
        ({"tiers": {"a": True}}, TypeError, "tier of column 'a' must be a number, not True"),
        (
            {"edge_probabilities": {("a", "b"): 1.5, ("c", "e"): -0.25}},
            ValueError,
            "from 0 to 1, not 1.5 for 'a' -> 'b' and -0.25 for 'c' -> 'e'",
        ),
        (
            {"edge_probabilities": {("a", "b"): "high"}},
            TypeError,
            "probability of 'a' -> 'b' must be a number from 0 to 1, not 'high'",
        ),
        (
            {"edge_probabilities": np.eye(4, k=1, dtype=bool)},
            TypeError,
            "must be a number from 0 to 1, not .*False",
        ),
        (
            {"edge_probabilities": pd.DataFrame([[True]], ["a"], ["b"])},
            TypeError,
            "probability of 'a' -> 'b' must be a number from 0 to 1, not True",
        ),
        (
            {"edge_probabilities": np.full((4, 4), 0.1)},
            ValueError,
            "no column causes itself, so the edge probability of 'a' -> 'a', .* must be 0 or NaN",
        ),
        (
            {"edge_probabilities": np.zeros((3, 3))},
            ValueError,
            "4 x 4, but its shape is \\(3, 3\\)",
        ),
        ({"edge_probabilities": {("a", "z"): 0.1}}, ValueError, "edge end 'z' is not in the table"),
        ({"edge_probabilities": {"ab": 0.1}}, ValueError, "'ab' is not a pair"),
        (
            {"edge_probabilities": {("a", "b"): 0.1, (0, 1): 0.2}},
            ValueError,
            "names the edge 'a' -> 'b' twice",
        ),
        (
            {"edge_probabilities": pd.DataFrame(0.1, index=["a", "a"], columns=["b", "c"])},
            ValueError,
            "names a column twice",
        ),
        ({"edge_probabilities": [("a", "b")]}, TypeError, "must be a mapping"),
    ],
)
def test_what_is_not_knowledge(words: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        prior_knowledge(NAMES, **words)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            {
                "required_edges": [("a", "b"), ("c", "e"), ("b", "e")],
                "forbidden_edges": [("c", "e"), ("a", "b"), ("e", "a")],
            },
            "edge 'a' -> 'b' is both required and forbidden; edge 'c' -> 'e' is both required and "
            "forbidden; take back one of the two.",
        ),
        (
            {"required_edges": [("b", "a"), ("e", "c")], "tiers": [["a", "c"], ["b"], ["e"]]},
            "edge 'b' -> 'a' is required and goes back from tier 2 to tier 1; edge 'e' -> 'c' is "
            "required and goes back from tier 3 to tier 1; take back one of the two.",
        ),
        (
            {
                "required_edges": [("a", "b")],
                "forbidden_edges": [("b", "c"), ("e", "c")],
                "edge_probabilities": {("a", "b"): 0, ("b", "c"): 1, ("e", "a"): 1},
                "tiers": {"e": 2000, "a": 1990.5},
            },
            "edge 'a' -> 'b' is required and has probability 0; edge 'b' -> 'c' is forbidden and "
            "has probability 1; edge 'e' -> 'a' has probability 1 and goes back from tier 2000 to "
            "tier 1990.5; take back one of the two.",
        ),
        (
            {"required_edges": [("a", "b"), ("b", "c")], "edge_probabilities": {("c", "a"): 1}},
            "the required edges contain the cycle 'a' -> 'b' -> 'c' -> 'a'; remove one of them.",
        ),
        (
            {"required_edges": [("e", "c"), ("b", "a"), ("c", "e"), ("a", "b"), ("a", "c")]},
            "the required edges contain the cycles 'a' -> 'b' -> 'a' and 'c' -> 'e' -> 'c'; remove "
            "an edge of each.",
        ),
        (
            {
                "required_edges": [("a", "b"), ("c", "b"), ("a", "e"), ("b", "e")],
                "edge_probabilities": {("c", "e"): 1},
                "max_parents": 1,
            },
            "column 'b' has 2 required parents, more than max_parents = 1, namely 'a' and 'c'; "
            "column 'e' has 3 required parents, more than max_parents = 1, namely 'a', 'b' and "
            "'c'; raise max_parents or require fewer edges.",
        ),
    ],
    ids=["both", "tiers", "probabilities", "cycle", "two cycles", "parents"],
)
def test_contradictions_are_named_in_full(words: dict, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        prior_knowledge(NAMES, **words)
    assert str(caught.value) == sentence


def test_every_edge_of_a_knot_is_named() -> None:
    # Two cycles that share an edge; the edge to 'e' is in neither.
    knot = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("c", "e")]
    with pytest.raises(ValueError) as caught:
        prior_knowledge(NAMES, required_edges=knot)
    for cause, effect in knot[:-1]:
        assert f"'{cause}' -> '{effect}'" in str(caught.value)
    assert "'e'" not in str(caught.value)
