"""What the exact posterior would cost, said before it is begun."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from dag_gfn.exact.parent_sums import NUM_THREADS, free_candidates
from dag_gfn.scores import LocalScores

__all__ = ["MAX_SUBSET_VARIABLES", "Cost", "check_cost", "subset_cost"]

# 3^22 terms take some ten minutes, and each further variable three times as long.
MAX_SUBSET_VARIABLES = 22

# Measured on one core of a server of 2023; of the terms there are at most 3^d, in two passes.
_SECONDS_PER_TERM = 15e-9
_SECONDS_PER_LOCAL_SCORE = 0.3e-6

_COPIES = 10  # of a node's local scores, while they are computed

_GIB = 2**30


class Cost(NamedTuple):
    """What a computation takes at most."""

    memory: float  # bytes
    seconds: float  # of one core


def subset_cost(scores: LocalScores) -> Cost:
    """Estimate what the sums over sets of variables, the marginals and draws take.

    Parameters
    ----------
    scores : LocalScores

    Returns
    -------
    Cost

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 20)))
    >>> subset_cost(scores).memory < 2**30
    True
    """
    d = scores.num_variables
    num_free = np.array([len(free_candidates(scores, node)) for node in range(d)], dtype=float)
    # Two tables of all nodes; then the scores of some nodes at a time, or all stages of one.
    tables = 16 * np.sum(2**num_free) + 8 * np.max(
        np.maximum(num_free + 2, _COPIES * NUM_THREADS) * 2**num_free
    )
    per_set = 60  # H, marginals and the terms of one sum
    seconds = _SECONDS_PER_TERM * 3.0**d + _SECONDS_PER_LOCAL_SCORE * np.sum(2**num_free)
    return Cost(float(tables + per_set * 2.0**d), float(seconds))


def check_cost(scores: LocalScores) -> None:
    """Refuse what would take too long or not fit in memory.

    Parameters
    ----------
    scores : LocalScores

    Raises
    ------
    ValueError
        If there are more than 22 variables, or the tables need more memory than the machine has.
    """
    d = scores.num_variables
    memory, seconds = subset_cost(scores)
    estimate = (
        f"the exact posterior of {d} variables would take {memory / _GIB:.3g} GiB of memory and up "
        f"to {_duration(seconds)}"
    )
    way_out = "use PartitionMCMC, StructureMCMC or DAGGFlowNet"
    if d > MAX_SUBSET_VARIABLES:
        raise ValueError(f"{estimate}; {way_out}, or at most {MAX_SUBSET_VARIABLES} columns.")
    if memory > _machine_memory():
        raise ValueError(
            f"{estimate}, and this machine has {_machine_memory() / _GIB:.3g} GiB; {way_out}, "
            "forbid edges, or take fewer columns."
        )


def _machine_memory() -> float:
    """Return the memory of the machine in bytes, infinity where that is not known."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return np.inf


def _duration(seconds: float) -> str:
    """Return a time in words."""
    for unit, length in (("years", 3.15e7), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} seconds"
