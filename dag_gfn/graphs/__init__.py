"""Adjacency algebra: closure, order, equivalence classes, and other graph libraries.

A graph is an int8 array ``[d, d]`` whose entry ``[i, j]`` is 1 when ``i -> j`` is an edge. Every
function takes leading batch axes, ``[..., d, d]``, except where one graph is the point.
"""

from __future__ import annotations

from dag_gfn.graphs.algebra import (
    check_dag,
    dag_codes,
    is_acyclic,
    markov_blankets,
    skeleton,
    topological_layers,
    topological_order,
    transitive_closure,
    v_structures,
)
from dag_gfn.graphs.conversion import from_networkx, from_pgmpy, to_networkx, to_pgmpy
from dag_gfn.graphs.dot import to_dot
from dag_gfn.graphs.enumeration import all_dags
from dag_gfn.graphs.equivalence import cpdag
from dag_gfn.graphs.patterns import consistent_extension, num_members, random_member
from dag_gfn.graphs.separation import d_separated

__all__ = [
    "all_dags",
    "check_dag",
    "consistent_extension",
    "cpdag",
    "d_separated",
    "dag_codes",
    "from_networkx",
    "from_pgmpy",
    "is_acyclic",
    "markov_blankets",
    "num_members",
    "random_member",
    "skeleton",
    "to_dot",
    "to_networkx",
    "to_pgmpy",
    "topological_layers",
    "topological_order",
    "transitive_closure",
    "v_structures",
]
