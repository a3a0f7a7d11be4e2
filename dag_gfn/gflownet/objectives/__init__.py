"""All objectives, in one registry; each is a pure function that vanishes at the solution.

Those of whole `Trajectories` train on any space. Those of a `Window`, a stretch of one, are for
spaces in which every state is terminal, as graphs are: no flow has to be learned there, and a
replay can hold stretches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax

from dag_gfn.gflownet.objectives.whole import (
    Trajectories,
    as_window,
    detailed_balance,
    flow_matching,
    log_variance,
    sub_trajectory_balance,
    trajectory_balance,
)
from dag_gfn.gflownet.objectives.windows import (
    Window,
    modified_detailed_balance,
    windowed_balance,
)


class Objective(NamedTuple):
    """A loss, and what it is computed from."""

    loss: Callable[..., jax.Array]  # of one of `of`, float32 scalar
    of: type[Trajectories] | type[Window]


OBJECTIVES = {
    "flow_matching": Objective(flow_matching, Trajectories),
    "detailed_balance": Objective(detailed_balance, Trajectories),
    "modified_detailed_balance": Objective(modified_detailed_balance, Window),
    "windowed_balance": Objective(windowed_balance, Window),
    "trajectory_balance": Objective(trajectory_balance, Trajectories),
    "log_variance": Objective(log_variance, Trajectories),
    "sub_trajectory_balance": Objective(sub_trajectory_balance, Trajectories),
}

__all__ = [
    "OBJECTIVES",
    "Objective",
    "Trajectories",
    "Window",
    "as_window",
    "detailed_balance",
    "flow_matching",
    "loss_along",
    "log_variance",
    "modified_detailed_balance",
    "sub_trajectory_balance",
    "trajectory_balance",
    "windowed_balance",
]


def loss_along(name: str, trajectories: Trajectories) -> jax.Array:
    """Return the loss of whole trajectories by any objective, with its defaults.

    Parameters
    ----------
    name : str
        Of `OBJECTIVES`. Those of windows need a space in which every state is terminal.
    trajectories : Trajectories

    Returns
    -------
    float32 scalar
    """
    loss, of = OBJECTIVES[name]
    return loss(as_window(trajectories) if of is Window else trajectories)
