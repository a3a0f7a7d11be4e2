"""Every directed acyclic graph of a few nodes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dag_gfn.graphs.algebra import is_acyclic

MAX_ENUMERATED_VARIABLES = 5


@lru_cache(maxsize=MAX_ENUMERATED_VARIABLES)
def all_dags(num_variables: int) -> NDArray[np.int8]:
    """Enumerate the labelled DAGs of up to five nodes.

    Each pair of nodes has no edge or one of two; of the ``3 ** (d (d - 1) / 2)`` graphs so made,
    the acyclic ones are kept. There are 1, 3, 25, 543 and 29281 of them for d = 1 to 5
    (Robinson 1977).

    Parameters
    ----------
    num_variables : int
        The number d of nodes, 1 to 5.

    Returns
    -------
    numpy.ndarray, int8, shape [N, d, d]
        The empty graph first, the order always the same. The array is kept for the next call and
        is therefore read-only: copy it to change it.

    Raises
    ------
    ValueError
        If ``num_variables`` is not between 1 and 5 (there are 3781503 DAGs of 6 nodes).

    Examples
    --------
    >>> all_dags(3).shape
    (25, 3, 3)
    """
    if not 1 <= num_variables <= MAX_ENUMERATED_VARIABLES:
        raise ValueError(
            f"The DAGs of {num_variables} variables cannot be listed; only 1 to "
            f"{MAX_ENUMERATED_VARIABLES} variables can, so use a sampler instead."
        )
    cause, effect = np.triu_indices(num_variables, k=1)
    digits = np.arange(3 ** len(cause))[:, None] // 3 ** np.arange(len(cause)) % 3  # [N, pairs]
    graphs = np.zeros((len(digits), num_variables, num_variables), np.int8)
    graphs[:, cause, effect] = digits == 1
    graphs[:, effect, cause] = digits == 2
    graphs = graphs[is_acyclic(graphs)]
    graphs.flags.writeable = False
    return graphs
