"""What a posterior knows of the parameters: each variable's mechanism, given its causes.

Under the conjugate priors of BGe and BDe the parameters theta of a graph have a posterior
p(theta | G, D) of a known form, in which the variables are independent of one another. So whatever
is a function of graph and parameters needs no more than the sampled graphs and the few numbers that
a table was condensed into. Those numbers, and what follows from them, are the mechanisms.

Glossary: ``S`` graphs, ``d`` variables, ``n`` rows, ``K`` parent sets, ``V`` versions of the table
(see `dag_gfn.scores.bge.BGeLikelihood`), ``m`` distinct rows.
"""

from __future__ import annotations

from typing import TypeAlias

from dag_gfn.posterior.categorical import CategoricalMechanisms, CategoricalParameters
from dag_gfn.posterior.linear_gaussian import LinearGaussianMechanisms, LinearGaussianParameters

Mechanisms: TypeAlias = LinearGaussianMechanisms | CategoricalMechanisms
Parameters: TypeAlias = LinearGaussianParameters | CategoricalParameters

# By the name that a saved posterior has for them.
MECHANISMS: dict[str, type[Mechanisms]] = {
    "linear_gaussian": LinearGaussianMechanisms,
    "categorical": CategoricalMechanisms,
}
