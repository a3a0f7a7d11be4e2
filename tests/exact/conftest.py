from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def measurements():
    """Tables of correlated normal columns, and one column that is noise."""

    def make(d, num_rows=40, seed=0):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(num_rows, d))
        for j in range(1, d - 1):
            values[:, j] += values[:, :j] @ (rng.normal(size=j) * rng.integers(0, 2, j))
        return pd.DataFrame(values, columns=[f"x{j}" for j in range(d)])

    return make


@pytest.fixture
def categories():
    """Tables of binary columns, each of which copies the one before half of the time."""

    def make(d, num_rows=40, seed=0):
        rng = np.random.default_rng(seed)
        codes = rng.integers(0, 2, (num_rows, d))
        for j in range(1, d):
            copied = rng.random(num_rows) < 0.5
            codes[copied, j] = codes[copied, j - 1]
        table = pd.DataFrame(codes, columns=[f"x{j}" for j in range(d)])
        return table.astype(pd.CategoricalDtype([0, 1]))

    return make
