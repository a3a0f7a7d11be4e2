"""What is known of the edges is accepted exactly when some DAG agrees with it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as arrays

from dag_gfn.graphs import all_dags
from dag_gfn.scores.conditions import changed_mechanisms
from dag_gfn.scores.constraints import column_index, edge_mask, intervention_targets
from dag_gfn.scores.knowledge import edge_probability_matrix, prior_knowledge, tier_numbers

NAMES = ("a", "b", "c")
PLACES = st.integers(0, 2)
# Few edges of each kind, or nearly everything contradicts itself.
EDGES = st.lists(
    st.tuples(PLACES, PLACES).filter(lambda edge: edge[0] != edge[1]), max_size=3, unique=True
)
TIERS = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from([1, 2, -0.5, np.inf, np.nan, None])),
)
PROBABILITIES = st.dictionaries(
    st.tuples(PLACES, PLACES).filter(lambda edge: edge[0] != edge[1]),
    st.sampled_from([0, 1, 0.25, 0.75, np.nan, 5e-324, 1 - 2**-53]),
    max_size=3,
)


def agreeing(required, forbidden, tiers, probabilities, max_parents) -> np.ndarray:
    """Return the DAGs of three variables that agree, one condition after the other."""
    dags = all_dags(3)
    number = [(tiers or {}).get(name) for name in NAMES]
    fits = np.ones(len(dags), bool)
    for i in range(3):
        for j in range(3):
            edge, p = dags[:, i, j] == 1, probabilities.get((i, j), 0.5)
            if (i, j) in required or p == 1:
                fits &= edge
            if (i, j) in forbidden or p == 0:
                fits &= ~edge
            if number[i] is not None and number[j] is not None and number[i] > number[j]:
                fits &= ~edge
    if max_parents is not None:
        fits &= (dags.sum(axis=1) <= max_parents).all(axis=1)
    return dags[fits]


@given(
    required=EDGES,
    forbidden=EDGES,
    tiers=TIERS,
    probabilities=PROBABILITIES,
    max_parents=st.sampled_from([None, None, 0, 1, 2]),
)
def test_accepted_if_and_only_if_some_dag_agrees(
    required, forbidden, tiers, probabilities, max_parents
) -> None:
    dags = agreeing(required, forbidden, tiers, probabilities, max_parents)
    settings = {
        "required_edges": required,
        "forbidden_edges": forbidden,
        "tiers": tiers,
        "edge_probabilities": probabilities,
        "max_parents": max_parents,
    }
    if len(dags) == 0:
        with pytest.raises(ValueError, match=r"\.$"):
            prior_knowledge(NAMES, **settings)
        return
    known = prior_knowledge(NAMES, **settings)
    everything = all_dags(3).astype(bool)
    allowed = (
        ~(everything & known.forbidden).any(axis=(1, 2))
        & (everything | ~known.required).all(axis=(1, 2))
        & (everything.sum(axis=1) <= known.max_parents).all(axis=1)
    )
    np.testing.assert_array_equal(everything[allowed], dags)
    assert np.isfinite(known.edge_log_odds).all()


@given(edges=EDGES)
def test_any_way_to_write_edges_is_the_same(edges) -> None:
    mask = edge_mask(edges, NAMES, "required")
    assert sorted(map(tuple, np.argwhere(mask).tolist())) == sorted(edges)
    named = [(NAMES[i], NAMES[j]) for i, j in edges]
    frame = pd.DataFrame(mask, NAMES, NAMES).iloc[::-1, [1, 2, 0]]
    for other in (named, mask, mask.astype(float), frame, iter(edges), map(list, edges)):
        np.testing.assert_array_equal(edge_mask(other, NAMES, "required"), mask)


@given(tiers=st.lists(PLACES, min_size=3, max_size=3))
def test_any_way_to_write_tiers_is_the_same(tiers) -> None:
    lists = [[name for name, tier in zip(NAMES, tiers, strict=True) if tier == k] for k in range(3)]
    by_number = tier_numbers(dict(zip(NAMES, tiers, strict=True)), NAMES)
    np.testing.assert_array_equal(tier_numbers(lists, NAMES), by_number + 1)
    np.testing.assert_array_equal(tier_numbers(pd.Series(tiers, NAMES), NAMES), by_number)


LEAVES = st.one_of(
    st.sampled_from(
        [*NAMES, "", "d", None, pd.NA, np.nan, True, 10**400, Fraction(1, 3), 1j, b"a"]
    ),
    st.sampled_from([np.int8(1), np.bool_(True), np.float32(0.5), np.array([1]), -1, 3, 1.0]),
    st.integers(-1, 3),
    st.floats(),
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from(NAMES) | st.tuples(PLACES, PLACES), inner, max_size=2),
    ),
    max_leaves=8,
) | st.one_of(
    arrays.arrays(st.sampled_from([np.float64, np.int8, bool, "U1"]), (3, 3)),
    st.lists(st.lists(LEAVES, min_size=3, max_size=3), min_size=3, max_size=3).map(
        lambda rows: pd.DataFrame(rows, NAMES, NAMES)
    ),
)


@pytest.mark.parametrize(
    "argument",
    ["required_edges", "forbidden_edges", "tiers", "edge_probabilities", "max_parents"],
)
@example(value=5)
@example(value=pd.DataFrame([[pd.NA]], ["a"], ["b"]))
@example(value={"a": 10**400})
@example(value={("a", "b"): 10**400})
@given(value=JUNK)
def test_anything_is_knowledge_or_refused(argument: str, value) -> None:
    try:
        known = prior_knowledge(NAMES, **{argument: value})
    except (ValueError, TypeError) as error:
        assert str(error).endswith("."), error
        return
    assert known.required.shape == known.forbidden.shape == (3, 3)
    assert not (known.required & known.forbidden).any()
    assert np.isfinite(known.edge_log_odds).all()


@example(labels=["a", np.array([1])])
@example(labels=["a", (1, [2])])
@example(labels=5)
@given(labels=st.lists(LEAVES, min_size=2, max_size=4) | JUNK)
def test_anything_is_an_intervention_or_refused(labels) -> None:
    num_rows = len(labels) if isinstance(labels, list) else 2
    try:
        targets = intervention_targets(labels, NAMES, num_rows)
    except (ValueError, TypeError) as error:
        assert str(error).endswith("."), error
    else:
        assert targets.shape == (num_rows,)
    targets = np.arange(num_rows) % 2
    try:
        mechanisms = changed_mechanisms(labels, targets)
    except (ValueError, TypeError) as error:
        assert str(error).endswith("."), error
    else:
        assert mechanisms is None or (mechanisms >= 0).all()


def test_what_equals_a_position_is_not_one() -> None:
    for label in (True, 1.0, np.True_):
        with pytest.raises(TypeError, match="target of row 1, must be a column name"):
            intervention_targets([1, label], NAMES, 2)


def test_tiers_that_differ_by_little_are_not_taken_for_equal() -> None:
    with pytest.raises(ValueError, match="the tier of column 'b' has too many digits"):
        tier_numbers({"a": 2**53, "b": np.int64(2**53 + 1)}, NAMES)
    assert tier_numbers({"a": -np.inf, "b": 2**60}, NAMES)[:2].tolist() == [-np.inf, 2.0**60]


@given(column=JUNK, names=st.lists(st.sampled_from(["0", "1", "2", "a"]), min_size=2, unique=True))
def test_anything_is_a_column_or_refused(column, names) -> None:
    try:
        place = column_index(column, names)
    except (ValueError, TypeError) as error:
        assert str(error).endswith("."), error
        return
    assert 0 <= place < len(names) and (column == place or column == names[place])


@given(matrix=arrays.arrays(np.float64, (3, 3), elements=st.floats(-0.5, 1.5) | st.just(np.nan)))
def test_any_matrix_of_probabilities(matrix: np.ndarray) -> None:
    inside = np.isnan(matrix) | ((matrix >= 0) & (matrix <= 1))
    if inside.all() and not (np.diag(matrix) > 0).any():
        known = edge_probability_matrix(matrix, NAMES)
        off_diagonal = ~np.eye(3, dtype=bool)
        np.testing.assert_array_equal(known[off_diagonal], matrix[off_diagonal])
    else:
        with pytest.raises(ValueError, match="edge probability"):
            edge_probability_matrix(matrix, NAMES)
