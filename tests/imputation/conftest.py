"""A graph, and rows that miss some of its variables."""

from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.imputation import Pattern, missing_patterns

# a -> c <- b, c -> d and a -> d: with a collider and a child of both it and a parent.
GRAPH = np.array([[0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], np.int8)
NUM_ROWS = 20_000

# Which of the four are missing, and which was set.
CASES = {
    "a root": ([0], -1),
    "a leaf": ([3], -1),
    "two parents of one child": ([0, 1], -1),
    "a child and its parent": ([0, 2], -1),
    "all but one": ([0, 1, 2], -1),
    "everything": ([0, 1, 2, 3], -1),
    "a parent of what was set": ([1, 3], 2),
    "a child of what was set": ([0, 3], 2),
    "all but what was set": ([0, 1, 2], 3),
}


@pytest.fixture(scope="session")
def graph() -> np.ndarray:
    return GRAPH


@pytest.fixture(params=CASES)
def pattern(request) -> Pattern:
    """Return all rows of a table of four columns, which miss the same."""
    cells, target = CASES[request.param]
    missing = np.zeros((NUM_ROWS, 4), bool)
    missing[:, cells] = True
    (only,) = missing_patterns(missing, np.full(NUM_ROWS, target))
    return only
