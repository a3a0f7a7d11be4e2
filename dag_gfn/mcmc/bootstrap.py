"""Structure learning on resampled rows: how often an algorithm finds each edge, not a posterior.

Each replicate draws the rows with replacement and gives one Markov equivalence class (Friedman,
Goldszmidt and Wyner 1999); a member of the class, drawn with the same probability as any other,
stands for it, so that an edge without a direction counts in proportion to the members that have it
either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from dag_gfn.graphs import consistent_extension, cpdag, random_member
from dag_gfn.scores import LocalScores

__all__ = ["Replicates", "bootstrap_replicates", "ges_pattern", "pc_pattern"]


class Replicates(NamedTuple):
    """What an algorithm found in each resampled table."""

    adjacency: NDArray[np.int8]  # [S, d, d], a random member of each class
    patterns: NDArray[np.int8]  # [S, d, d], the classes; i - j has 1 both ways
    seconds: NDArray[np.float64]  # [S], wall time from the start at which each was there
    num_left_out: int  # replicates in which the algorithm found no class


def bootstrap_replicates(
    learn: Callable[[NDArray[np.intp]], NDArray[np.int8] | None],
    num_rows: int,
    *,
    num_replicates: int,
    rng: np.random.Generator,
    max_seconds: float | None = None,
    progress: bool = False,
) -> Replicates:
    """Run an algorithm on tables whose rows are drawn with replacement.

    Parameters
    ----------
    learn : callable
        Maps the numbers of the drawn rows, intp [n], to the pattern of a class, int8 [d, d], or to
        None where there is none.
    num_rows : int
        n.
    num_replicates : int
        At most; those in which ``learn`` found no class are left out, not drawn again.
    rng : numpy.random.Generator
    max_seconds : float, optional
        Start no further replicate after so long; one is always made.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Replicates

    Raises
    ------
    RuntimeError
        If no replicate gave a class.

    References
    ----------
    Friedman, N., Goldszmidt, M. and Wyner, A. (1999). Data analysis with Bayesian networks: a
    bootstrap approach. UAI.

    Examples
    --------
    >>> pattern = np.array([[0, 1], [1, 0]], np.int8)
    >>> rng = np.random.default_rng(0)
    >>> found = bootstrap_replicates(lambda rows: pattern, 10, num_replicates=1000, rng=rng)
    >>> bool(abs(found.adjacency[:, 0, 1].mean() - 0.5) < 0.1)
    True
    """
    begin = time.perf_counter()
    members, patterns, seconds = [], [], []
    num_left_out = 0
    for replicate in tqdm(range(num_replicates), unit="replicate", disable=not progress):
        late = max_seconds is not None and time.perf_counter() - begin > max_seconds
        if late and replicate > 0:
            break
        pattern = learn(rng.integers(num_rows, size=num_rows))
        if pattern is None:
            num_left_out += 1
            continue
        patterns.append(pattern)
        members.append(random_member(pattern, rng))
        seconds.append(time.perf_counter() - begin)
    if not members:
        raise RuntimeError(
            f"none of the {num_left_out} replicates gave a graph without contradictions; give the "
            "algorithm more rows, or another significance level."
        )
    return Replicates(np.stack(members), np.stack(patterns), np.array(seconds), num_left_out)


def ges_pattern(scores: LocalScores) -> NDArray[np.int8]:
    """Find the class of a high score by greedy equivalence search (Chickering 2002).

    The search is that of the package ``ges``, with its turning phase, on our own local scores.

    Parameters
    ----------
    scores : LocalScores
        Of a score that is the same for all members of a class.

    Returns
    -------
    numpy.ndarray, int8, shape [d, d]
        The completed partially directed graph of the class.

    Raises
    ------
    ImportError
        If ``ges`` is not installed.

    References
    ----------
    Chickering, D. M. (2002). Optimal structure identification with greedy search. JMLR 3.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> cause = np.random.default_rng(0).normal(size=(100, 1))
    >>> effect = cause + 0.1 * np.random.default_rng(1).normal(size=(100, 1))
    >>> ges_pattern(local_scores(np.hstack([cause, effect])))
    array([[0, 1],
           [1, 0]], dtype=int8)
    """
    try:
        import ges
    except ImportError as error:
        raise ImportError(
            "greedy equivalence search needs the package ges; pip install ges."
        ) from (error)
    pattern, _ = ges.fit(_DecomposableScore(scores))
    return (np.asarray(pattern) != 0).astype(np.int8)


def pc_pattern(
    frame: pd.DataFrame, *, test: str, significance_level: float
) -> NDArray[np.int8] | None:
    """Find a class by the independence tests of the PC algorithm (Spirtes and Glymour 1991).

    The search is the stable variant of pgmpy. On a sample its tests can contradict each other;
    where a DAG agrees with all that they directed, its class is returned.

    Parameters
    ----------
    frame : DataFrame [n, d]
    test : str
        One of pgmpy's tests: "pearsonr" for measurements, "chi_square" for categories.
    significance_level : float
        p-value above which two variables count as independent.

    Returns
    -------
    numpy.ndarray, int8, shape [d, d], or None
        The completed partially directed graph; None where the tests contradict each other.

    References
    ----------
    Spirtes, P. and Glymour, C. (1991). An algorithm for fast recovery of sparse causal graphs.
    Social Science Computer Review 9. Colombo, D. and Maathuis, M. H. (2014). Order-independent
    constraint-based causal structure learning. JMLR 15.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(200, 3))
    >>> values[:, 2] += values[:, 0] + values[:, 1]
    >>> pc_pattern(pd.DataFrame(values), test="pearsonr", significance_level=0.01)
    array([[0, 0, 1],
           [0, 0, 1],
           [0, 0, 0]], dtype=int8)
    """
    from pgmpy.causal_discovery import PC  # takes seconds to import

    # Numbers for names: the order of a set of strings, which decides between contradictory
    # v-structures there, changes from one process to the next.
    numbers = list(range(frame.shape[1]))
    search = PC(
        variant="stable",
        ci_test=test,
        significance_level=significance_level,
        n_jobs=1,
        show_progress=False,
    )
    search.fit(frame.set_axis(numbers, axis=1))
    found = search.adjacency_matrix_.loc[numbers, numbers].to_numpy() != 0
    dag = consistent_extension(found)
    return None if dag is None else cpdag(dag)


class _DecomposableScore:
    """Local scores with the names that ``ges`` knows, each computed once."""

    def __init__(self, scores: LocalScores) -> None:
        self.p = scores.num_variables
        self._scores = scores
        self._known: dict[tuple[int, frozenset[int]], float] = {}

    def full_score(self, _: NDArray) -> float:
        return 0.0  # only the changes decide

    def local_score(self, node: int, parents: set[int]) -> float:
        key = (int(node), frozenset(map(int, parents)))
        if key not in self._known:
            self._known[key] = self._scores.local_score(key[0], key[1])
        return self._known[key]
