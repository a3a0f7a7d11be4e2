"""The local scores that chains look up: every subset of a node's candidate parents.

Glossary: ``d`` variables, ``m`` candidates of a node.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from dag_gfn.scores import LocalScores
from dag_gfn.scores.base import MAX_TABLE_ENTRIES
from dag_gfn.scores.subsets import colex_order

__all__ = ["CandidateTable", "candidate_table"]

# Candidates are judged together with the subsets of this many others.
_CORE = 7


class CandidateTable(NamedTuple):
    """Local scores of every subset of each node's candidate parents."""

    candidates: NDArray[np.int64]  # [d, m], ascending; -1 pads nodes with fewer
    log_scores: NDArray[np.float64]  # [d, 2^m]; entry [j, mask], bit b stands for candidates[j, b]


def candidate_table(scores: LocalScores, max_candidates: int = 14) -> CandidateTable:
    r"""Choose the candidate parents of each node and score all their subsets.

    All other variables are candidates where that makes at most 25 million entries (d <= 21); bit b
    of the masks of node j is then variable b if b < j and b + 1 otherwise. Beyond, a node keeps its
    required parents, never a forbidden one, and is given further candidates one at a time: next
    comes the variable v with the largest share

    .. math:: \sum_{S \subseteq C} \exp \mathrm{score}(j, S \cup \{v\}),

    where C are the first seven candidates so far. This is the greedy choice of [1]_ with a sum in
    place of a maximum and a bound on the work.

    Parameters
    ----------
    scores : LocalScores
    max_candidates : int, default 14
        m where there are too many variables for all to be candidates.

    Returns
    -------
    CandidateTable
        Scores are -inf where required or forbidden edges, the in-degree limit or padding exclude
        the set. Memory is 8 d 2^m bytes.

    Raises
    ------
    ValueError
        If the table would have more than 25 million entries, or a node has more required parents
        than candidates.

    References
    ----------
    .. [1] J. Viinikka, A. Hyttinen, J. Pensar and M. Koivisto. "Towards scalable Bayesian learning
       of causal DAGs." NeurIPS 2020.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> table = candidate_table(scores)
    >>> table.candidates.tolist()
    [[1, 2], [0, 2], [0, 1]]
    >>> bool(np.isclose(table.log_scores[1, 0b10], scores.local_score(1, [2])))
    True
    """
    d = scores.num_variables
    if d * 2 ** (d - 1) <= MAX_TABLE_ENTRIES:
        others = np.arange(d - 1)
        candidates = others + (others >= np.arange(d)[:, None])
    else:
        _check_size(scores, max_candidates)
        chosen = [_chosen_candidates(scores, node, max_candidates) for node in range(d)]
        candidates = np.full((d, max(len(found) for found in chosen)), -1, dtype=np.int64)
        for node, found in enumerate(chosen):
            candidates[node, : len(found)] = found
    log_scores = np.full((d, 2 ** candidates.shape[1]), -np.inf)
    for node in range(d):
        _fill(scores, node, candidates[node], log_scores[node])
    return CandidateTable(candidates, log_scores)


def _check_size(scores: LocalScores, max_candidates: int) -> None:
    d = scores.num_variables
    largest = (MAX_TABLE_ENTRIES // d).bit_length() - 1
    if not 1 <= max_candidates <= largest:
        raise ValueError(
            f"max_candidates must be from 1 to {largest} for {d} variables, not {max_candidates}; "
            f"the table of local scores would have more than {MAX_TABLE_ENTRIES:.2g} entries."
            if max_candidates > largest
            else f"max_candidates must be at least 1, not {max_candidates}."
        )
    num_required = np.sum(scores.required, axis=0)
    node = int(np.argmax(num_required))
    if num_required[node] > max_candidates:
        raise ValueError(
            f"column {scores.names[node]!r} has {num_required[node]} required parents, more than "
            f"max_candidates = {max_candidates}; raise max_candidates."
        )


def _chosen_candidates(
    scores: LocalScores, node: int, max_candidates: int
) -> NDArray[np.int64]:  # [m], ascending
    """Return the required parents and the most useful others."""
    required = np.flatnonzero(scores.required[:, node])
    free = np.flatnonzero(~scores.forbidden[:, node] & ~scores.required[:, node])
    room = max_candidates - len(required)
    if len(free) <= room:
        return np.sort(np.concatenate([required, free]))
    share = np.full(scores.num_variables, -np.inf)
    chosen: list[int] = []
    # Subsets of the core, those with its newest member apart: only they change the shares.
    older = np.zeros((0, scores.num_variables), dtype=bool)
    newest = scores.required[:, node][None]
    while len(chosen) < room:
        rest = np.setdiff1d(free, chosen)
        sets = np.repeat(newest, len(rest), axis=0)
        sets[np.arange(len(sets)), np.tile(rest, len(newest))] = True
        values = scores.local_scores_of(node, sets).reshape(len(newest), len(rest))
        share[rest] = np.logaddexp(share[rest], logsumexp(values, axis=0))
        ranked = rest[np.argsort(-share[rest], kind="stable")]
        if len(chosen) == _CORE:
            chosen.extend(ranked[: room - len(chosen)].tolist())
            break
        best = int(ranked[0])
        chosen.append(best)
        older = np.concatenate([older, newest])
        newest = older.copy()
        newest[:, best] = True
    return np.sort(np.concatenate([required, np.array(chosen, dtype=np.int64)]))


def _fill(
    scores: LocalScores,
    node: int,
    candidates: NDArray[np.int64],  # [m]
    log_scores: NDArray[np.float64],  # [2^m], written to
) -> None:
    """Write the scores of all sets that the constraints allow, in one pass."""
    known = np.flatnonzero(candidates >= 0)
    is_required = scores.required[candidates[known], node]
    base_bits = known[is_required]
    free_bits = known[~is_required & ~scores.forbidden[candidates[known], node]]
    room = min(len(free_bits), scores.max_parents - len(base_bits))
    order = colex_order(len(free_bits), room)
    # Bit k of a set of the free candidates is bit free_bits[k] of the masks here.
    masks = np.full(len(order), np.sum(1 << base_bits, dtype=np.int64))
    for k, bit in enumerate(free_bits):
        masks |= ((order >> k) & 1) << bit
    log_scores[masks] = scores.local_scores_of_subsets(
        node, candidates[free_bits], room, candidates[base_bits]
    )
