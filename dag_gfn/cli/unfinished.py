"""A run that is not finished: what was asked for is kept in its folder, so that it can go on."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

REQUEST = "request.json"
CHECKPOINTS = "checkpoints"
_LOCK = ".lock"
_FORMAT = "dag_gfn request 1"
# What the command that goes on says for itself.
_OF_THE_COMMAND = ("run", "resume", "output", "overwrite", "quiet", "log_json")


class Unfinished(NamedTuple):
    """What a run was asked to do."""

    args: argparse.Namespace
    label: str  # the table, as the user gave it then


def read_unfinished(args: argparse.Namespace) -> Unfinished:
    """Return the arguments of the run in the folder ``args.resume``.

    Raises
    ------
    ValueError
        If there is none that could go on, or its table has changed.
    OSError
        If a file cannot be read.
    """
    folder = args.resume
    path = folder / REQUEST
    if not path.is_file():
        why = "there is no such folder"
        if folder.exists():
            why = f"it has no {REQUEST}, which a run keeps there until its results are complete"
        raise ValueError(f"there is no run to go on with in {folder}: {why}.")
    try:
        asked = json.loads(path.read_text(encoding="utf-8"))
        arguments = dict(asked["arguments"])
        is_ours = asked["format"] == _FORMAT and set(arguments) == set(_arguments(args))
        label, table, digest = asked["label"], asked["table"], asked["sha256"]
    except (ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise ValueError(
            f"{path} was not written by this version of dag-gfn; begin anew with --overwrite."
        )
    if table is not None:
        arguments["table"] = Path(table)
        if _sha256(Path(table)) != digest:
            raise ValueError(
                f"the table {table} has changed since the run in {folder} began; put it back as it "
                "was to go on, or begin anew with --overwrite."
            )
    if args.devices is not None:
        arguments["devices"] = args.devices
    return Unfinished(argparse.Namespace(**{**vars(args), **arguments}), label)


@contextmanager
def unfinished(folder: Path, args: argparse.Namespace, label: str) -> Iterator[Path]:
    """Keep what was asked for until the body has written the results; no other run may meanwhile.

    Parameters
    ----------
    folder : Path
        Of the results.
    args : argparse.Namespace
        With the seed that is used.
    label : str
        The table, as the user gave it.

    Yields
    ------
    Path
        The folder for checkpoints. They are removed at the end, but stay if the body fails.

    Raises
    ------
    ValueError
        If another run is writing to the folder.
    OSError
        If a file cannot be written.
    """
    # Slow to load, which a command that is refused need not wait for.
    from dag_gfn.checkpoint import discard_checkpoints, has_checkpoint, locked

    checkpoints, is_new = folder / CHECKPOINTS, args.resume is None
    with locked(folder / _LOCK):
        if is_new:
            discard_checkpoints(checkpoints)
            _write_request(folder / REQUEST, args, label)
        try:
            yield checkpoints
        except BaseException as error:
            if has_checkpoint(checkpoints):
                if isinstance(error, KeyboardInterrupt | SystemExit | OSError | MemoryError):
                    command = f"dag-gfn fit --resume {shlex.quote(str(folder))}"
                    print(f"dag-gfn: to go on later: {command}", file=sys.stderr)
            elif is_new:
                discard_checkpoints(checkpoints)
                (folder / REQUEST).unlink()
            raise
        discard_checkpoints(checkpoints)
        (folder / REQUEST).unlink()


def refuse_to_begin_anew(folder: Path) -> None:
    """Refuse to take the folder of an unfinished run for another one.

    Raises
    ------
    ValueError
        If there is an unfinished run.
    """
    if (folder / REQUEST).exists():
        raise ValueError(
            f"the run in {folder} is not finished; go on with --resume {folder}, or give "
            "--overwrite to begin anew."
        )


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(args).items() if name not in _OF_THE_COMMAND}


def _write_request(path: Path, args: argparse.Namespace, label: str) -> None:
    table = None if args.table is None else args.table.absolute()
    text = json.dumps(
        {
            "format": _FORMAT,
            "arguments": _arguments(args) | {"table": None},
            "label": label,
            "table": None if table is None else str(table),
            "sha256": None if table is None else _sha256(table),
        },
        indent=2,
    )
    temporary = path.with_suffix(".writing")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
