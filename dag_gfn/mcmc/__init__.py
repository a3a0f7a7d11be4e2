"""Markov chain Monte Carlo over directed acyclic graphs."""

from dag_gfn.mcmc.chains import Chains, Draws, Kernel, chains_posterior, run_chains
from dag_gfn.mcmc.independence import independence_metropolis
from dag_gfn.mcmc.structure import structure_kernel

__all__ = [
    "Chains",
    "Draws",
    "Kernel",
    "chains_posterior",
    "independence_metropolis",
    "run_chains",
    "structure_kernel",
]
