"""Generative flow networks over directed acyclic graphs."""

from dag_gfn.gflownet.fitting import Flow, condition_flow, draw_posterior, fit_flow
from dag_gfn.gflownet.objectives import OBJECTIVES
from dag_gfn.gflownet.policy import POLICIES
from dag_gfn.gflownet.terminal import (
    estimated_log_prob,
    exact_log_prob,
    terminal_distribution,
)
from dag_gfn.gflownet.training import Settings

__all__ = [
    "OBJECTIVES",
    "POLICIES",
    "Flow",
    "Settings",
    "condition_flow",
    "draw_posterior",
    "estimated_log_prob",
    "exact_log_prob",
    "fit_flow",
    "terminal_distribution",
]
