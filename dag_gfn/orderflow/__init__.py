"""Flows over canonical orders: a graph is built one variable at a time, with all its parents."""

from dag_gfn.orderflow.conditioning import draw_order_posterior_given
from dag_gfn.orderflow.fitting import OrderFlow, fit_order_flow
from dag_gfn.orderflow.sampling import draw_order_posterior, order_log_prob
from dag_gfn.orderflow.training import OrderSettings

__all__ = [
    "OrderFlow",
    "OrderSettings",
    "draw_order_posterior",
    "draw_order_posterior_given",
    "fit_order_flow",
    "order_log_prob",
]
