"""Data augmentation: graphs, parameters and missing values, each drawn given the others.

Glossary: ``T`` tables, ``S`` draws of a table, ``n`` rows, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dag_gfn.imputation.categorical import draw_missing_codes
from dag_gfn.imputation.linear_gaussian import draw_missing_values
from dag_gfn.imputation.networks import stacked
from dag_gfn.imputation.patterns import missing_patterns
from dag_gfn.posterior import Posterior
from dag_gfn.posterior.linear_gaussian import LinearGaussianParameters
from dag_gfn.posterior.mechanisms import Parameters
from dag_gfn.posterior.parametric import systematic_sample

__all__ = ["Augmentation", "augment", "starting_cells"]

Cells = TypeVar("Cells", bound=NDArray)


class Augmentation(NamedTuple):
    """What the completed tables said, in the order in which they were made."""

    edge_marginals: NDArray[np.float64]  # [T, d, d]
    adjacency: NDArray[np.int8]  # [T, S, d, d], drawn by weight from the posterior of each table
    networks: Parameters  # T of them, from which the next table's cells were drawn


def augment(
    infer: Callable[[Cells], tuple[Posterior, NDArray[np.float64]]],
    cells: Cells,
    missing: NDArray[np.bool_],
    targets: NDArray[np.int64],
    *,
    num_tables: int,
    burn_in: int,
    num_draws: int,
    rng: np.random.Generator,
    progress: bool = False,
) -> Augmentation:
    r"""Sample p(G, theta, missing | observed), and keep the posterior of each completed table.

    Data augmentation [1]_ in the space of graphs, parameters and missing values: a graph G is drawn
    from p(G | completed table), parameters from p(theta | G, completed table), then the missing
    values of every row from p(missing | observed, G, theta). All three are conditionals of the one
    distribution p(G, theta, missing | observed), which is therefore the limit of the chain. The
    mean of p(G | completed table) over the chain is p(G | observed).

    Parameters
    ----------
    infer : callable
        Maps a completed table to its posterior, with mechanisms in the units of the table, and its
        edge marginals, float64 [d, d].
    cells : float64 or int32 [n, d]
        The table, or the codes of its states, with something in the missing cells to start from.
    missing : bool [n, d]
    targets : int64 [n]
        Variable that was set by an intervention in each row, -1 for none; it is not missing there.
    num_tables : int
    burn_in : int
        Tables that are left out at the beginning.
    num_draws : int
        S, of each table.
    rng : numpy.random.Generator
    progress : bool
        Show a progress bar.

    Returns
    -------
    Augmentation

    References
    ----------
    .. [1] M. A. Tanner and W. H. Wong. "The calculation of posterior distributions by data
       augmentation." Journal of the American Statistical Association 82, 1987.
    """
    patterns = missing_patterns(missing, targets)
    marginals, graphs, networks = [], [], []
    for step in tqdm(range(burn_in + num_tables), unit="table", disable=not progress):
        posterior, edge_marginals = infer(cells)
        network = posterior.sample_parameters(1, random_state=rng)
        if step >= burn_in:
            marginals.append(edge_marginals)
            chosen = systematic_sample(posterior.weights, num_draws, rng)
            graphs.append(posterior.adjacency[chosen])
            networks.append(network)
        cells = _redrawn(cells, patterns, network, rng)
    return Augmentation(np.stack(marginals), np.stack(graphs), stacked(networks))


def starting_cells(cells: Cells, missing: NDArray[np.bool_], rng: np.random.Generator) -> Cells:
    """Fill every missing cell with an observed value of its column, drawn at random.

    Parameters
    ----------
    cells : array [n, d]
    missing : bool [n, d]
        No column misses all its values.
    rng : numpy.random.Generator

    Returns
    -------
    array [n, d]

    Examples
    --------
    >>> cells = np.array([[1.0, 5.0], [np.nan, 6.0]])
    >>> starting_cells(cells, np.isnan(cells), np.random.default_rng(0))
    array([[1., 5.],
           [1., 6.]])
    """
    cells = cells.copy()
    for column in np.flatnonzero(missing.any(axis=0)):
        gone = missing[:, column]
        cells[gone, column] = rng.choice(cells[~gone, column], gone.sum())
    return cells


def _redrawn(cells, patterns, network: Parameters, rng: np.random.Generator):
    """Return a table with other values in its missing cells."""
    if isinstance(network, LinearGaussianParameters):
        return draw_missing_values(cells, patterns, network, rng)
    return draw_missing_codes(cells, patterns, network, rng)
