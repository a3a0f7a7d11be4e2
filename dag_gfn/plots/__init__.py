"""Pictures of a posterior: functions that draw on matplotlib Axes and return them."""

from __future__ import annotations

from dag_gfn.plots.calibration import places, reliability
from dag_gfn.plots.comparison import compare_marginals, error_over_time
from dag_gfn.plots.curves import training_curve, weights
from dag_gfn.plots.effects import causal_effects, effect_density
from dag_gfn.plots.graph import posterior_graph
from dag_gfn.plots.heatmap import edge_marginals
from dag_gfn.plots.style import save
from dag_gfn.plots.traces import traces

__all__ = [
    "causal_effects",
    "compare_marginals",
    "edge_marginals",
    "effect_density",
    "error_over_time",
    "places",
    "posterior_graph",
    "reliability",
    "save",
    "traces",
    "training_curve",
    "weights",
]
