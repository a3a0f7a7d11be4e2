"""Scores of any table: equivalent, the same in any order, and finite or refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as arrays

from dag_gfn.graphs import all_dags, cpdag, dag_codes
from dag_gfn.scores import LocalScores, local_scores
from dag_gfn.scores.subsets import subset_masks

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def measurements(draw, max_columns: int = 4) -> pd.DataFrame:
    """Draw a linear-Gaussian table with columns of comparable scale."""
    size = draw(st.integers(2, max_columns))
    rows = draw(st.integers(2, 30))
    rng = np.random.default_rng(draw(SEEDS))
    strength = draw(st.sampled_from([0.0, 1.0, 5.0]))
    mixing = np.eye(size) + strength * np.triu(rng.normal(size=(size, size)), k=1)
    values = rng.normal(size=(rows, size)) @ mixing + draw(st.sampled_from([0.0, 10.0]))
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(size)])


@st.composite
def categories(draw, max_columns: int = 4) -> pd.DataFrame:
    """Draw a table of categories, of which some may never occur."""
    size = draw(st.integers(2, max_columns))
    rows = draw(st.integers(2, 30))
    columns = {}
    for i in range(size):
        num_states = draw(st.integers(2, 4))
        codes = draw(arrays.arrays(np.int64, rows, elements=st.integers(0, num_states - 1)))
        columns[f"x{i}"] = pd.Categorical.from_codes(codes, range(num_states))
    return pd.DataFrame(columns)


TABLES = st.one_of(
    st.tuples(measurements(), st.just("bge")), st.tuples(categories(), st.just("bde"))
)


def scored(table: pd.DataFrame, score: str, **settings) -> LocalScores:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the standard deviations", UserWarning)
        return local_scores(table, score=score, **settings)


def tolerance(scores: np.ndarray) -> float:
    return 1e-8 * (1 + np.abs(scores).max())


@given(case=TABLES, prior=st.sampled_from(["uniform", "edge"]))
def test_equivalent_graphs_have_one_score(case, prior: str) -> None:
    table, score = case
    dags = all_dags(table.shape[1])
    values = scored(table, score, prior=prior).log_score(dags)
    assert np.isfinite(values).all()
    _, which = np.unique(dag_codes(cpdag(dags)), return_inverse=True)
    for number in range(which.max() + 1):
        assert np.ptp(values[which == number]) <= tolerance(values)


@given(case=TABLES, data=st.data())
def test_the_order_of_rows_and_columns_does_not_matter(case, data) -> None:
    table, score = case
    order = np.array(data.draw(st.permutations(range(table.shape[1]))))
    rows = data.draw(st.permutations(range(len(table))))
    dags = all_dags(table.shape[1])
    values = scored(table, score).log_score(dags)
    moved = scored(table.iloc[rows, order], score).log_score(dags[:, order][:, :, order])
    np.testing.assert_allclose(moved, values, atol=tolerance(values))


@given(case=TABLES, data=st.data())
def test_all_ways_to_score_a_parent_set_agree(case, data) -> None:
    table, score = case
    size = table.shape[1]
    node = data.draw(st.integers(0, size - 1))
    others = [i for i in range(size) if i != node]
    base = data.draw(st.lists(st.sampled_from(others), max_size=1))
    candidates = [i for i in others if i not in base]
    limit = data.draw(st.integers(0, len(candidates)))
    scores = scored(table, score, prior="fair")
    batch = scores.local_scores_of_subsets(node, candidates, limit, base)
    masks = subset_masks(len(candidates), limit)
    parents = np.zeros((len(masks), size), bool)
    parents[:, base] = True
    parents[:, candidates] = masks
    singly = [scores.local_score(node, np.flatnonzero(members).tolist()) for members in parents]
    np.testing.assert_allclose(scores.local_scores_of(node, parents), singly, rtol=1e-12)
    np.testing.assert_allclose(batch, singly, atol=tolerance(batch))


@given(case=TABLES, data=st.data())
def test_rows_of_an_intervention_do_not_count_for_its_target(case, data) -> None:
    table, score = case
    target = data.draw(st.sampled_from([None, *table.columns]))
    set_rows = data.draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table)))
    targets = [target if is_set else None for is_set in set_rows]
    scores = scored(table, score, interventions=targets)
    plain = scored(table, score)
    for node, name in enumerate(table.columns):
        parents = [i for i in range(table.shape[1]) if i != node]
        value = scores.local_score(node, parents)
        assert np.isfinite(value)
        if name != target or not any(set_rows):
            assert value == pytest.approx(plain.local_score(node, parents), rel=1e-9)
        elif all(set_rows):
            assert value == pytest.approx(0, abs=1e-9)  # no row is left to be probable


def check_finite_or_refused(table: pd.DataFrame, score: str, **settings) -> None:
    """Check that every way to score the table is finite, and that they agree, or it is refused."""
    try:
        scores = scored(table, score, **settings)
    except (ValueError, TypeError) as error:
        assert str(error).endswith("."), error
        return
    size = scores.num_variables
    for node in range(size):
        others = [i for i in range(size) if i != node]
        some = others[:4]
        batch = scores.local_scores_of_subsets(node, some, len(some))
        parents = np.zeros((3, size), bool)
        parents[1, others[:1]] = True
        parents[2, some] = True
        values = scores.local_scores_of(node, parents)
        assert np.isfinite(batch).all() and np.isfinite(values).all()
        # A share of 1e-10 of a variance keeps six digits of its logarithm, times half the rows.
        slack = 1e-4 * (1 + len(table))
        np.testing.assert_allclose(batch[[0, 1, -1]], values, rtol=1e-6, atol=slack)


SCALES = st.sampled_from([1e-300, 1e-160, 1e-100, 1e-12, 1.0, 1e12, 1e100, 1e150, 1e154, 1e300])


@example(rows=5, scales=[1e154, 1.0], offset=0.0, closeness=1.0, seed=0, standardize=False)
@given(
    rows=st.integers(2, 12),
    scales=st.lists(SCALES, min_size=2, max_size=5),
    offset=st.sampled_from([0.0, 1.0, 1e6, 1e12, -1e15]),
    closeness=st.sampled_from([0.0, 1e-16, 1e-12, 1e-8, 1e-4, 1.0]),
    seed=SEEDS,
    standardize=st.booleans(),
)
def test_measurements_of_any_scale(rows, scales, offset, closeness, seed, standardize) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, len(scales)))
    values[:, -1] = values[:, :-1].sum(axis=1) + closeness * values[:, -1]
    with np.errstate(over="ignore"):
        table = pd.DataFrame((values + offset) * scales)
    check_finite_or_refused(table, "bge", standardize=standardize)


@given(
    table=arrays.arrays(
        np.float64,
        st.tuples(st.integers(2, 8), st.integers(2, 4)),
        elements=st.one_of(
            st.floats(allow_nan=False, allow_infinity=False),
            st.floats(-1, 1),
            st.sampled_from([1e-12, 1e12, 0.0, 1e154, 5e-324]),
        ),
        fill=st.nothing(),
    ),
    standardize=st.booleans(),
)
def test_any_numbers(table: np.ndarray, standardize: bool) -> None:
    check_finite_or_refused(pd.DataFrame(table), "bge", standardize=standardize)


EXTREMES = st.one_of(
    st.sampled_from([0.0, -1.0, 5e-324, 1e-300, 1e-12, 1.0, 7.0, 1e12, 1e154, 1e300, 1.7e308]),
    st.floats(),
)


@given(
    params=st.dictionaries(st.sampled_from(["alpha_mu", "alpha_w", "nu", "T"]), EXTREMES),
    seed=SEEDS,
)
@example(params={"alpha_mu": 1.7e308}, seed=0)
@example(params={"alpha_mu": 5e-324}, seed=0)
@example(params={"alpha_w": 1e300, "T": 1.0}, seed=0)
@example(params={"nu": 1e200}, seed=0)
def test_any_parameters_of_bge(params, seed: int) -> None:
    table = pd.DataFrame(np.random.default_rng(seed).normal(size=(8, 3)))
    check_finite_or_refused(table, "bge", score_params=params)


@given(table=categories(), size=EXTREMES)
@example(table=pd.DataFrame({"a": list("xyxy"), "b": list("uvvu"), "c": list("zzww")}), size=5e-324)
def test_any_parameters_of_bde(table: pd.DataFrame, size: float) -> None:
    check_finite_or_refused(table, "bde", score_params={"equivalent_sample_size": size})


@given(
    name=st.sampled_from(["edge", "erdos_renyi"]),
    value=EXTREMES,
    seed=SEEDS,
)
def test_any_parameters_of_a_prior(name: str, value: float, seed: int) -> None:
    table = pd.DataFrame(np.random.default_rng(seed).normal(size=(8, 3)))
    params = {"beta" if name == "edge" else "p": value}
    check_finite_or_refused(table, "bge", prior=name, prior_params=params)


def test_a_prior_that_outweighs_the_table_says_what_it_says() -> None:
    """Each row then has the probability that the prior mean of the parameters gives it."""
    table = pd.DataFrame({"a": [0, 1, 2, 0], "b": [0, 1, 1, 1]})
    scores = local_scores(table, score="bde", score_params={"equivalent_sample_size": 1e9})
    assert scores.local_score("a", ["b"]) == pytest.approx(-4 * np.log(3), rel=1e-6)
    values = np.array([[0.5, 1.0], [-1.0, 2.0], [3.0, 0.1]])
    scale = 1e9 * np.eye(2)
    params = {"alpha_mu": 1e12, "alpha_w": 1e9, "T": scale}
    scores = local_scores(values, score="bge", score_params=params)
    normal = -0.5 * np.log(2 * np.pi) - values[:, 0] ** 2 / 2
    assert scores.local_score(0, [1]) == pytest.approx(normal.sum(), abs=1e-4)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_hundred_columns(scale: float) -> None:
    values = np.random.default_rng(0).normal(size=(50, 100)) * scale
    check_finite_or_refused(pd.DataFrame(values), "bge")
    check_finite_or_refused(pd.DataFrame(values), "bge", standardize=True)


def test_a_million_rows() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10**6, 3))
    values[:, 2] += 1e4 * values[:, 0]
    check_finite_or_refused(pd.DataFrame(values), "bge")
    codes = rng.integers(3, size=(10**6, 3))
    check_finite_or_refused(
        pd.DataFrame(
            {i: pd.Categorical.from_codes(column, range(4)) for i, column in enumerate(codes.T)}
        ),
        "bde",
    )


def test_all_parents_of_many_states() -> None:
    """Four hundred parents of ten states share the weight of the prior among 1e400 states."""
    codes = np.random.default_rng(0).integers(10, size=(20, 401))
    table = pd.DataFrame(
        {i: pd.Categorical.from_codes(c, range(10)) for i, c in enumerate(codes.T)}
    )
    scores = local_scores(table, score="bde")
    few, many = (scores.local_score(0, range(1, size)) for size in (300, 401))
    assert np.isfinite(few)
    assert many == pytest.approx(few, rel=1e-6)
