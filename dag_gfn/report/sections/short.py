"""What a reader in a hurry should know, and should not believe."""

from __future__ import annotations

import numpy as np

from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Child, Html, bullets, element, join, paragraph
from dag_gfn.report.pairs import Pair
from dag_gfn.report.wording import (
    count,
    decimal,
    edge,
    interval,
    listed,
    measured,
    percent,
    probability,
    whole,
)

# Pairs that are joined with so much probability are named as sure; so are effects.
SURE = 0.9
_MOST_NAMED = 8
_MOST_EFFECTS = 3

ICONS = {"good": "\N{CHECK MARK}", "fair": "~", "poor": "!"}
_VERDICTS = {
    "good": "The draws stand for the posterior.",
    "fair": "The draws are usable, with some care.",
    "poor": "Do not use these results yet.",
}


def short(findings: Findings, found: list[Pair]) -> Html:
    """Sum up: how far to trust the answer, which pairs are joined, which effects are sure.

    Parameters
    ----------
    findings : Findings
    found : list of Pair
        Of `dag_gfn.report.pairs.pairs`.

    Returns
    -------
    Html
    """
    if findings.trust.level == "poor":
        aside = "The rest of this page says what these draws hold, which is not to be used."
        return join([_verdict(findings), paragraph(aside)])
    return join([_verdict(findings), _cards(findings, found), bullets(_sentences(findings, found))])


def _verdict(findings: Findings) -> Html:
    level, sentences = findings.trust.level, findings.trust.sentences
    verdict = None if findings.posterior.exact else f" {_VERDICTS[level]}"
    return element(
        "div",
        element("span", ICONS[level], class_="icon", aria_hidden="true"),
        element(
            "div",
            paragraph(element("strong", f"Trust: {level}."), verdict),
            paragraph(" ".join(sentences if level == "poor" else sentences[:1])),
        ),
        class_=f"verdict {level}",
    )


def _cards(findings: Findings, found: list[Pair]) -> Html:
    sure = sum(pair.joined >= SURE for pair in found)
    rows = findings.entry("rows", default=0)
    shown: list[tuple[str, str]] = [(whole(findings.posterior.num_variables), "variables")]
    if rows:
        shown.insert(0, (whole(rows), "rows"))
    shown += [
        (f"{sure} of {whole(len(found))}", f"pairs surely joined (probability {SURE} or more)"),
        (decimal(_mean_edges(findings), 1), "edges in a graph, on average"),
    ]
    return element(
        "ul",
        [element("li", element("b", number), " ", element("span", what)) for number, what in shown],
        class_="cards",
    )


def _sentences(findings: Findings, found: list[Pair]) -> list[Child]:
    sure = [pair for pair in found if pair.joined >= SURE]
    said: list[Child] = []
    if sure:
        named: list[Child] = [
            edge(pair.cause, pair.effect, directed=pair.decided) for pair in sure[:_MOST_NAMED]
        ]
        if len(sure) > _MOST_NAMED:
            named.append(f"{len(sure) - _MOST_NAMED} more")
        said.append(join(["Surely joined by an edge: ", listed(named), "."]))
        num_open = sum(not pair.decided for pair in sure)
        if num_open:
            which = "each of them" if num_open == len(sure) else f"{num_open} of these {len(sure)}"
            said.append(
                f"The direction is open for {which}, hence the dash: graphs that point the edge "
                "either way explain the data about equally well."
            )
    elif found:
        best = found[0]
        said.append(
            join(
                [
                    "No pair is surely joined. The most probable edge is between ",
                    edge(best.cause, best.effect, directed=False),
                    f", with probability {probability(best.joined)} in either direction.",
                ]
            )
        )
    said += _of_effects(findings)
    rests = element("a", "what it rests on", href="#assumptions")
    said.append(join(["All of this holds as far as the model does; see ", rests, "."]))
    return said


def _of_effects(findings: Findings) -> list[Child]:
    summary = findings.effects_summary
    if summary is None or not len(summary):
        return []
    sure = summary[summary["probability_of_no_effect"] <= 1 - SURE]
    if not len(sure):
        least = np.floor(100 * summary["probability_of_no_effect"].iloc[0]) / 100
        return [
            "No causal effect is sure: for every cause and effect there is a probability of at "
            f"least {decimal(least)} that the one does not act on the other at all."
        ]
    named = [
        join(
            [
                edge(cause, effect),
                f" (mean {measured(row['mean'], row['upper'] - row['lower'])}, "
                f"{percent(findings.level)} interval {interval(row)})",
            ]
        )
        for (cause, effect), row in sure.head(_MOST_EFFECTS).iterrows()
    ]
    start = f"{count(len(sure), 'causal effect is', 'causal effects are')} sure"
    if len(sure) > _MOST_EFFECTS:
        start += ", the first of them"
    return [join([f"{start}: ", join(named, "; "), "."])]


def _mean_edges(findings: Findings) -> float:
    return float(findings.posterior.edge_marginals().to_numpy().sum())
