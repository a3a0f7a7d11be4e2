"""The probability of every edge: a picture, and tables to read."""

from __future__ import annotations

from collections.abc import Sequence

from dag_gfn import plots
from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Child, Html, details, element, join, paragraph, share_bar, table
from dag_gfn.report.pairs import Pair
from dag_gfn.report.pictures import figure
from dag_gfn.report.wording import edge, probability, whole, with_error

# The first table shows pairs that are likelier joined than not, but so many at least and at most.
_LIKELY = 0.5
_FEWEST, _MOST = 10, 25
# Pairs that can be unfolded; beyond them the page would be a burden.
_MOST_UNFOLDED = 500

_COLUMNS = ("Pair", "Joined", "First causes second", "Second causes first", "Direction")


def edges(findings: Findings, found: list[Pair]) -> Html:
    """Show the edge marginals.

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
    likely = sum(pair.joined >= _LIKELY for pair in found)
    first = found[: min(max(likely, _FEWEST), _MOST)]
    rest = found[len(first) :]
    parts: list[Child] = [
        paragraph(
            "The probability of an edge is the share of the posterior, over all graphs, that has "
            "it: a direct cause, not by way of another variable of the table. It is not the "
            "strength of an influence, but how sure one can be that there is one."
        ),
        figure(
            lambda: plots.edge_marginals(posterior),
            alternative=_alternative(found, posterior.num_variables),
            caption="Every edge: the row causes the column directly. Darker is more probable.",
            least_width=34,
        ),
        _table(f"The {len(first)} pairs of variables that are most probably joined.", first),
        paragraph(_about_errors(findings)),
    ]
    if rest:
        shown = rest[:_MOST_UNFOLDED]
        title = f"The other {whole(len(rest))} pairs"
        if len(shown) < len(rest):
            title = f"The next {whole(len(shown))} of {whole(len(rest))} other pairs"
        parts.append(details(title, _table(f"{title}.", shown)))
    return join(parts)


def _table(caption: str, shown: Sequence[Pair]) -> Html:
    return table(
        caption,
        _COLUMNS,
        [
            [
                edge(pair.cause, pair.effect, directed=pair.decided),
                join([share_bar(pair.joined), element("span", probability(pair.joined))]),
                with_error(pair.forward, pair.forward_error),
                with_error(pair.backward, pair.backward_error),
                "decided" if pair.decided else "open",
            ]
            for pair in shown
        ],
        numbers=(1, 2, 3),
    )


def _about_errors(findings: Findings) -> str:
    direction = (
        "Joined means an edge in either direction. A direction is decided when it has at least "
        "three quarters of that probability; otherwise the pair is written with a dash."
    )
    if findings.posterior.exact:
        return f"{direction} The posterior is exact, so that these numbers have no standard error."
    error = (
        "\N{PLUS-MINUS SIGN} is the standard error of the draws: by how much the number would "
        "differ if others were drawn"
    )
    if "rhat" in findings.posterior.metadata:
        error += ", as if they were independent, which those of chains are not quite"
    return f"{direction} {error}. It says nothing of whether the model is right."


def _alternative(found: Sequence[Pair], num_variables: int) -> str:
    best = sorted(found, key=lambda pair: -pair.forward)[:5]
    named = "; ".join(
        f"{pair.cause} causes {pair.effect}: {probability(pair.forward)}" for pair in best
    )
    return (
        f"Heat map of the probabilities of all edges among {num_variables} variables. The highest: "
        f"{named}. The tables below have the numbers."
    )
