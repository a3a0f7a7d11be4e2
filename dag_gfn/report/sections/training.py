"""How training went."""

from __future__ import annotations

import pandas as pd

from dag_gfn import plots
from dag_gfn.plots.curves import HISTORY_COLUMNS
from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Html, join, paragraph
from dag_gfn.report.pictures import figure
from dag_gfn.report.wording import count, percent, significant


def training(findings: Findings) -> Html:
    """Show the course of training, if it is known.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Html
    """
    history = findings.run.history
    if history is None or not len(history) or not _is_history(history):
        if findings.posterior.exact:
            return paragraph("An exact posterior is a sum over graphs and needs no training.")
        return paragraph(
            "No course of a training is recorded: the draws are not those of a flow network, or "
            "its history was not kept.",
            class_="note",
        )
    spread = history["log_weight_std"].dropna()
    efficiency = history["efficiency"].dropna()
    said = f"Training took {count(int(history['update'].iloc[-1]), 'update')}"
    seconds = findings.entry("fit_seconds")
    if isinstance(seconds, int | float):
        said += f"; the whole fit, {_duration(seconds)}"
    said += "."
    if len(spread):
        said += (
            f" The spread of the log-weights, which is zero for a perfect sampler, was "
            f"{significant(float(spread.iloc[0]), 2)} nats at the first look and "
            f"{significant(float(spread.iloc[-1]), 2)} at the last."
        )
    if len(efficiency):
        worth = percent(float(f"{efficiency.iloc[-1]:.2g}"))
        said += f" In the end a draw was worth {worth} of a perfect one."
    picture = figure(
        lambda: plots.training_curve(history),
        alternative=f"Curves of loss, spread of log-weights and efficiency by update. {said}",
        caption=(
            "The spread of the log-weights should fall, and the efficiency rise, until both stay "
            "where they are. The loss need not reach zero."
        ),
    )
    return join([paragraph(said), picture])


def _is_history(history: pd.DataFrame) -> bool:
    """Whether all curves are there, and in numbers."""
    return all(
        column in history and pd.api.types.is_numeric_dtype(history[column])
        for column in HISTORY_COLUMNS
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{significant(seconds, 2)} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
