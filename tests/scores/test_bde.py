"""BDe against theory and against another implementation."""

from __future__ import annotations

from itertools import chain, combinations, permutations
from math import lgamma, log

import numpy as np
import pandas as pd
import pytest

from dag_gfn.scores import BDe, local_scores


@pytest.mark.parametrize("equivalent_sample_size", [1, 10, 0.3])
# pgmpy warns about packages it imports and about its own deprecations, which are not ours.
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_pgmpy(categories: pd.DataFrame, equivalent_sample_size: float) -> None:
    from pgmpy.structure_score import BDeu

    names = list(categories.columns)
    states = {name: categories[name].cat.categories.tolist() for name in names}
    oracle = BDeu(categories, equivalent_sample_size=equivalent_sample_size, state_names=states)
    scores = local_scores(categories, BDe(equivalent_sample_size))
    for node in names:
        others = [name for name in names if name != node]
        for parents in chain.from_iterable(combinations(others, size) for size in range(4)):
            expected = oracle.local_score(node, parents)
            # pgmpy 1.1.2 leaves log Gamma(beta) out of its sum over node states that occur with no
            # parent state (so that equivalent DAGs differ: see test_chain_rule_in_any_order).
            num_configurations = (
                len(categories.groupby(list(parents), observed=True)) if parents else 0
            )
            num_cells = np.prod([len(states[name]) for name in (node, *parents)])
            missing = len(states[node]) - categories[node].nunique()
            expected += missing * num_configurations * lgamma(equivalent_sample_size / num_cells)
            assert scores.local_score(node, parents) == pytest.approx(expected, rel=1e-9)


def test_one_family_by_hand() -> None:
    # Rows (x, u), (x, u), (y, v), (y, u) with alpha = 1: predictive probabilities in turn.
    table = pd.DataFrame({"a": list("xxyy"), "b": list("uuvu")})
    scores = local_scores(table, BDe(equivalent_sample_size=1))
    expected = log(1 / 2) + log(1.25 / 1.5) + log(1 / 2) + log(0.25 / 1.5)
    assert scores.local_score("b", ["a"]) == pytest.approx(expected, abs=1e-12)


def test_chain_rule_in_any_order(categories: pd.DataFrame) -> None:
    # Complete DAGs are equivalent, and their joint is one Dirichlet over all 48 states.
    scores = local_scores(categories, "bde")
    cells = categories.value_counts(sort=False)
    alpha = 10 / 48
    expected = lgamma(10) - lgamma(10 + len(categories))
    expected += sum(lgamma(alpha + count) - lgamma(alpha) for count in cells if count)
    for order in permutations(range(4)):
        total = sum(scores.local_score(order[i], order[:i]) for i in range(4))
        assert total == pytest.approx(expected, rel=1e-11)


def test_unobserved_states_count(categories: pd.DataFrame) -> None:
    observed_only = categories.assign(e=categories["e"].cat.remove_unused_categories())
    full, trimmed = local_scores(categories, "bde"), local_scores(observed_only, "bde")
    assert full.local_score("e", []) != pytest.approx(trimmed.local_score("e", []), abs=0.1)
    assert full.local_score("a", ["b"]) == trimmed.local_score("a", ["b"])


def test_subsets_give_the_values_of_single_sets() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(0, [2, 3, 5, 2, 4, 2, 30], size=(200, 7)))
    likelihood = local_scores(table, "bde", interventions=rng.integers(0, 7, 200)).likelihood
    for max_size in range(5):
        for base in ([], [2], [2, 6]):
            candidates = [i for i in (5, 0, 1, 4) if i not in base]
            arguments = (3, candidates, max_size, base)
            found = likelihood.log_marginals_of_subsets(*arguments)
            expected = super(type(likelihood), likelihood).log_marginals_of_subsets(*arguments)
            np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_repeated_rows_are_counted() -> None:
    # Sequential prediction multiplies to the marginal likelihood, so doubling is not doubling.
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 2, size=(5_000, 3))
    scores = local_scores(pd.DataFrame(codes), "bde")
    counts = np.bincount(codes[:, 0] + 2 * codes[:, 1], minlength=4).reshape(2, 2)
    expected = sum(
        lgamma(5) - lgamma(5 + row.sum()) + sum(lgamma(2.5 + cell) - lgamma(2.5) for cell in row)
        for row in counts
    )
    assert len(scores.likelihood.counts) == 8
    assert scores.local_score(0, [1]) == pytest.approx(expected, rel=1e-11)


def test_no_rows_left_by_interventions(categories: pd.DataFrame) -> None:
    scores = local_scores(categories, "bde", interventions=["b"] * len(categories))
    np.testing.assert_allclose(scores.table()[1], 0, atol=1e-12)


@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan])
def test_impossible_sample_size(value: float) -> None:
    with pytest.raises(ValueError, match="equivalent_sample_size of BDe must be positive"):
        BDe(value)
