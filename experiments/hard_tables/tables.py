"""Tables whose posterior has modes that single-edge moves join only through improbable graphs.

Every table is made from a seed, or by counting, so none has to be stored. All have about 10 000
rows. `TABLES` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class HardTable(NamedTuple):
    """A table, how it is scored, and what is hard about it."""

    make: Callable[[], pd.DataFrame]
    score: str
    what: str


def balanced_parity() -> pd.DataFrame:
    """Five bits whose sum is even in 80 % of the rows, every pattern of a parity equally often."""
    patterns = np.array(list(product((0, 1), repeat=5)))
    even = patterns.sum(axis=1) % 2 == 0
    return pd.DataFrame(
        np.repeat(patterns, np.where(even, 500, 125), axis=0), columns=list("abcde")
    )


def drawn_parity() -> pd.DataFrame:
    """Five bits, each the parity of the others in 80 % of the rows, drawn at random."""
    return pd.DataFrame(_parity(np.random.default_rng(5), 5), columns=list("abcde"))


def parity_of_eight() -> pd.DataFrame:
    """Eight bits whose sum is even in 79 % of the rows, every pattern of a parity equally often."""
    patterns = np.array(list(product((0, 1), repeat=8)))
    even = patterns.sum(axis=1) % 2 == 0
    return pd.DataFrame(
        np.repeat(patterns, np.where(even, 62, 16), axis=0), columns=list("abcdefgh")
    )


def two_parities() -> pd.DataFrame:
    """Two independent blocks of four bits, each block with an even sum in 80 % of the rows."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(np.hstack([_parity(rng, 4), _parity(rng, 4)]), columns=list("abcdefgh"))


def mirror() -> pd.DataFrame:
    """Three causes of one of two near copies, which of them the table cannot say."""
    return _mirrored(np.random.default_rng(0), num_causes=3, num_copies=2)


def mirror_of_three() -> pd.DataFrame:
    """Four causes of one of three near copies."""
    return _mirrored(np.random.default_rng(0), num_causes=4, num_copies=3)


def two_mirrors() -> pd.DataFrame:
    """Two independent blocks, each of two causes of one of two near copies."""
    rng = np.random.default_rng(0)
    left = _mirrored(rng, num_causes=2, num_copies=2)
    right = _mirrored(rng, num_causes=2, num_copies=2)
    right = right.iloc[rng.permutation(len(right))].reset_index(drop=True)
    return pd.concat([left, right.add_suffix("'")], axis=1)


def duplicated_causes() -> pd.DataFrame:
    """Two near copies of a cause with three effects of their own."""
    rng = np.random.default_rng(0)
    cause = rng.normal(size=5000)
    copies = cause[:, None] + 0.03 * rng.normal(size=(5000, 2))
    effects = cause[:, None] + rng.normal(size=(5000, 3))
    return _both_ways(copies, effects, ["cause1", "cause2"], ["effect1", "effect2", "effect3"])


def _parity(rng: np.random.Generator, num_bits: int) -> np.ndarray:
    bits = rng.integers(2, size=(10_000, num_bits))
    odd = rng.random(10_000) < 0.2
    bits[:, -1] = (bits[:, :-1].sum(axis=1) + odd) % 2
    return bits


def _mirrored(rng: np.random.Generator, *, num_causes: int, num_copies: int) -> pd.DataFrame:
    num_rows = 10_000 // num_copies
    causes = rng.normal(size=(num_rows, num_causes))
    signal = causes.sum(axis=1) + rng.normal(size=num_rows)
    copies = signal[:, None] + 0.03 * rng.normal(size=(num_rows, num_copies))
    return _both_ways(
        copies,
        causes,
        [f"copy{i + 1}" for i in range(num_copies)],
        [f"cause{i + 1}" for i in range(num_causes)],
    )


def _both_ways(
    copies: np.ndarray, others: np.ndarray, copy_names: list[str], other_names: list[str]
) -> pd.DataFrame:
    """Stack the rows with every rotation of the copies, so that none is preferred.

    In units of a tenth of the standard deviation: BGe punishes a needless edge by about the
    logarithm of the variance in its units, and so little between near copies of variance one that
    nothing would be hard.
    """
    rotations = [np.roll(copies, shift, axis=1) for shift in range(copies.shape[1])]
    values = np.vstack([np.hstack([others, rotated]) for rotated in rotations])
    return pd.DataFrame(10 * values, columns=[*other_names, *copy_names])


TABLES: dict[str, HardTable] = {
    make.__name__: HardTable(make, score, str(make.__doc__))
    for make, score in [
        (balanced_parity, "bde"),
        (drawn_parity, "bde"),
        (parity_of_eight, "bde"),
        (two_parities, "bde"),
        (mirror, "bge"),
        (mirror_of_three, "bge"),
        (two_mirrors, "bge"),
        (duplicated_causes, "bge"),
    ]
}


def local_scores(name: str) -> Any:
    """Return the local scores of a table, under the uniform prior."""
    import warnings

    import dag_gfn as dg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the scale of the columns is on purpose
        return dg.local_scores(TABLES[name].make(), TABLES[name].score)
