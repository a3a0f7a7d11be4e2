from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from dag_gfn.gflownet.replay import Step, empty, sample_windows, write

ROWS, ENVIRONMENTS, STEPS = 10, 3, 4


def row(time):
    """A step in which every entry says when and by which environment it was written."""
    of = jnp.arange(ENVIRONMENTS)
    return Step(
        observation=jnp.stack([jnp.full(ENVIRONMENTS, time), of], axis=1),
        action=jnp.full(ENVIRONMENTS, time, jnp.int32),
        delta=1000.0 * of + time,
    )


def filled(num_written):
    replay = empty(row(0), ROWS)
    for time in range(num_written):
        replay = write(replay, row(time))
    return replay


@pytest.mark.parametrize("num_written", [STEPS + 1, STEPS + 2, ROWS - 1, ROWS, ROWS + 1, 27, 40])
def test_windows_are_contiguous_and_never_cross_the_write_head(num_written):
    replay = filled(num_written)
    assert int(replay.written) == num_written
    num_windows = 3000
    windows = sample_windows(replay, jax.random.key(num_written), num_windows, STEPS, like=row(0))
    time = np.asarray(windows.action)
    environment = np.asarray(windows.observation[..., 1])
    assert time.shape == (num_windows, STEPS + 1)
    # A window that crossed the write head would jump from the newest row back to the oldest.
    np.testing.assert_array_equal(np.diff(time, axis=1), 1)
    assert (environment == environment[:, :1]).all()
    np.testing.assert_array_equal(windows.observation[..., 0], time)
    np.testing.assert_array_equal(windows.delta, 1000.0 * environment + time)
    # Rows that are still in the ring, the newest included, each as often as any other.
    oldest, newest = max(num_written - ROWS, 0), num_written - 1
    num_starts = newest - STEPS - oldest + 1
    count = np.zeros((num_starts, ENVIRONMENTS))
    np.add.at(count, (time[:, 0] - oldest, environment[:, 0]), 1)
    expected = num_windows / count.size
    statistic = ((count - expected) ** 2 / expected).sum()
    assert statistic < chi2.isf(1e-5, count.size - 1)


def test_the_draw_follows_from_the_key():
    replay = filled(17)
    one, same = (
        sample_windows(replay, jax.random.key(0), 50, STEPS, like=row(0)) for _ in range(2)
    )
    other = sample_windows(replay, jax.random.key(1), 50, STEPS, like=row(0))
    np.testing.assert_array_equal(one.action, same.action)
    assert (np.asarray(one.action) != np.asarray(other.action)).any()
