"""What inference knows when it is done: weighted DAGs, and what follows from them."""

from __future__ import annotations

from dag_gfn.posterior.importance import effective_sample_size, pareto_khat
from dag_gfn.posterior.posterior import EquivalenceClasses, Posterior, UniqueGraphs

__all__ = [
    "EquivalenceClasses",
    "Posterior",
    "UniqueGraphs",
    "effective_sample_size",
    "pareto_khat",
]
