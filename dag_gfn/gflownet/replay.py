"""A replay of streams of steps, from which windows of consecutive steps are drawn.

The environments write one row per step into a ring of ``T`` rows; a window is a run of ``K + 1``
rows of one environment that does not cross the place where the ring is being written.

Glossary: ``T`` rows of the ring, ``B`` environments, ``K`` steps in a window, ``N`` windows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dag_gfn.gflownet.policy import Observation


class Step(NamedTuple):
    """One step of every environment; leading axes [B], [T, B] or [N, K + 1]."""

    observation: Observation  # before the action
    action: jax.Array  # int32
    delta: jax.Array  # float32, log R after minus log R before


class Replay(NamedTuple):
    """The ring."""

    steps: Step  # leaves [T, B, ...]
    written: jax.Array  # int32 [], rows written since the beginning


def empty(example: Step, num_rows: int) -> Replay:
    """Return an empty ring for steps of the shape of ``example`` (leaves [B, ...])."""
    steps = jax.tree.map(lambda leaf: jnp.zeros((num_rows, *leaf.shape), leaf.dtype), example)
    return Replay(steps=steps, written=jnp.zeros((), jnp.int32))


def write(replay: Replay, step: Step) -> Replay:
    """Write one row, over the oldest when the ring is full."""
    num_rows = replay.steps.action.shape[0]
    row = replay.written % num_rows
    steps = jax.tree.map(
        lambda ring, leaf: jax.lax.dynamic_update_index_in_dim(ring, leaf, row, 0),
        replay.steps,
        step,
    )
    return Replay(steps=steps, written=replay.written + 1)


def sample_windows(replay: Replay, key: jax.Array, num_windows: int, num_steps: int) -> Any:
    """Draw ``num_windows`` windows uniformly, with replacement.

    Parameters
    ----------
    replay : Replay
        At least ``num_steps + 1`` rows must have been written.
    key : key
    num_windows : int
    num_steps : int
        ``K``; a window has ``K + 1`` rows.

    Returns
    -------
    Step
        Leaves [N, K + 1, ...].
    """
    num_rows, num_environments = replay.steps.action.shape
    filled = jnp.minimum(replay.written, num_rows)
    oldest = replay.written - filled
    key_row, key_environment = jax.random.split(key)
    offset = jax.random.randint(key_row, (num_windows,), 0, filled - num_steps)
    environment = jax.random.randint(key_environment, (num_windows,), 0, num_environments)
    rows = (oldest + offset[:, None] + jnp.arange(num_steps + 1)) % num_rows  # [N, K + 1]
    return jax.tree.map(lambda ring: ring[rows, environment[:, None]], replay.steps)
