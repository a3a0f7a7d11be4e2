"""Missing categories, drawn from what a categorical network says of them.

Glossary: ``n`` rows, ``d`` variables, ``m`` rows of one pattern, ``K`` cells of a block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dag_gfn import graphs
from dag_gfn.imputation.patterns import Pattern
from dag_gfn.posterior.categorical import CategoricalParameters

__all__ = ["draw_missing_codes"]

# Joint states of the cells that are drawn at once.
_MAX_STATES = 1024
# Times that each block is drawn where the cells of a row are in more than one.
_NUM_SWEEPS = 5
# Entries of a block of intermediate arrays: 32 MiB of float64.
_BLOCK_ENTRIES = 2**22


def draw_missing_codes(
    codes: NDArray[np.int32],
    patterns: Iterable[Pattern],
    network: CategoricalParameters,
    rng: np.random.Generator,
    *,
    max_states: int = _MAX_STATES,
) -> NDArray[np.int32]:
    """Draw the missing states of each row from p(missing | observed, G, theta).

    Cells without an observed descendant say nothing of the observed ones, so they are drawn last
    and forwards, each given its parents. The others are drawn in blocks: all of a row at once where
    their joint states are few, which is exact; else one block after the other given the rest, five
    times round, which leaves the distribution invariant (Gibbs sampling).

    Parameters
    ----------
    codes : int32 [n, d]
        The missing cells hold states as well, from which Gibbs sampling starts.
    patterns : iterable of Pattern
        As of `missing_patterns`.
    network : CategoricalParameters
        One draw.
    rng : numpy.random.Generator
    max_states : int, default 1024
        Joint states that the cells of a block may have; a single cell may have more.

    Returns
    -------
    int32 [n, d]
        A copy with other states in the missing cells.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> table = [["no", "dry"], ["yes", "wet"], ["yes", "dry"]] * 300 + [["yes", "wet"]] * 2000
    >>> posterior = dg.ExactPosterior("bde").fit(table).posterior_
    >>> network = posterior.sample_parameters(1, random_state=0)
    >>> pattern = Pattern(np.array([1]), np.array([False, True]), -1)
    >>> codes = np.array([[0, 0], [1, 0]], np.int32)
    >>> draw_missing_codes(codes, [pattern], network, np.random.default_rng(0))
    array([[0, 0],
           [1, 1]], dtype=int32)
    """
    codes = codes.copy()
    num_states = [len(states) for states in network.states]
    order = np.argsort(graphs.topological_layers(network.adjacency)[0], kind="stable")
    draw = np.zeros(1, np.int64)
    with np.errstate(divide="ignore"):  # a state may have lost all its probability to rounding
        log_tables = [np.log(tables.of(draw)[0]) for tables in network.tables]
    for rows, missing, target in patterns:
        adjacency = network.adjacency[0].copy()
        if target >= 0:
            adjacency[:, target] = 0
        reaches = graphs.transitive_closure(adjacency)
        informed = missing & reaches[:, ~missing].any(axis=1)
        blocks = _blocks([int(cell) for cell in order if informed[cell]], num_states, max_states)
        # The others are summed out. What was set has no parents left, so that its mechanism is not
        # a factor of any block.
        known = np.flatnonzero(informed | ~missing).tolist()
        for block in blocks * (_NUM_SWEEPS if len(blocks) > 1 else 1):
            factors = [f for f in known if f in block or adjacency[block, f].any()]
            _draw_cells(codes, rows, block, factors, adjacency, log_tables, rng)
        for cell in (int(cell) for cell in order if missing[cell] and not informed[cell]):
            _draw_cells(codes, rows, [cell], [cell], adjacency, log_tables, rng)
    return codes


def _draw_cells(
    codes: NDArray[np.int32],
    rows: NDArray[np.int64],
    cells: list[int],
    factors: list[int],
    adjacency: NDArray[np.int8],
    log_tables: Sequence[NDArray[np.float64]],
    rng: np.random.Generator,
) -> None:
    """Draw some cells of some rows, in place, by the product of the factors' mechanisms."""
    sizes = [log_tables[cell].shape[-1] for cell in cells]
    length = max(1, _BLOCK_ENTRIES // int(np.prod(sizes)))
    for some in np.split(rows, range(length, len(rows), length)):
        log_joint = np.zeros((len(some), *sizes))
        for node in factors:
            family = [*np.flatnonzero(adjacency[:, node]), node]
            log_joint += log_tables[node][_places(codes[some], family, cells, sizes)]
        drawn = _draw_columns(log_joint.reshape(len(some), -1), rng)
        codes[some[:, None], cells] = np.column_stack(np.unravel_index(drawn, sizes))


def _blocks(cells: Sequence[int], num_states: Sequence[int], max_states: int) -> list[list[int]]:
    """Return the cells in blocks, each with as many as the joint states allow."""
    blocks: list[list[int]] = []
    joint = np.inf
    for cell in cells:
        joint *= num_states[cell]
        if joint > max_states:
            blocks.append([])
            joint = num_states[cell]
        blocks[-1].append(cell)
    return blocks


def _places(
    codes: NDArray[np.int32], family: Sequence[int], cells: list[int], sizes: Sequence[int]
) -> tuple[NDArray, ...]:
    """Return where the entries of a family's table go in an array [m, states of the cells...]."""
    places: list[NDArray] = []
    for member in family:
        shape = [1] * (1 + len(cells))
        if member in cells:
            axis = cells.index(member)
            shape[1 + axis] = sizes[axis]
            places.append(np.arange(sizes[axis]).reshape(shape))
        else:
            shape[0] = len(codes)
            places.append(codes[:, member].reshape(shape))
    return tuple(places)


def _draw_columns(log_joint: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a column of each row by weight, int64 [m]."""
    chances = np.exp(log_joint - log_joint.max(axis=1, keepdims=True)).cumsum(axis=1)
    return (rng.random((len(chances), 1)) * chances[:, -1:] >= chances[:, :-1]).sum(axis=1)
