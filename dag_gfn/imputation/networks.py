"""Single networks with parameters, put together as draws of one object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dag_gfn.posterior.categorical import CategoricalParameters, ConditionalTables
from dag_gfn.posterior.linear_gaussian import LinearGaussianParameters
from dag_gfn.posterior.mechanisms import Parameters

__all__ = ["stacked"]


def stacked(networks: Sequence[Parameters]) -> Parameters:
    """Return networks of the same variables as the draws of one object, all weighing the same.

    Parameters
    ----------
    networks : sequence of LinearGaussianParameters or of CategoricalParameters
        One draw each.

    Returns
    -------
    LinearGaussianParameters or CategoricalParameters

    Examples
    --------
    >>> import dag_gfn as dg
    >>> posterior = dg.ExactPosterior().fit([[1.0, 2.0], [2.0, 1.5], [4.0, 0.5]]).posterior_
    >>> one, other = (posterior.sample_parameters(1, random_state=seed) for seed in (0, 1))
    >>> stacked([one, other]).coefficients.shape
    (2, 2, 2)
    """
    names = networks[0].names
    adjacency = np.concatenate([network.adjacency for network in networks])
    log_weights = np.zeros(len(networks))
    linear = [one for one in networks if isinstance(one, LinearGaussianParameters)]
    if linear:
        return LinearGaussianParameters(
            names=names,
            adjacency=adjacency,
            coefficients=np.concatenate([one.coefficients for one in linear]),
            intercepts=np.concatenate([one.intercepts for one in linear]),
            variances=np.concatenate([one.variances for one in linear]),
            log_weights=log_weights,
        )
    categorical = [one for one in networks if isinstance(one, CategoricalParameters)]
    return CategoricalParameters(
        names=names,
        states=categorical[0].states,
        adjacency=adjacency,
        tables=tuple(
            _stacked_tables([one.tables[node] for one in categorical]) for node in range(len(names))
        ),
        log_weights=log_weights,
    )


def _stacked_tables(tables: Sequence[ConditionalTables]) -> ConditionalTables:
    """Return the tables of one variable in many networks, those of a parent set together."""
    numbers: dict[tuple[int, ...], int] = {}
    members: list[NDArray[np.int64]] = []
    arrays: list[list[NDArray[np.float64]]] = []
    which, row = [], []
    for one in tables:
        parents = one.parents[0]
        number = numbers.setdefault(tuple(parents.tolist()), len(numbers))
        if number == len(members):
            members.append(parents)
            arrays.append([])
        which.append(number)
        row.append(len(arrays[number]))
        arrays[number].append(one.probabilities[0])
    return ConditionalTables(
        tuple(members), np.array(which), np.array(row), tuple(map(np.concatenate, arrays))
    )
