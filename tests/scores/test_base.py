"""LocalScores: one behaviour for every score and prior."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from dag_gfn.graphs import all_dags, cpdag
from dag_gfn.scores import PRIORS, SCORES, BGe, LocalLikelihood, local_scores
from dag_gfn.scores.subsets import subset_masks


@pytest.fixture(params=SCORES)
def score_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def table(score_name: str, request: pytest.FixtureRequest) -> pd.DataFrame:
    return request.getfixturevalue({"bge": "measurements", "bde": "categories"}[score_name])


@pytest.mark.parametrize("prior", PRIORS)
def test_equivalent_dags_score_the_same(table: pd.DataFrame, score_name: str, prior: str) -> None:
    # Under a uniform prior; the other priors depend on in-degrees, which reversals change.
    dags = all_dags(4)
    scores = local_scores(table, score_name, prior)
    per_node = scores.log_prior[np.sum(dags, axis=1)]
    log_likelihood = scores.log_score(dags) - np.sum(per_node, axis=1)
    classes, member_of = np.unique(cpdag(dags).reshape(len(dags), -1), axis=0, return_inverse=True)
    assert len(classes) == 185
    lowest = np.full(185, np.inf)
    np.minimum.at(lowest, member_of, log_likelihood)
    np.testing.assert_allclose(log_likelihood, lowest[member_of], rtol=1e-11)
    assert np.ptp(lowest) > 1


@pytest.mark.parametrize("prior", PRIORS)
def test_log_score_is_the_sum_of_local_scores(
    table: pd.DataFrame, score_name: str, prior: str
) -> None:
    scores = local_scores(table, score_name, prior, forbidden_edges=[("a", "b")], max_parents=2)
    dags = all_dags(4)[::40].reshape(2, -1, 4, 4)
    found = scores.log_score(dags)
    assert found.shape == dags.shape[:2] and found.dtype == np.float64
    for graph, value in zip(dags.reshape(-1, 4, 4), found.ravel(), strict=True):
        local = [scores.local_score(j, np.flatnonzero(graph[:, j])) for j in range(4)]
        assert value == pytest.approx(sum(local), rel=1e-12)
    assert np.any(np.isinf(found)) and np.any(np.isfinite(found))


def test_interventions_leave_rows_out(score_name: str, request: pytest.FixtureRequest) -> None:
    targets = request.getfixturevalue("targets")
    name = {"bge": "measurements", "bde": "categories"}[score_name]
    table = request.getfixturevalue(name).iloc[: len(targets)].reset_index(drop=True)
    scores = local_scores(table, score_name, interventions=targets)
    for j, node in enumerate(table.columns):
        kept = [target != node for target in targets]
        assert (sum(kept) < len(targets)) == (node in {"a", "e"})
        own = local_scores(table[kept], score_name)
        np.testing.assert_allclose(scores.table()[j], own.table()[j], rtol=1e-10)
        assert scores.local_score(node, [table.columns[j - 1]]) == pytest.approx(
            own.local_score(node, [table.columns[j - 1]]), rel=1e-10
        )


def test_targets_in_every_spelling(categories: pd.DataFrame) -> None:
    words = ["a", None, "", float("nan"), pd.NA, *["b"] * 45]
    numbers = [0, None, None, None, None, *[1] * 45]
    by_name = local_scores(categories, "bde", interventions=pd.Series(words, dtype=object))
    by_position = local_scores(categories, "bde", interventions=numbers)
    np.testing.assert_array_equal(by_name.table(), by_position.table())


def test_table_holds_every_local_score(table: pd.DataFrame, score_name: str) -> None:
    scores = local_scores(
        table,
        score_name,
        "fair",
        required_edges=[("a", "b")],
        forbidden_edges=[("c", "e")],
        max_parents=2,
    )
    values = scores.table()
    masks = subset_masks(3, 2)
    assert values.shape == (4, scores.num_parent_sets) == (4, len(masks))
    for node in range(4):
        parent_sets = np.insert(masks, node, False, axis=1)
        expected = scores.local_scores_of(node, parent_sets)
        np.testing.assert_allclose(values[node], expected, rtol=1e-11)
    assert np.isinf(scores.local_score("b", ["c"])) and np.isinf(scores.local_score("e", ["c"]))


def test_names_and_positions_mean_the_same(table: pd.DataFrame, score_name: str) -> None:
    scores = local_scores(table, score_name)
    assert scores.names == ("a", "b", "c", "e")
    assert scores.local_score("e", ["a", "b"]) == scores.local_score(3, [1, 0])
    assert scores.local_score("e", np.array([], dtype=int)) == scores.local_score("e", [])
    assert (scores.num_variables, scores.num_rows) == (4, len(table))


def test_edges_as_pairs_and_matrices(measurements: pd.DataFrame) -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 1] = mask[3, 1] = True
    frame = pd.DataFrame(mask, index=list("abce"), columns=list("abce")).loc[list("ecba")]
    forms = [mask, mask.astype(int), frame, [("a", "b"), ("e", "b")], {(0, 1), (3, 1)}]
    for edges in [*forms, iter(forms[3]), np.array([[0, 1], [3, 1]])]:
        scores = local_scores(measurements, required_edges=edges)
        np.testing.assert_array_equal(scores.required, mask)
    # With two columns a 2 x 2 array of integers is a list of pairs, and one of bool a matrix.
    two = measurements[["a", "b"]]
    pairs = local_scores(two, forbidden_edges=np.array([[0, 1], [1, 0]]))
    matrix = local_scores(two, forbidden_edges=np.array([[False, True], [True, False]]))
    np.testing.assert_array_equal(pairs.forbidden, matrix.forbidden)


def test_standardize_is_the_same_as_standardised_columns(measurements: pd.DataFrame) -> None:
    by_hand = (measurements - measurements.mean()) / measurements.std(ddof=0)
    found = local_scores(measurements, standardize=True).table()
    np.testing.assert_allclose(found, local_scores(by_hand).table(), rtol=1e-10)


class SquaredLengths(LocalLikelihood):
    """A made-up likelihood: minus the sum of the parents' positions, squared, plus the node."""

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def num_variables(self) -> int:
        return self.size

    def log_marginals(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        return node - (parent_sets @ np.arange(self.num_variables)) ** 2.0


class MadeUpScore:
    def prepare(self, frame: pd.DataFrame, targets: np.ndarray) -> LocalLikelihood:
        return SquaredLengths(frame.shape[1])


class SparsePrior:
    def log_prior(self, num_parents: np.ndarray, num_variables: int) -> np.ndarray:
        return -2.0 * np.asarray(num_parents)


def test_scores_and_priors_of_your_own() -> None:
    values = np.random.default_rng(0).normal(size=(5, 4))
    scores = local_scores(values, MadeUpScore(), SparsePrior())
    assert scores.local_score(3, [1, 2]) == 3 - 9 - 4
    function, arrays = scores.gains()
    gains = function(arrays, 3, np.array([False, True, False, False]))
    np.testing.assert_array_equal(gains, [-2, -np.inf, -9 + 1 - 2, -np.inf])


def test_survives_pickling(table: pd.DataFrame, score_name: str) -> None:
    # scikit-learn copies estimators to worker processes this way.
    scores = local_scores(table, score_name)
    scores.gains()
    copy = pickle.loads(pickle.dumps(scores))
    np.testing.assert_array_equal(copy.table(), scores.table())


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"score": "bic"}, ValueError, "score must be one of 'bge', 'bde' or an object"),
        ({"prior": "flat"}, ValueError, "prior must be one of 'uniform', 'edge'"),
        ({"score": BGe}, TypeError, "object with the method prepare"),
        ({"prior": 3}, TypeError, "object with the method log_prior"),
        ({"score_params": {"alpha": 1}}, ValueError, "no hyper-parameter 'alpha'; it has alpha_mu"),
        (
            {"prior_params": {"p": 1}},
            ValueError,
            "'uniform' has no hyper-parameter 'p'; it has none",
        ),
        ({"score": BGe(), "score_params": {"nu": 0}}, ValueError, "score_params goes with a score"),
        ({"max_parents": 4}, ValueError, "max_parents must be from 0 to d - 1 = 3, not 4"),
        ({"max_parents": -1}, ValueError, "max_parents must be from 0"),
        ({"max_parents": 1.5}, TypeError, "max_parents must be an integer"),
        ({"required_edges": [("a", "z")]}, ValueError, "edge end 'z' is not in the table"),
        ({"required_edges": [(0, 7)]}, ValueError, "edge end 7 is not in the table"),
        ({"required_edges": [(0.0, 1)]}, TypeError, "column name or position, not 0.0"),
        ({"required_edges": [("a", "a")]}, ValueError, "'a' -> 'a' is a self-loop"),
        ({"forbidden_edges": ["ab"]}, ValueError, "'ab' is not a pair"),
        ({"forbidden_edges": "ab"}, TypeError, "must be pairs"),
        ({"forbidden_edges": [("a", "b", "c")]}, ValueError, "is not a pair"),
        ({"forbidden_edges": np.ones((3, 3), bool)}, ValueError, "4 x 4, but its shape is"),
        ({"forbidden_edges": 2 * np.ones((4, 4))}, ValueError, "only 0 and 1"),
        (
            {"required_edges": [("a", "b")], "forbidden_edges": [(0, 1)]},
            ValueError,
            "'a' -> 'b' is both required and forbidden",
        ),
        (
            {"required_edges": [("a", "b"), ("b", "c"), ("c", "a"), ("a", "e")]},
            ValueError,
            "the cycle 'a' -> 'b' -> 'c' -> 'a'",
        ),
        (
            {"required_edges": [("a", "b"), ("c", "b")], "max_parents": 1},
            ValueError,
            "'b' has 2 required parents, more than max_parents = 1",
        ),
        ({"interventions": ["a"]}, ValueError, "1 targets for 60 rows"),
        ({"interventions": ["z"] * 60}, ValueError, "target of row 0, 'z' is not in the table"),
        ({"interventions": [None] * 59 + [-1]}, ValueError, "row 59, -1 is not in the table"),
        ({"interventions": [0.5] * 60}, TypeError, "row 0, must be a column name"),
        ({"interventions": "a"}, TypeError, "one target per row"),
    ],
)
def test_bad_arguments(
    measurements: pd.DataFrame, kwargs: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        local_scores(measurements, **kwargs)


def test_standardize_is_not_for_categories(categories: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="standardize=True is for measurements"):
        local_scores(categories, "bde", standardize=True)


def test_integers_that_are_names_of_other_columns(measurements: pd.DataFrame) -> None:
    numbered = measurements.set_axis([1, 2, 3, 4], axis=1)
    with pytest.raises(ValueError, match="called '1' or the one at position 1, '2'"):
        local_scores(numbered, forbidden_edges=[(1, 0)])
    scores = local_scores(numbered, forbidden_edges=[("1", "2")])
    assert scores.forbidden[0, 1] and not scores.forbidden[1, 2]


def test_bad_families_and_graphs(measurements: pd.DataFrame) -> None:
    scores = local_scores(measurements)
    with pytest.raises(ValueError, match="node 'z' is not in the table"):
        scores.local_score("z", [])
    with pytest.raises(ValueError, match="'a' cannot be its own parent"):
        scores.local_score("a", ["a"])
    with pytest.raises(TypeError, match="not the single name 'b'"):
        scores.local_score("a", "b")
    with pytest.raises(ValueError, match="shape \\[..., 4, 4\\], not \\(3, 3\\)"):
        scores.log_score(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="entries 0 and 1 only"):
        scores.log_score(np.full((4, 4), 0.5))
    with pytest.raises(ValueError, match="has a cycle"):
        scores.log_score(np.eye(4))


def test_too_many_parent_sets_say_what_to_do() -> None:
    rng = np.random.default_rng(0)
    scores = local_scores(pd.DataFrame(rng.integers(0, 2, size=(30, 40))), "bde")
    with pytest.raises(ValueError, match="set max_parents to 4 or less"):
        scores.gains()
    with pytest.raises(ValueError, match="set max_parents to 4 or less"):
        scores.table()
    assert local_scores(rng.normal(size=(30, 40)), max_parents=4).has_table
    assert not local_scores(rng.normal(size=(30, 40)), max_parents=5).has_table


class Given(LocalLikelihood):
    """A likelihood that gives whatever it was given."""

    num_variables = 3

    def __init__(self, value) -> None:
        self.value = value

    def prepare(self, frame: pd.DataFrame, targets: np.ndarray) -> Given:
        return self

    def log_marginals(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        return self.value(parent_sets)


def nan_at_two(parent_sets: np.ndarray) -> np.ndarray:
    return np.where(parent_sets.sum(axis=1) == 2, np.nan, 0.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nan_at_two, r"gives nan for 'a' with the parents \['b', 'c'\]; Given must give a number"),
        (lambda sets: np.where(sets[:, 2], np.inf, 0.0), r"gives inf for 'a' with .* \['c'\]"),
        (lambda sets: np.zeros(1), r"Given.log_marginals gives an array of shape \(1,\) for 4"),
        (lambda sets: np.zeros((len(sets), 1)), r"of shape \(4, 1\) for 4 parent sets; it must be"),
        (lambda sets: 0.0, r"of shape \(\) for 4 parent sets"),
    ],
)
def test_what_a_score_of_ones_own_gives_is_checked(value, message: str) -> None:
    table = np.random.default_rng(0).normal(size=(10, 3))
    scores = local_scores(pd.DataFrame(table, columns=list("abc")), Given(value))
    every = subset_masks(3, 3)[[0, 2, 3, 6]]  # of the first variable
    for ask in (
        lambda: scores.local_scores_of(0, every),
        lambda: scores.local_scores_of_subsets(0, [1, 2], 2),
    ):
        with pytest.raises(ValueError, match=message):
            ask()


def test_minus_infinity_is_a_score_of_what_cannot_be() -> None:
    table = np.random.default_rng(0).normal(size=(10, 3))
    scores = local_scores(table, Given(lambda sets: np.where(sets[:, 2], -np.inf, 0.0)))
    assert scores.local_score(0, [2]) == -np.inf
    assert scores.local_scores_of_subsets(0, [1, 2], 2).tolist() == [0, 0, -np.inf, -np.inf]


@pytest.mark.parametrize("values", [0.0, [0.0, 1.0], [0.0, np.nan, 1.0], [0.0, np.inf, 1.0]])
def test_what_a_prior_of_ones_own_gives_is_checked(values) -> None:
    class Chosen:
        def log_prior(self, num_parents: np.ndarray, num_variables: int) -> np.ndarray:
            return np.asarray(values)

    table = np.random.default_rng(0).normal(size=(10, 3))
    with pytest.raises(ValueError, match="Chosen.log_prior must give a number of nats for each"):
        local_scores(table, prior=Chosen())
