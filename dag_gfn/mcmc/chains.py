"""What Markov chains leave behind, and how they are run: burn-in, thinning, a time limit.

Glossary: ``C`` chains, ``S`` draws of a chain, ``T`` times, ``d`` variables.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dag_gfn.mcmc.walk import Walk
from dag_gfn.posterior import Posterior

__all__ = ["Chains", "Draws", "Kernel", "chains_posterior", "run_chains"]

_BURN_IN = 0.1  # first share of the steps, or of the seconds, that is left out
_FEWEST_DRAWS = 8  # of each chain, without which they cannot be compared
_CHUNK_SECONDS = 0.5  # between looks at the clock
_PATH_STEP = 1.1  # ratio of the times at which the edge marginals so far are kept


class Draws(NamedTuple):
    """Some draws of every chain, in their order."""

    adjacency: NDArray[np.int8]  # [C, S, d, d]
    log_scores: NDArray[np.float64]  # [C, S], log p(D | G) + log p(G)
    log_weights: NDArray[np.float64]  # [C, S], zero where the chain's limit is the posterior


class Chains(NamedTuple):
    """Draws of several Markov chains, without their burn-in."""

    draws: Draws
    edge_marginals: NDArray[np.float64]  # [C, d, d], of all steps after the burn-in
    seconds: NDArray[np.float64]  # [S], wall time from the start at which each draw was there
    num_steps: int  # of each chain, the burn-in included
    thin: int  # steps between draws
    acceptance: Mapping[str, float]  # share of the proposals of each kind that were accepted
    path: NDArray[np.float64]  # [T, d, d], mean edge marginals up to some times
    path_seconds: NDArray[np.float64]  # [T], those times, from the start


class Kernel(NamedTuple):
    """A sampler with all of its chains inside, for `run_chains`."""

    advance: Callable[[int, int], Draws]  # (number of draws, steps between them)
    forget: Callable[[], None]  # start the edge marginals and the acceptance anew
    edge_marginals: Callable[[], NDArray[np.float64]]  # [C, d, d], since `forget`
    acceptance: Callable[[], Mapping[str, float]]  # since `forget`
    walk: Walk | None = None  # where the chains stand, if they can be stopped and go on later


def chains_posterior(chains: Chains, names: tuple[str, ...], method: str) -> Posterior:
    """Pool all chains, one after another, as a posterior without an evidence.

    Parameters
    ----------
    chains : Chains
    names : tuple of str [d]
    method : str

    Returns
    -------
    Posterior
        ``metadata["num_chains"]`` says into how many equal parts the draws fall.
    """
    draws = chains.draws
    num_chains, _, d, _ = draws.adjacency.shape
    return Posterior(
        draws.adjacency.reshape(-1, d, d),
        draws.log_weights.ravel(),
        names,
        log_evidence=np.nan,
        method=method,
        metadata={"num_chains": num_chains, "num_steps": chains.num_steps, "thin": chains.thin},
    )


def run_chains(
    kernel: Kernel,
    *,
    num_draws: int,
    num_steps: int,
    max_seconds: float | None = None,
    begin: float | None = None,
    progress: bool = False,
) -> Chains:
    """Run all chains for a number of steps or for a time, and keep evenly spaced draws.

    The first tenth of the steps, or of the seconds, is left out as burn-in.

    Parameters
    ----------
    kernel : Kernel
    num_draws : int
        Of each chain, after the burn-in; where time decides, up to twice as many, or fewer but at
        least eight if there was no time for more.
    num_steps : int
        Of each chain, the burn-in included; more where the draws alone take more. Not looked at
        when ``max_seconds`` is given.
    max_seconds : float, optional
        Run for so long instead, compilation and burn-in included. What is drawn then depends on
        the speed of the machine.
    begin : float, optional
        Reading of ``time.perf_counter`` from which seconds count, where making the kernel is to be
        part of them; by default now.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Chains

    Examples
    --------
    >>> from dag_gfn.mcmc.structure import structure_kernel
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> kernel = structure_kernel(scores, num_chains=2, seed=0)
    >>> chains = run_chains(kernel, num_draws=90, num_steps=1000)
    >>> chains.draws.adjacency.shape, chains.thin, chains.num_steps
    ((2, 90, 3, 3), 10, 1000)
    """
    begin = time.perf_counter() if begin is None else begin
    if max_seconds is None:
        return _run_steps(kernel, num_draws, num_steps, begin, progress)
    return _run_seconds(kernel, num_draws, max_seconds, begin, progress)


def _run_steps(
    kernel: Kernel, num_draws: int, num_steps: int, begin: float, progress: bool
) -> Chains:
    burn_in = int(_BURN_IN * num_steps)
    thin = max((num_steps - burn_in) // num_draws, 1)
    pieces: list[Draws] = []
    stamps: list[NDArray[np.float64]] = []
    path = _Path(kernel)
    with tqdm(total=burn_in + num_draws * thin, unit="step", disable=not progress) as bar:
        speed = _Speed()
        done = 0
        while done < burn_in:
            size = min(speed.steps(), burn_in - done)
            with speed.timed(size):
                kernel.advance(1, size)
            done += size
            bar.update(size)
        kernel.forget()
        made = 0
        while made < num_draws:
            size = min(max(speed.steps() // thin, 1), num_draws - made)
            with speed.timed(size * thin):
                pieces.append(kernel.advance(size, thin))
            stamps.append(np.full(size, time.perf_counter() - begin))
            path.look(stamps[-1][0])
            made += size
            bar.update(size * thin)
    return _chains(kernel, pieces, stamps, path, burn_in + made * thin, thin)


def _run_seconds(
    kernel: Kernel, num_draws: int, max_seconds: float, begin: float, progress: bool
) -> Chains:
    """Run until the time is up; whenever there are twice the draws, keep every second one."""
    pieces: list[Draws] = []
    stamps: list[NDArray[np.float64]] = []
    speed, done, made, thin = _Speed(), 0, 0, 1
    path = _Path(kernel)
    with tqdm(total=round(max_seconds), unit="s", disable=not progress) as bar:

        def elapsed() -> float:
            seconds = time.perf_counter() - begin
            bar.update(min(int(seconds), bar.total) - bar.n)
            return seconds

        # What is left of the time, where the kernel took some.
        burn_in = elapsed() + _BURN_IN * max(max_seconds - elapsed(), 0.0)
        while elapsed() < burn_in:
            size = speed.steps()
            with speed.timed(size):
                kernel.advance(1, size)
            done += size
        kernel.forget()
        while elapsed() < max_seconds or made < _FEWEST_DRAWS:
            size = max(min(speed.steps() // thin, num_draws), 1)
            with speed.timed(size * thin):
                pieces.append(kernel.advance(size, thin))
            stamps.append(np.full(size, time.perf_counter() - begin))
            path.look(stamps[-1][0])
            done, made = done + size * thin, made + size
            if made >= 2 * num_draws:
                joined, stamp = _joined(pieces), np.concatenate(stamps)
                # A draw comes at the end of `thin` steps, so the second of each pair stays.
                pieces = [Draws._make(array[:, 1::2] for array in joined)]
                stamps = [stamp[1::2]]
                made, thin = len(stamps[0]), 2 * thin
    return _chains(kernel, pieces, stamps, path, done, thin)


class _Path:
    """The edge marginals of all chains as they were at times in geometric progression."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.marginals: list[NDArray[np.float64]] = []
        self.seconds: list[float] = []

    def look(self, seconds: float) -> None:
        """Keep what the marginals are now, if the last look was long enough ago."""
        if not self.seconds or seconds >= _PATH_STEP * self.seconds[-1]:
            self.marginals.append(self._kernel.edge_marginals().mean(axis=0))
            self.seconds.append(float(seconds))


