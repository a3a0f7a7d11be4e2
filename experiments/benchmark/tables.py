"""Tables to measure on."""

from __future__ import annotations

import numpy as np
import pandas as pd

import dag_gfn as dg


def gaussian_table(num_variables: int, num_rows: int, seed: int) -> pd.DataFrame:
    """Draw a linear-Gaussian table from an Erdős-Rényi DAG with an edge for each variable."""
    rng = np.random.default_rng(seed)
    dag = dg.datasets.random_dag(num_variables, num_edges=num_variables, random_state=rng)
    return dg.datasets.simulate_linear_gaussian(dag, num_rows, random_state=rng).table
