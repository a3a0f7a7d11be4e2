"""Pairs of variables, by how probable it is that an edge joins them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dag_gfn.plots.graph import DECIDED
from dag_gfn.posterior import Posterior


class Pair(NamedTuple):
    """Two variables, in the direction that is more probable."""

    cause: str
    effect: str
    joined: float  # probability of an edge in either direction
    forward: float  # probability that the cause causes the effect directly
    backward: float
    forward_error: float  # standard errors, of the draws
    backward_error: float

    @property
    def decided(self) -> bool:
        """Whether it has an arrowhead in `dag_gfn.plots.posterior_graph`."""
        return self.forward >= DECIDED * self.joined


def pairs(posterior: Posterior) -> list[Pair]:
    """List all pairs of variables, those that are most probably joined first.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    list of Pair [d (d - 1) / 2]

    Examples
    --------
    >>> graphs = [[[0, 1], [0, 0]], [[0, 0], [1, 0]], [[0, 1], [0, 0]], [[0, 0], [0, 0]]]
    >>> pair = pairs(Posterior(graphs, [0.0] * 4, ["a", "b"]))[0]
    >>> pair.cause, pair.joined, pair.forward, pair.decided
    ('a', 0.75, 0.5, False)
    """
    marginals = posterior.edge_marginals().to_numpy()
    errors = posterior.edge_marginals_standard_error().to_numpy()
    found = []
    for first, second in zip(*np.triu_indices(posterior.num_variables, 1), strict=True):
        # The sum of many weights can pass 1 by a rounding.
        joined = min(float(marginals[first, second] + marginals[second, first]), 1.0)
        i, j = (
            (first, second)
            if marginals[first, second] >= marginals[second, first]
            else (second, first)
        )
        found.append(
            Pair(
                cause=posterior.names[i],
                effect=posterior.names[j],
                joined=joined,
                forward=float(marginals[i, j]),
                backward=float(marginals[j, i]),
                forward_error=float(errors[i, j]),
                backward_error=float(errors[j, i]),
            )
        )
    return sorted(found, key=lambda pair: (-round(pair.joined, 9), -pair.forward))
