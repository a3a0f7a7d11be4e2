"""The moves of a chain over ordered partitions, and their Hastings ratios.

A partition is the layer of each node, from 0 on, with no layer empty. Glossary: ``d`` variables.
"""

from __future__ import annotations

from math import lgamma

import numpy as np
from numba import njit

from dag_gfn.mcmc.generator import integer, uniform

__all__ = ["MOVES", "propose"]

MOVES = ("split", "join", "move", "swap neighbours", "swap any two")
_SPLIT, _JOIN, _MOVE, _SWAP_NEIGHBOURS, _SWAP_ANY = range(len(MOVES))


@njit(cache=True, nogil=True)
def propose(layer, proposal, move, generator):
    """Propose another partition.

    Parameters
    ----------
    layer : array of int64 [d]
    proposal : array of int64 [d]
        Written to: the layers proposed.
    move : int
        Index of `MOVES`.
    generator : array of uint64 [4]

    Returns
    -------
    log_ratio : float
        log q(layer | proposal) - log q(proposal | layer), where a split is undone by a join and
        every other move by its own kind; -inf where the move has nothing to propose.
    first, last : int
        A node whose layer in the proposal is not within these has the same candidates as before, in
        earlier layers and in the layer just before.
    """
    if move == _SPLIT:
        return _propose_split(layer, proposal, generator)
    if move == _JOIN:
        return _propose_join(layer, proposal, generator)
    if move == _MOVE:
        return _propose_move(layer, proposal, generator)
    return _propose_swap(layer, proposal, move == _SWAP_NEIGHBOURS, generator)


@njit(cache=True, nogil=True)
def _sizes(layer):
    """Return the number of nodes of each layer, int64 [d], zero beyond the last."""
    sizes = np.zeros(len(layer), dtype=np.int64)
    for place in layer:
        sizes[place] += 1
    return sizes


@njit(cache=True, nogil=True)
def _log_binomial(n, k):
    return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0)


@njit(cache=True, nogil=True)
def _propose_split(layer, proposal, generator):
    """Split a layer with probability 1 / (layers to split) / (size - 1) / C(size, part)."""
    sizes = _sizes(layer)
    num_layers = np.sum(sizes > 0)
    num_large = np.sum(sizes > 1)
    if num_large == 0:
        return -np.inf, 0, 0
    skip = integer(generator, num_large)
    split = 0
    while sizes[split] < 2 or skip > 0:
        skip -= sizes[split] > 1
        split += 1
    part = 1 + integer(generator, sizes[split] - 1)
    needed, left = part, sizes[split]
    for node in range(len(layer)):
        proposal[node] = layer[node] + (layer[node] > split)
        if layer[node] == split:
            if uniform(generator) * left < needed:
                needed -= 1
            else:
                proposal[node] = split + 1
            left -= 1
    # The proposal has one layer more, so `num_layers` pairs of neighbours to join.
    log_ratio = np.log(num_large * (sizes[split] - 1) / num_layers)
    return log_ratio + _log_binomial(sizes[split], part), split + 1, split + 2


@njit(cache=True, nogil=True)
def _propose_join(layer, proposal, generator):
    """Join a layer with the next; the reverse of a split."""
    sizes = _sizes(layer)
    num_layers = np.sum(sizes > 0)
    if num_layers == 1:
        return -np.inf, 0, 0
    joined = integer(generator, num_layers - 1)
    for node in range(len(layer)):
        proposal[node] = layer[node] - (layer[node] > joined)
    size = sizes[joined] + sizes[joined + 1]
    num_large = np.sum(sizes > 1) + 1 - (sizes[joined] > 1) - (sizes[joined + 1] > 1)
    log_ratio = np.log((num_layers - 1) / (num_large * (size - 1)))
    return log_ratio - _log_binomial(size, sizes[joined]), joined, joined + 1


@njit(cache=True, nogil=True)
def _propose_move(layer, proposal, generator):
    """Take a node out, and put it into another layer or between two.

    There are as many ways to put it back as there were to put it there, so the move is symmetric.
    """
    node = integer(generator, len(layer))
    home = layer[node]
    sizes = _sizes(layer)
    alone = sizes[home] == 1
    num_left = np.sum(sizes > 0) - alone  # layers without the node
    # Ways to put the node back: 2 k is a new layer before layer k, 2 k + 1 is into layer k.
    way = integer(generator, 2 * num_left)
    way += way >= 2 * home + (not alone)
    target = way // 2
    is_new = way % 2 == 0
    after = home + (not alone)  # the layer that followed the node's, without the node
    for other in range(len(layer)):
        place = layer[other] - (alone and layer[other] > home)
        proposal[other] = place + (is_new and place >= target)
    proposal[node] = target
    after += is_new and after >= target
    return 0.0, min(target, after), max(target + 1, after)


@njit(cache=True, nogil=True)
def _propose_swap(layer, proposal, neighbours, generator):
    """Swap a node with one of another layer, or of the layers next to its own.

    A swap keeps the sizes of all layers, and so the number of partners of both places: the move is
    symmetric.
    """
    node = integer(generator, len(layer))
    num_partners = 0
    for place in layer:
        distance = abs(place - layer[node])
        num_partners += distance == 1 or (distance > 1 and not neighbours)
    if num_partners == 0:
        return -np.inf, 0, 0
    skip = integer(generator, num_partners)
    partner = -1
    while skip >= 0:
        partner += 1
        distance = abs(layer[partner] - layer[node])
        skip -= distance == 1 or (distance > 1 and not neighbours)
    proposal[:] = layer
    proposal[node], proposal[partner] = layer[partner], layer[node]
    return 0.0, min(layer[node], layer[partner]), max(layer[node], layer[partner]) + 1
