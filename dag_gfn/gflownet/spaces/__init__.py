"""State spaces on which a generative flow network builds objects, step by step."""

from dag_gfn.gflownet.spaces.base import Space
from dag_gfn.gflownet.spaces.binary import binary_vectors
from dag_gfn.gflownet.spaces.edges import dag_edges
from dag_gfn.gflownet.spaces.hypergrid import hypergrid
from dag_gfn.gflownet.spaces.sequences import sequences

# What makes a `Space`; the tests go through all of them.
SPACES = {
    "dags": dag_edges,
    "hypergrid": hypergrid,
    "sequences": sequences,
    "binary_vectors": binary_vectors,
}

__all__ = ["SPACES", "Space", "binary_vectors", "dag_edges", "hypergrid", "sequences"]
