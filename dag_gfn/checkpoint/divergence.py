"""A loss that is no number ends the training, and the message says what to do about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from dag_gfn.checkpoint.folder import Checkpoints

__all__ = ["TrainingDiverged", "diverged", "first_bad_update"]

_EXTREME = 1e6  # nats, beyond which float32 rounds differences of scores to 0.06 nats or worse


class TrainingDiverged(FloatingPointError):
    """The loss or the weights of the draws are not finite.

    Attributes
    ----------
    update : int
        The first one at which that was seen.
    checkpoint : Path or None
        The last one that was written before.
    """

    def __init__(self, message: str, *, update: int, checkpoint: Path | None) -> None:
        super().__init__(message)
        self.update = update
        self.checkpoint = checkpoint


def first_bad_update(losses: ArrayLike, log_weights: ArrayLike, *, done: int) -> int | None:
    """Return the first update of a chunk after which something is no number, None if there is none.

    Parameters
    ----------
    losses : float [T]
        Of a chunk.
    log_weights : float [N]
        Of draws after the chunk; minus infinity for a draw that does not count.
    done : int
        Updates before the chunk.

    Examples
    --------
    >>> first_bad_update([2.0, np.inf, np.nan], [np.nan], done=10)
    12
    >>> first_bad_update([2.0, 1.0], [0.5, -np.inf], done=10) is None
    True
    """
    losses = np.asarray(losses)
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        return done + int(bad[0]) + 1
    # The last update of a chunk shows in no loss of it.
    if np.any(np.isnan(log_weights)):
        return done + len(losses)
    return None


def diverged(
    update: int, *, learning_rate: float, score_span: float, checkpoints: Checkpoints | None
) -> TrainingDiverged:
    """Make the exception of a training whose loss is not finite.

    Parameters
    ----------
    update : int
    learning_rate : float
    score_span : float
        The largest difference between local scores of a variable, in nats.
    checkpoints : Checkpoints or None

    Returns
    -------
    TrainingDiverged
    """
    last = None if checkpoints is None else checkpoints.last
    where = (
        "" if last is None else f" (the last checkpoint before is {last[1]}, of update {last[0]})"
    )
    if score_span < _EXTREME:
        cause = (
            f"the learning rate of {learning_rate:g} is too large: lower learning_rate, and begin "
            "anew."
        )
    else:
        cause = (
            f"the local scores are extreme, {score_span:.2g} nats apart: pass standardize=True, or "
            "drop columns that all but determine each other."
        )
    return TrainingDiverged(
        f"the loss is not finite at update {update}{where}; most likely {cause}",
        update=update,
        checkpoint=None if last is None else last[1],
    )
