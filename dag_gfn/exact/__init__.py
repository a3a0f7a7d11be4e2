"""Exact posteriors."""

from dag_gfn.exact.cost import MAX_SUBSET_VARIABLES, Cost, check_cost, subset_cost
from dag_gfn.exact.enumeration import MAX_VARIABLES, enumerate_posterior
from dag_gfn.exact.layers import Draws, draw_dags
from dag_gfn.exact.marginals import Marginals, exact_marginals
from dag_gfn.exact.subset_dp import SubsetSums, subset_sums

__all__ = [
    "MAX_SUBSET_VARIABLES",
    "MAX_VARIABLES",
    "Cost",
    "Draws",
    "Marginals",
    "SubsetSums",
    "check_cost",
    "draw_dags",
    "enumerate_posterior",
    "exact_marginals",
    "subset_cost",
    "subset_sums",
]
