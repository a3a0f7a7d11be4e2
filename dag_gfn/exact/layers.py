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

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dag_gfn.exact.parent_sums import ParentSums, free_candidates, log_parent_sum, zeta_stages
from dag_gfn.exact.subset_dp import SubsetSums, list_candidates, power_of_two, workspace
from dag_gfn.scores import LocalScores

__all__ = ["Draws", "draw_dags"]


class Draws(NamedTuple):
    """Independent draws of DAGs."""

    adjacency: NDArray[np.int8]  # [S, d, d], row causes column
    error_estimate: float  # probability that rounding took from or gave to some graphs


class _Layers(NamedTuple):
    """The layers of drawn DAGs, as bit masks of variables."""

    before: NDArray[np.int64]  # [S, d], all layers before that of each variable
    last: NDArray[np.int64]  # [S, d], the last of them; none for the first layer
    lost: NDArray[np.float64]  # [S], probability of layers that came out negative


def draw_dags(
    scores: LocalScores,
    sums: SubsetSums,
    num_samples: int,
    *,
    random_state: int | np.random.Generator | None = None,
    progress: bool = False,
) -> Draws:
    """Draw independent DAGs from the exact posterior.

    Parameters
    ----------
    scores : LocalScores
    sums : SubsetSums
        Of these scores.
    num_samples : int
        Number S of graphs.
    random_state : int or numpy.random.Generator, optional
        Same seed, same graphs.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Draws
        ``error_estimate`` is the mean over the draws of the probability of the layers whose weight
        rounding made negative, and which are not drawn.

    Examples
    --------
    >>> from dag_gfn.exact import subset_sums
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 6)))
    >>> draw_dags(scores, subset_sums(scores), 100, random_state=0).adjacency.shape
    (100, 6, 6)
    """
    rng = np.random.default_rng(random_state)
    d = scores.num_variables
    adjacency = np.zeros((num_samples, d, d), dtype=np.int8)
    with tqdm(total=2 * num_samples, desc="draws", unit="part", disable=not progress) as bar:
        layers = _draw_layers(d, sums, num_samples, rng, bar)
        for node in range(d):
            free = free_candidates(scores, node)
            parents = _draw_parents(sums.parent_sums, node, len(free), layers, rng)
            adjacency[:, free, node] = parents[:, None] >> np.arange(len(free)) & 1
            adjacency[:, scores.required[:, node], node] = 1
            bar.update((node + 1) * num_samples // d - node * num_samples // d)
    return Draws(adjacency, float(np.mean(layers.lost)))


def _draw_layers(
    d: int, sums: SubsetSums, num_samples: int, rng: np.random.Generator, bar: tqdm
) -> _Layers:
    """Draw the layers of every DAG; the bar moves on by their number."""
    before, last = np.zeros((2, num_samples, d), dtype=np.int64)
    placed, newest = np.zeros((2, num_samples), dtype=np.int64)
    lost = np.zeros(num_samples)
    full = 2**d - 1
    space = workspace(d)
    cumulative = np.empty(2**d)
    num_done = 0
    while num_done < num_samples:
        # Sets grow, so the draws that ever come to a set are there when its size has its turn.
        for size in range(d):
            here = np.flatnonzero(np.bitwise_count(placed) == size)
            here = here[np.lexsort((newest[here], placed[here]))]
            uniform = rng.random(len(here))
            layer, negative = _draw_layer(
                d, sums, placed[here], newest[here], uniform, space, cumulative
            )
            joins = (layer[:, None] >> np.arange(d) & 1).astype(bool)
            rows, nodes = here[np.nonzero(joins)[0]], np.nonzero(joins)[1]
            before[rows, nodes] = placed[rows]
            last[rows, nodes] = newest[rows]
            placed[here] |= layer
            newest[here] = layer
            lost[here] += negative
            # Rounding may, very rarely, have drawn layers that no other can follow: begin anew.
            placed[here[layer == 0]] = 0
            now_done = int(np.sum(placed == full))
            bar.update(now_done - num_done)
            num_done = now_done
    return _Layers(before, last, lost)


@numba.njit(nogil=True, cache=True)
def _draw_layer(d, sums, placed, newest, uniform, space, cumulative):
    """Draw the next layer of each draw, 0 where there is none, and say what share was negative.

    The draws come in the order of `placed` and, within, of `newest`.
    """
    layer = np.zeros(len(placed), dtype=np.int64)
    negative = np.zeros(len(placed))
    num_nodes = 0
    total = 0.0
    lost = 0.0
    for draw in range(len(placed)):
        is_new = draw == 0 or placed[draw] != placed[draw - 1]
        if is_new:
            num_nodes = _weigh_root_sets(placed[draw], d, sums, space)
        if is_new or newest[draw] != newest[draw - 1]:
            total, lost = _accumulate(
                placed[draw], newest[draw], num_nodes, sums.parent_sums, space, cumulative
            )
        if total > 0.0:
            index = np.searchsorted(
                cumulative[: 1 << num_nodes], uniform[draw] * total, side="right"
            )
            index = min(index, (1 << num_nodes) - 1)
            layer[draw] = np.int64(space.united[index]) & ~placed[draw]
            negative[draw] = lost / total
    return layer, negative


@numba.njit(nogil=True, cache=True)
def _weigh_root_sets(placed, d, sums, space):
    """Put q_U(S), scaled, into `space.term`, and U + S into `space.united`, at the bit mask of S.

    Returns the number of candidates for S, whose bits are those of the masks.
    """
    num_nodes, top = list_candidates(placed, d, sums, space)
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
    """Add up the weights of the next layers given the last one.

    Returns the sum of those above zero, and of those below.
    """
    space.weight[0] = 1.0
    cumulative[0] = 0.0
    total = 0.0
    lost = 0.0
    for place in range(num_nodes):
        half = 1 << place
        factor = 1.0
        if newest:
            node = space.node[place]
            with_last = log_parent_sum(sums, node, placed)
            without = log_parent_sum(sums, node, placed & ~newest)
            factor = -np.expm1(without - with_last)
        for index in range(half, 2 * half):
            space.weight[index] = space.weight[index - half] * factor
            share = space.weight[index] * space.term[index]
            total += max(share, 0.0)
            lost -= min(share, 0.0)
            cumulative[index] = total
    return total, lost


def _draw_parents(
    sums: ParentSums, node: int, num_free: int, layers: _Layers, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the parents of a node, as bit masks of its free candidates [S]."""
    start = sums.start[node]
    stages = zeta_stages(sums.log_weights[start : start + 2**num_free])

    def compact(sets: NDArray[np.int64]) -> NDArray[np.int32]:
        return sums.low[node, sets & (2**sums.num_low - 1)] + sums.high[node, sets >> sums.num_low]

    before, last = layers.before[:, node], layers.last[:, node]
    is_met = (last == 0) | (last & sums.required[node] != 0)
    uniform = rng.random((len(before), num_free))
    return _descend(stages, compact(before), compact(last), is_met, uniform)


@numba.njit(nogil=True, cache=True)
def _descend(stages, within, last, is_met, uniform):
    """Draw sets within `within` that meet `last`, where that is not met already, bit by bit."""
    parents = np.empty(len(within), dtype=np.int64)
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
    return parents
