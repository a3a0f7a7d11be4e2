"""The checkpoints of a run: its two last ones, in a folder that is its own meanwhile."""

from __future__ import annotations

import json
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from jax.experimental import multihost_utils

from dag_gfn.checkpoint.files import (
    CheckpointError,
    Stored,
    as_json,
    read_file,
    temporary_path,
    write_file,
)
from dag_gfn.checkpoint.lock import locked
from dag_gfn.checkpoint.signals import StopRequests
from dag_gfn.checkpoint.trees import named_arrays, tree_like

__all__ = ["Checkpoints", "Found", "discard_checkpoints", "has_checkpoint"]

_NEWEST = "checkpoint.npz"
_BEFORE = "checkpoint.before.npz"
_LOCK = "checkpoint.lock"
_STATE, _IDENTITY, _GENERATORS = "state", "identity", "generators"

_MOST_NAMED = 3  # differences, in a message

# A tree of arrays, and a mapping of types that JSON knows.
Snapshot = Callable[[], tuple[Any, Mapping[str, Any]]]


class Found(NamedTuple):
    """A checkpoint that a run can go on from."""

    step: int
    state: dict[str, Any]  # what the run keeps beside its arrays
    path: Path
    stored: Stored

    def tree(self, like: Any) -> Any:
        """Return the arrays, in the structure, shapes and types of ``like`` (see `tree_like`).

        Raises
        ------
        ValueError
            If another version of the package wrote other arrays.
        """
        try:
            return tree_like(like, self.stored.arrays, self.stored.header[_GENERATORS])
        except CheckpointError as error:
            raise ValueError(f"{self.path} {error}; begin anew in another folder.") from error


