"""The posterior as one graph, and why one graph is not the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dag_gfn import plots
from dag_gfn.posterior.effects import central_interval
from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Html, join, paragraph
from dag_gfn.report.pairs import Pair
from dag_gfn.report.pictures import figure
from dag_gfn.report.wording import count, decimal, percent, probability, whole

_THRESHOLD = 0.5
# Classes of so many different graphs are found within seconds.
_MOST_FOR_CLASSES = 20_000_000  # entries of adjacency matrices


def graph(findings: Findings, found: list[Pair]) -> Html:
    """Draw the probable edges, and say how sure a whole graph is.

    Parameters
    ----------
    findings : Findings
    found : list of Pair
        Of `dag_gfn.report.pairs.pairs`.

    Returns
    -------
    Html
    """
    posterior = findings.posterior
    picture = figure(
        lambda: plots.posterior_graph(posterior, _THRESHOLD),
        alternative=_alternative(found),
        caption=(
            "Pairs that are likelier joined than not; wider and darker is more probable. An "
            "arrowhead means that the direction is decided; a line without one, that it is open."
        ),
        least_width=28,
    )
    return join([picture, paragraph(_how_sure(findings))])


def _how_sure(findings: Findings) -> str:
    posterior = findings.posterior
    unique = posterior.unique()
    num_edges = posterior.adjacency.sum(axis=(1, 2), dtype=np.float64)
    low, high = central_interval(num_edges[:, None], posterior.weights, findings.level)[:, 0]
    said = (
        "This picture gathers edges, each judged by itself; it is not one of the graphs. The "
        f"graphs have {whole(low)} to {whole(high)} edges ({percent(findings.level)} interval, "
        f"mean {decimal(float(num_edges @ posterior.weights), 1)})."
    )
    num_graphs = int((unique.probabilities > 0).sum())
    kind = "have positive probability" if posterior.exact else "were drawn"
    said += f" {count(num_graphs, 'different graph', 'different graphs')} {kind}"
    if num_graphs * posterior.num_variables**2 > _MOST_FOR_CLASSES:
        return f"{said}."
    best = posterior.equivalence_classes().probabilities[0]
    return (
        f"{said}; the most probable class of graphs that data without interventions cannot tell "
        f"apart has a probability of {probability(float(best))}. So look at what all the "
        "graphs have in common, rather than at any one of them."
        if best < 0.9
        else f"{said}; nearly all of the probability ({probability(float(best))}) is in one class "
        "of graphs that data without interventions cannot tell apart."
    )


def _alternative(found: Sequence[Pair]) -> str:
    drawn = [pair for pair in found if pair.joined >= _THRESHOLD]
    if not drawn:
        return "Graph of the variables, none of which is joined to another."
    named = "; ".join(
        f"{pair.cause} causes {pair.effect}"
        if pair.decided
        else f"{pair.cause} and {pair.effect}, direction open"
        for pair in drawn[:30]
    )
    more = f"; and {len(drawn) - 30} more" if len(drawn) > 30 else ""
    return f"Graph of the pairs that are likelier joined than not: {named}{more}."
