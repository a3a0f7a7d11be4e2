"""Contingency tables and their Dirichlet-multinomial likelihoods, compiled.

The rows of a parent set carry the number of their joint parent state. Only states that occur are
numbered, so nothing grows with the product of the state counts.
"""

from __future__ import annotations

from math import lgamma, log

import numba
import numpy as np

from dag_gfn.scores.subsets import binomials, size_offsets

__all__ = ["family_scores", "subset_scores"]

# From here down Gamma(alpha) is 1 / alpha to all digits.
_SMALLEST_ALPHA = 1e-290


def family_scores(
    codes: np.ndarray,
    counts: np.ndarray,
    num_states: np.ndarray,
    node: int,
    parent_sets: np.ndarray,
    equivalent_sample_size: float,
) -> np.ndarray:
    """Return the BDeu scores of one node with many parent sets.

    Parameters
    ----------
    codes : array of int32 [d, m]
    counts : array of int64 [m]
        Multiplicity of each row.
    num_states : array of int64 [d]
    node : int
    parent_sets : array of bool [K, d]
    equivalent_sample_size : float

    Returns
    -------
    ndarray of float64 [K]
    """
    return _family_scores(codes, counts, num_states, node, parent_sets, equivalent_sample_size)


def subset_scores(
    codes: np.ndarray,
    counts: np.ndarray,
    num_states: np.ndarray,
    node: int,
    base: np.ndarray,
    candidates: np.ndarray,
    max_size: int,
    equivalent_sample_size: float,
) -> np.ndarray:
    """Return the BDeu scores of one node with `base` and every subset of the candidates.

    Parameters
    ----------
    codes, counts, num_states, node, equivalent_sample_size
        As in `family_scores`.
    base : array of int64 [b]
    candidates : array of int64 [c]
    max_size : int

    Returns
    -------
    ndarray of float64 [N]
        In the order of `dag_gfn.scores.subsets.subset_masks`.
    """
    return _subset_scores(
        codes,
        counts,
        num_states,
        node,
        base,
        candidates,
        binomials(len(candidates), max_size),
        size_offsets(len(candidates), max_size),
        equivalent_sample_size,
    )


@numba.njit(nogil=True, cache=True)
def _split(groups, num_groups, codes, num_states, labels, split):
    """Split the groups of rows by one more column; return the number of groups that occur."""
    for cell in range(num_groups * num_states):
        labels[cell] = -1
    num_split = 0
    for row in range(len(codes)):
        cell = groups[row] * num_states + codes[row]
        if labels[cell] < 0:
            labels[cell] = num_split
            num_split += 1
        split[row] = labels[cell]
    return num_split


@numba.njit(nogil=True, cache=True)
def _dirichlet_sum(values, num_values, alpha, log_alpha, tally, distinct):
    """Return the sum of log Gamma(alpha + N) - log Gamma(alpha) over counts N.

    Few counts are distinct (at most the square root of twice their sum), so they are tallied first
    and the logarithm of the gamma function is computed once for each.
    """
    num_distinct = 0
    for index in range(num_values):
        count = values[index]
        if count > 0:
            if tally[count] == 0:
                distinct[num_distinct] = count
                num_distinct += 1
            tally[count] += 1
    total = 0.0
    # Hundreds of parents share the prior among more states than float64 has a share for.
    at_zero = lgamma(alpha) if alpha > _SMALLEST_ALPHA else -log_alpha
    for index in range(num_distinct):
        count = distinct[index]
        total += tally[count] * (lgamma(alpha + count) - at_zero)
        tally[count] = 0
    return total


@numba.njit(nogil=True, cache=True)
def _score(groups, num_groups, child, counts, num_child_states, alpha, log_alpha, work):
    """Return the log-likelihood of a child given groups of rows; alpha is per parent state."""
    cells, totals, tally, distinct = work
    num_cells = num_groups * num_child_states
    for cell in range(num_cells):
        cells[cell] = 0
    for row in range(len(child)):
        cells[groups[row] * num_child_states + child[row]] += counts[row]
    for group in range(num_groups):
        total = 0
        for state in range(num_child_states):
            total += cells[group * num_child_states + state]
        totals[group] = total
    return _dirichlet_sum(
        cells,
        num_cells,
        alpha / num_child_states,
        log_alpha - log(num_child_states),
        tally,
        distinct,
    ) - _dirichlet_sum(totals, num_groups, alpha, log_alpha, tally, distinct)


