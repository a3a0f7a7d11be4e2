"""The file a posterior is kept in: one ``.npz``, no pickle, replaced in one step."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dag_gfn.posterior.mechanisms import MECHANISMS, Mechanisms

FORMAT = "dag_gfn posterior 1"
_PREFIX = "mechanisms."
_LONGEST_EXTRA = 28  # bytes, of the sizes of an entry above 4 GB


class StoredPosterior(NamedTuple):
    """What the file holds."""

    adjacency: NDArray[np.int8]  # [S, d, d]
    log_weights: NDArray[np.float64]  # [S]
    names: tuple[str, ...]
    about: dict[str, Any]
    mechanisms: Mechanisms | None


def save_arrays(
    path: str | os.PathLike[str],
    *,
    adjacency: NDArray[np.int8],
    log_weights: NDArray[np.float64],
    names: Sequence[str],
    about: Mapping[str, Any],
    mechanisms: Mechanisms | None = None,
) -> None:
    """Write a posterior's arrays and what is known about them.

    Parameters
    ----------
    path : str or path-like
    adjacency : numpy.ndarray, int8, shape [S, d, d]
    log_weights : numpy.ndarray, float64, shape [S]
    names : sequence of str, length d
    about : mapping
        Of types that JSON knows.
    mechanisms : Mechanisms, optional

    Raises
    ------
    TypeError
        If ``about`` holds something that JSON does not know.
    """
    try:
        text = json.dumps(dict(about))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"metadata cannot be saved ({error}); keep to numbers, strings, lists and dicts."
        ) from error
    extra: dict[str, Any] = {}
    if mechanisms is not None:
        arrays, plain = mechanisms.arrays()
        extra = {_PREFIX + name: array for name, array in arrays.items()}
        kind = next(name for name, known in MECHANISMS.items() if isinstance(mechanisms, known))
        extra["mechanisms"] = np.array(json.dumps({"kind": kind, "about": plain}))
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(
                file,
                format=np.array(FORMAT),
                names=np.array(names, dtype=np.str_),
                edges=np.packbits(adjacency.reshape(len(adjacency), -1), axis=1),
                log_weights=log_weights,
                about=np.array(text),
                **extra,
            )
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files private
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_arrays(path: str | os.PathLike[str]) -> StoredPosterior:
    """Read a posterior's arrays.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    StoredPosterior

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file was cut short, or was not written by ``save_arrays``.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {os.fspath(path)!r}.")
    with open(path, "rb") as file, refusing_damage(path):
        with np.load(file, allow_pickle=False) as stored:
            if str(stored["format"]) != FORMAT:
                raise ValueError(f"its format is {str(stored['format'])!r}, not {FORMAT!r}")
            _refuse_other_entries(stored)
            names = tuple(str(name) for name in stored["names"])
            log_weights = stored["log_weights"]
            if log_weights.dtype != np.float64:
                raise ValueError("log_weights are not float64")
            edges, num_bits = stored["edges"], len(names) ** 2
            if edges.shape[1] != -(-num_bits // 8):
                raise ValueError("edges are not those of so many names")
            bits = np.unpackbits(edges, axis=1, count=num_bits)
            about = _checked_facts(json.loads(str(stored["about"])))
            mechanisms = _stored_mechanisms(stored, names)
            adjacency = bits.view(np.int8).reshape(-1, len(names), len(names))
    return StoredPosterior(adjacency, log_weights, names, about, mechanisms)


@contextmanager
def refusing_damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn whatever goes wrong while a file is taken apart into a ValueError of one sentence."""
    try:
        yield
    # A flipped bit may be anything: a compression that zipfile does not know, an array of many
    # terabytes, JSON without an end.
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)!r} is not a posterior that dag_gfn saved, or was cut short; save "
            "it again."
        ) from error


def _refuse_other_entries(stored: Any) -> None:
    """Raise if there are other entries than `save_arrays` writes, or some may be missing.

    One flipped bit in the list of entries changes a name, or makes the rest of the list a comment.
    """
    if any(entry.comment or len(entry.extra) > _LONGEST_EXTRA for entry in stored.zip.infolist()):
        raise ValueError("an entry has a comment")
    known = {"format", "names", "edges", "log_weights", "about"}
    if "mechanisms" in stored:
        known |= {"mechanisms", *(name for name in stored if name.startswith(_PREFIX))}
    if set(stored) != known:
        raise ValueError(f"it holds {sorted(set(stored) ^ known)}")


def _checked_facts(about: Any) -> dict[str, Any]:
    """Return what is known of a posterior, if it is of the right types."""
    evidence = about["log_evidence"]
    of_type = (
        about.keys() == {"log_evidence", "exact", "method", "metadata"}
        and isinstance(about["exact"], bool)
        and isinstance(about["method"], str)
        and isinstance(about["metadata"], dict)
        and (evidence is None or isinstance(evidence, (int, float)))
        and not isinstance(evidence, bool)
    )
    if not of_type:
        raise ValueError(f"it says {about!r}")
    return about


def _stored_mechanisms(stored: Mapping[str, NDArray], names: tuple[str, ...]) -> Mechanisms | None:
    """Return the mechanisms of a file, if it has any."""
    if "mechanisms" not in stored:
        return None
    saved = json.loads(str(stored["mechanisms"]))
    arrays = {key.removeprefix(_PREFIX): stored[key] for key in stored if key.startswith(_PREFIX)}
    return MECHANISMS[saved["kind"]].from_arrays(names, arrays, saved["about"])


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
