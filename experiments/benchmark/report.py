"""Results as Markdown tables, written between the markers of a README."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from studies import PUBLISHED_RATE, STUDIES, Record, missed


class Column(NamedTuple):
    """A heading, and how a record is shown under it."""

    heading: str
    show: Callable[[Record], str]


def _metric(name: str, form: str) -> Callable[[Record], str]:
    def show(record: Record) -> str:
        value = record.get("metrics", {}).get(name)
        return "–" if value is None else format(float(value), form)

    return show


def _case(name: str) -> Callable[[Record], str]:
    return lambda record: str(record["case"][name])


def _evidence_error(record: Record) -> str:
    error = _metric("log_evidence_error", "+.4f")(record)
    return f"{error} ± {_metric('log_evidence_standard_error', '.4f')(record)}"


def _range(record: Record) -> str:
    return f"{_metric('slowest', '.4g')(record)} to {_metric('fastest', '.4g')(record)}"


def _millions(record: Record) -> str:
    value = record.get("metrics", {}).get("steps_per_cpu_second")
    return "–" if value is None else f"{float(value) / 1e6:.2f}"


def _published(record: Record) -> str:
    rate = PUBLISHED_RATE.get(record["case"]["num_variables"])
    return "–" if rate is None else f"{rate:g}"


def verdict(record: Record) -> str:
    """Say whether a run has met its targets."""
    failures = missed(record)
    if failures is None:
        return "none set"
    if "error" in record:
        return f"**failed**: {record['error']}"
    return "met" if not failures else f"**missed**: {', '.join(failures)}"


_FIT = (
    Column("updates", _metric("updates", ".0f")),
    Column("start-up s", _metric("start_seconds", ".1f")),
    Column("memory GiB", _metric("memory_gib", ".1f")),
)
_TRUST = (
    Column("k-hat", _metric("khat", ".2f")),
    Column("ESS / N", _metric("efficiency", ".3f")),
)


def _accuracy(variation: str, edges: str, seconds: str) -> tuple[Column, ...]:
    return (
        Column("table", _case("table")),
        Column(f"total variation {variation}", _metric("total_variation", ".4f")),
        Column(f"largest edge error {edges}".strip(), _metric("edge_error", ".4f")),
        Column("the same, weighted draws", _metric("weighted_edge_error", ".4f")),
        *_TRUST,
        Column("log-evidence error, nats", _evidence_error),
        *_FIT,
        Column(f"fit s ({seconds})", _metric("fit_seconds", ".1f")),
        Column("target", verdict),
    )


def _sachs(khat_heading: str) -> tuple[Column, ...]:
    return (
        Column("seed", _case("seed")),
        Column(khat_heading, _metric("khat", ".2f")),
        Column("ESS / N (≥ 0.5)", _metric("efficiency", ".3f")),
        Column("largest edge error, unweighted (≤ 0.03)", _metric("edge_error", ".4f")),
        Column("the same, weighted (≤ 0.01)", _metric("weighted_edge_error", ".4f")),
        Column("log-evidence error, nats", _evidence_error),
        *_FIT,
        Column("fit s (≤ 300)", _metric("fit_seconds", ".1f")),
        Column("target", verdict),
    )


def _larger(efficiency: str, plain: str, weighted: str, seconds: str) -> tuple[Column, ...]:
    return (
        Column("rows", _case("rows")),
        Column("prior", _case("prior")),
        Column("table", _case("table")),
        Column("edges on average", _metric("num_edges", ".1f")),
        Column("k-hat", _metric("khat", ".2f")),
        Column(f"ESS / N ({efficiency})", _metric("efficiency", ".3f")),
        Column(f"largest edge error, unweighted {plain}".strip(), _metric("edge_error", ".4f")),
        Column(f"the same, weighted ({weighted})", _metric("weighted_edge_error", ".4f")),
        Column("log-evidence error, nats", _evidence_error),
        Column("draws a minute", _metric("draws_per_minute", ".0f")),
        *_FIT,
        Column(f"fit s ({seconds})", _metric("fit_seconds", ".1f")),
        Column("target", verdict),
    )


def _exact(fit_heading: str, draws_heading: str) -> tuple[Column, ...]:
    return (
        Column("d", _case("num_variables")),
        Column("table", _case("table")),
        Column(fit_heading, _metric("fit_seconds", ".2f")),
        Column("CPU s", _metric("fit_cpu_seconds", ".2f")),
        Column("compile s", _metric("compile_seconds", ".1f")),
        Column("reported error (≤ 1e-6)", _metric("error_estimate", ".1e")),
        Column("difference in another order", _metric("reordered_difference", ".1e")),
        Column("draws", _metric("draws", ".0f")),
        Column(draws_heading, _metric("draw_seconds", ".1f")),
        Column("memory GiB (≤ 2)", _metric("memory_gib", ".2f")),
        Column("target", verdict),
    )


def _chains(speed_heading: str, error_heading: str, rhat_heading: str) -> tuple[Column, ...]:
    return (
        Column("rows", _case("rows")),
        Column("table", _case("table")),
        Column("wall s", _metric("fit_seconds", ".1f")),
        Column("CPU s", _metric("cpu_seconds", ".1f")),
        Column(speed_heading, _millions),
        Column(error_heading, _metric("edge_error", ".4f")),
        Column("mean edge error", _metric("mean_edge_error", ".5f")),
        Column(rhat_heading, _metric("rhat", ".3f")),
        Column("smallest ESS", _metric("ess", ".0f")),
        Column("target", verdict),
    )


COLUMNS = {
    "gaussian5": _accuracy("(≤ 0.03)", "(≤ 0.01)", "≤ 90"),
    "asia5": _accuracy("(≤ 0.03)", "(≤ 0.01)", "≤ 90"),
    "speed": (
        Column("settings", _case("settings")),
        Column("d", _case("num_variables")),
        Column("updates a second, median", _metric("updates_per_second", ".4g")),
        Column("slowest to fastest call", _range),
        Column("jax-dag-gflownet", _published),
        Column("times as many (≥ 100)", _metric("times_published", ".0f")),
        Column("scores and arrays s", _metric("setup_seconds", ".1f")),
        Column("compile s", _metric("compile_seconds", ".1f")),
        Column("start-up s", _metric("start_seconds", ".1f")),
        Column("memory GiB", _metric("memory_gib", ".1f")),
        Column("target", verdict),
    ),
    "sachs": _sachs("k-hat (< 0.7)"),
    "orders5": _accuracy("(≤ 0.01)", "", "≤ 60"),
    "orders_sachs": _sachs("k-hat"),
    "gaussian10": _larger("≥ 0.5", "(≤ 0.03)", "≤ 0.01", "≤ 180"),
    "gaussian20": _larger("≥ 0.1", "", "≤ 0.02", "≤ 600"),
    "enumeration": (
        Column("score", _case("score")),
        Column("tables", _metric("tables", ".0f")),
        Column("largest edge error (≤ 1e-9)", _metric("edge_error", ".1e")),
        Column("largest path error (≤ 1e-9)", _metric("path_error", ".1e")),
        Column("largest log-evidence error, nats (≤ 1e-9)", _metric("evidence_error", ".1e")),
        Column("target", verdict),
    ),
    "exact15": _exact("fit s (≤ 2)", "draws s"),
    "exact20": _exact("fit s (≤ 90)", "draws s (≤ 60)"),
    "exact_draws": (
        Column("table", _case("table")),
        Column("draws", _metric("draws", ".0f")),
        Column("cells", _metric("cells", ".0f")),
        Column("chi-squared", _metric("chi_squared", ".1f")),
        Column("p (≥ 0.001)", _metric("p_value", ".3f")),
        Column("target", verdict),
    ),
    "structure20": _chains(
        "million steps a CPU-second (≥ 2)", "largest edge error (≤ 0.01)", "R-hat"
    ),
    "partition20": _chains(
        "million steps a CPU-second", "largest edge error (≤ 0.02)", "R-hat (< 1.01)"
    ),
    "agreement": (
        Column("method", _case("method")),
        Column("d", _case("num_variables")),
        Column("largest edge error", _metric("edge_error", ".5f")),
        Column("largest standard error", _metric("standard_error", ".5f")),
        Column("largest error over its standard error", _metric("largest_t", ".2f")),
        Column("p of that, of all edges (≥ 0.001)", _metric("p_value", ".3f")),
        Column("R-hat", _metric("rhat", ".3f")),
        Column("target", verdict),
    ),
    "many_variables": (
        Column("rows", _case("rows")),
        Column("structure s", _metric("structure_seconds", ".0f")),
        Column("R-hat", _metric("structure_rhat", ".3f")),
        Column("smallest ESS", _metric("structure_ess", ".0f")),
        Column("partition s", _metric("partition_seconds", ".0f")),
        Column("R-hat", _metric("partition_rhat", ".3f")),
        Column("smallest ESS", _metric("partition_ess", ".0f")),
        Column("largest difference of an edge", _metric("edge_difference", ".4f")),
        Column("memory GiB", _metric("memory_gib", ".2f")),
    ),
}


def study_table(study: str, records: list[Record]) -> str:
    """Return a study's table, with what it was measured with, as Markdown."""
    rows = [record for record in records if record["study"] == study]
    if not rows:
        return "Not measured yet."
    columns = COLUMNS[study]
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|" + " --- |" * len(columns),
        *("| " + " | ".join(column.show(row) for column in columns) + " |" for row in rows),
        "",
        *dict.fromkeys(_summary(rows) + [_provenance(row) for row in rows]),
    ]
    return "\n".join(lines)


def rewrite(readme: str, records: list[Record]) -> str:
    """Return a README with the tables between its markers made anew.

    Raises
    ------
    ValueError
        If the markers of a study are not there.
    """
    for study in STUDIES:
        begin, end = f"<!-- begin {study} -->", f"<!-- end {study} -->"
        block = f"{begin}\n{study_table(study, records)}\n{end}"
        pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
        readme, count = re.subn(pattern, lambda _, block=block: block, readme, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"the README must have {begin} and {end} once, to hold the table.")
    return readme


def _summary(rows: list[Record]) -> list[str]:
    judged = [failures for failures in map(missed, rows) if failures is not None]
    if not judged:
        return []
    met = sum(not failures for failures in judged)
    return [f"Targets met in {met} of {len(judged)} runs.", ""]


def _provenance(row: Record) -> str:
    machine = row["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    warning = " **A quick run, which measures nothing.**" if row["quick"] else ""
    return (
        f"`{row['command']}`, {row['date']}, {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB memory, load average {machine['load']} when begun; "
        f"{versions}.{warning}"
    )
