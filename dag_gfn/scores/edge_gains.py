"""Gains of a likelihood on the device, with the prior log-odds of single edges added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["EdgeGains", "EdgeGainsArrays", "with_edge_log_odds"]


class EdgeGainsArrays(NamedTuple):
    """What `EdgeGains` reads, on the device."""

    arrays: Any  # what the wrapped function reads
    edge_log_odds: jax.Array  # float32 [d, d], row causes column


@dataclass(frozen=True)
class EdgeGains:
    """A function of gains with the log-odds of the added edge on top.

    Two with the same function are equal, so that programs compiled for one serve the other, and it
    can be pickled where the function can.

    Parameters
    ----------
    function : callable
        See `dag_gfn.scores.LocalScores.gains`.
    """

    function: Callable

    def __call__(self, arrays: EdgeGainsArrays, node: jax.Array, parents: jax.Array) -> jax.Array:
        """Return the change of the log score with each added edge into a node, float32 [d]."""
        return self.function(arrays.arrays, node, parents) + arrays.edge_log_odds[:, node]


def with_edge_log_odds(
    function: Callable, arrays: Any, edge_log_odds: np.ndarray
) -> tuple[EdgeGains, EdgeGainsArrays]:
    """Add the log-odds of single edges to gains.

    Parameters
    ----------
    function, arrays
        See `dag_gfn.scores.LocalScores.gains`.
    edge_log_odds : array of float64 [d, d]
        Row causes column.

    Returns
    -------
    function : EdgeGains
    arrays : EdgeGainsArrays
    """
    added = EdgeGainsArrays(arrays, jnp.asarray(edge_log_odds, dtype=jnp.float32))
    return EdgeGains(function), added
