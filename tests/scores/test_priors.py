"""Priors count parent sets over the d - 1 possible parents."""

from __future__ import annotations

from math import comb, log

import numpy as np
import pytest

from dag_gfn.scores import PRIORS, EdgePrior, ErdosRenyiPrior, FairPrior


@pytest.mark.parametrize("num_variables", [2, 3, 7, 40])
@pytest.mark.parametrize("name", PRIORS)
def test_total_over_the_parent_sets_of_a_node(name: str, num_variables: int) -> None:
    candidates = num_variables - 1
    total = {
        "uniform": 2.0**candidates,
        "edge": (1 + 1 / candidates) ** candidates,
        "erdos_renyi": 1.0,
        "fair": num_variables,
    }[name]
    sizes = np.arange(num_variables)
    log_prior = PRIORS[name]().log_prior(sizes, num_variables)
    num_sets = np.array([float(comb(candidates, size)) for size in sizes])
    assert log_prior.shape == (num_variables,) and log_prior.dtype == np.float64
    assert np.sum(num_sets * np.exp(log_prior)) == pytest.approx(total, rel=1e-9)


def test_fair_gives_every_size_the_same_mass() -> None:
    log_prior = FairPrior().log_prior(np.arange(6), 6)
    mass = [comb(5, size) * np.exp(log_prior[size]) for size in range(6)]
    np.testing.assert_allclose(mass, 1, rtol=1e-12)


def test_edge_and_erdos_renyi_differ_by_a_constant_when_odds_match() -> None:
    sizes = np.arange(5)
    edge = EdgePrior(beta=0.25).log_prior(sizes, 5)
    erdos_renyi = ErdosRenyiPrior(p=0.2).log_prior(sizes, 5)
    np.testing.assert_allclose(np.diff(erdos_renyi - edge), 0, atol=1e-12)
    assert edge[3] == pytest.approx(3 * log(0.25))


@pytest.mark.parametrize(
    ("prior", "kwargs", "message"),
    [
        (EdgePrior, {"beta": 0.0}, "beta of the edge prior must be positive"),
        (EdgePrior, {"beta": np.inf}, "beta of the edge prior must be positive"),
        (ErdosRenyiPrior, {"p": 1.0}, "between 0 and 1"),
        (ErdosRenyiPrior, {"p": -0.1}, "between 0 and 1"),
    ],
)
def test_impossible_hyperparameters(prior: type, kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prior(**kwargs)
