"""The optimiser: Adam in the eigenbasis of the gradients' second moments (SOAP).

All balance residuals can be zero at once, so it is less noise that slows training down than ill
condition: some directions of the weights matter a thousand times more than others. Adam rescales
single weights. SOAP (Vyas et al. 2024, arXiv 2409.11321) first turns each weight matrix into the
eigenvectors of the running means of ``G G'`` and ``G' G``, where ``G`` is its gradient, as Shampoo
does (Gupta et al. 2018, arXiv 1802.09568), and runs Adam there. The eigenvectors follow by one step
of orthogonal iteration every few updates.

Vectors and thin matrices go to plain Adam, all in one flat vector, since many small arrays cost
more than they do.

Glossary: ``a`` rows, ``b`` columns of a weight matrix.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

_SMALLEST = 16  # sides from here on have eigenvectors that are worth their cost
_LARGEST = 128  # longer sides would cost more than the network does
_DECAY = 0.95
_EPSILON = 1e-8
_PERIOD = 50  # updates between steps of orthogonal iteration


class MatrixState(NamedTuple):
    """What is carried for one weight matrix; a side that is too long has arrays [0, 0]."""

    momentum: jax.Array  # float32 [a, b]
    second_moment: jax.Array  # float32 [a, b], in the eigenbasis
    row_moment: jax.Array  # float32 [a, a], running mean of G G'
    column_moment: jax.Array  # float32 [b, b], running mean of G' G
    row_basis: jax.Array  # float32 [a, a], its eigenvectors in columns
    column_basis: jax.Array  # float32 [b, b]


class SoapState(NamedTuple):
    """What is carried from one update to the next."""

    step: jax.Array  # int32 []
    matrices: list[MatrixState]
    rest: Any  # Adam's state, of all other leaves in one vector


def scale_by_soap() -> optax.GradientTransformation:
    """Return the direction of SOAP, to be scaled by the learning rate.

    Returns
    -------
    optax.GradientTransformation
        Entries of its updates are of order one, as those of `optax.scale_by_adam`.

    Examples
    --------
    >>> params = {"w": jnp.ones((32, 32)), "b": jnp.ones(32)}
    >>> optimizer = scale_by_soap()
    >>> direction, state = optimizer.update(params, optimizer.init(params))
    >>> direction["w"].shape, int(state.step)
    ((32, 32), 1)
    """
    adam = optax.scale_by_adam()

    def init(params: Any) -> SoapState:
        matrices, rest = _divide(params)
        return SoapState(
            step=jnp.zeros((), jnp.int32),
            matrices=[_initial(matrix) for matrix in matrices],
            rest=adam.init(ravel_pytree(rest)[0]),
        )

    def update(gradient: Any, state: SoapState, params: Any = None) -> tuple[Any, SoapState]:
        del params
        step = state.step + 1
        matrices, rest = _divide(gradient)
        correction = 1.0 - _DECAY**step
        moved = [
            _move(matrix, matrix_state, correction)
            for matrix, matrix_state in zip(matrices, state.matrices, strict=True)
        ]
        # The first basis comes from the first gradient, for want of others.
        due = (step % _PERIOD == 0) | (step == 1)
        after = jax.lax.cond(
            due,
            lambda states: [_turn_basis(matrix_state) for matrix_state in states],
            lambda states: states,
            [matrix_state for _, matrix_state in moved],
        )
        flat, unravel = ravel_pytree(rest)
        direction_of_rest, rest_state = adam.update(flat, state.rest)
        directions = [direction for direction, _ in moved]
        direction = _unite(gradient, directions, unravel(direction_of_rest))
        return direction, SoapState(step, after, rest_state)

    return optax.GradientTransformation(init, update)


def _is_matrix(leaf: jax.Array) -> bool:
    return leaf.ndim == 2 and _SMALLEST <= min(leaf.shape) <= _LARGEST


def _divide(tree: Any) -> tuple[list[jax.Array], list[jax.Array]]:
    """Return the weight matrices that have a basis, and all other leaves."""
    leaves = jax.tree.leaves(tree)
    return (
        [leaf for leaf in leaves if _is_matrix(leaf)],
        [leaf for leaf in leaves if not _is_matrix(leaf)],
    )


def _unite(like: Any, matrices: list[jax.Array], rest: list[jax.Array]) -> Any:
    """Undo `_divide`."""
    leaves, structure = jax.tree.flatten(like)
    from_matrices, from_rest = iter(matrices), iter(rest)
    return jax.tree.unflatten(
        structure, [next(from_matrices if _is_matrix(leaf) else from_rest) for leaf in leaves]
    )


def _initial(matrix: jax.Array) -> MatrixState:
    rows, columns = (jnp.eye(size if size <= _LARGEST else 0) for size in matrix.shape)
    return MatrixState(
        momentum=jnp.zeros_like(matrix),
        second_moment=jnp.zeros_like(matrix),
        row_moment=jnp.zeros_like(rows),
        column_moment=jnp.zeros_like(columns),
        row_basis=rows,
        column_basis=columns,
    )


def _move(
    gradient: jax.Array, state: MatrixState, correction: jax.Array
) -> tuple[jax.Array, MatrixState]:
    """Return Adam's direction in the eigenbasis, turned back, and the state with new moments."""

    def decayed(mean: jax.Array, new: jax.Array) -> jax.Array:
        return _DECAY * mean + (1.0 - _DECAY) * new

    rows, columns = state.row_basis, state.column_basis
    momentum = decayed(state.momentum, gradient)
    second_moment = decayed(state.second_moment, _turned(gradient, rows, columns) ** 2)
    scaled = _turned(momentum, rows, columns) / correction
    scaled /= jnp.sqrt(second_moment / correction) + _EPSILON
    moments = state.row_moment, state.column_moment
    return _turned(scaled, rows.T, columns.T), state._replace(
        momentum=momentum,
        second_moment=second_moment,
        row_moment=decayed(moments[0], gradient @ gradient.T) if rows.size else moments[0],
        column_moment=decayed(moments[1], gradient.T @ gradient) if columns.size else moments[1],
    )


def _turned(matrix: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Return ``rows' matrix columns``; a side without a basis stays as it is."""
    if rows.size:
        matrix = rows.T @ matrix
    return matrix @ columns if columns.size else matrix


def _turn_basis(state: MatrixState) -> MatrixState:
    """One step of orthogonal iteration towards the eigenvectors, on each side."""

    def step(moment: jax.Array, basis: jax.Array) -> jax.Array:
        # The small share of the old basis keeps it whole where gradients are zero.
        return jnp.linalg.qr(moment @ basis + 1e-12 * basis)[0] if basis.size else basis

    return state._replace(
        row_basis=step(state.row_moment, state.row_basis),
        column_basis=step(state.column_moment, state.column_basis),
    )
