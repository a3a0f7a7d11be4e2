"""What a command says while it works: sentences for people, or lines of JSON for programs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dag_gfn.cli.inputs import Request


def add_log_options(group: Any, *, quiet: str) -> None:
    """Add ``--quiet``, with its help, and ``--log-json`` to the options of a command."""
    either = group.add_mutually_exclusive_group()
    either.add_argument("--quiet", action="store_true", help=quiet)
    either.add_argument(
        "--log-json",
        action="store_true",
        help="print a line of JSON for everything that happens, in place of sentences and a "
        "progress bar; warnings, and what is wrong, are still on the standard error stream too",
    )


class Log:
    """The standard output of one command.

    Parameters
    ----------
    args : argparse.Namespace
        With ``quiet`` and ``log_json``; a command without the latter has no lines of JSON.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._is_json = getattr(args, "log_json", False)
        self._is_quiet = args.quiet
        self._first: tuple[float, float] | None = None  # when a row came, and its update

    @property
    def shows_progress(self) -> bool:
        """Whether there are to be progress bars."""
        return not (self._is_quiet or self._is_json)

    def say(self, text: str) -> None:
        """Print text for people, who have not asked for less."""
        if self.shows_progress:
            print(text, flush=True)

    def result(self, text: str) -> None:
        """Print what the command is for, which only programs have in another form."""
        if not self._is_json:
            print(text, flush=True)

    def event(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Print a line of JSON, for programs alone."""
        if self._is_json:
            from dag_gfn.cli.outputs import plain

            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = plain({"time": now, "event": kind, **facts})
            print(json.dumps(line, ensure_ascii=False, allow_nan=False), flush=True)

    def started(self, request: Request, folder: Path, **more: Any) -> None:
        """Print a line of JSON that says what has begun, on which table and where results go."""
        table = {
            "table": request.label,
            "rows": len(request.table),
            "variables": list(request.table.columns),
            "folder": str(folder),
        }
        self.event("started", table | more)

    def training(self, row: Mapping[str, float]) -> None:
        """Print a row of the history of a training, with the time that is left.

        Parameters
        ----------
        row : mapping
            As an estimator hands it to its callback: ``update``, ``updates_left`` and more.
        """
        now = time.monotonic()
        seconds_left = None  # nobody knows before the second row: the first waits for a compiler
        if self._first is not None:
            begun, update = self._first
            seconds_left = (now - begun) / (row["update"] - update) * row["updates_left"]
            seconds_left = round(seconds_left, 1)
        else:
            self._first = now, row["update"]
        self.event("training", {**row, "seconds_left": seconds_left})
