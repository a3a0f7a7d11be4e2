"""How much missing values blur a posterior, and how far an average over tables is to be trusted.

Glossary: ``T`` tables, ``d`` variables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEWEST_TABLES", "Accuracy", "imputation_accuracy"]

FEWEST_TABLES = 8  # of which an autocorrelation can be made out at all


class Accuracy(NamedTuple):
    """What the spread of the edge marginals from table to table says."""

    standard_errors: NDArray[np.float64]  # [d, d], of the edge marginals averaged over the tables
    between_share: float  # share of the edges' posterior variance that is between the tables
    effective_tables: float  # how many independent tables would have the same errors
    ess: float  # how many independent graphs would have the same errors


def imputation_accuracy(marginals: NDArray[np.float64]) -> Accuracy:
    r"""Judge an average of edge marginals over the tables of a Markov chain.

    With the marginals :math:`m_t` of table t and their mean m, the posterior variance of an edge
    splits as in multiple imputation (Rubin 1987, "Multiple imputation for nonresponse in surveys",
    section 3.3), :math:`m (1 - m) = \mathrm{mean}_t\, m_t (1 - m_t) + \mathrm{var}_t\, m_t`. The
    second part is what the missing values leave open. Divided by the effective sample size of the
    sequence it is the squared standard error of m, as the first part has no Monte Carlo error.

    Parameters
    ----------
    marginals : float64 [T, d, d]
        In the order of the chain; at least eight.

    Returns
    -------
    Accuracy
        The variances and squared errors of all edges are summed up before they are divided by one
        another; ``effective_tables`` is T, and ``ess`` infinite, where no edge varies.

    Raises
    ------
    ValueError
        If there are fewer than eight tables.

    Examples
    --------
    >>> marginals = np.zeros((1000, 2, 2))
    >>> marginals[:, 0, 1] = np.random.default_rng(0).choice([0.4, 0.6], 1000)
    >>> found = imputation_accuracy(marginals)
    >>> round(found.between_share, 2), 700 < found.effective_tables < 1300
    (0.04, True)
    """
    from arviz_stats.base import array_stats  # takes seconds to import

    num_tables, d, _ = marginals.shape
    if num_tables < FEWEST_TABLES:
        raise ValueError(
            f"the accuracy of {num_tables} tables cannot be told; make at least {FEWEST_TABLES}."
        )
    flat = marginals.reshape(num_tables, -1)
    between, mean = flat.var(axis=0), flat.mean(axis=0)
    # What varies by rounding alone has no autocorrelation to speak of.
    varied = np.flatnonzero(between > np.finfo(np.float64).eps)
    squares = np.zeros(d * d)
    if len(varied):
        # Halves that are compared see a drift, and the whole sees a step between constant halves.
        worth = [
            array_stats.ess(flat[None, :, varied], method=method, chain_axis=0, draw_axis=1)
            for method in ("mean", "identity")
        ]
        squares[varied] = between[varied] / np.minimum(*worth)
    spread, error = between[varied].sum(), squares.sum()
    total = float((mean * (1 - mean)).sum())
    return Accuracy(
        standard_errors=np.sqrt(squares).reshape(d, d),
        between_share=float(spread / total) if total > 0 else 0.0,
        effective_tables=float(spread / error) if error > 0 else float(num_tables),
        ess=float(total / error) if error > 0 else np.inf,
    )
