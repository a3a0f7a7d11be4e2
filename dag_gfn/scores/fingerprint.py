"""What a run depends on of local scores, short enough to be kept and compared later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from dag_gfn.scores.base import LocalScores

__all__ = ["fingerprint"]


def fingerprint(scores: LocalScores, read: Iterable[ArrayLike]) -> dict[str, str | int]:
    """Digest local scores, part by part, so that two can be told apart by what differs.

    Parameters
    ----------
    scores : LocalScores
    read : iterable of arrays
        The numbers that a method looks up in place of the scores themselves.

    Returns
    -------
    dict of str to str or int
        SHA-256 of each part, and the in-degree limit. Equal for equal bits alone, so that the same
        table gives the same digests on the same machine.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> table = np.random.default_rng(0).normal(size=(50, 3))
    >>> one, other = (local_scores(table, prior=prior) for prior in ("uniform", "fair"))
    >>> first, second = (fingerprint(scores, [scores.table()]) for scores in (one, other))
    >>> [name for name in first if first[name] != second[name]]
    ['prior', 'local scores']
    """
    names = np.frombuffer(json.dumps(scores.names).encode(), np.uint8)
    return {
        "columns": _digest([names]),
        "max_parents": scores.max_parents,
        "required edges": _digest([scores.required]),
        "forbidden edges": _digest([scores.forbidden]),
        "prior": _digest([scores.log_prior, scores.edge_log_odds]),
        "local scores": _digest(read),
    }


def _digest(arrays: Iterable[ArrayLike]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        values = np.asarray(array, order="C")
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(values.data)
    return f"sha256:{digest.hexdigest()}"
