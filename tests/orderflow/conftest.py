"""Tables of dependent measurements."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import pytest

from dag_gfn.scores import LocalScores, local_scores

# The tests compile many small programs and run each for a moment only.
jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")
def scores_of() -> Callable[..., LocalScores]:
    """Return a function: the scores of so many variables, each dependent on the one before it."""

    def scores_of(d: int, **constraints) -> LocalScores:
        values = np.random.default_rng(d).normal(size=(30, d))
        for j in range(1, d):
            values[:, j] += values[:, j - 1]
        return local_scores(values, **constraints)

    return scores_of
