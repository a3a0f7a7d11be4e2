"""The table: what it holds, what was done to it, and what was known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dag_gfn.report.columns import columns_of_posterior, is_description
from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Child, Html, element, facts, join, paragraph, table
from dag_gfn.report.wording import count, edge, listed, measured, name, percent, whole

_PRIORS = {
    "uniform": "uniform: every graph has the same prior probability, which favours dense graphs "
    "where there are few rows",
    "edge": "edge: every edge is costly by the same factor",
    "erdos_renyi": "Erdős-Rényi: every edge is there with the same prior probability",
    "fair": "fair: every number of causes of a variable is equally probable",
}
_KINDS = {
    False: "measurements, under the score BGe (linear relations with Gaussian noise)",
    True: "categories, under the score BDe (any relation between them)",
    None: "not known",
}
_MAX_STATES = 12


def data(findings: Findings) -> Html:
    """Describe the table and the constraints.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Html
    """
    lost = [paragraph(note, class_="note") for note in findings.run.notes]
    return join([lost, facts(_facts(findings)), _columns(findings)])


def _facts(findings: Findings) -> list[tuple[str, Child]]:
    entry = findings.entry
    shown: list[tuple[str, Child]] = []
    if label := entry("table", default=""):
        shown.append(("Table", label))
    if rows := entry("rows", default=0):
        shown.append(("Rows", whole(rows)))
    shown.append(("Variables", whole(findings.posterior.num_variables)))
    shown.append(("What they are", _KINDS[findings.is_categorical]))
    if (settings := entry("settings", default={})) and not findings.is_categorical:
        done = ["the natural logarithm of every column"] if entry("log", default=False) else []
        if settings.get("standardize") is True:
            done.append("every column brought to mean 0 and variance 1")
        shown.append(("Done to the values", ", then ".join(done) if done else "nothing"))
    if entry("rows_with_intervention") is not None:
        shown.append(("Interventions", _interventions(findings)))
    if prior := entry("settings", "prior", default=""):
        shown.append(("Prior over graphs", _PRIORS.get(prior, prior)))
    return shown + _knowledge(findings)


def _interventions(findings: Findings) -> str:
    rows = findings.entry("rows_with_intervention", default=0)
    if not rows:
        return "none: every row was observed as it came"
    kind = (
        "imperfect: the variable that was acted on still depends on its causes, but differently"
        if findings.entry("imperfect_interventions", default=False)
        else "perfect: the variable was set from outside, whatever its causes"
    )
    return f"in {count(rows, 'row')}; {kind}"


def _knowledge(findings: Findings) -> list[tuple[str, Child]]:
    """List what was known beforehand; a single line where nothing was."""
    entry = findings.entry
    shown: list[tuple[str, Child]] = []
    settings = entry("settings", default={})
    most = settings.get("max_parents")
    if most is not None:
        shown.append(("Most direct causes of a variable", str(most)))
    for key, title in (
        ("required_edges", "Required edges"),
        ("forbidden_edges", "Forbidden edges"),
    ):
        if edges := [_edge(one) for one in entry(key, default=[])]:
            shown.append((title, join(edges, ", ")))
    if tiers := entry("tiers", default=[]):
        order: list[Child] = [
            join(["{", join([name(str(one)) for one in tier], ", "), "}"])
            for tier in tiers
            if isinstance(tier, Sequence)
        ]
        shown.append(("Tiers, earliest first", join(order, " before ")))
    probable = [
        join([_edge(one[:2]), f": {one[2]}"])
        for one in entry("edge_probabilities", default=[])
        if isinstance(one, Sequence) and len(one) == 3
    ]
    if probable:
        shown.append(("Prior probabilities of edges", join(probable, ", ")))
    if not shown and settings:
        shown.append(("Known beforehand", "nothing: any graph without cycles was possible"))
    return shown


def _edge(ends: Any) -> Html:
    if isinstance(ends, Sequence) and len(ends) == 2:
        return edge(str(ends[0]), str(ends[1]))
    return join(str(ends))


def _columns(findings: Findings) -> Html | None:
    described = findings.entry("columns", default=[])
    known = columns_of_posterior(findings.posterior)
    usable = is_description(described, findings.posterior.names)
    if not usable and known is None:
        return paragraph(
            "What the columns hold is not recorded: the posterior came without mechanisms, and no "
            "summary of the columns is beside it.",
            class_="note",
        )
    columns = known or described
    if usable and known is not None:
        columns = [{**less, **more} for less, more in zip(known, described, strict=True)]
    some_set = any(about.get("rows_set") for about in columns)
    if any("states" in about for about in columns):
        return _categories(columns, some_set)
    return _measurements(columns, some_set, findings.entry("log", default=False))


def _categories(columns: Sequence[Mapping[str, Any]], some_set: bool) -> Html:
    rows: list[list[Child]] = []
    for about in columns:
        states = [(str(state), int(number)) for state, number in about.get("states", ())]
        total = sum(number for _, number in states) or 1
        shown: list[Child] = [
            join([name(state), f" {percent(round(number / total, 3))}"])
            for state, number in states[:_MAX_STATES]
        ]
        if len(states) > _MAX_STATES:
            shown.append(f"{len(states) - _MAX_STATES} more")
        rows.append([name(str(about["name"])), str(len(states)), listed(shown)])
    return _with_rows_set(
        "The variables, their states, and how often each occurs.",
        ["Variable", "Number of states", "States"],
        rows,
        columns=columns,
        some_set=some_set,
        numbers=[1],
    )


def _measurements(columns: Sequence[Mapping[str, Any]], some_set: bool, log: bool) -> Html:
    known = [
        (key, title)
        for key, title in (
            ("mean", "Mean"),
            ("standard_deviation", "SD"),
            ("minimum", "Minimum"),
            ("median", "Median"),
            ("maximum", "Maximum"),
        )
        if all(isinstance(about.get(key), int | float) for about in columns)
    ]
    histograms = all(isinstance(about.get("histogram"), Sequence) for about in columns)
    rows: list[list[Child]] = []
    for about in columns:
        cells: list[Child] = [name(str(about["name"]))]
        deviation = float(about["standard_deviation"])
        cells += [measured(float(about[key]), deviation) for key, _ in known]
        if histograms:
            cells.append(_histogram([float(number) for number in about["histogram"]]))
        rows.append(cells)
    titles = ["Variable", *(title for _, title in known)]
    caption = "The variables" + (", after the logarithm" if log else ", in the units of the table")
    caption += "; SD is the standard deviation."
    if histograms:
        caption += " Histograms go from the minimum to the maximum."
    return _with_rows_set(
        caption,
        [*titles, "Histogram"] if histograms else titles,
        rows,
        columns=columns,
        some_set=some_set,
        numbers=range(1, len(titles)),
    )


def _with_rows_set(
    caption: str,
    titles: list[str],
    rows: list[list[Child]],
    *,
    columns: Sequence[Mapping[str, Any]],
    some_set: bool,
    numbers: Sequence[int],
) -> Html:
    """Make the table, with a column for the rows in which each variable was acted on, if any."""
    if not some_set:
        return table(caption, titles, rows, numbers=numbers)
    return table(
        caption,
        [*titles, "Rows acted on"],
        [
            [*row, whole(int(about.get("rows_set", 0)))]
            for row, about in zip(rows, columns, strict=True)
        ],
        numbers=[*numbers, len(titles)],
    )


def _histogram(counts: Sequence[float]) -> Html:
    """Draw a small histogram. Its numbers are not said, so it has a label, not an alternative."""
    width, height, highest = 6, 22, max([*counts, 1.0])
    bars = [
        element(
            "rect",
            x=width * position,
            y=round(height * (1 - number / highest), 1),
            width=width - 1,
            height=round(height * number / highest, 1),
        )
        for position, number in enumerate(counts)
    ]
    size = width * len(counts)
    return element(
        "svg",
        bars,
        viewBox=f"0 0 {size} {height}",
        width=size,
        height=height,
        class_="histogram",
        role="img",
        aria_label="histogram",
    )
