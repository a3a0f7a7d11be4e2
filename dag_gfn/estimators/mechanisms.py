"""From local scores to what a posterior knows of the parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dag_gfn.posterior.categorical import CategoricalMechanisms
from dag_gfn.posterior.linear_gaussian import LinearGaussianMechanisms
from dag_gfn.scores import LocalScores
from dag_gfn.scores.bde import BDeLikelihood
from dag_gfn.scores.bge import BGeLikelihood

__all__ = ["mechanisms_of", "prior_mechanisms_of"]


def mechanisms_of(scores: LocalScores) -> LinearGaussianMechanisms | CategoricalMechanisms | None:
    """Return p(theta | G, D) of the table that was scored.

    Parameters
    ----------
    scores : LocalScores

    Returns
    -------
    LinearGaussianMechanisms, CategoricalMechanisms or None
        None for a score other than BGe and BDe, of whose parameters nothing is known.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> scores = dg.local_scores([[1.0, 2.0], [2.0, 1.5], [4.0, 0.5]])
    >>> mechanisms_of(scores).mean_weight
    array([4.])
    """
    likelihood = scores.likelihood
    if isinstance(likelihood, BGeLikelihood):
        return LinearGaussianMechanisms(
            names=scores.names,
            scale=likelihood.posterior_scale,
            mean=likelihood.posterior_mean,
            mean_weight=likelihood.alpha_mu + likelihood.num_rows,
            degrees=likelihood.alpha_w - scores.num_variables + likelihood.num_rows,
            version=likelihood.version,
            centre=scores.centre,
            unit=scores.unit,
            column_means=scores.centre + scores.unit * likelihood.column_means,
            column_sds=scores.unit * likelihood.column_sds,
        )
    if isinstance(likelihood, BDeLikelihood):
        return CategoricalMechanisms(
            names=scores.names,
            states=likelihood.states,
            codes=likelihood.codes,
            targets=likelihood.targets,
            counts=likelihood.counts,
            equivalent_sample_size=likelihood.equivalent_sample_size,
        )
    return None


def prior_mechanisms_of(
    scores: LocalScores,
) -> LinearGaussianMechanisms | CategoricalMechanisms | None:
    """Return p(theta | G): what is known of the parameters before there is a table.

    Parameters
    ----------
    scores : LocalScores
        Of any table, whose rows are not looked at, except that ``standardize=True`` has made its
        columns the units of the prior.

    Returns
    -------
    LinearGaussianMechanisms, CategoricalMechanisms or None

    Examples
    --------
    >>> import dag_gfn as dg
    >>> scores = dg.local_scores([[1.0, 2.0], [2.0, 1.5], [4.0, 0.5]])
    >>> prior_mechanisms_of(scores).mean_weight
    array([1.])
    """
    mechanisms = mechanisms_of(scores)
    likelihood = scores.likelihood
    if isinstance(mechanisms, LinearGaussianMechanisms) and isinstance(likelihood, BGeLikelihood):
        return replace(
            mechanisms,
            scale=likelihood.prior_scale[None],
            mean=likelihood.prior_mean[None],
            mean_weight=np.array([likelihood.alpha_mu]),
            degrees=np.array([likelihood.alpha_w - scores.num_variables]),
            version=np.zeros(scores.num_variables, np.int64),
        )
    if isinstance(mechanisms, CategoricalMechanisms):
        return replace(
            mechanisms,
            codes=mechanisms.codes[:, :0],
            targets=mechanisms.targets[:0],
            counts=mechanisms.counts[:0],
        )
    return mechanisms
