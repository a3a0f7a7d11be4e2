"""The command that would give the same results, to be kept with them."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

# Options that the results do not depend on, or that say where a run goes on.
_LEFT_OUT = (
    "checkpoint_every",
    "devices",
    "log_json",
    "overwrite",
    "quiet",
    "resume",
    "run",
    "table",
)


def command_of(args: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """Return the command of a fit with these arguments, which parses to them again.

    Parameters
    ----------
    args : argparse.Namespace
        With the seed that was used.
    parser : argparse.ArgumentParser
        Of ``dag-gfn fit``, for its defaults.

    Returns
    -------
    str
        Quoted for a shell.
    """
    words = ["dag-gfn", "fit"]
    if args.table is not None:
        words.append(str(args.table))
    for name, value in vars(args).items():
        if name not in _LEFT_OUT and value != parser.get_default(name):
            words += _words(name, value)
    return shlex.join(words)


def _words(name: str, value: Any) -> list[str]:
    """Return an option and its value, as the parser of ``dag-gfn fit`` reads them."""
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    if name in ("columns", "drop"):
        return [option, *value]
    if name == "tier":
        return [word for tier in value for word in (option, *tier)]
    if isinstance(value, list):  # an option that may be repeated, of text or of names and numbers
        texts = [one if isinstance(one, str) else f"{one[0]}={one[1]!r}" for one in value]
        return [f"{option}={text}" for text in texts]
    return [f"{option}={value}"]
