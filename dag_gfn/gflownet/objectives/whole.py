"""Objectives on whole trajectories of any space: each a pure function.

A generative flow network has a flow ``F`` of probability from the initial state ``s_0`` through the
states, of which a part stops at each terminal state ``x``; trained, that part is the reward R(x).
With forward policy ``P_F`` and backward policy ``P_B``, every objective asks in its own way that
the flow be consistent, and vanishes exactly for samplers that stop at ``x`` with probability
R(x) / Z.

A trajectory ``s_0, ..., s_n`` ends with the action to stop, whose flow is ``F(s_n) P_F(stop | s_n)
= R(s_n)``; it counts as an action here, with log P_B = 0.

Glossary: ``B`` batch, ``T`` actions of the longest trajectory, the one to stop included.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dag_gfn.gflownet.objectives.windows import Window


class Trajectories(NamedTuple):
    """A batch of trajectories, padded behind the action to stop."""

    log_forward: jax.Array  # float32 [B, T], log P_F of the action taken at s_t
    log_backward: jax.Array  # float32 [B, T], log P_B of undoing it; 0 where it was to stop
    is_action: jax.Array  # bool [B, T], not padding
    is_stop: jax.Array  # bool [B, T], one in each row
    log_flow: jax.Array  # float32 [B, T + 1], log F(s_t), learned
    log_stop: jax.Array  # float32 [B, T + 1], log P_F(stop | s_t); -inf where that is not allowed
    log_reward: jax.Array  # float32 [B, T + 1], log R(s_t); any number where it may not stop
    log_inflow: jax.Array  # float32 [B, T + 1], log of the sum of the edge flows into s_t
    log_outflow: jax.Array  # float32 [B, T + 1], of those out of it and of the reward
    log_z: jax.Array  # float32 [], log Z, learned


def _mean_square(residual: jax.Array, counts: jax.Array) -> jax.Array:
    """Average the squares of those residuals that count."""
    return jnp.sum(jnp.where(counts, residual, 0.0) ** 2) / jnp.maximum(counts.sum(), 1)


def _final_reward(trajectories: Trajectories) -> jax.Array:
    """Return log R of the last state, float32 [B]."""
    here = jnp.where(trajectories.is_stop, trajectories.log_reward[:, :-1], 0.0)
    return here.sum(axis=1)


def _log_ratio(trajectories: Trajectories) -> jax.Array:
    """Return log P_F - log P_B of each action, 0 on padding, float32 [B, T]."""
    ratio = trajectories.log_forward - trajectories.log_backward
    return jnp.where(trajectories.is_action, ratio, 0.0)


def flow_matching(trajectories: Trajectories) -> jax.Array:
    """Ask that what flows into a state flows out of it.

    The mean over visited states but the initial one of

        (log sum_{s, a -> s'} F(s, a) - log [sum_a F(s', a) + R(s')])^2,

    with a network that gives the flow ``F(s, a)`` of every action, and ``R(s')`` there only where
    ``s'`` may stop (Bengio et al. 2021, arXiv 2106.04399, equation 12, with epsilon = 0).

    Parameters
    ----------
    trajectories : Trajectories

    Returns
    -------
    float32 scalar
    """
    residual = trajectories.log_inflow - trajectories.log_outflow
    return _mean_square(residual[:, 1:-1], trajectories.is_action[:, 1:])


def detailed_balance(trajectories: Trajectories) -> jax.Array:
    """Ask that each transition carries as much forward as backward.

    The mean over actions of ``(log F(s) P_F(s' | s) - log F(s') P_B(s | s'))^2``, in which the flow
    behind the action to stop is the reward (Bengio et al. 2021, arXiv 2111.09266, section 3.2).

    Parameters
    ----------
    trajectories : Trajectories

    Returns
    -------
    float32 scalar
    """
    after = jnp.where(
        trajectories.is_stop, trajectories.log_reward[:, :-1], trajectories.log_flow[:, 1:]
    )
    residual = trajectories.log_flow[:, :-1] + _log_ratio(trajectories) - after
    return _mean_square(residual, trajectories.is_action)


def trajectory_balance(trajectories: Trajectories) -> jax.Array:
    """Ask for balance from end to end, with a learned log Z.

    The mean over trajectories of ``(log Z + sum_t log P_F - log R(x) - sum_t log P_B)^2`` (Malkin
    et al. 2022, arXiv 2201.13259, equation 14).

    Parameters
    ----------
    trajectories : Trajectories

    Returns
    -------
    float32 scalar
    """
    total = _log_ratio(trajectories).sum(axis=1) - _final_reward(trajectories)
    return jnp.mean((trajectories.log_z + total) ** 2)


def log_variance(trajectories: Trajectories) -> jax.Array:
    """Ask for trajectory balance with the constant that fits the batch.

    The variance over trajectories of ``sum_t log P_F - log R(x) - sum_t log P_B`` (Richter et al.
    2020, arXiv 2010.10436; as a loss of flow networks Zhang et al. 2023, arXiv 2302.05446).

    Parameters
    ----------
    trajectories : Trajectories

    Returns
    -------
    float32 scalar
    """
    return jnp.var(_log_ratio(trajectories).sum(axis=1) - _final_reward(trajectories))


def sub_trajectory_balance(trajectories: Trajectories, *, lambda_: float = 0.9) -> jax.Array:
    """Ask for balance along every stretch of a trajectory.

    The squares of ``log F(s_m) + sum_{t=m}^{k-1} [log P_F - log P_B] - log F(s_k)`` for all
    ``m < k``, in which the flow behind the action to stop is the reward, averaged with the weights
    ``lambda_ ** (k - m)`` in each trajectory (Madan et al. 2022, arXiv 2209.12782, equation 5).

    Parameters
    ----------
    trajectories : Trajectories
    lambda_ : float
        Positive; near 0 detailed balance, large trajectory balance.

    Returns
    -------
    float32 scalar
    """
    length = trajectories.is_action.shape[1]
    path = jnp.pad(jnp.cumsum(_log_ratio(trajectories), axis=1), ((0, 0), (1, 0)))  # [B, T + 1]
    ended = jnp.pad(trajectories.is_stop, ((0, 0), (1, 0)))
    value = jnp.where(ended, _final_reward(trajectories)[:, None], trajectories.log_flow)
    exists = jnp.pad(trajectories.is_action, ((0, 0), (1, 0)), constant_values=True)
    place = jnp.arange(length + 1)
    gap = place[None, :] - place[:, None]  # [m, k]
    counts = (gap > 0) & exists[:, :, None] & exists[:, None, :]
    weight = jnp.where(counts, lambda_ ** jnp.maximum(gap, 1), 0.0)
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    start = value - path
    residual = start[:, :, None] - start[:, None, :]
    squares = jnp.where(counts, residual, 0.0) ** 2
    return (weight * squares).sum(axis=(1, 2)).mean()


def as_window(trajectories: Trajectories) -> Window:
    """Return whole trajectories as stretches, where every state is terminal.

    Parameters
    ----------
    trajectories : Trajectories

    Returns
    -------
    Window
        As long as the trajectories; what is behind the action to stop counts as no step.
    """
    is_step = trajectories.is_action & ~trajectories.is_stop
    return Window(
        log_stop=trajectories.log_stop,
        log_stop_target=trajectories.log_stop,
        log_forward=jnp.where(is_step, trajectories.log_forward, 0.0),
        log_backward=jnp.where(is_step, trajectories.log_backward, 0.0),
        delta=jnp.diff(trajectories.log_reward, axis=1),
        is_edge=is_step,
    )
