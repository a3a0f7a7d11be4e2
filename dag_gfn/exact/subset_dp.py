"""The weight of all DAGs by dynamic programming over sets of variables.

``H(U)`` is the total weight of the completions of ``U``: of all choices of parents for the
variables outside ``U`` that make no cycle, when those in ``U`` have theirs already and no parents
outside. By inclusion and exclusion over the sets ``S`` of variables whose parents are all in ``U``
(Robinson 1973; Tian and He 2009, "Computing posterior probabilities of structural features in
Bayesian networks", UAI),

    H(U) = sum over non-empty S outside U of (-1)^(|S| + 1) prod_{j in S} alpha_j(U) H(U + S),

with ``H(V) = 1``, and ``H({})`` is the sum of exp(score) over all DAGs. Each term is at most
``H(U)``: divided by it, it is the probability that the roots of what is left contain ``S``. So
the sums are scaled by a power of two near ``H(U)``, and lose no digits beyond those that the
alternating signs take. And where ``S`` is hardly ever part of the roots, neither is a larger set,
so that most sums are short when the data say much.
"""

from __future__ import annotations

from math import frexp
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dag_gfn.exact.parent_sums import ParentSums, log_parent_sum, parent_sums
from dag_gfn.scores import LocalScores

__all__ = [
    "SMALLEST_BITS",
    "SubsetSums",
    "Workspace",
    "blocks",
    "list_candidates",
    "list_terms",
    "power_of_two",
    "subset_sums",
    "term_bar",
    "workspace",
]

# Terms and sets whose probability is below 2^-90 are left out: 3^22 of them are below 1e-16.
SMALLEST_BITS = -90
_LARGEST_BITS = 40  # a term is at most the largest one with a single member, up to mantissas
ZERO_EXPONENT = -(2**28)  # of H(U) = 0


class SubsetSums(NamedTuple):
    """H(U) = mantissa * 2^exponent for every set U of variables, by bit mask."""

    mantissa: NDArray[np.float64]  # [2^d], in [0.5, 1), or 0
    exponent: NDArray[np.int32]  # [2^d]
    parent_sums: ParentSums
    log_evidence: float  # log of the sum of exp(score) over all DAGs, in nats


class Workspace(NamedTuple):
    """The terms of one sum over sets S, in the order in which they are made."""

    united: NDArray[np.uint32]  # [2^d + 1], U + S
    weight: NDArray[np.float64]  # [2^d + 1], signed product of the mantissas of alpha_j(U)
    shift: NDArray[np.int32]  # [2^d + 1], sum of their exponents
    term: NDArray[np.float64]  # [2^d + 1], signed and scaled
    origin: NDArray[np.uint32]  # [2^d + 1], place of S without its last member
    node: NDArray[np.int64]  # [d], the candidates for S, the least probable root first
    begin: NDArray[np.int64]  # [d + 1], place of the first S whose last member is each candidate
    node_mantissa: NDArray[np.float64]  # [d], alpha_j(U)
    node_exponent: NDArray[np.int64]  # [d]
    powers: NDArray[np.float64]  # [132], powers of two from 2^-90 on, after a zero


def workspace(d: int) -> Workspace:
    """Return room for the terms of sums over the subsets of d variables."""
    size = 2**d + 1
    bits = np.arange(SMALLEST_BITS, _LARGEST_BITS + 1)
    return Workspace(
        united=np.empty(size, dtype=np.uint32),
        weight=np.empty(size),
        shift=np.empty(size, dtype=np.int32),
        term=np.empty(size),
        origin=np.empty(size, dtype=np.uint32),
        node=np.empty(d, dtype=np.int64),
        begin=np.empty(d + 1, dtype=np.int64),
        node_mantissa=np.empty(d),
        node_exponent=np.empty(d, dtype=np.int64),
        powers=np.concatenate([[0.0], 2.0**bits]),
    )


def subset_sums(scores: LocalScores, *, progress: bool = False) -> SubsetSums:
    """Compute the weight of the completions of every set of variables.

    Parameters
    ----------
    scores : LocalScores
    progress : bool
        Show progress bars, the second over the 3^d terms that there are at most.

    Returns
    -------
    SubsetSums

    Examples
    --------
    >>> from dag_gfn.exact import enumerate_posterior
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> expected = enumerate_posterior(scores).log_evidence
    >>> bool(np.isclose(subset_sums(scores).log_evidence, expected))
    True
    """
    d = scores.num_variables
    sums = SubsetSums(
        mantissa=np.zeros(2**d),
        exponent=np.full(2**d, ZERO_EXPONENT, dtype=np.int32),
        parent_sums=parent_sums(scores, progress=progress),
        log_evidence=np.nan,
    )
    sums.mantissa[-1], sums.exponent[-1] = 0.5, 1
    space = workspace(d)
    with term_bar(d, "sums over sets", progress) as bar:
        for first, last, num_terms in blocks(d)[::-1]:
            _fill_completions(first, min(last, 2**d - 1), d, sums, space)
            bar.update(num_terms)
    log_evidence = (
        np.log(sums.mantissa[0]) + sums.exponent[0] * np.log(2) + np.sum(sums.parent_sums.log_scale)
    )
    return sums._replace(log_evidence=float(log_evidence))


