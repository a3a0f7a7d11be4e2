"""Several ways to infer the posterior of one table, side by side."""

from dag_gfn.comparison.budget import parse_budget
from dag_gfn.comparison.comparing import Comparison, compare
from dag_gfn.comparison.methods import METHODS

__all__ = ["METHODS", "Comparison", "compare", "parse_budget"]
