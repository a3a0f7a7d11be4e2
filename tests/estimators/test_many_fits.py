"""Many fits at once: by processes of joblib, and on a cluster, with the results of one by one."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import dag_gfn as dg

# Small and quick; each kind of state that a fitted estimator holds is among them.
ESTIMATORS = [
    dg.ExactPosterior(progress=False),
    dg.StructureMCMC(num_steps=2000, n_samples=100, progress=False, random_state=0),
    dg.OrderGFlowNet(num_updates=200, width=16, n_samples=100, progress=False, random_state=0),
]
pytestmark = pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")


def fitted(estimator, table):
    return clone(estimator).fit(table)


@pytest.fixture(scope="module")
def tables():
    return [dg.datasets.simulate_linear_gaussian(3, 40, random_state=i).table for i in range(1)]


def test_processes_give_what_one_process_gives(tables):
    jobs = [(estimator, table) for estimator in ESTIMATORS for table in tables]
    apart = joblib.Parallel(n_jobs=2)(joblib.delayed(fitted)(*job) for job in jobs)
    for (estimator, table), there in zip(jobs, apart, strict=True):
        here = fitted(estimator, table).posterior_
        np.testing.assert_array_equal(there.posterior_.adjacency, here.adjacency)
        np.testing.assert_allclose(there.posterior_.log_weights, here.log_weights, atol=1e-4)


# Warnings of a cluster that is taken down are its own business.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_dask_cluster_gives_what_one_process_gives():
    distributed = pytest.importorskip("distributed")
    settings = {"num_variables": 3, "num_tables": 6, "progress": False}
    here = dg.calibrate(dg.ExactPosterior(), **settings)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        there = dg.calibrate(dg.ExactPosterior(), n_jobs=2, **settings)
    pd.testing.assert_frame_equal(there.pairs, here.pairs)
