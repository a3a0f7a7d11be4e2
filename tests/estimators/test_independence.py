"""Chains over a trained flow's draws, as an estimator."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import dag_gfn as dg
from dag_gfn.convergence import RHAT_LIMIT
from dag_gfn.diagnostics import UntrustedPosteriorWarning

jax.config.update("jax_disable_most_optimizations", True)

# The sizes of the tests of all estimators, since each other one is compiled anew.
TINY = {"width": 4, "batch_size": 4, "num_updates": 1, "n_samples": 256, "progress": False}


def measurements(d: int = 3) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(40, d))
    values[:, 1] += 0.5 * values[:, 0]
    return pd.DataFrame(values, columns=[f"gene{j}" for j in range(d)])


def expected_failures(estimator):
    return {
        "check_estimators_dtypes": (
            "integers with few values are refused by BGe as codes of categories, on purpose"
        ),
    }


# One update trains nothing, and short chains may well disagree.
@pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")
# The array API check is skipped with a warning where SCIPY_ARRAY_API is not set.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([dg.IndependenceMCMC(**TINY)], expected_failed_checks=expected_failures)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted() -> dg.IndependenceMCMC:
    model = dg.IndependenceMCMC(**TINY | {"num_updates": 200, "n_samples": 20_000}, random_state=0)
    return model.fit(measurements())


def test_chains_correct_what_the_flow_gets_wrong(fitted):
    exact = dg.ExactPosterior().fit(measurements()).edge_marginals_
    chains = fitted.posterior_.edge_marginals()
    # Five standard errors of a chain whose draws are worth the smallest effective sample size.
    assert np.abs(chains - exact).to_numpy().max() < 2.5 / np.sqrt(fitted.ess_)
    assert np.ptp(fitted.posterior_.weights) == 0
    assert len(fitted.posterior_) == 0.9 * len(fitted.proposals_)
    assert fitted.rhat_ < RHAT_LIMIT
    assert fitted.posterior_.metadata["rhat"] == fitted.rhat_
    assert 0 < fitted.posterior_.metadata["acceptance"] < 1


def test_the_flow_is_that_of_the_flow_estimator(fitted):
    flow = dg.OrderGFlowNet(**fitted.get_params()).fit(measurements())
    np.testing.assert_array_equal(flow.posterior_.adjacency, fitted.proposals_.adjacency)
    np.testing.assert_array_equal(flow.posterior_.log_weights, fitted.proposals_.log_weights)


def test_fresh_chains_are_reproducible_and_differ(fitted):
    one, same, other = (fitted.sample(400, random_state=seed) for seed in (1, 1, 2))
    assert len(one) == 360
    np.testing.assert_array_equal(one.adjacency, same.adjacency)
    assert np.any(one.adjacency != other.adjacency)


def test_chains_that_disagree_are_doubted():
    model = dg.IndependenceMCMC(**TINY | {"n_samples": 60}, random_state=0)
    with pytest.warns(UntrustedPosteriorWarning, match="The chains do not agree yet: R-hat is"):
        model.fit(measurements(5))


def test_too_few_proposals_are_refused(fitted):
    with pytest.raises(ValueError, match="n_samples"):
        clone(fitted).set_params(n_samples=39).fit(measurements())