def blocks(d: int) -> list[tuple[int, int, int]]:
    """Split the sets of variables into stretches of bit masks, each with its number of terms.

    Examples
    --------
    >>> blocks(2)
    [(0, 1, 4), (1, 2, 2), (2, 3, 2), (3, 4, 1)]
    """
    num_high = min(d, 8)
    size = 2 ** (d - num_high)
    return [
        (high * size, (high + 1) * size, 2 ** (num_high - high.bit_count()) * 3 ** (d - num_high))
        for high in range(2**num_high)
    ]


def term_bar(d: int, description: str, progress: bool) -> tqdm:
    """Return a bar over the terms of all sums."""
    return tqdm(total=3**d, desc=description, unit="term", unit_scale=True, disable=not progress)


@numba.njit(nogil=True, cache=True)
def list_candidates(placed, d, sums, space):
    """List the variables that may have all of their parents in a set, the least probable first.

    Parameters
    ----------
    placed : int
        U.
    d : int
    sums : SubsetSums
        H of all larger sets is looked at.
    space : Workspace
        Gets `node`, `node_mantissa` and `node_exponent`; `begin` has the exponents of
        alpha_j(U) H(U + j).

    Returns
    -------
    num_nodes : int
    top : int
        The largest of these exponents; H(U) lies between 2^(top - 1) and 2^(top + 1) d.
    """
    num_nodes = 0
    top = ZERO_EXPONENT
    for node in range(d):
        if placed >> node & 1 or sums.exponent[placed | 1 << node] == ZERO_EXPONENT:
            continue
        bits = log_parent_sum(sums.parent_sums, node, placed) / np.log(2.0)
        if bits == -np.inf:
            continue
        node_exponent = int(np.rint(bits))
        size = node_exponent + sums.exponent[placed | 1 << node]
        top = max(top, size)
        place = num_nodes
        while place > 0 and space.begin[place - 1] > size:
            space.node[place] = space.node[place - 1]
            space.begin[place] = space.begin[place - 1]
            space.node_exponent[place] = space.node_exponent[place - 1]
            space.node_mantissa[place] = space.node_mantissa[place - 1]
            place -= 1
        space.node[place] = node
        space.begin[place] = size
        space.node_exponent[place] = node_exponent
        space.node_mantissa[place] = 2.0 ** (bits - node_exponent)
        num_nodes += 1
    return num_nodes, top


@numba.njit(nogil=True, cache=True)
def power_of_two(bits, powers):
    """Return 2^bits, or zero for terms that are left out."""
    clipped = min(max(bits, SMALLEST_BITS - 1), _LARGEST_BITS)
    return powers[np.uint32(clipped - (SMALLEST_BITS - 1))]


@numba.njit(nogil=True, cache=True)
def list_terms(placed, d, sums, smallest, space):
    """List the terms of H(placed) that are large enough.

    Parameters
    ----------
    placed, d, sums
        As of `list_candidates`.
    smallest : int
        Leave out terms below 2^smallest times the largest one with a single member.
    space : Workspace
        Gets the terms from place 1 on; place 0 is the empty S. The sets whose last member is the
        k-th candidate are at the places from ``begin[k]`` to ``begin[k + 1]``.

    Returns
    -------
    num_nodes : int
        Number of candidates for S.
    top : int
        The terms are divided by 2^top.
    """
    num_nodes, top = list_candidates(placed, d, sums, space)
    space.united[0] = placed
    space.weight[0] = -1.0
    space.shift[0] = -top
    count = 1
    # Improbable members come first, since the sets without them are tried with all that follow.
    for place in range(num_nodes):
        bit = np.uint32(1 << space.node[place])
        node_exponent = space.node_exponent[place]
        node_mantissa = space.node_mantissa[place]
        end = count
        space.begin[place] = count
        for origin in range(end):
            united = space.united[origin] | bit
            weight = -space.weight[origin] * node_mantissa
            shift = space.shift[origin] + node_exponent
            bits = shift + sums.exponent[united]
            # Written in any case, and kept by moving on: a branch would often be mispredicted.
            space.united[count] = united
            space.weight[count] = weight
            space.shift[count] = shift
            space.origin[count] = origin
            space.term[count] = weight * sums.mantissa[united] * power_of_two(bits, space.powers)
            count += bits >= smallest
    space.begin[num_nodes] = count
    return num_nodes, top


@numba.njit(nogil=True, cache=True)
def _fill_completions(first, last, d, sums, space):
    """Compute H(U) for the bit masks from last - 1 down to first."""
    for placed in range(last - 1, first - 1, -1):
        num_nodes, top = list_terms(placed, d, sums, SMALLEST_BITS, space)
        total = 0.0
        for place in range(num_nodes):
            part = 0.0
            for index in range(space.begin[place], space.begin[place + 1]):
                part += space.term[index]
            total += part
        # Only where H(U) is lost among what was left out can the sum fail to be positive.
        if total > 0.0:
            fraction, bits = frexp(total)
            sums.mantissa[placed] = fraction
            sums.exponent[placed] = bits + top