class Checkpoints:
    """The checkpoints of one run, in a folder that no other run may write to meanwhile.

    `resume` finds what to go on from; `after_chunk` writes a checkpoint where one is due, and ends
    the run where `listening` has heard that it should end. The last two are kept.

    Parameters
    ----------
    folder : str or path-like
        Made if it is not there.
    every : float
        Seconds from one checkpoint to the next, at least, by a clock that nobody can set.
    on_all_hosts : bool
        The hosts that `jax.distributed` has joined make one run, and share the folder: the first
        writes for all, and what one of them is asked to do they all do.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for _ in range(2):
    ...     with Checkpoints(folder, every=0.0) as checkpoints:
    ...         found = checkpoints.resume({"rate": 0.1})
    ...         step = found.step if found else 0
    ...         checkpoints.after_chunk(step + 5, lambda: ({}, {}))
    >>> step
    5
    """

    def __init__(
        self, folder: str | os.PathLike[str], every: float, *, on_all_hosts: bool = False
    ) -> None:
        self.folder = Path(folder)
        self.every = every
        self._on_all_hosts = on_all_hosts
        self._writes = not on_all_hosts or jax.process_index() == 0
        self.last: tuple[int, Path] | None = None  # step and file of the last good one
        self._identity: dict[str, Any] = {}
        self._random_state: int | None = None
        self._is_newest_good = False
        self._requests = StopRequests()
        self._open = ExitStack()
        self._tried = time.monotonic()

    def __enter__(self) -> Self:
        """Make the folder and lock it.

        Raises
        ------
        OSError
            If the folder cannot be made or written to.
        ValueError
            If another run is writing to it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._writes:
            self._open.enter_context(locked(self.folder / _LOCK))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Unlock the folder; the checkpoints stay."""
        self._open.close()

    def random_state(self, given: Any) -> Any:
        """Return what the run is seeded with: ``given``, unless that is None.

        None stands for a seed that the run in the folder had, or, where there is none, for one that
        is drawn here and kept in the checkpoints.
        """
        if given is not None:
            self._random_state = int(given) if isinstance(given, Integral) else None
            return given
        for path in self._paths():
            try:
                self._random_state = _read(path).header["random_state"]
            except CheckpointError:
                continue
            break
        if self._random_state is None:
            self._random_state = secrets.randbits(32)
        return self._random_state

    def resume(self, identity: Mapping[str, Any]) -> Found | None:
        """Find the newest checkpoint that this run can go on from.

        Parameters
        ----------
        identity : mapping
            All that the outcome of the run depends on, of types that JSON knows, by the names that
            a message can give it.

        Returns
        -------
        Found or None
            None where the run is to begin anew: there is no checkpoint, or none that can be read.

        Raises
        ------
        ValueError
            If none can be used, and one is that of another run; the message says what differs.

        Warns
        -----
        UserWarning
            For every checkpoint that cannot be used, with what is used in its place.
        """
        self._identity = json.loads(as_json(identity))
        problems, refusal = [], None
        for path in self._paths():
            try:
                stored = _read(path)
            except CheckpointError as error:
                problems.append(f"{path} {error}")
                continue
            other = _difference(stored.header[_IDENTITY], self._identity)
            if other is not None:
                problems.append(f"{path} belongs to another run ({other})")
                refusal = refusal or problems[-1]
                continue
            step = int(stored.header["step"])
            for problem in problems:
                warnings.warn(
                    f"{problem}; going on from {path.name}, of update {step}.", stacklevel=2
                )
            self.last = step, path
            self._is_newest_good = path.name == _NEWEST
            return Found(step, stored.header[_STATE], path, stored)
        if refusal is not None:
            raise ValueError(
                f"{refusal}; give the settings and the table of that run to go on with it, or "
                "another checkpoint_dir."
            )
        for problem in problems:
            warnings.warn(f"{problem}; training begins anew.", stacklevel=2)
        return None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM as requests that `after_chunk` and `finish` honour."""
        with StopRequests() as self._requests:
            yield

    def after_chunk(self, step: int, snapshot: Snapshot) -> None:
        """Write a checkpoint if one is due; end the run if that was asked for.

        Parameters
        ----------
        step : int
            Updates that are done.
        snapshot : callable
            Returns the arrays of the run as a tree, and the rest of its state as a mapping of
            types that JSON knows. Called where something is written alone.

        Raises
        ------
        KeyboardInterrupt, SystemExit
            If the run was asked to stop, after a checkpoint was written.

        Warns
        -----
        UserWarning
            If the file cannot be written: the run goes on without.
        """
        if self._agreed(time.monotonic() - self._tried >= self.every):
            self._write(step, snapshot)
        self._requests.honour()

    def finish(self, step: int, snapshot: Snapshot) -> None:
        """Write the last checkpoint of a run, so that what comes after need not wait for it again.

        Parameters, exceptions and warnings are those of `after_chunk`.
        """
        if self._agreed(self.last is None or self.last[0] != step):
            self._write(step, snapshot)
        self._requests.honour()

    def _paths(self) -> list[Path]:
        return [path for path in _files(self.folder) if path.exists()]

    def _agreed(self, due: bool) -> bool:
        """Return whether a checkpoint is due, or the run is to stop, on this host or on another."""
        asked = self._requests.received or 0
        if self._on_all_hosts:
            due, asked = multihost_utils.process_allgather(np.array([due, asked])).max(axis=0)
            self._requests.received = int(asked) or None
        return bool(due or asked)

    def _write(self, step: int, snapshot: Snapshot) -> None:
        newest, before = _files(self.folder)
        tree, state = snapshot()
        if not self._writes:
            self.last, self._tried = (step, newest), time.monotonic()
            return
        arrays, generators = named_arrays(tree)
        header = {
            "step": step,
            "random_state": self._random_state,
            _IDENTITY: self._identity,
            _STATE: dict(state),
            _GENERATORS: generators,
        }
        try:
            # A file that cannot be used must not take the place of the one before it, which can.
            write_file(newest, header, arrays, displaced=before if self._is_newest_good else None)
        except OSError as error:
            kept = "there is none" if self.last is None else f"the last is of update {self.last[0]}"
            warnings.warn(
                f"the checkpoint of update {step} could not be written to {self.folder} "
                f"({error.strerror or error}), and {kept}; make room there.",
                stacklevel=3,
            )
        else:
            self.last, self._is_newest_good = (step, newest), True
        self._tried = time.monotonic()


def has_checkpoint(folder: Path) -> bool:
    """Return whether there is a checkpoint in a folder, good or not."""
    return any(path.exists() for path in _files(folder))


def discard_checkpoints(folder: Path) -> None:
    """Remove the checkpoints in a folder, and the folder if nothing else is in it."""
    newest, before = _files(folder)
    # The older one first, so that a run which is killed here goes on from the newest.
    for path in (before, temporary_path(newest), newest):
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _read(path: Path) -> Stored:
    """Read a file of a run."""
    stored = read_file(path)
    if not {"step", "random_state", _STATE, _IDENTITY, _GENERATORS} <= set(stored.header):
        raise CheckpointError("was not written by a training")
    return stored


def _files(folder: Path) -> tuple[Path, Path]:
    """Return the paths of the newest checkpoint and of the one before it."""
    return folder / _NEWEST, folder / _BEFORE


def _difference(stored: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Say how two runs differ, or None."""
    differing = [
        _sentence(name, stored.get(name), given.get(name))
        for name in {**given, **stored}
        if stored.get(name) != given.get(name)
    ]
    if len(differing) > _MOST_NAMED:
        differing[_MOST_NAMED:] = ["and more"]
    return ", ".join(differing) or None


def _sentence(name: str, there: Any, here: Any) -> str:
    if isinstance(here, str) and here.startswith("sha256:"):
        return f"other {name}"
    return f"{name} is {there!r} there and {here!r} here"
