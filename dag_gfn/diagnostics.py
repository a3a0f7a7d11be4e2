"""How far to trust a posterior, in words."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from dag_gfn.convergence import RHAT_LIMIT

if TYPE_CHECKING:
    from dag_gfn.posterior import Posterior

# The draws that a reliable mean needs, 10^(1 / (1 - k)), pass 2000 at 0.7 and are soon out of reach
# beyond it (Vehtari et al. 2024, section 3.2.3).
KHAT_LIMIT = 0.7
_NO_TAIL = 3.0  # times the mean weight
# Draws worth 100 give edge probabilities to a standard error of 0.05 or better; worth 10, of 0.16.
ESS_GOOD = 100
ESS_POOR = 10
# Where hardly any draw counts, the few that do may look even among themselves and fool k-hat.
EFFICIENCY_POOR = 0.01
# How far the estimated log evidence may be below the log-score of a single graph, in nats.
_CONTRADICTION = 1.0
_RHAT_POOR = 1.1  # the limit that was in use before Vehtari et al. 2021


class UntrustedPosteriorWarning(UserWarning):
    """The importance weights say that the posterior should not be believed yet."""


class Trust(NamedTuple):
    """A verdict and its reasons."""

    level: Literal["good", "fair", "poor"]
    sentences: tuple[str, ...]  # the reasons first, then what to do

    def __str__(self) -> str:
        """Join the verdict and its reasons into one line of text."""
        return " ".join([f"Trust: {self.level}.", *self.sentences])


def assess(posterior: Posterior) -> Trust:
    """Say in words what the weights of a posterior mean, and what to do about it.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    Trust
        ``level``: "poor" when a single graph scores a nat above the estimated evidence, of which
        its score is but a part, when k-hat is above 0.7, or when the draws are worth fewer than 10
        or less than a hundredth of their number; "fair" when k-hat is above the limit
        ``1 - 1 / log10(S)`` that so many draws can bear (Vehtari et al. 2024, equation 13), the
        draws are worth fewer than 100, or they all weigh the same, which leaves the weights nothing
        to say; "good" otherwise, when exact, and for independent draws from an exact posterior.
        Draws of Markov chains that weigh the same are "poor" when R-hat is above 1.1, "fair" above
        1.01 or when worth fewer than 100, else "good".
        ``sentences``: a tuple of str, the reasons first, then the remedies.

    References
    ----------
    Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance
    sampling. JMLR 25(72).

    Examples
    --------
    >>> from dag_gfn.posterior import Posterior
    >>> exact = Posterior([[[0, 0], [0, 0]], [[0, 1], [0, 0]]], [0, -1], ["a", "b"], exact=True)
    >>> print(assess(exact))
    Trust: good. The posterior is exact: all 2 graphs that can have made the table were counted.
    """
    if posterior.exact:
        return Trust(
            "good",
            (
                f"The posterior is exact: all {len(posterior)} graphs that can have made the table "
                "were counted.",
            ),
        )
    if "error_estimate" in posterior.metadata:
        error = posterior.metadata["error_estimate"]
        return Trust(
            "good",
            (
                f"The {len(posterior)} draws are independent and from the exact posterior, whose "
                f"sums err by about {error:.1g}.",
            ),
        )
    excess = posterior.metadata.get("highest_log_score", -np.inf) - posterior.log_evidence
    if excess > _CONTRADICTION:
        contradiction = (
            f"A single graph scores {excess:.1f} nats above the evidence that the weights give, "
            "of which it is but a part: the sampler misses nearly all that matters."
        )
        return Trust("poor", (contradiction, *_remedies(posterior)))
    if np.ptp(posterior.weights) == 0 and "rhat" in posterior.metadata:
        return _of_chains(posterior)
    if np.ptp(posterior.weights) == 0:
        return Trust(
            "fair",
            (
                f"All {len(posterior)} draws weigh the same, so their weights cannot tell how good "
                "they are.",
                "Run the method again with another random_state and compare the edge marginals.",
            ),
        )
    khat, ess = posterior.khat, posterior.ess
    bearable = min(KHAT_LIMIT, 1 - 1 / np.log10(max(len(posterior), 2)))
    heaviest = len(posterior) * float(posterior.weights.max())
    if KHAT_LIMIT < khat < np.inf and heaviest <= _NO_TAIL:
        # k-hat has no scale: it can call the tail of weights that hardly differ a heavy one.
        harmless = (
            f"Pareto k-hat is {khat:.2f}, but no draw weighs more than {heaviest:.1f} times the "
            "mean, so that tail carries nothing."
        )
        return Trust(
            "good" if ess >= ESS_GOOD else "fair",
            (harmless, _about_ess(ess, f"{len(posterior)} weighted draws")),
        )
    sentences = [
        _about_khat(khat, bearable, len(posterior)),
        _about_ess(ess, f"{len(posterior)} weighted draws"),
    ]
    if khat > KHAT_LIMIT or ess < ESS_POOR:
        return Trust("poor", (*sentences, *_remedies(posterior)))
    if ess < EFFICIENCY_POOR * len(posterior):
        rare = "Hardly any draw counts, so others that matter may never have been drawn."
        return Trust("poor", (rare, sentences[1], *_remedies(posterior)))
    if khat > bearable or ess < ESS_GOOD:
        return Trust("fair", (*sentences, "More draws (n_samples) will make the answers firmer."))
    return Trust("good", tuple(sentences))


def warn_if_untrusted(posterior: Posterior, *, stacklevel: int = 2) -> None:
    """Warn, in words that say what to do, when ``assess`` finds a posterior poor.

    Parameters
    ----------
    posterior : Posterior
    stacklevel : int
        As in ``warnings.warn``: 2 names the caller of this function.

    Warns
    -----
    UntrustedPosteriorWarning
        When `assess` says "poor".

    Examples
    --------
    >>> import warnings
    >>> from dag_gfn.posterior import Posterior
    >>> posterior = Posterior([[[0, 1], [0, 0]]] * 30, [0.0] * 29 + [20.0], ["a", "b"])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_if_untrusted(posterior)
    >>> caught[0].category.__name__
    'UntrustedPosteriorWarning'
    """
    trust = assess(posterior)
    if trust.level == "poor":
        warnings.warn(
            " ".join(["The posterior should not be trusted yet.", *trust.sentences]),
            UntrustedPosteriorWarning,
            stacklevel=stacklevel,
        )


def _of_chains(posterior: Posterior) -> Trust:
    rhat, ess = float(posterior.metadata["rhat"]), float(posterior.metadata["ess"])
    worth = _about_ess(ess, f"{len(posterior)} draws of the chains")
    if rhat <= RHAT_LIMIT:
        agree = f"The chains agree: R-hat is {rhat:.3f}, at most {RHAT_LIMIT}."
        return Trust("good" if ess >= ESS_GOOD else "fair", (agree, worth))
    disagree = f"The chains do not agree yet: R-hat is {rhat:.3g}, above {RHAT_LIMIT}."
    remedy = "Run them longer (num_steps or max_seconds), and compare with another method."
    return Trust("poor" if rhat > _RHAT_POOR else "fair", (disagree, worth, remedy))


def _about_khat(khat: float, bearable: float, num_samples: int) -> str:
    if khat == np.inf:
        if num_samples < 25:
            return "Pareto k-hat cannot be estimated from fewer than 25 draws."
        return "Pareto k-hat is infinite: a handful of draws outweigh all the others."
    if khat > KHAT_LIMIT:
        return (
            f"Pareto k-hat is {khat:.2f}, above {KHAT_LIMIT}: a few draws carry most of the "
            "weight, so the sampler misses graphs that matter."
        )
    if khat > bearable:
        return (
            f"Pareto k-hat is {khat:.2f}, below {KHAT_LIMIT} but above the {bearable:.2f} that "
            f"{num_samples} draws can bear."
        )
    if khat == -np.inf:
        return "The largest weights are all equal, so no draw stands out."
    return f"Pareto k-hat is {khat:.2f}, below {bearable:.2f}: the weighted answers can be trusted."


def _about_ess(ess: float, draws: str) -> str:
    return (
        f"The {draws} are worth {ess:.0f} equally weighted ones, which gives "
        f"edge probabilities to a standard error of at most {0.5 / np.sqrt(ess):.2g}."
    )


def _remedies(posterior: Posterior) -> list[str]:
    remedies = ["Train longer, then draw more graphs (n_samples)."]
    if posterior.num_variables <= 20:
        remedies.append("With at most 20 variables, ExactPosterior needs no sampler at all.")
    else:
        remedies.append(
            "If that does not help, make the problem easier: standardize=True when columns differ "
            'in scale, max_parents, or a prior that favours fewer edges (prior="edge").'
        )
    return remedies