class _Speed:
    """How many steps fit between two looks at the clock."""

    def __init__(self) -> None:
        self._steps_per_second = 0.0

    def steps(self) -> int:
        """Return a number of steps that takes about half a second; few at first."""
        return max(int(self._steps_per_second * _CHUNK_SECONDS), 1)

    @contextmanager
    def timed(self, num_steps: int) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        seconds = max(time.perf_counter() - begin, 1e-6)
        # At most ten times as many as before, since the first steps may hold a compilation.
        self._steps_per_second = min(
            num_steps / seconds, 10 * max(self._steps_per_second, num_steps / _CHUNK_SECONDS)
        )


def _joined(pieces: list[Draws]) -> Draws:
    return Draws._make(np.concatenate(arrays, axis=1) for arrays in zip(*pieces, strict=True))


def _chains(
    kernel: Kernel,
    pieces: list[Draws],
    stamps: list[NDArray[np.float64]],
    path: _Path,
    num_steps: int,
    thin: int,
) -> Chains:
    return Chains(
        draws=_joined(pieces),
        edge_marginals=kernel.edge_marginals(),
        seconds=np.concatenate(stamps),
        num_steps=num_steps,
        thin=thin,
        acceptance=kernel.acceptance(),
        path=np.stack(path.marginals),
        path_seconds=np.array(path.seconds),
    )
