"""Total causal effects with their intervals, or, without parameters, the probabilities of paths."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dag_gfn import plots
from dag_gfn.posterior.effects import CausalEffects
from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Child, Html, element, join, paragraph, share_bar, table
from dag_gfn.report.pictures import figure
from dag_gfn.report.wording import edge, interval, measured, percent, probability, significant

_FEWEST, _MOST = 8, 25
_NUM_DENSITIES = 2


def effects(findings: Findings) -> Html:
    """Show the effects.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Html
    """
    found, summary = findings.effects, findings.effects_summary
    if found is None or summary is None:
        return _paths(findings)
    parts: list[Child] = [
        paragraph(
            "A total effect is what changes in one variable when another is set from outside, by "
            f"all paths together. Here it is the {found.quantity}"
            + (", where SD is the standard deviation of a column" if "SD" in found.quantity else "")
            + ". Each is averaged over the graphs: where some of them have no path from "
            "the cause to the effect, the effect is exactly zero with their probability."
        ),
        figure(
            lambda: plots.causal_effects(found, level=findings.level),
            alternative=_alternative(summary),
            caption=(
                "The posterior mean of every total effect: the row acts on the column. "
                f"Bold numbers are those whose {percent(findings.level)} interval leaves zero out."
            ),
            least_width=34,
        ),
        _table(findings, found, summary),
        element("div", _densities(findings, found, summary), class_="side-by-side"),
        paragraph(
            "Effects are causal as far as the model is. An interval that includes zero does "
            "not show that there is no effect, only that the data leave it open."
        ),
    ]
    return join(parts)


def _table(findings: Findings, found: CausalEffects, summary: pd.DataFrame) -> Html:
    likely = int((summary["probability_of_no_effect"] < 0.5).sum())
    shown = summary.head(min(max(likely, _FEWEST), _MOST))
    ends = shown[["lower", "upper", "mean"]].to_numpy()
    low, high = min(float(ends.min(initial=0.0)), 0.0), max(float(ends.max(initial=0.0)), 0.0)
    titles = ["Effect", "Mean", f"{percent(findings.level)} interval", "Drawn", "No effect"]
    if found.signed:
        titles.append("Positive")
    rows = []
    for (cause, effect), row in shown.iterrows():
        cells: list[Child] = [
            edge(cause, effect),
            measured(row["mean"], row["upper"] - row["lower"]),
            interval(row),
            _drawn(row["lower"], row["mean"], row["upper"], low=low, high=high),
            probability(row["probability_of_no_effect"]),
        ]
        if found.signed:
            cells.append(probability(row["probability_positive"]))
        rows.append(cells)
    caption = (
        f"The {len(shown)} surest of {len(summary)} total effects. "
        "\N{LEFT DOUBLE QUOTATION MARK}No effect\N{RIGHT DOUBLE QUOTATION MARK} is the probability "
        "that the cause does not act on the effect at all"
    )
    if found.signed:
        caption += (
            ", \N{LEFT DOUBLE QUOTATION MARK}positive\N{RIGHT DOUBLE QUOTATION MARK} that more of "
            "the cause means more of the effect"
        )
    return table(f"{caption}.", titles, rows, numbers=(1, 2, 4, 5)[: 4 if found.signed else 3])


def _drawn(lower: float, mean: float, upper: float, *, low: float, high: float) -> Html:
    """Draw an interval on a line that all rows share, zero marked. The numbers stand beside it."""
    width, height, margin = 140, 16, 5
    stretch = (width - 2 * margin) / ((high - low) or 1.0)

    def place(value: float) -> float:
        return round(margin + (value - low) * stretch, 1)

    middle = height / 2
    return element(
        "svg",
        element("line", x1=place(0), x2=place(0), y1=0, y2=height, class_="zero"),
        element("line", x1=place(lower), x2=place(upper), y1=middle, y2=middle, class_="range"),
        element("circle", cx=place(mean), cy=middle, r=3.5),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        class_="interval",
        aria_hidden="true",
    )


def _densities(findings: Findings, found: CausalEffects, summary: pd.DataFrame) -> list[Html]:
    drawn = summary[summary["probability_of_no_effect"] < 1].head(_NUM_DENSITIES)
    return [_density(findings, found, pair, row) for pair, row in drawn.iterrows()]


def _density(
    findings: Findings, found: CausalEffects, pair: tuple[str, str], row: pd.Series
) -> Html:
    no_effect = probability(row["probability_of_no_effect"])
    return figure(
        lambda: plots.effect_density(found, *pair, level=findings.level),
        alternative=(
            f"Density of the effect of {pair[0]} on {pair[1]}: mean {significant(row['mean'])}, "
            f"interval {interval(row)}, probability of no effect {no_effect}."
        ),
        caption=join(
            [
                "The posterior of the effect ",
                edge(*pair),
                ": the spike is the probability that there is none.",
            ]
        ),
    )


def _alternative(summary: pd.DataFrame) -> str:
    best = summary.head(5)
    named = "; ".join(
        f"{cause} on {effect}: {significant(mean)}"
        for (cause, effect), mean in best["mean"].items()
    )
    return (
        f"Heat map of the mean effects of every variable on every other. The surest: {named}. "
        "The table below has intervals."
    )


def _paths(findings: Findings) -> Html:
    """Say what graphs alone tell: the probability that one variable acts on another at all."""
    posterior = findings.posterior
    marginals = posterior.path_marginals().to_numpy()
    order = np.argsort(-marginals, axis=None, kind="stable")
    order = order[marginals.ravel()[order] > 0][:_MOST]
    rows = []
    for cause, effect in zip(*np.unravel_index(order, marginals.shape), strict=True):
        share = float(marginals[cause, effect])
        rows.append(
            [
                edge(posterior.names[cause], posterior.names[effect]),
                join([share_bar(share), element("span", probability(share))]),
            ]
        )
    lost = paragraph(
        "This posterior knows graphs alone, not their parameters, so how large an effect is cannot "
        "be said. What can be said is how probable it is that there is one.",
        class_="note",
    )
    if not rows:
        return join([lost, paragraph("No graph has any edge, hence no variable acts on another.")])
    caption = "The most probable effects: the first acts on the second, directly or not."
    return join([lost, table(caption, ["Effect", "Probability"], rows, numbers=[1])])
