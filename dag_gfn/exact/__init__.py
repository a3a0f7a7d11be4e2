"""Exact posteriors."""

from dag_gfn.exact.enumeration import MAX_VARIABLES, enumerate_posterior

__all__ = ["MAX_VARIABLES", "enumerate_posterior"]
