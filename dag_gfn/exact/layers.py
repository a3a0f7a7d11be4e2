"""Independent draws of DAGs from their exact posterior, one layer of roots after another.

The first layer of a DAG are its roots, and each next one the variables with all parents in the
layers before and one at least in the last of them (Talvitie, Eggeling and Koivisto 2019, "Learning
Bayesian networks with local structure, mixed variables, and exact algorithms", IJAR; Kuipers and
Moffa 2017 call the layers a partition). With ``U`` the layers so far and ``R`` the last of them,
the next one is ``S`` with a probability proportional to

    q_U(S) * prod_{j in S} (1 - alpha_j(U - R) / alpha_j(U)),

where ``q_U(S)`` is the weight of the completions of ``U`` in which the roots of what is left are
``S`` and no others: a Moebius transform of the terms of ``H(U)``. It does not depend on ``R``, so
the draws that have come to the same ``U`` share it. Given the layers, the parents of each variable
are drawn by themselves: from the sets within ``U`` that meet ``R``, one candidate after another, by
the stages of the zeta transform.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dag_gfn.exact.parent_sums import ParentSums, log_parent_sum, zeta_stages
from dag_gfn.exact.subset_dp import SubsetSums, Workspace, list_candidates, power_of_two, workspace
from dag_gfn.scores import LocalScores

__all__ = ["draw_dags"]


def draw_dags(
    scores: LocalScores,
    sums: SubsetSums,
    num_samples: int,
    *,
    random_state: int | np.random.Generator | None = None,
    bar: tqdm | None = None,
) -> NDArray[np.int8]:
    """Draw independent DAGs from the exact posterior.

    Parameters
    ----------
    scores : LocalScores
    sums : SubsetSums
        Of these scores.
    num_samples : int
        S.
    random_state : int or numpy.random.Generator, optional
        Same seed, same graphs.
    bar : tqdm, optional
        Moved on by 2 d.

    Returns
    -------
    ndarray of int8 [S, d, d]
        Row causes column.

    Examples
    --------
    >>> from dag_gfn.exact import subset_sums
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 6)))
    >>> draw_dags(scores, subset_sums(scores), 100, random_state=0).shape
    (100, 6, 6)
    """
    rng = np.random.default_rng(random_state)
    d = scores.num_variables
    before, last = _draw_layers(d, sums, num_samples, rng, bar)
    adjacency = np.zeros((num_samples, d, d), dtype=np.int8)
    for node in range(d):
        free = np.flatnonzero(~scores.forbidden[:, node] & ~scores.required[:, node])
        parents = _draw_parents(
            sums.parent_sums, node, len(free), before[:, node], last[:, node], rng
        )
        adjacency[:, free, node] = parents[:, None] >> np.arange(len(free)) & 1
        adjacency[:, scores.required[:, node], node] = 1
        if bar is not None:
            bar.update()
    return adjacency


def _draw_layers(
    d: int, sums: SubsetSums, num_samples: int, rng: np.random.Generator, bar: tqdm | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the layers of every DAG.

    Returns
    -------
    before : ndarray of int64 [S, d]
        The layers before that of each variable, as a bit mask.
    last : ndarray of int64 [S, d]
        The last of them; none for the first layer.
    """
    before, last = np.zeros((2, num_samples, d), dtype=np.int64)
    placed, newest = np.zeros((2, num_samples), dtype=np.int64)
    full = 2**d - 1
    space = workspace(d)
    cumulative = np.empty(2**d)
    while np.any(placed != full):
        # Sets grow, so the draws that ever come to a set are there when its size has its turn.
        for size in range(d):
            here = np.flatnonzero(np.bitwise_count(placed) == size)
            here = here[np.lexsort((newest[here], placed[here]))]
            layer = np.empty(len(here), dtype=np.int64)
            _draw_layer(
                d, sums, placed[here], newest[here], rng.random(len(here)), space, cumulative, layer
            )
            joins = (layer[:, None] >> np.arange(d) & 1).astype(bool)
            rows, nodes = here[np.nonzero(joins)[0]], np.nonzero(joins)[1]
            before[rows, nodes] = placed[rows]
            last[rows, nodes] = newest[rows]
            placed[here] |= layer
            newest[here] = layer
            # Rounding may lead a draw, once in 10^10 times, to layers that nothing can follow.
            placed[here[layer == 0]] = 0
            if bar is not None and bar.n < bar.total:
                bar.update()
    return before, last


