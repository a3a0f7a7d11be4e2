"""Objectives on stretches of trajectories: modified detailed balance, one step and many.

Every graph is terminal, so the flow is known where it stops, ``F(s) P_F(stop | s) = R(s)``, and no
flow has to be learned. The balance of a transition ``s -> s'`` is

    R(s') P_B(s | s') P_F(stop | s) = R(s) P_F(s' | s) P_F(stop | s')

(the modified detailed balance condition of Deleu et al. 2022, arXiv 2202.13903). Writing
``v(s) = -log P_F(stop | s)``, its log residual is ``v(s) + log P_F(s' | s) - delta - log P_B(s |
s') - v(s')``, which chains over a stretch of a trajectory as in sub-trajectory balance (Madan et
al. 2022, arXiv 2209.12782). Among graphs the uniform backward policy is one over the number of
edges that may be removed.

Glossary: ``B`` batch, ``K`` steps in a window.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class Window(NamedTuple):
    """Log-probabilities along a batch of stretches of trajectories."""

    log_stop: jax.Array  # float32 [B, K + 1], log P_F(stop | s_t) of the online network
    log_stop_target: jax.Array  # float32 [B, K + 1], the same of the target network
    log_forward: jax.Array  # float32 [B, K], log P_F(s_{t+1} | s_t)
    delta: jax.Array  # float32 [B, K], log R(s_{t+1}) - log R(s_t)
    log_backward: jax.Array  # float32 [B, K], log P_B(s_t | s_{t+1})
    is_edge: jax.Array  # bool [B, K], the step added an edge (it did not stop)


def modified_detailed_balance(
    window: Window, *, lambda_: float = 0.0, huber_delta: float = 1.0
) -> jax.Array:
    """Return the published loss, the mean Huber loss of the one-step residuals.

    Parameters
    ----------
    window : Window
        Any length; every step that added an edge counts once.
    lambda_ : float
        Not looked at: there are no longer stretches to weigh.
    huber_delta : float
        Where the loss turns from quadratic to linear, in nats.

    Returns
    -------
    float32 scalar

    Notes
    -----
    The modified detailed balance loss of Deleu et al. 2022, with the target network at ``s'``.
    """
    del lambda_
    residual = (
        window.delta
        + window.log_backward
        + window.log_stop[:, :-1]
        - window.log_forward
        - window.log_stop_target[:, 1:]
    )
    loss = optax.huber_loss(jnp.where(window.is_edge, residual, 0.0), delta=huber_delta)
    return loss.sum() / jnp.maximum(window.is_edge.sum(), 1)


def windowed_balance(
    window: Window, *, lambda_: float = 0.5, huber_delta: float = 1.0
) -> jax.Array:
    """Return the mean Huber loss of the residuals of all stretches in each window.

    For ``m < k`` in the same trajectory the residual is

        v(s_m) + sum_{t=m}^{k-1} [log P_F(s_{t+1} | s_t) - delta_t - log P_B(s_t | s_{t+1})]
        - v(s_k),

    weighted by ``lambda_ ** (k - m - 1)``: 0 gives `modified_detailed_balance`, 1 weighs all
    lengths alike.

    Parameters
    ----------
    window : Window
    lambda_ : float
        In [0, 1].
    huber_delta : float
        Where the loss turns from quadratic to linear, in nats.

    Returns
    -------
    float32 scalar
    """
    length = window.delta.shape[1]
    step = jnp.where(window.is_edge, window.log_forward - window.delta - window.log_backward, 0.0)
    path = jnp.pad(jnp.cumsum(step, axis=1), ((0, 0), (1, 0)))  # [B, K + 1]
    breaks = jnp.pad(jnp.cumsum(~window.is_edge, axis=1), ((0, 0), (1, 0)))
    start = -window.log_stop - path
    end = -window.log_stop_target - path
    residual = start[:, :, None] - end[:, None, :]  # [B, m, k]
    positions = jnp.arange(length + 1)
    gap = positions[None, :] - positions[:, None]
    connected = (gap > 0) & (breaks[:, :, None] == breaks[:, None, :])
    weight = jnp.where(gap == 1, 1.0, jnp.where(gap > 1, lambda_ ** jnp.maximum(gap - 1, 1), 0.0))
    weight = jnp.where(connected, weight, 0.0)
    loss = optax.huber_loss(jnp.where(connected, residual, 0.0), delta=huber_delta)
    return (weight * loss).sum() / jnp.maximum(weight.sum(), 1e-6)
