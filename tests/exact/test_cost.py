from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.exact import check_cost, cost, subset_cost
from dag_gfn.scores import local_scores


def scores_of(d, **words):
    return local_scores(np.random.default_rng(0).normal(size=(2 * d, d)), **words)


def test_cost_is_a_sum_over_sets():
    memory, seconds = subset_cost(scores_of(20))
    # Two tables of 20 * 2^19 numbers of 8 bytes at the least; 2 GiB is what a laptop can spare.
    assert 160 * 2**20 < memory < 2**31
    assert seconds < 90
    # Sums are over pairs of disjoint sets, so each variable multiplies them by three.
    assert subset_cost(scores_of(21)).seconds / seconds == pytest.approx(3, rel=0.1)


def test_constraints_make_it_cheaper():
    # Only the first nine columns may be causes.
    forbidden = np.zeros((18, 18), dtype=bool)
    forbidden[9:] = ~np.eye(18, dtype=bool)[9:]
    cheaper, full = (subset_cost(scores_of(18, **w)) for w in ({"forbidden_edges": forbidden}, {}))
    assert cheaper.memory < 0.3 * full.memory and cheaper.seconds < full.seconds


def test_too_many_variables_are_refused_with_what_they_would_take():
    with pytest.raises(
        ValueError,
        match=r"of 25 variables would take .* GiB of memory and up to .* hours; use Part",
    ) as error:
        check_cost(scores_of(25))
    assert str(error.value).count(". ") == 0 and "at most 22 columns" in str(error.value)


def test_too_little_memory_is_refused(monkeypatch):
    check_cost(scores_of(18))
    monkeypatch.setattr(cost, "_machine_memory", lambda: 1e7)
    with pytest.raises(ValueError, match="this machine has 0.00931 GiB; use PartitionMCMC.*forbid"):
        check_cost(scores_of(18))
