"""What the words mean, and what all of it rests on."""

from __future__ import annotations

from dag_gfn.report.findings import Findings
from dag_gfn.report.markup import Html, bullets, element, facts, join

_WORDS = (
    (
        "Graph",
        "Variables, and an edge from each direct cause to its effect, without cycles.",
    ),
    (
        "Posterior",
        "How probable each graph is, given the table, the prior and the model. There is no single "
        "answer but many graphs with their probabilities, and what they have in common.",
    ),
    (
        "Direct cause",
        "A variable that acts on another otherwise than by way of variables in the table. "
        "It need not be direct in nature: what is not in the table can lie between.",
    ),
    (
        "Open direction",
        "Different graphs can imply the same dependencies. Data without interventions "
        "cannot tell them apart, however many rows there are; an experiment can.",
    ),
    (
        "Interval",
        "The effect lies in it with the given probability, if the model holds.",
    ),
)
_ALWAYS = (
    "The rows are independent of one another.",
    "No common cause of two variables is left out of the table. If one is, edges "
    "appear where there are none.",
    "There are no cycles: no variable acts on itself by way of others.",
)
_OF_KIND = {
    False: ("Relations are linear, and the noise is Gaussian.",),
    True: ("Each variable is one of a few categories, which have no order.",),
    None: (),
}


def reading(findings: Findings) -> Html:
    """Explain the words, and name the assumptions.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Html
    """
    assumed = [*_OF_KIND[findings.is_categorical], *_ALWAYS]
    if findings.entry("rows_with_intervention", default=0):
        assumed.append("Interventions acted on the variables that they name, and on no other.")
    return join(
        [
            element("h3", "What it rests on", id="assumptions"),
            element(
                "p",
                "The probabilities are right if all of this is; none of the numbers on this page "
                "can show that it is not.",
            ),
            bullets(assumed),
            element("h3", "What the words mean"),
            facts(_WORDS),
        ]
    )
