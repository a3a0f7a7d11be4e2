"""The hypergrid of Bengio et al. 2021 (arXiv 2106.04399): walk from a corner, stop anywhere."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dag_gfn.gflownet.spaces.base import Space


def hypergrid(dimension: int = 4, height: int = 8, *, least_reward: float = 0.1) -> Space:
    """Return a grid of ``height ** dimension`` cells, all of which are terminal.

    With ``u = |x / (H - 1) - 1/2|``, a cell has the reward ``R0 + 0.5 [all 0.25 < u] +
    2 [all 0.3 < u < 0.4]`` (section 4.1 of the paper): a mode near each corner.

    Parameters
    ----------
    dimension, height : int
        At least 1 and 2.
    least_reward : float
        R0, positive; the smaller, the harder it is to get from mode to mode.

    Returns
    -------
    Space
        States are int32 [B, dimension]; action ``i`` adds one to coordinate ``i``.

    Raises
    ------
    ValueError
        If a size or the reward is too small.

    Examples
    --------
    >>> space = hypergrid(2, 8)
    >>> space.step(space.initial(1), jnp.array([1]))
    Array([[0, 1]], dtype=int32)
    """
    if dimension < 1 or height < 2 or not least_reward > 0:
        raise ValueError(
            "a hypergrid needs a dimension of at least 1, a height of at least 2 and a positive "
            f"least_reward, not {dimension}, {height} and {least_reward}."
        )

    def move(state: jax.Array, action: jax.Array, by: int) -> jax.Array:
        return state + by * jax.nn.one_hot(action, dimension, dtype=jnp.int32)

    def mask(state: jax.Array) -> jax.Array:
        return jnp.pad(state < height - 1, ((0, 0), (0, 1)), constant_values=True)

    def log_reward(state: jax.Array) -> jax.Array:
        off_centre = jnp.abs(state / (height - 1) - 0.5)
        plateau = jnp.all(off_centre > 0.25, axis=1)
        mode = jnp.all((off_centre > 0.3) & (off_centre < 0.4), axis=1)
        return jnp.log(least_reward + 0.5 * plateau + 2.0 * mode)

    return Space(
        num_actions=dimension,
        max_steps=dimension * (height - 1),
        initial=lambda batch_size: jnp.zeros((batch_size, dimension), jnp.int32),
        step=lambda state, action: move(state, action, 1),
        undo=lambda state, action: move(state, action, -1),
        mask=mask,
        backward_mask=lambda state: state > 0,
        reaches=lambda state, later: jnp.all(state <= later, axis=1),
        log_reward=log_reward,
        observe=lambda state: jax.nn.one_hot(state, height).reshape(len(state), -1),
    )
