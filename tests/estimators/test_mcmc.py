"""The chain estimators against the exact posterior, and what a fit shows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators import ExactPosterior, OrderMCMC, PartitionMCMC, StructureMCMC
from dag_gfn.posterior import Posterior

SMALL = {"num_steps": 4000, "n_samples": 400, "progress": False, "random_state": 0}
KINDS = [StructureMCMC, OrderMCMC, PartitionMCMC]

# Short chains may well disagree.
untrusted = pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")
every_kind = pytest.mark.parametrize("kind", KINDS)


def measurements(d: int = 4, num_rows: int = 40, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(num_rows, d))
    values[:, 1] += 0.5 * values[:, 0]
    return pd.DataFrame(values, columns=[f"gene{j}" for j in range(d)])


def expected_failures(estimator):
    return {
        "check_estimators_dtypes": (
            "integers with few values are refused by BGe as codes of categories, on purpose"
        ),
    }


@untrusted
# The array API check is skipped with a warning where SCIPY_ARRAY_API is not set.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [kind(**{**SMALL, "num_steps": 200, "n_samples": 32}) for kind in KINDS],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@every_kind
def test_marginals_agree_with_the_exact_posterior(kind):
    table = measurements()
    exact = ExactPosterior().fit(table).edge_marginals_
    model = kind(
        num_chains=8, num_steps=200_000, n_samples=16_000, progress=False, random_state=1
    ).fit(table)
    draws = model.chains_.draws
    weights = np.exp(draws.log_weights - draws.log_weights.max())[:, :, None, None]
    means = (weights * draws.adjacency).sum(axis=1) / weights.sum(axis=1)
    error = means.std(axis=0, ddof=1) / np.sqrt(8)
    # Student's t with 7 degrees of freedom is beyond 9 once in 10^4.
    assert np.all(np.abs(model.edge_marginals_ - exact) <= 9 * error + 1e-3)
    assert np.all(np.abs(model.posterior_.edge_marginals() - exact) <= 9 * error + 1e-3)
    assert error.max() < 0.01
    assert model.rhat_ < 1.01 and model.ess_ > 1000


@untrusted
@every_kind
def test_what_a_fit_shows(kind):
    table = measurements()
    model = kind(**SMALL, num_chains=3).fit(table)
    assert isinstance(model.posterior_, Posterior) and len(model.posterior_) == 402
    assert np.isnan(model.posterior_.log_evidence)
    assert model.chains_.draws.adjacency.shape == (3, 134, 4, 4)
    np.testing.assert_array_equal(
        model.posterior_.adjacency, model.chains_.draws.adjacency.reshape(-1, 4, 4)
    )
    np.testing.assert_allclose(
        model.scores_.log_score(model.posterior_.adjacency),
        model.chains_.draws.log_scores.ravel(),
        rtol=1e-10,
    )
    names = table.columns.tolist()
    assert list(model.edge_marginals_.index) == list(model.edge_marginals_.columns) == names
    assert len(model.convergence_) == 13 and "gene0 -> gene1" in model.convergence_.index
    assert model.rhat_ == model.convergence_["rhat"].max() == model.posterior_.metadata["rhat"]
    assert model.ess_ == model.convergence_["ess"].min() == model.posterior_.metadata["ess"]


@untrusted
@every_kind
def test_random_state_reproduces_a_fit(kind):
    table = measurements()
    one, again, other = (
        kind(**{**SMALL, "random_state": seed}).fit(table).posterior_ for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one.adjacency, again.adjacency)
    np.testing.assert_array_equal(one.log_weights, again.log_weights)
    assert np.any(one.adjacency != other.adjacency)


@untrusted
@every_kind
def test_constraints_hold_of_every_graph(kind):
    model = clone(kind(**SMALL)).fit(
        measurements(),
        required_edges=[("gene0", "gene2")],
        forbidden_edges=[("gene1", "gene2")],
        max_parents=1,
    )
    graphs = model.posterior_.adjacency
    assert graphs[:, 0, 2].all() and not graphs[:, 1, 2].any()
    assert graphs.sum(axis=1).max() == 1
    assert model.edge_marginals_.loc["gene0", "gene2"] == pytest.approx(1)


@untrusted
def test_time_can_decide():
    model = StructureMCMC(**{**SMALL, "num_steps": 1, "max_seconds": 0.2}).fit(measurements())
    assert len(model.posterior_) >= 32
    assert model.chains_.num_steps > 1


def test_chains_that_disagree_are_warned_of():
    # Strong dependences between several causes and effects, which so few steps do not turn round.
    table = measurements(6, num_rows=300, seed=3)
    for child in ("gene3", "gene4", "gene5"):
        table[child] = table[["gene0", "gene1", "gene2"]].sum(axis=1) + 0.1 * table[child]
    with pytest.warns(UntrustedPosteriorWarning, match="R-hat is .*run them longer") as caught:
        StructureMCMC(num_steps=300, n_samples=64, progress=False, random_state=0).fit(table)
    assert caught[0].filename == __file__


def test_weights_that_degenerate_are_warned_of():
    # Where little is known, graphs agree with very different numbers of orders.
    table = measurements(10, num_rows=60)
    with pytest.warns(UntrustedPosteriorWarning) as caught:
        OrderMCMC(num_steps=2000, n_samples=32, progress=False, random_state=0).fit(table)
    messages = [str(warning.message) for warning in caught]
    assert any("leave" in message and "use PartitionMCMC" in message for message in messages)
    assert all(warning.filename == __file__ for warning in caught)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_chains", 0, "num_chains must be an integer of at least 1, not 0"),
        ("num_steps", 0, "num_steps must be an integer of at least 1, not 0"),
        ("num_steps", 1e6, "num_steps must be an integer"),
        ("n_samples", 31, "n_samples must be an integer of at least 32, not 31"),
        ("max_candidates", 0, "max_candidates must be an integer of at least 1"),
        ("max_seconds", 0, "max_seconds must be a positive number or None, not 0"),
        ("max_seconds", True, "max_seconds must be a positive number or None, not True"),
        ("max_seconds", "long", "max_seconds must be a positive number or None, not 'long'"),
    ],
)
def test_bad_settings_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        StructureMCMC(**{**SMALL, name: value}).fit(measurements())