@numba.njit(nogil=True, cache=True)
def _workspace(num_rows, counts, max_states):
    """Return the scratch arrays of `_score`."""
    num_total = counts.sum()
    num_distinct = int(np.sqrt(2.0 * num_total)) + 2
    return (
        np.zeros(max(num_rows, 1) * max_states, dtype=np.int64),
        np.zeros(max(num_rows, 1), dtype=np.int64),
        np.zeros(num_total + 1, dtype=np.int64),
        np.zeros(num_distinct, dtype=np.int64),
    )


@numba.njit(nogil=True, cache=True)
def _family_scores(codes, counts, num_states, node, parent_sets, equivalent_sample_size):
    num_variables, num_rows = codes.shape
    max_states = num_states.max()
    work = _workspace(num_rows, counts, max_states)
    labels = np.zeros(max(num_rows, 1) * max_states, dtype=np.int64)
    groups = np.zeros(num_rows, dtype=np.int64)
    scores = np.empty(len(parent_sets))
    for index in range(len(parent_sets)):
        groups[:] = 0
        num_groups = 1
        alpha, log_alpha = equivalent_sample_size, log(equivalent_sample_size)
        for parent in range(num_variables):
            if parent_sets[index, parent]:
                num_groups = _split(
                    groups, num_groups, codes[parent], num_states[parent], labels, groups
                )
                alpha /= num_states[parent]
                log_alpha -= log(num_states[parent])
        scores[index] = _score(
            groups, num_groups, codes[node], counts, num_states[node], alpha, log_alpha, work
        )
    return scores


@numba.njit(nogil=True, cache=True)
def _subset_scores(
    codes,
    counts,
    num_states,
    node,
    base,
    candidates,
    binomial,
    offsets,
    equivalent_sample_size,
):
    num_rows = codes.shape[1]
    max_size = len(offsets) - 2
    max_states = num_states.max()
    work = _workspace(num_rows, counts, max_states)
    labels = np.zeros(max(num_rows, 1) * max_states, dtype=np.int64)
    # One entry per depth of the search: the set so far, its rank within its size, its groups.
    last = np.full(max_size + 1, -1, dtype=np.int64)
    rank = np.zeros(max_size + 1, dtype=np.int64)
    groups = np.zeros((max_size + 1, num_rows), dtype=np.int64)
    num_groups = np.ones(max_size + 1, dtype=np.int64)
    alpha = np.full(max_size + 1, equivalent_sample_size)
    log_alpha = np.full(max_size + 1, log(equivalent_sample_size))
    for parent in base:
        num_groups[0] = _split(
            groups[0], num_groups[0], codes[parent], num_states[parent], labels, groups[0]
        )
        alpha[0] /= num_states[parent]
        log_alpha[0] -= log(num_states[parent])
    scores = np.empty(offsets[-1])
    scores[0] = _score(
        groups[0],
        num_groups[0],
        codes[node],
        counts,
        num_states[node],
        alpha[0],
        log_alpha[0],
        work,
    )
    depth = 0
    following = 0
    while True:
        if depth < max_size and following < len(candidates):
            parent = candidates[following]
            num_groups[depth + 1] = _split(
                groups[depth],
                num_groups[depth],
                codes[parent],
                num_states[parent],
                labels,
                groups[depth + 1],
            )
            alpha[depth + 1] = alpha[depth] / num_states[parent]
            log_alpha[depth + 1] = log_alpha[depth] - log(num_states[parent])
            rank[depth + 1] = rank[depth] + binomial[following, depth + 1]
            last[depth + 1] = following
            depth += 1
            scores[offsets[depth] + rank[depth]] = _score(
                groups[depth],
                num_groups[depth],
                codes[node],
                counts,
                num_states[node],
                alpha[depth],
                log_alpha[depth],
                work,
            )
            following += 1
        elif depth > 0:
            following = last[depth] + 1
            depth -= 1
        else:
            return scores
