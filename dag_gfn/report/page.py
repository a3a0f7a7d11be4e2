"""The whole page: one file that needs nothing else, and loads nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

import dag_gfn
from dag_gfn.diagnostics import assess
from dag_gfn.posterior import Posterior
from dag_gfn.posterior.categorical import CategoricalMechanisms
from dag_gfn.posterior.effects import CausalEffects
from dag_gfn.posterior.linear_gaussian import LinearGaussianMechanisms
from dag_gfn.report import sections
from dag_gfn.report.columns import describe_columns
from dag_gfn.report.findings import Findings, Run
from dag_gfn.report.look import STYLE
from dag_gfn.report.markup import Html, element, join
from dag_gfn.report.pairs import pairs
from dag_gfn.report.wording import count
from dag_gfn.tables import as_frame

# The page runs no script and loads nothing, and browsers see to it.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# Draws of effects take as many float64 as this at most, 256 MiB.
_MAX_ENTRIES = 2**25


def page(
    run: Run,
    *,
    level: float = 0.9,
    random_state: int | np.random.Generator | None = 0,
    progress: bool = True,
) -> str:
    """Build the report of a run.

    Parameters
    ----------
    run : Run
        Of `read_run`.
    level : float, default 0.9
        Probability of the intervals.
    random_state : int or numpy.random.Generator, optional
        Of the parameters that effects are drawn with. Same seed, same page.
    progress : bool, default True
        Whether to show a bar, if effects take long.

    Returns
    -------
    str
        An HTML document.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1.
    """
    if not 0 < level < 1:  # before the effects, which may take long
        raise ValueError(f"level must be between 0 and 1, not {level!r}.")
    effects = _effects(run.posterior, random_state, progress)
    findings = Findings(
        run=run,
        trust=assess(run.posterior),
        effects=effects,
        effects_summary=None if effects is None else effects.summary(level),
        level=level,
    )
    found = pairs(run.posterior)
    parts = {
        "short": ("In short", sections.short(findings, found)),
        "data": ("The data", sections.data(findings)),
        "edges": ("Edges", sections.edges(findings, found)),
        "graph": ("The graph", sections.graph(findings, found)),
        "effects": ("Causal effects", sections.effects(findings)),
        "trust": ("How far to trust it", sections.trust(findings)),
        "training": ("How training went", sections.training(findings)),
        "reading": ("How to read this", sections.reading(findings)),
        "repeat": ("How to repeat it", sections.repeat(findings)),
    }
    return _document(_title(findings), _subtitle(findings), parts)


def write(
    path: str | os.PathLike[str],
    posterior: Posterior,
    *,
    table: pd.DataFrame | ArrayLike | None = None,
    history: pd.DataFrame | None = None,
    level: float = 0.9,
    random_state: int | np.random.Generator | None = 0,
    progress: bool = True,
) -> None:
    """Write the report of a posterior to an HTML file, which needs no other.

    Parameters
    ----------
    path : str or path-like
        An existing file is replaced in one step.
    posterior : Posterior
        Of any method. With mechanisms the report has causal effects.
    table : DataFrame or array [n, d], optional
        The table of the fit, of which the report then has a summary.
    history : DataFrame, optional
        The ``history_`` of a flow network, for the course of its training.
    level : float, default 0.9
        Probability of the intervals.
    random_state : int or numpy.random.Generator, optional
        Of the parameters that effects are drawn with. Same seed, same file.
    progress : bool, default True
        Whether to show a bar, if effects take long.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1, or the table has other columns than the posterior.

    Examples
    --------
    >>> import tempfile
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0).table
    >>> posterior = dg.ExactPosterior().fit(table).posterior_
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/report.html", posterior, table=table)
    ...     Path(folder, "report.html").read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    summary: dict[str, Any] = {}
    if table is not None:
        categories = isinstance(posterior.mechanisms, CategoricalMechanisms)
        columns = describe_columns(table, categories=categories)
        if [about["name"] for about in columns] != list(posterior.names):
            raise ValueError(
                "the table has other columns than the posterior has variables; give the table of "
                "the fit."
            )
        summary = {"rows": len(as_frame(table)), "columns": columns}
    run = Run(posterior, summary, history, ())
    text = page(run, level=level, random_state=random_state, progress=progress)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.writing")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _effects(
    posterior: Posterior, random_state: int | np.random.Generator | None, progress: bool
) -> CausalEffects | None:
    """Draw effects, in standard deviations if the fit looked at the columns in these."""
    mechanisms = posterior.mechanisms
    if mechanisms is None:
        return None
    most = max(_MAX_ENTRIES // posterior.num_variables**2, 1)
    return posterior.causal_effects(
        standardized=isinstance(mechanisms, LinearGaussianMechanisms)
        and bool((mechanisms.unit != 1).any()),
        num_draws=most if len(posterior) > most else None,
        random_state=random_state,
        progress=progress,
    )


def _title(findings: Findings) -> str:
    label = findings.entry("table", default="")
    if not label:
        return f"Causal graphs of {count(findings.posterior.num_variables, 'variable')}"
    # A data set that ships with the package has a label of several words; a file, a path.
    last = re.split(r"[/\\]", label)[-1]
    return f"Causal graphs of {last}"


def _subtitle(findings: Findings) -> str:
    said = "The graphs that could have produced the table, and how probable they are. "
    if finished := findings.entry("finished", default=""):
        said += f"Fitted {finished}. "
    return f"{said}Written by dag_gfn {dag_gfn.__version__}."


def _document(title: str, subtitle: str, parts: Mapping[str, tuple[str, Html]]) -> str:
    links = [
        element("li", element("a", heading, href=f"#{anchor}"))
        for anchor, (heading, _) in parts.items()
    ]
    body = [
        element("a", "Skip to the results", href="#short", class_="skip"),
        element("header", element("h1", title), element("p", subtitle)),
        element(
            "div",
            element(
                "nav",
                element("h2", "Contents", id="contents"),
                element("ol", links),
                aria_labelledby="contents",
            ),
            element(
                "main",
                [
                    element(
                        "section",
                        element("h2", heading, id=anchor),
                        content,
                        aria_labelledby=anchor,
                    )
                    for anchor, (heading, content) in parts.items()
                ],
            ),
            class_="columns",
        ),
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"dag_gfn {dag_gfn.__version__}"),
        element("title", title),
        element("style", Html(STYLE)),
    ]
    whole = element(
        "html",
        element("head", head),
        "\n",
        element("body", element("div", body, class_="page")),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{join(whole)}\n"
