"""Independence Metropolis-Hastings: a sampler's weighted draws as the proposals of Markov chains.

Glossary: ``C`` chains, ``S`` draws, ``d`` variables.
"""

from __future__ import annotations

import numpy as np

from dag_gfn.posterior import Posterior

__all__ = ["independence_metropolis"]

_BURN_IN = 0.1  # first share of each chain that is left out


def independence_metropolis(
    posterior: Posterior,
    *,
    num_chains: int = 4,
    random_state: int | np.random.Generator | None = None,
) -> Posterior:
    r"""Turn weighted draws into chains whose limit is the exact posterior.

    Each chain takes up a part of the draws in their order. From a draw of weight w it moves to the
    next one, of weight w', with probability min(1, w' / w), and otherwise stays [1]_. The weights
    of a trained flow, R(G) P_B(tau | G) / P_F(tau), are those of pairs of a graph and a trajectory
    that leads to it, so the pairs have the limit R(G) P_B(tau | G), and the graphs R(G).

    Importance weighting uses the same draws with a smaller variance; chains give draws that all
    weigh the same, and show by their rejections where the sampler misses something: a chain gets
    stuck at a draw whose weight is far above the others'.

    Parameters
    ----------
    posterior : Posterior
        Independent draws with their importance weights, such as those of a trained flow.
    num_chains : int, default 4
        C; each gets S // C of the draws.
    random_state : int, Generator or None

    Returns
    -------
    Posterior
        The states of all chains, one chain after another, with equal weights and without the first
        tenth of each chain. ``metadata`` has ``num_chains`` and ``acceptance``, the share of the
        proposals that were accepted. The evidence is that of the proposals.

    Raises
    ------
    ValueError
        If the posterior is exact, or has fewer than two draws for each chain.

    References
    ----------
    .. [1] L. Tierney. "Markov chains for exploring posterior distributions." Annals of Statistics
       22(4), 1994, section 2.3.3.

    Examples
    --------
    >>> graphs = np.zeros((400, 2, 2), dtype=int)
    >>> graphs[::4, 0, 1] = 1
    >>> weighted = Posterior(graphs, np.log(np.where(graphs[:, 0, 1], 3.0, 1.0)), ["a", "b"])
    >>> chains = independence_metropolis(weighted, random_state=0)
    >>> len(chains), chains.metadata["num_chains"]
    (360, 4)
    """
    if posterior.exact:
        raise ValueError(
            "an exact posterior needs no chains; posterior.sample gives independent draws of it."
        )
    length = len(posterior) // max(num_chains, 1)
    if num_chains < 1 or length < 2:
        raise ValueError(
            f"num_chains must be from 1 to {len(posterior) // 2} for {len(posterior)} draws, at "
            f"least two for each chain, not {num_chains}."
        )
    rng = np.random.default_rng(random_state)
    log_weights = posterior.log_weights[: num_chains * length].reshape(num_chains, length)
    log_uniform = -rng.exponential(size=log_weights.shape)
    states = np.zeros((num_chains, length), dtype=np.int64)
    chains, current, num_accepted = np.arange(num_chains), np.zeros(num_chains, dtype=int), 0
    for step in range(1, length):
        before, proposed = log_weights[chains, current], log_weights[:, step]
        # Away from a first draw of weight zero whatever comes, and never to such a draw.
        accepted = (before == -np.inf) | (proposed > before + log_uniform[:, step])
        current = np.where(accepted, step, current)
        states[:, step] = current
        num_accepted += int(np.sum(accepted))
    kept = (states + length * chains[:, None])[:, int(_BURN_IN * length) :].ravel()
    return Posterior(
        posterior.adjacency[kept],
        np.zeros(len(kept)),
        posterior.names,
        log_evidence=posterior.log_evidence,
        method=f"independence Metropolis-Hastings over {posterior.method or 'weighted draws'}",
        metadata={
            **posterior.metadata,
            "num_chains": num_chains,
            "acceptance": num_accepted / (num_chains * (length - 1)),
        },
    )
