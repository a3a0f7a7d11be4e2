from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dag_gfn.gflownet.optimizer import scale_by_soap


def run(optimizer, loss, params, num_updates, learning_rate):
    @jax.jit
    def train(params):
        def update(carry, _):
            params, state = carry
            direction, state = optimizer.update(jax.grad(loss)(params), state)
            params = jax.tree.map(lambda p, v: p - learning_rate * v, params, direction)
            return (params, state), None

        return jax.lax.scan(update, (params, optimizer.init(params)), None, length=num_updates)[0]

    return train(params)


def ill_conditioned(num_rows, num_columns, seed=0):
    """A quadratic whose Hessian is a Kronecker product with axes that no single weight has."""
    rng = np.random.default_rng(seed)

    def factor(size):
        basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
        return jnp.asarray(basis * np.logspace(0, -2, size) @ basis.T, jnp.float32)

    left, right = factor(num_rows), factor(num_columns)
    start = jnp.asarray(rng.normal(size=(num_rows, num_columns)), jnp.float32)
    return (lambda params: 0.5 * jnp.sum((left @ params["w"] @ right) ** 2)), {"w": start}


@pytest.mark.parametrize("shape", [(20, 24), (20, 160)])  # a side beyond 128 has no basis
def test_ill_condition_costs_less_than_with_adam(shape):
    loss, params = ill_conditioned(*shape)
    ours, _ = run(scale_by_soap(), loss, params, 1000, 0.01)
    adam, _ = run(optax.scale_by_adam(), loss, params, 1000, 0.01)
    assert loss(ours) < 0.5 * loss(adam)


def test_bases_stay_orthonormal():
    loss, params = ill_conditioned(20, 24)
    _, state = run(scale_by_soap(), loss, params, 300, 0.01)
    for basis in (state.matrices[0].row_basis, state.matrices[0].column_basis):
        np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), atol=1e-4)


def test_the_first_direction_is_that_of_adam():
    # There is no basis yet, and Adam's first direction is the sign of each entry.
    gradient = {"w": jnp.asarray(np.random.default_rng(0).normal(size=(20, 24)), jnp.float32)}
    optimizer = scale_by_soap()
    direction, _ = optimizer.update(gradient, optimizer.init(gradient))
    np.testing.assert_allclose(direction["w"], np.sign(gradient["w"]), atol=1e-5)


def test_all_that_is_no_matrix_is_left_to_adam():
    rng = np.random.default_rng(0)
    params = {
        "vector": jnp.zeros(40),
        "thin": jnp.zeros((40, 5)),
        "scalar": jnp.zeros(()),
        "matrix": jnp.zeros((16, 16)),
    }
    optimizer, adam = scale_by_soap(), optax.scale_by_adam()
    ours, theirs = optimizer.init(params), adam.init(params)
    for _ in range(3):
        gradient = jax.tree.map(
            lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params
        )
        direction, ours = optimizer.update(gradient, ours)
        expected, theirs = adam.update(gradient, theirs)
        for name in ("vector", "thin", "scalar"):
            np.testing.assert_allclose(direction[name], expected[name], rtol=1e-6)


def test_zero_gradients_change_nothing():
    params = {"w": jnp.ones((20, 24)), "b": jnp.ones(3)}
    zero = jax.tree.map(jnp.zeros_like, params)
    optimizer = scale_by_soap()
    state = optimizer.init(params)
    for _ in range(2):
        direction, state = optimizer.update(zero, state)
        assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(direction))
