"""How uncertain weighted draws are, and what one feature of them says about another, in nats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray


def entropy_standard_error(weights: NDArray[np.float64], log_scores: NDArray[np.float64]) -> float:
    """Estimate the standard error of ``log Z - sum_s w_s log R_s``, by the delta method.

    Parameters
    ----------
    weights : float64 [S]
        Of independent draws, with the sum one.
    log_scores : float64 [S]
        ``log R``; any number where the weight is zero.

    Returns
    -------
    float
        In nats.
    """
    above = log_scores - weights @ log_scores
    influence = len(weights) * weights * (1.0 - above) - 1.0
    return float(np.std(influence) / np.sqrt(len(weights)))


def mutual_information(
    pairs: Iterable[tuple[Hashable, Hashable]], probabilities: Iterable[float]
) -> float:
    """Compute the mutual information of two discrete variables.

    Parameters
    ----------
    pairs : iterable of (value, value)
        May hold a pair more than once.
    probabilities : iterable of float
        Of each, with the sum one.

    Returns
    -------
    float
        In nats.

    Examples
    --------
    >>> round(mutual_information([(0, "a"), (1, "b")], [0.5, 0.5]), 6)  # log 2
    0.693147
    """
    joint: dict[tuple[Hashable, Hashable], float] = defaultdict(float)
    of_first: dict[Hashable, float] = defaultdict(float)
    of_second: dict[Hashable, float] = defaultdict(float)
    for (first, second), probability in zip(pairs, probabilities, strict=True):
        if probability > 0:
            joint[first, second] += probability
            of_first[first] += probability
            of_second[second] += probability
    return sum(
        float(probability * np.log(probability / (of_first[first] * of_second[second])))
        for (first, second), probability in joint.items()
    )
