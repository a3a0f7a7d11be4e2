"""The file of a checkpoint: arrays and a header, whole or recognised as not whole.

A checkpoint is an ``.npz`` without pickle. Its first array holds the header, as JSON; the comment
at the end of the archive holds the SHA-256 of all bytes before it. The digest is compared before
anything in the file is looked at, so that a file that was cut short, or one of whose bits has
flipped, is never parsed.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CheckpointError", "Stored", "as_json", "read_file", "temporary_path", "write_file"]

FORMAT = 1
_HEADER = "dag_gfn checkpoint"  # name of the first array, which begins at a fixed place of the file
_NAME_PLACE = 30  # bytes before the first name in a zip archive
_MARK = b"dag_gfn checkpoint, SHA-256 of what comes before these 64 digits: "
_NUM_DIGITS = 64
_BLOCK = 2**20  # bytes that are hashed at a time


class CheckpointError(ValueError):
    """A file is not a checkpoint that can be used; the text goes on after its path."""


class Stored(NamedTuple):
    """What a checkpoint holds."""

    header: dict[str, Any]  # of types that JSON knows
    arrays: dict[str, NDArray]


def temporary_path(path: Path) -> Path:
    """Return where a file is written before it is renamed, in the same folder."""
    return path.with_suffix(".writing")


def as_json(value: Any) -> str:
    """Return a value as JSON, numbers of numpy being taken for Python's.

    Examples
    --------
    >>> as_json({"updates": np.int64(5), "rate": float("inf")})
    '{"updates": 5, "rate": Infinity}'
    """
    return json.dumps(value, default=lambda number: number.item())


def write_file(
    path: Path,
    header: Mapping[str, Any],
    arrays: Mapping[str, NDArray],
    *,
    displaced: Path | None = None,
) -> None:
    """Write a checkpoint in one step: after a crash at any moment the file is the old or the new.

    It is written beside its place, pushed to the disk, and renamed.

    Parameters
    ----------
    path : Path
    header : mapping
        Of types that JSON knows, and numpy's numbers. Numbers come back as Python's, as they were,
        NaN and infinities too.
    arrays : mapping of str to numpy.ndarray
        Of numbers or truth values.
    displaced : Path, optional
        What the file that is there is renamed to, just before the new one takes its place.

    Raises
    ------
    OSError
        If the file cannot be written; nothing is left of it, and the old one is as it was.
    AttributeError, ValueError
        If the header is not JSON, or an array holds objects.
    """
    text = as_json({"format": FORMAT, **header}).encode()
    temporary = temporary_path(path)
    try:
        with open(temporary, "w+b") as file:
            with zipfile.ZipFile(file, "w") as archive:
                _add(archive, _HEADER, np.frombuffer(text, np.uint8))
                for name, array in arrays.items():
                    _add(archive, name, array)
                archive.comment = _MARK + b"0" * _NUM_DIGITS
            digits = _digest(file)
            file.seek(-_NUM_DIGITS, os.SEEK_END)
            file.write(digits)
            file.flush()
            os.fsync(file.fileno())
        if displaced is not None:
            os.replace(path, displaced)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _push_to_disk(path.parent)


def read_file(path: Path) -> Stored:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Stored

    Raises
    ------
    CheckpointError
        If the file cannot be opened, was cut short or damaged, was not written by `write_file`, or
        by a version with another format.
    """
    try:
        with open(path, "rb") as file:
            _check_digest(file)
            return _parsed(file)
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror})") from error


def _add(archive: zipfile.ZipFile, name: str, array: NDArray) -> None:
    # The date of a ZipInfo is fixed; the clock may show a year that the format does not know.
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def _digest(file: BinaryIO) -> bytes:
    """Return the SHA-256 of a file without its last digits, as digits."""
    remaining = file.seek(0, os.SEEK_END) - _NUM_DIGITS
    file.seek(0)
    digest = hashlib.sha256()
    while remaining > 0:
        block = file.read(min(_BLOCK, remaining))
        if not block:
            break
        digest.update(block)
        remaining -= len(block)
    return digest.hexdigest().encode()


def _check_digest(file: BinaryIO) -> None:
    begins_well = file.read(_NAME_PLACE + len(_HEADER))[_NAME_PLACE:] == _HEADER.encode()
    end = b""
    if file.seek(0, os.SEEK_END) > len(_MARK) + _NUM_DIGITS:
        file.seek(-len(_MARK) - _NUM_DIGITS, os.SEEK_END)
        end = file.read()
    ends_well = end.startswith(_MARK)
    if not begins_well and not ends_well:
        raise CheckpointError("was not written by dag_gfn")
    if not ends_well or _digest(file) != end[-_NUM_DIGITS:]:
        raise CheckpointError("was cut short or damaged")


def _parsed(file: BinaryIO) -> Stored:
    file.seek(0)
    try:
        with np.load(file, allow_pickle=False) as archive:
            header = json.loads(archive[_HEADER].tobytes())
            if header["format"] != FORMAT:
                raise CheckpointError(
                    f"has the format {header['format']}, where this version of dag_gfn knows "
                    f"{FORMAT} alone"
                )
            arrays = {name: archive[name] for name in archive.files if name != _HEADER}
    except CheckpointError:
        raise
    # The digest is right, so that somebody has made it for a file that holds something else, such
    # as a pickle, which numpy refuses.
    except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise CheckpointError("was not written by dag_gfn") from error
    return Stored(header, arrays)


def _push_to_disk(folder: Path) -> None:
    """Make renames in a folder outlast a loss of power, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # folders cannot be opened on Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
