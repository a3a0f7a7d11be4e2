"""What it takes to repeat the fit, and to go on from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Child, Html, details, element, facts, join, paragraph, table

_LOAD = """\
import dag_gfn as dg

posterior = dg.Posterior.load("posterior.npz")
posterior.edge_marginals()
posterior.causal_effects(random_state=0).summary()"""


def repeat(findings: Findings) -> Html:
    """List command, seed, versions and settings.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Html
    """
    entry = findings.entry
    parts: list[Child] = []
    if command := entry("command", default=""):
        parts += [paragraph("The command that made the posterior:"), _code(command)]
    elif entry("settings"):
        parts.append(
            paragraph(
                "The command is not recorded; the seed, the settings and the versions below are "
                "what it takes.",
                class_="note",
            )
        )
    known: list[tuple[str, Child]] = [("Method", findings.posterior.method or "not recorded")]
    if (seed := entry("seed")) is not None:
        known.append(("Seed", str(seed)))
    if versions := entry("versions", default={}):
        known.append(("Versions", ", ".join(f"{what} {which}" for what, which in versions.items())))
    parts.append(facts(known))
    if settings := entry("settings", default={}):
        parts.append(details("All settings", _settings(settings)))
    parts += [
        paragraph("The posterior answers more than this page. In Python:"),
        _code(_LOAD),
    ]
    return join(parts)


def _settings(settings: Mapping[str, Any]) -> Html:
    rows = [
        [str(setting), element("code", json.dumps(value, ensure_ascii=False))]
        for setting, value in settings.items()
    ]
    return table("The arguments of the method; null is its default.", ["Setting", "Value"], rows)


def _code(text: str) -> Html:
    return element("pre", element("code", text))
