"""Questions about a graph, by the names of its variables.

Each function here makes a `Feature`, which is true or false of a DAG. Features are combined by
``&``, ``|`` and ``~``, and `dag_gfn.Posterior.probability` takes them:
``posterior.probability(path("a", "c") & ~edge("a", "c"))``.
"""

from __future__ import annotations

from dag_gfn.features.classes import in_class
from dag_gfn.features.feature import Feature
from dag_gfn.features.relations import (
    adjacent,
    contains,
    d_separated,
    edge,
    in_markov_blanket,
    num_edges,
    path,
    v_structure,
)

__all__ = [
    "Feature",
    "adjacent",
    "contains",
    "d_separated",
    "edge",
    "in_class",
    "in_markov_blanket",
    "num_edges",
    "path",
    "v_structure",
]
