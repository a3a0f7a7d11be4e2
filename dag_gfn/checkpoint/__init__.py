"""Checkpoints of a training: written in one step, recognised when damaged, never executed."""

from dag_gfn.checkpoint.divergence import TrainingDiverged, diverged, first_bad_update
from dag_gfn.checkpoint.files import CheckpointError, Stored, read_file, write_file
from dag_gfn.checkpoint.folder import (
    Checkpoints,
    Found,
    discard_checkpoints,
    has_checkpoint,
)
from dag_gfn.checkpoint.lock import locked
from dag_gfn.checkpoint.signals import StopRequests
from dag_gfn.checkpoint.trees import named_arrays, tree_like

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "Found",
    "StopRequests",
    "Stored",
    "TrainingDiverged",
    "discard_checkpoints",
    "diverged",
    "first_bad_update",
    "has_checkpoint",
    "locked",
    "named_arrays",
    "read_file",
    "tree_like",
    "write_file",
]
