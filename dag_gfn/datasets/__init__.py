"""Tables to learn from: real ones that ship with the package, known networks, and simulators."""

from __future__ import annotations

from dag_gfn.datasets.library import list_networks, load_network, sample_network, true_graph
from dag_gfn.datasets.networks import (
    CategoricalNetwork,
    GaussianNetwork,
    sample_categorical,
    sample_gaussian,
)
from dag_gfn.datasets.sachs import load_sachs
from dag_gfn.datasets.simulation import (
    Simulation,
    random_dag,
    simulate_categorical,
    simulate_linear_gaussian,
)

__all__ = [
    "CategoricalNetwork",
    "GaussianNetwork",
    "Simulation",
    "list_networks",
    "load_network",
    "load_sachs",
    "random_dag",
    "sample_categorical",
    "sample_gaussian",
    "sample_network",
    "simulate_categorical",
    "simulate_linear_gaussian",
    "true_graph",
]
