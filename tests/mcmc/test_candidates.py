"""The table of candidate parents against scores asked for one at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dag_gfn.mcmc import candidates as candidates_module
from dag_gfn.mcmc.candidates import candidate_table
from dag_gfn.scores import LocalScores, local_scores


def measurements(d: int = 5, num_rows: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(num_rows, d)) @ (np.eye(d) + 0.4 * np.triu(rng.normal(size=(d, d))))
    return pd.DataFrame(values, columns=[f"gene{j}" for j in range(d)])


def categories(d: int = 4, num_rows: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    codes = (rng.integers(0, 2, (num_rows, 1)) + rng.integers(0, 2, (num_rows, d))) % 3
    return pd.DataFrame(codes, columns=[f"item{j}" for j in range(d)])


def check(scores: LocalScores, max_candidates: int = 14) -> np.ndarray:
    """Assert that every entry is the score of its set; return the candidates."""
    table = candidate_table(scores, max_candidates)
    d, m = table.candidates.shape
    assert table.log_scores.shape == (d, 2**m)
    for node in range(d):
        known = table.candidates[node][table.candidates[node] >= 0]
        assert np.all(np.diff(known) > 0) and node not in known
        assert np.all(table.candidates[node, : len(known)] == known)
        for mask in range(2**m):
            bits = np.flatnonzero((mask >> np.arange(m)) & 1)
            if bits.max(initial=-1) >= len(known):
                expected = -np.inf
            else:
                expected = scores.local_score(node, known[bits].tolist())
            np.testing.assert_allclose(table.log_scores[node, mask], expected, rtol=1e-10)
    return table.candidates


CONSTRAINTS = [
    {},
    {"max_parents": 2},
    {"required_edges": [(0, 1), (2, 1)], "forbidden_edges": [(3, 1), (1, 0)], "max_parents": 2},
    {"forbidden_edges": [(0, 3), (1, 3), (2, 3)], "prior": "fair"},
]


@pytest.mark.parametrize("words", CONSTRAINTS)
@pytest.mark.parametrize("score", ["bge", "bde"])
def test_all_others_are_candidates_where_the_table_fits(score, words):
    table = measurements(4) if score == "bge" else categories()
    found = check(local_scores(table, score=score, **words))
    assert found.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


@pytest.fixture
def pruned(monkeypatch):
    """Make every table too large for all others to be candidates."""
    monkeypatch.setattr(candidates_module, "MAX_TABLE_ENTRIES", 5 * 2**4 - 1)


@pytest.mark.parametrize("words", CONSTRAINTS)
@pytest.mark.parametrize("max_candidates", [2, 3])
def test_pruned_candidates_keep_to_the_constraints(words, max_candidates, pruned):
    scores = local_scores(measurements(), **words)
    found = check(scores, max_candidates)
    for node in range(5):
        kept = set(found[node]) - {-1}
        assert set(np.flatnonzero(scores.required[:, node])) <= kept
        assert not scores.forbidden[list(kept), node].any()
        assert len(kept) == min(max_candidates, 5 - scores.forbidden[:, node].sum())


def test_a_node_without_candidates_has_its_empty_set_alone(pruned):
    scores = local_scores(measurements(), forbidden_edges=[(j, 0) for j in range(1, 5)])
    table = candidate_table(scores, 3)
    assert np.all(table.candidates[0] == -1)
    assert np.isfinite(table.log_scores[0]).tolist() == [True] + [False] * 7


def test_true_parents_are_candidates_among_many():
    d, rng = 60, np.random.default_rng(3)
    values = rng.normal(size=(400, d))
    # Variables 50 to 59 have three parents each among the first 50.
    parents = {node: rng.choice(50, size=3, replace=False) for node in range(50, d)}
    for node, members in parents.items():
        values[:, node] += values[:, members] @ rng.choice([-1, 1], size=3)
    found = candidate_table(local_scores(values), 8).candidates
    for node, members in parents.items():
        assert set(members) <= set(found[node])
        # And a node is a candidate parent of its parents, since the edge may be turned round.
        assert all(node in found[member] for member in members)


def test_too_many_candidates_are_refused(pruned):
    scores = local_scores(measurements())
    with pytest.raises(ValueError, match="max_candidates must be from 1 to 3 for 5 variables"):
        candidate_table(scores, 4)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        candidate_table(scores, 0)
    scores = local_scores(measurements(), required_edges=[("gene0", "gene1"), ("gene2", "gene1")])
    with pytest.raises(ValueError, match="'gene1' has 2 required parents.*raise max_candidates"):
        candidate_table(scores, 1)
