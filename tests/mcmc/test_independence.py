"""Independence Metropolis-Hastings against its transition matrix and the enumerated posterior."""

from __future__ import annotations

import numpy as np
import pytest

from dag_gfn.exact import enumerate_posterior
from dag_gfn.mcmc import independence_metropolis
from dag_gfn.posterior import Posterior
from dag_gfn.scores import local_scores


@pytest.fixture(scope="module")
def exact() -> Posterior:
    values = np.random.default_rng(0).normal(size=(15, 4))
    values[:, 1] += values[:, 0]
    return enumerate_posterior(local_scores(values))


def crude_draws(exact: Posterior, num_draws: int, seed: int = 0) -> tuple[Posterior, np.ndarray]:
    """Draws from a flattened and disturbed posterior, with weights R / q; and q."""
    rng = np.random.default_rng(seed)
    q = exact.weights**0.7 * rng.uniform(0.3, 1, size=len(exact))
    q /= q.sum()
    drawn = rng.choice(len(exact), size=num_draws, p=q)
    log_weights = exact.log_weights - np.log(q)
    return Posterior(exact.adjacency[drawn], log_weights[drawn], exact.names), q


def test_transition_matrix_is_reversible_and_followed(exact):
    proposals, q = crude_draws(exact, 400_000)
    weight = exact.weights / q
    matrix = q * np.minimum(1, weight / weight[:, None])
    np.fill_diagonal(matrix, 0)
    np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
    flow = exact.weights[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, rtol=1e-9, atol=1e-15)
    chain = independence_metropolis(proposals, num_chains=1, random_state=1)
    code = 2 ** np.arange(16).reshape(4, 4)
    codes = (exact.adjacency * code).sum(axis=(1, 2))
    where = np.zeros(2**16, dtype=np.int64)
    where[codes] = np.arange(len(exact))
    states = where[(chain.adjacency * code).sum(axis=(1, 2))]
    counts = np.zeros((len(exact), len(exact)))
    np.add.at(counts, (states[:-1], states[1:]), 1)
    visits = counts.sum(axis=1)
    often = np.argsort(-visits)[:30]
    share = counts[often] / visits[often, None]
    error = np.sqrt(matrix[often] * (1 - matrix[often]) / visits[often, None])
    # Where a transition is expected less than once, two are no surprise.
    assert np.all(np.abs(share - matrix[often]) <= 5 * error + 3 / visits[often, None])


def test_marginals_agree_with_the_enumerated_posterior(exact):
    proposals, _ = crude_draws(exact, 160_000, seed=2)
    num_chains = 16
    chains = independence_metropolis(proposals, num_chains=num_chains, random_state=3)
    means = chains.adjacency.reshape(num_chains, -1, 4, 4).mean(axis=1)
    error = means.std(axis=0, ddof=1) / np.sqrt(num_chains)
    difference = np.abs(means.mean(axis=0) - exact.edge_marginals().to_numpy())
    assert np.all(difference <= 6.5 * error)  # Student's t with 15 degrees of freedom
    assert error.max() < 0.01
    assert 0.3 < chains.metadata["acceptance"] < 1
    # The proposals alone are far off.
    raw = proposals.adjacency.mean(axis=0)
    assert np.abs(raw - exact.edge_marginals().to_numpy()).max() > 0.03
    assert chains.log_evidence == proposals.log_evidence
    assert abs(chains.log_evidence - exact.log_evidence) < 0.02


def test_equal_weights_are_always_accepted(exact):
    draws = Posterior(exact.sample(100, random_state=0), np.full(100, -3.0), exact.names)
    chains = independence_metropolis(draws, num_chains=2, random_state=0)
    np.testing.assert_array_equal(
        chains.adjacency, np.concatenate([draws.adjacency[5:50], draws.adjacency[55:100]])
    )
    assert chains.metadata["acceptance"] == 1


def test_draws_of_weight_zero_are_left_at_once_and_never_entered(exact):
    log_weights = np.where(np.arange(100) % 3 == 1, 0.0, -np.inf)
    draws = Posterior(exact.adjacency[:100], log_weights, exact.names)
    chains = independence_metropolis(draws, num_chains=1, random_state=0)
    allowed = exact.adjacency[:100][log_weights == 0]
    assert all((graph == allowed).all(axis=(1, 2)).any() for graph in chains.adjacency)


def test_random_state_repeats(exact):
    draws, _ = crude_draws(exact, 1000)
    one, again, other = (independence_metropolis(draws, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.adjacency, again.adjacency)
    assert np.any(one.adjacency != other.adjacency)


def test_what_cannot_work_is_refused(exact):
    with pytest.raises(ValueError, match="exact posterior needs no chains"):
        independence_metropolis(exact)
    draws, _ = crude_draws(exact, 10)
    for num_chains in (0, 6):
        with pytest.raises(ValueError, match=f"from 1 to 5 for 10 draws.*not {num_chains}"):
            independence_metropolis(draws, num_chains=num_chains)
