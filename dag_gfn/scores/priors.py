"""Priors over DAGs that are products of one factor per node.

Each factor depends on the number of parents alone: p(G) is proportional to the product of
``f(|Pa_j|)`` over the nodes j. A node of a table with d columns has d - 1 possible parents, never
d, and every prior here counts them so. Constants that are the same for every DAG do not matter.

A prior of your own is any object with ``log_prior(num_parents, num_variables)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import gammaln

__all__ = ["PRIORS", "EdgePrior", "ErdosRenyiPrior", "FairPrior", "Prior", "UniformPrior"]


class Prior(Protocol):
    """What `dag_gfn.local_scores` needs of a prior."""

    def log_prior(self, num_parents: np.ndarray, num_variables: int) -> np.ndarray:
        """Return the log-prior of a node with so many parents, float64 [...]."""
        ...


@dataclass(frozen=True)
class UniformPrior:
    """The same prior for every DAG, log f(k) = 0.

    Uniform over graphs is not neutral about density: most DAGs are dense, so small tables get dense
    posteriors. See `FairPrior`.

    Examples
    --------
    >>> UniformPrior().log_prior([0, 1, 2], 3)
    array([0., 0., 0.])
    """

    def log_prior(self, num_parents: np.ndarray, num_variables: int) -> np.ndarray:
        """Return the log-prior of a node with so many parents, float64 [...]."""
        return np.zeros(np.shape(num_parents))


@dataclass(frozen=True)
class EdgePrior:
    """Each edge multiplies the prior by ``beta``, log f(k) = k log(beta).

    Parameters
    ----------
    beta : float, optional
        The factor per edge, positive; 1 / (d - 1) by default, which penalises each edge by the
        logarithm of the number of possible parents.

    Examples
    --------
    >>> EdgePrior(beta=2.0).log_prior([0, 1, 2], 3)
    array([0.        , 0.69314718, 1.38629436])
    """

    beta: float | None = None

    def __post_init__(self) -> None:
        """Check the factor."""
        if self.beta is not None and not 0 < self.beta < np.inf:
            raise ValueError(f"beta of the edge prior must be positive, not {self.beta}.")

    def log_prior(self, num_parents: np.ndarray, num_variables: int) -> np.ndarray:
        """Return the log-prior of a node with so many parents, float64 [...]."""
        beta = 1 / (num_variables - 1) if self.beta is None else self.beta
        return np.asarray(num_parents) * np.log(beta)


@dataclass(frozen=True)
class ErdosRenyiPrior:
    """Each possible edge is there with probability ``p``, log f(k) = k log p + (d-1-k) log(1-p).

    Parameters
    ----------
    p : float, optional
        Probability of an edge, in (0, 1); 1 / d by default.

    Examples
    --------
    >>> ErdosRenyiPrior(p=0.5).log_prior([0, 1, 2], 3)
    array([-1.38629436, -1.38629436, -1.38629436])
    """

    p: float | None = None

    def __post_init__(self) -> None:
        """Check the probability."""
        if self.p is not None and not 0 < self.p < 1:
            raise ValueError(f"p of the Erdős-Rényi prior must lie between 0 and 1, not {self.p}.")

    def log_prior(self, num_parents: np.ndarray, num_variables: int) -> np.ndarray:
        """Return the log-prior of a node with so many parents, float64 [...]."""
        p = 1 / num_variables if self.p is None else self.p
        num_parents = np.asarray(num_parents)
        return num_parents * np.log(p) + (num_variables - 1 - num_parents) * np.log1p(-p)


@dataclass(frozen=True)
class FairPrior:
    """Each number of parents is equally probable, log f(k) = -log C(d-1, k).

    Of the 2^(d-1) parent sets of a node, C(d-1, k) have k members; giving each an equal share of
    the probability of its size makes the prior on the in-degree flat [1]_.

    References
    ----------
    .. [1] R. Eggeling, J. Viinikka, A. Vuoksenmaa and M. Koivisto. "On structure priors for
       learning Bayesian networks." AISTATS 2019.

    Examples
    --------
    >>> FairPrior().log_prior([0, 1, 2, 3], 4)
    array([ 0.        , -1.09861229, -1.09861229,  0.        ])
    """

    def log_prior(self, num_parents: np.ndarray, num_variables: int) -> np.ndarray:
        """Return the log-prior of a node with so many parents, float64 [...]."""
        num_parents = np.asarray(num_parents)
        candidates = num_variables - 1
        return (
            gammaln(num_parents + 1)
            + gammaln(candidates - num_parents + 1)
            - gammaln(candidates + 1)
        )


PRIORS = {
    "uniform": UniformPrior,
    "edge": EdgePrior,
    "erdos_renyi": ErdosRenyiPrior,
    "fair": FairPrior,
}
