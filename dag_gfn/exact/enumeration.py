"""The exact posterior by scoring every DAG, for at most five variables."""

from __future__ import annotations

import numpy as np

from dag_gfn.graphs import all_dags
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores

__all__ = ["MAX_VARIABLES", "enumerate_posterior"]

MAX_VARIABLES = 5


def enumerate_posterior(scores: LocalScores) -> Posterior:
    """Score every DAG that the constraints allow.

    There are 1, 3, 25, 543 and 29 281 DAGs of one to five variables, so that
    ``p(G | D) = R(G) / sum of R`` needs no approximation.

    Parameters
    ----------
    scores : LocalScores
        Of at most five variables.

    Returns
    -------
    Posterior
        Complete: each allowed DAG once, ``log_weights`` its log-score ``log R``, so that
        ``log_evidence`` is the log-sum of them all.

    Raises
    ------
    ValueError
        If there are more than five variables.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> table = np.random.default_rng(0).normal(size=(50, 3))
    >>> enumerate_posterior(local_scores(table)).num_samples
    25
    """
    if scores.num_variables > MAX_VARIABLES:
        raise ValueError(
            f"enumeration is for at most {MAX_VARIABLES} variables and the table has "
            f"{scores.num_variables}; use ExactPosterior, which goes on to 22, or fewer columns."
        )
    adjacency = all_dags(scores.num_variables)
    log_scores = scores.log_score(adjacency)
    allowed = log_scores > -np.inf
    return Posterior(
        adjacency[allowed], log_scores[allowed], scores.names, exact=True, method="enumeration"
    )