@numba.njit(nogil=True, cache=True)
def _draw_layer(d, sums, placed, newest, uniform, space, cumulative, layer):
    """Draw the next layer of each draw; 0 where there is none.

    The draws come in the order of `placed` and, within, of `newest`.
    """
    num_nodes = 0
    total = 0.0
    for draw in range(len(placed)):
        is_new = draw == 0 or placed[draw] != placed[draw - 1]
        if is_new:
            num_nodes = _weigh_root_sets(placed[draw], d, sums, space)
        if is_new or newest[draw] != newest[draw - 1]:
            total = _accumulate(placed[draw], newest[draw], num_nodes, sums, space, cumulative)
        index = 0
        if total > 0.0:
            found = np.searchsorted(
                cumulative[: 1 << num_nodes], uniform[draw] * total, side="right"
            )
            index = min(found, (1 << num_nodes) - 1)
        layer[draw] = np.int64(space.united[index]) & ~placed[draw]


@numba.njit(nogil=True, cache=True)
def _weigh_root_sets(placed, d, sums, space):
    """Put q_U(S), scaled, into `space.term`, and U + S into `space.united`, at the bit mask of S.

    Returns the number of candidates for S, whose bits are those of the masks.
    """
    num_nodes, top = list_candidates(
        placed, d, sums.parent_sums, sums.mantissa, sums.exponent, space
    )
    space.united[0] = placed
    space.weight[0] = 1.0
    space.shift[0] = -top
    space.term[0] = 0.0
    for place in range(num_nodes):
        half = 1 << place
        bit = np.uint32(1 << space.node[place])
        for origin in range(half):
            index = origin + half
            united = space.united[origin] | bit
            space.united[index] = united
            space.weight[index] = space.weight[origin] * space.node_mantissa[place]
            space.shift[index] = space.shift[origin] + space.node_exponent[place]
            bits = space.shift[index] + sums.exponent[united]
            power = power_of_two(bits, space.powers)
            space.term[index] = space.weight[index] * sums.mantissa[united] * power
    for place in range(num_nodes):
        half = 1 << place
        for block in range(0, 1 << num_nodes, 2 * half):
            for index in range(block, block + half):
                space.term[index] -= space.term[index + half]
    space.term[0] = 0.0  # something is a root
    return num_nodes


@numba.njit(nogil=True, cache=True)
def _accumulate(placed, newest, num_nodes, sums, space, cumulative):
    """Add up the weights of the next layers given the last one, and return their sum."""
    space.weight[0] = 1.0
    cumulative[0] = 0.0
    total = 0.0
    for place in range(num_nodes):
        half = 1 << place
        factor = 1.0
        if newest:
            node = space.node[place]
            with_last = log_parent_sum(sums.parent_sums, node, placed)
            without = log_parent_sum(sums.parent_sums, node, placed & ~newest)
            factor = -np.expm1(without - with_last)
        for origin in range(half):
            weight = space.weight[origin] * factor
            space.weight[origin + half] = weight
            total += weight * max(space.term[origin + half], 0.0)
            cumulative[origin + half] = total
    return total


def _draw_parents(
    sums: ParentSums,
    node: int,
    num_free: int,
    before: NDArray[np.int64],
    last: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw parents within `before` that meet `last`, as bit masks of the free candidates [S]."""
    start = sums.start[node]
    stages = zeta_stages(sums.log_weights[start : start + 2**num_free])

    def compact(sets: NDArray[np.int64]) -> NDArray[np.int32]:
        return sums.low[node, sets & (2**sums.num_low - 1)] + sums.high[node, sets >> sums.num_low]

    parents = np.empty(len(before), dtype=np.int64)
    is_met = (last == 0) | (last & sums.required[node] != 0)
    _descend(
        stages,
        compact(before),
        compact(last),
        is_met,
        rng.random((len(before), num_free)),
        parents,
    )
    return parents


@numba.njit(nogil=True, cache=True)
def _descend(stages, within, last, is_met, uniform, parents):
    """Draw sets within `within` that meet `last`, where that is not met already, bit by bit."""
    num_bits = len(stages) - 1
    for draw in range(len(within)):
        chosen = 0
        met = is_met[draw]
        for bit in range(num_bits - 1, -1, -1):
            flag = 1 << bit
            if not within[draw] & flag:
                continue
            rest = within[draw] & (flag - 1)
            missed = rest & ~last[draw]
            stage = stages[bit]
            reference = stages[bit + 1][chosen | flag | rest]
            weight_with = np.exp(stage[chosen | flag | rest] - reference)
            weight_without = np.exp(stage[chosen | rest] - reference)
            if not met:
                sure = weight_without - np.exp(stage[chosen | missed] - reference)
                if last[draw] & flag:
                    weight_without = sure
                else:
                    both = weight_with - np.exp(stage[chosen | flag | missed] - reference)
                    # When rounding leaves nothing, any set will do: it has a weight at least.
                    if both + sure > 0.0:
                        weight_with, weight_without = max(both, 0.0), max(sure, 0.0)
            if uniform[draw, bit] * (weight_with + weight_without) < weight_with:
                chosen |= flag
                met = met or last[draw] & flag != 0
        parents[draw] = chosen
