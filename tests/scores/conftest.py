"""Tables shared by the tests of scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def measurements() -> pd.DataFrame:
    """Four correlated columns with different means and scales, 60 rows."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) * [1, 2, 0.5, 3] + [0, 1, -5, 2]
    return pd.DataFrame(values, columns=["a", "b", "c", "e"])


@pytest.fixture(scope="session")
def categories() -> pd.DataFrame:
    """Four dependent columns with 2, 3, 2 and 4 states, one of them never observed, 50 rows."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, 2, 50)
    b = (a + rng.integers(0, 2, 50)) % 3
    c = np.where(rng.random(50) < 0.8, a, 1 - a)
    e = rng.integers(0, 3, 50)
    codes = {"a": (a, 2), "b": (b, 3), "c": (c, 2), "e": (e, 4)}
    return pd.DataFrame(
        {
            name: pd.Categorical([f"s{value}" for value in column], [f"s{i}" for i in range(size)])
            for name, (column, size) in codes.items()
        }
    )


@pytest.fixture(scope="session")
def targets() -> list[str | None]:
    """Interventions on two of the four columns, for 50 rows."""
    rng = np.random.default_rng(2)
    return rng.choice(np.array([None, None, "a", "e"], dtype=object), size=50).tolist()
