"""The best parent sets of each node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dag_gfn.scores.subsets import num_subsets, subset_masks

if TYPE_CHECKING:
    from dag_gfn.scores.base import LocalScores

__all__ = ["ParentSets", "parent_set_list"]

_EXHAUSTIVE = 2**15
_SHORTLIST = 14
_SWAPPED_IN = 20


class ParentSets(NamedTuple):
    """High-scoring parent sets of every node, best first."""

    masks: np.ndarray  # bool [d, K, d], entry [j, k, i]: i is in the k-th parent set of j
    log_scores: np.ndarray  # float64 [d, K], -inf where a node has fewer than K sets


def parent_set_list(scores: LocalScores, num_sets: int) -> ParentSets:
    """Find the best parent sets of each node.

    Exact when all local scores fit in a table (`LocalScores.has_table`), or the constraints leave a
    node at most 2^15 parent sets. Otherwise a steepest ascent from the required parents, by adding
    or removing one, finds a mode; the 14 candidates whose addition, removal or exchange costs least
    there are the shortlist; and all sets that differ from the mode within the shortlist are scored,
    along with all sets met on the way.

    Parameters
    ----------
    scores : LocalScores
    num_sets : int
        K, at least 1.

    Returns
    -------
    ParentSets
        K may be smaller if no node has so many. The required parents alone (the empty set, when
        none are required) are in every list.

    Raises
    ------
    ValueError
        If `num_sets` is below 1.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> masks, log_scores = parent_set_list(scores, 2)
    >>> masks.shape, log_scores.shape
    ((3, 2, 3), (3, 2))
    """
    if num_sets < 1:
        raise ValueError(f"num_sets must be at least 1, not {num_sets}.")
    per_node = [_best(*found, num_sets) for found in _scored_sets(scores)]
    longest = max(len(values) for _, values in per_node)
    masks = np.zeros((scores.num_variables, longest, scores.num_variables), dtype=bool)
    log_scores = np.full((scores.num_variables, longest), -np.inf)
    for node, (sets, values) in enumerate(per_node):
        masks[node, : len(values)] = sets
        log_scores[node, : len(values)] = values
    return ParentSets(masks, log_scores)


def _scored_sets(scores: LocalScores) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield distinct parent sets of each node in turn, and their scores.

    Yields
    ------
    masks : ndarray of bool [k, d]
    values : ndarray of float64 [k]
        The required parents alone come first.
    """
    if scores.has_table:
        table = scores.table()
        subsets = subset_masks(scores.num_variables - 1, scores.max_parents)
        for node in range(scores.num_variables):
            allowed = np.flatnonzero(table[node] > -np.inf)
            yield np.insert(subsets[allowed], node, False, axis=1), table[node, allowed]
        return
    for node in range(scores.num_variables):
        base = scores.required[:, node]
        free = np.flatnonzero(~scores.forbidden[:, node] & ~base)
        room = min(len(free), scores.max_parents - int(np.sum(base)))
        if num_subsets(len(free), room) <= _EXHAUSTIVE:
            yield _sets_around(scores, node, base, free)
        else:
            yield _search(scores, node, base, free)


def _best(masks: np.ndarray, values: np.ndarray, num_sets: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best sets in decreasing order, the first of those given always among them."""
    num_sets = min(num_sets, len(values))
    kept = np.argpartition(-values, num_sets - 1)[:num_sets]
    kept = kept[np.argsort(-values[kept], kind="stable")]
    if 0 not in kept:
        kept[-1] = 0
    return masks[kept], values[kept]


def _sets_around(
    scores: LocalScores, node: int, core: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the core with every subset of the free candidates, and their scores."""
    base = np.flatnonzero(core)
    room = min(len(free), scores.max_parents - len(base))
    subsets = subset_masks(len(free), room)
    masks = np.tile(core, (len(subsets), 1))
    masks[:, free] = subsets
    return masks, scores.local_scores_of_subsets(node, free, room, base)


def _search(
    scores: LocalScores, node: int, base: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct sets of one node around a local optimum, and their scores."""
    mode = base
    mode_value = scores.local_scores_of(node, base[None])[0]
    found = [(mode[None], np.array([mode_value]))]
    while True:
        neighbours = _flipped(mode, free)
        values = scores.local_scores_of(node, neighbours)
        found.append((neighbours, values))
        best = np.argmax(values)
        if values[best] <= mode_value:
            break
        mode, mode_value = neighbours[best], values[best]
    loss = mode_value - values
    is_member = mode[free]
    entering = free[~is_member][np.argsort(loss[~is_member], kind="stable")[:_SWAPPED_IN]]
    leaving = free[is_member]
    if len(leaving) and len(entering):
        out, into = (grid.ravel() for grid in np.meshgrid(leaving, entering, indexing="ij"))
        exchanged = np.tile(mode, (len(out), 1))
        exchanged[np.arange(len(out)), out] = False
        exchanged[np.arange(len(out)), into] = True
        values = scores.local_scores_of(node, exchanged)
        found.append((exchanged, values))
        cost = np.full(scores.num_variables, np.inf)
        cost[free] = loss
        np.minimum.at(cost, out, mode_value - values)
        np.minimum.at(cost, into, mode_value - values)
        loss = cost[free]
    shortlist = free[np.sort(np.argsort(loss, kind="stable")[:_SHORTLIST])]
    core = mode.copy()
    core[shortlist] = False
    found.append(_sets_around(scores, node, core, shortlist))
    masks = np.concatenate([sets for sets, _ in found])
    values = np.concatenate([values for _, values in found])
    _, first = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True)
    first = np.sort(first[values[first] > -np.inf])
    return masks[first], values[first]


def _flipped(mode: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return the sets that differ from the mode in one free candidate, bool [len(free), d]."""
    neighbours = np.tile(mode, (len(free), 1))
    neighbours[np.arange(len(free)), free] ^= True
    return neighbours
