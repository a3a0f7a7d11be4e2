"""How far to trust the draws: what the weights say, in words and numbers."""

from __future__ import annotations

import numpy as np

from dag_gfn import plots
from dag_gfn.diagnostics import KHAT_LIMIT
from dag_gfn.posterior import Posterior
from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Child, Html, bullets, element, facts, join, paragraph
from dag_gfn.report.pictures import figure
from dag_gfn.report.wording import percent, significant, whole


def trust(findings: Findings) -> Html:
    """Say what the diagnostics mean.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Html
    """
    posterior = findings.posterior
    parts: list[Child] = [
        paragraph("The verdict on the draws is ", element("strong", findings.trust.level), ":"),
        bullets(findings.trust.sentences),
        element("h3", "The numbers behind the verdict"),
        facts(
            (what, [element("b", value), f": {meaning}"])
            for what, value, meaning in _numbers(findings)
        ),
    ]
    if _weights_differ(posterior):
        parts.append(
            figure(
                lambda: plots.weights(posterior),
                alternative=(
                    "The weights of the draws from the largest to the smallest, relative to equal "
                    f"weights. The largest is {_heaviest(findings)} times the mean."
                ),
                caption=(
                    "The weights, largest first. A perfect sampler gives a flat line at 1; the "
                    "steeper the left end, the more a few draws decide."
                ),
            )
        )
    if posterior.exact:
        limits = "Exact means under the model: nothing here shows whether the model is right."
    else:
        limits = (
            "Draws cannot speak of graphs that were never drawn, nor of a wrong model: a good "
            "verdict is strong evidence that the draws stand for the posterior, and no proof."
        )
    parts.append(paragraph(limits))
    return join(parts)


def _weights_differ(posterior: Posterior) -> bool:
    """Whether the weights of draws say anything."""
    return not posterior.exact and bool(np.ptp(posterior.weights) > 0)


def _heaviest(findings: Findings) -> str:
    posterior = findings.posterior
    return significant(len(posterior) * float(posterior.weights.max()), 2)


def _numbers(findings: Findings) -> list[tuple[str, str, str]]:
    """List what each number is, its value, and what it means."""
    posterior = findings.posterior
    known = posterior.metadata
    rows: list[tuple[str, str, str]] = []
    if posterior.exact:
        rows.append(("Graphs", whole(len(posterior)), "all that have positive probability."))
    else:
        rows.append(("Draws", whole(len(posterior)), "graphs that were drawn, some repeatedly."))
    if isinstance(known.get("rhat"), int | float):
        rows += [
            (
                "R-hat",
                f"{known['rhat']:.3f}",
                "how much chains differ from one another: at most 1.01 where they agree.",
            ),
            (
                "Effective sample size",
                whole(float(known.get("ess", posterior.ess))),
                "how many independent draws those of the chains are worth.",
            ),
        ]
    elif _weights_differ(posterior):
        rows += [
            (
                "Pareto k-hat",
                significant(posterior.khat, 2),
                "how heavy the tail of the weights is: above "
                f"{KHAT_LIMIT} a few draws decide, and the answer is not to be used.",
            ),
            (
                "Effective sample size",
                whole(posterior.ess),
                "how many equally weighted draws these are worth.",
            ),
            (
                "Efficiency",
                percent(float(f"{posterior.efficiency:.3g}")),
                "effective sample size per draw; all of it for a perfect sampler.",
            ),
        ]
    if isinstance(known.get("float32_error"), int | float):
        rows.append(
            (
                "Rounding (nats)",
                significant(float(known["float32_error"]), 1),
                "the largest difference between a log-score as the training saw it, in single "
                "precision, and as it counts here, in double precision.",
            )
        )
    evidence, error = posterior.log_evidence, posterior.log_evidence_standard_error
    if np.isfinite(evidence):
        shown = f"{evidence:.2f}".replace("-", "\N{MINUS SIGN}")
        if np.isfinite(error) and error > 0:
            shown += f" ± {significant(error, 1)}"
        rows.append(
            (
                "Log evidence (nats)",
                shown,
                "the logarithm of the probability of the table under the model, up to a constant "
                "of the prior: to compare models of the same table.",
            )
        )
    return rows
