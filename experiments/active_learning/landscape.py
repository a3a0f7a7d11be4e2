"""A landscape over sequences whose optima are known: spaced motifs that must all be there."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Landscape(NamedTuple):
    """Motifs with gaps, after the Ehrlich functions of Stanton et al. 2024 (arXiv 2407.00236)."""

    length: int  # L
    alphabet_size: int  # A
    motifs: tuple[tuple[int, ...], ...]  # the tokens of each motif
    offsets: tuple[tuple[int, ...], ...]  # their places behind the motif's start, the first 0


LANDSCAPE = Landscape(
    length=24,
    alphabet_size=4,
    motifs=((3, 1, 0, 1, 1), (3, 1, 0, 1, 2), (3, 2, 3, 0, 3)),
    offsets=((0, 1, 3, 6, 11), (0, 3, 6, 11, 12), (0, 5, 8, 9, 13)),
)


def presence(landscape: Landscape, tokens: NDArray[np.integer]) -> list[NDArray[np.float64]]:
    """Return for each motif which share of it is there at each start, [B, starts]."""
    shares = []
    for motif, offsets in zip(landscape.motifs, landscape.offsets, strict=True):
        starts = np.arange(landscape.length - offsets[-1])
        there = [
            tokens[:, starts + off] == token for token, off in zip(motif, offsets, strict=True)
        ]
        shares.append(np.mean(there, axis=0))
    return shares


def score(landscape: Landscape, tokens: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the product over motifs of the largest share of it that is there, [B]; at most 1."""
    return np.prod([share.max(axis=1) for share in presence(landscape, tokens)], axis=0)


def arrangements(landscape: Landscape) -> list[tuple[int, ...]]:
    """Return where all motifs can start together: a sequence is an optimum iff it has one."""
    starts = [range(landscape.length - offsets[-1]) for offsets in landscape.offsets]
    return [place for place in itertools.product(*starts) if _fits(landscape, place)]


def _fits(landscape: Landscape, place: tuple[int, ...]) -> bool:
    """Return whether no place of the sequence would have to hold two tokens."""
    wanted: dict[int, int] = {}
    for start, motif, offsets in zip(place, landscape.motifs, landscape.offsets, strict=True):
        for token, off in zip(motif, offsets, strict=True):
            if wanted.setdefault(start + off, token) != token:
                return False
    return True


def arrangements_of(landscape: Landscape, tokens: NDArray[np.integer]) -> set[tuple[int, ...]]:
    """Return the arrangements that are in any of the sequences [B, L]."""
    found: set[tuple[int, ...]] = set()
    complete = [share == 1.0 for share in presence(landscape, tokens)]
    for row in np.flatnonzero(np.all([one.any(axis=1) for one in complete], axis=0)):
        found.update(itertools.product(*(np.flatnonzero(one[row]).tolist() for one in complete)))
    return found


def start_set(
    landscape: Landscape, num_sequences: int, ceiling: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return different uniform sequences whose score is at most the ceiling, [B, L]."""
    drawn = rng.integers(landscape.alphabet_size, size=(20 * num_sequences, landscape.length))
    drawn = np.unique(drawn, axis=0)
    modest = rng.permutation(drawn[score(landscape, drawn) <= ceiling])
    if len(modest) < num_sequences:
        raise ValueError(f"a ceiling of {ceiling} is too low for {num_sequences} sequences.")
    return modest[:num_sequences]
