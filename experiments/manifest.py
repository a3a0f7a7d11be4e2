"""Manifests: with what the results of a study were made, so that others can make them again.

A study has parts, each of which can be measured alone, on another day and machine; so a manifest
holds an entry for each part, under its name.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments import machine
from experiments.records import replace

NAME = "manifest.json"
Entry = dict[str, Any]


def command(study: str) -> str:
    """Return what was typed, at the top of the repository, to run a study."""
    return shlex.join(["python", "-m", f"experiments.{study}.run", *sys.argv[1:]])


def about(typed: str) -> Entry:
    """Gather what the results of a run depend on besides its configuration.

    It is to be called when the run begins, as files may change meanwhile. It changes nothing.
    """
    return {
        "command": typed,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": machine.cores(), "processor": machine.processor()},
        "versions": machine.versions(),
        "commit": machine.commit(),
    }


def entries(run: Entry, configs: Mapping[str, Any]) -> dict[str, Entry]:
    """Return what `about` gathered, with the configuration of each part that was measured."""
    return {part: run | {"configuration": plain(config)} for part, config in configs.items()}


def plain(value: Any) -> Any:
    """Return settings as JSON knows them: fields by name, keys as text, tuples as lists.

    Raises
    ------
    TypeError
        If a setting is something else, as a function is, which says nothing when it is written.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"a setting must be a number, a text or a collection of them, not {value!r}.")


def read(folder: Path) -> dict[str, Entry]:
    """Return the entries of a study, by part; none where there is no manifest."""
    path = folder / NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(folder: Path, measured: Mapping[str, Entry]) -> None:
    """Write the entries of parts that were measured, and keep those of the others."""
    whole = read(folder) | dict(measured)
    text = json.dumps(whole, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    replace(folder / NAME, text + "\n")
