"""Train a flow over canonical orders: chains explore, the flow learns what they have seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.special import logsumexp
from tqdm import tqdm

from dag_gfn.mcmc import structure_kernel
from dag_gfn.mcmc.candidates import CandidateTable, candidate_table
from dag_gfn.mcmc.chains import Draws
from dag_gfn.mcmc.parent_sums import ParentSums, parent_sums
from dag_gfn.orderflow.space import (
    OrderSpace,
    canonical_orders,
    order_space,
    rank_by_degree,
)
from dag_gfn.orderflow.training import (
    OrderSettings,
    Trajectories,
    init,
    sample_orders,
    train,
)
from dag_gfn.scores import LocalScores

CHUNK = 200  # updates between looks at the weights
LOOK = 1024  # orders drawn at a look
_WARM_UP = 200  # updates in which the learning rate rises
_COOL_DOWN = 0.5  # last share of a run, in which it falls to zero
# Mean absolute deviation of the log-weights below which balance counts in full; above, it counts
# with the inverse square, as its gradients are noisier by the square.
_NEAR = 0.3
# An efficiency, and looks in a row that must show it before training comes to its end.
_GOOD, _GOOD_LOOKS = 0.99, 3
_NUM_CHAINS = 16
_BURN_IN = 1_000  # steps of each chain, times the number of variables
_THIN = 25  # steps between draws of a chain, times the number of variables
_FRESH = 4_096  # graphs that the chains add before each chunk
_KEPT = 65_536  # graphs that are learned from, the newest

Callback = Callable[[dict[str, float]], None]


class OrderFlow(NamedTuple):
    """A trained sampler of one table's posterior."""

    sums: ParentSums
    space: OrderSpace
    settings: OrderSettings
    params: Any  # haiku parameters
    history: pd.DataFrame  # a row per chunk: update, loss, log_weight_std, efficiency, ...
    highest_log_score: float  # of all graphs that the chains brought


def fit_order_flow(
    scores: LocalScores,
    settings: OrderSettings | None = None,
    *,
    num_updates: int = 20_000,
    learning_rate: float = 5e-3,
    early_stopping: bool = True,
    max_seconds: float | None = None,
    max_candidates: int = 14,
    seed: int = 0,
    progress: bool = False,
    callback: Callback | None = None,
) -> OrderFlow:
    """Train a flow over canonical orders on graphs that Markov chains bring.

    Sixteen structure chains walk on while the network learns: before each chunk of 200 updates they
    bring 4 096 graphs, and the newest 65 536 are learned from. The learning rate rises over 200
    updates, stays, and falls linearly to zero over the last half of the run. With
    ``early_stopping`` the fall begins as soon as three looks in a row, of 1 024 draws each, have an
    effective sample size of at least 99 % of the draws.

    Parameters
    ----------
    scores : LocalScores
    settings : OrderSettings, optional
        The defaults of `OrderSettings` when left out.
    num_updates : int
        At most so many.
    learning_rate : float
        Of Muon, at its highest.
    early_stopping : bool
    max_seconds : float, optional
        Wall time that all of this is to take, compiling included; a chunk that has begun is
        finished, and the first is always begun.
    max_candidates : int
        Candidate parents of a variable where there are too many variables for all to be, see
        `dag_gfn.mcmc.candidates.candidate_table`. The posterior is then that of graphs with
        candidate parents alone.
    seed : int
        The same seed gives the same parameters, bit for bit, on the same machine, unless time
        decides.
    progress : bool
        Show a progress bar.
    callback : callable, optional
        Called after each chunk with the new row of the history.

    Returns
    -------
    OrderFlow

    Raises
    ------
    ValueError
        If the candidate table cannot be made.
    FloatingPointError
        If the loss is not finite.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> table = np.random.default_rng(0).normal(size=(50, 3))
    >>> flow = fit_order_flow(local_scores(table), num_updates=200)
    >>> list(flow.history.columns)[:3]
    ['update', 'loss', 'log_weight_std']
    """
    begin = time.perf_counter()
    settings = OrderSettings() if settings is None else settings
    candidates = candidate_table(scores, max_candidates)
    sums = parent_sums(candidates)
    explore = _explorer(scores, candidates, seed)
    begun = [explore() for _ in range(_KEPT // _FRESH // 4)]
    highest = max(float(draws.log_scores.max()) for draws in begun)
    graphs = np.concatenate([_graphs(draws) for draws in begun])
    rank = rank_by_degree(graphs)
    space = order_space(sums, rank)
    key_train, key_look = jax.random.split(jax.random.key(seed))
    state = init(space, settings, key_train)
    # The ring is full from the start, with copies, since a program is compiled for one shape.
    orders = np.tile(canonical_orders(graphs, rank), (4, 1))
    rows: list[dict[str, float]] = []
    done, last, balance = 0, num_updates, 0.0
    ready = began = time.perf_counter()
    seconds = np.inf if max_seconds is None else max_seconds - (ready - begin)
    with tqdm(total=num_updates, unit="update", disable=not progress) as bar:
        while done < last:
            now = time.perf_counter()
            # The first chunk compiles: the second is the first that tells how long one takes.
            chunk_seconds = now - began if len(rows) > 1 else 0.0
            began = now
            # It trains at full rate, however long it took to get here.
            share_of_time = (now - ready) / max(seconds - chunk_seconds, 1e-3) if rows else 0.0
            if share_of_time >= 1.0:
                break
            size = min(CHUNK, last - done)
            # A short last chunk would be compiled anew; updates at rate zero change little.
            rates = np.zeros(CHUNK, np.float32)
            rates[:size] = learning_rate * _schedule(
                np.arange(done, done + size), last, share_of_time
            )
            draws = explore()
            highest = max(highest, float(draws.log_scores.max()))
            orders = np.concatenate([orders[_FRESH:], canonical_orders(_graphs(draws), rank)])
            state, losses = train(
                space, settings, state, jnp.asarray(orders), jnp.asarray(rates), balance=balance
            )
            done += size
            key_look, key = jax.random.split(key_look)
            drawn = sample_orders(space, settings, state.params, key, batch_size=LOOK)
            loss = float(np.mean(jax.device_get(losses)[:size]))
            if not np.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is not finite after {done} updates; lower learning_rate (now "
                    f"{learning_rate:g}) or pass standardize=True."
                )
            rows.append({"update": done, "loss": loss, **_summary(sums, jax.device_get(drawn))})
            balance = min(1.0, (_NEAR / max(rows[-1]["log_weight_mad"], _NEAR)) ** 2)
            bar.update(size)
            bar.set_postfix_str(f"log-weight sd {rows[-1]['log_weight_std']:.3g}")
            if callback is not None:
                callback(rows[-1])
            if early_stopping and _is_good(rows):
                bar.total = last = min(last, int(done / (1.0 - _COOL_DOWN)))
    return OrderFlow(sums, space, settings, state.params, pd.DataFrame(rows), highest)


def _explorer(scores: LocalScores, candidates: CandidateTable, seed: int) -> Callable[[], Draws]:
    """Return a function that walks on, and returns `_FRESH` new graphs."""
    d = scores.num_variables
    kernel = structure_kernel(scores, num_chains=_NUM_CHAINS, seed=seed, table=candidates)
    kernel.advance(1, _BURN_IN * d)
    return lambda: kernel.advance(_FRESH // _NUM_CHAINS, _THIN * d)


def _graphs(draws: Draws) -> np.ndarray:
    """Return the graphs of all chains, int8 [N, d, d]."""
    d = draws.adjacency.shape[-1]
    return draws.adjacency.reshape(-1, d, d)


def _is_good(rows: list[dict[str, float]]) -> bool:
    looks = [row["efficiency"] for row in rows[-_GOOD_LOOKS:]]
    return len(looks) == _GOOD_LOOKS and min(looks) >= _GOOD


def _schedule(update: np.ndarray, last: int, share_of_time: float) -> np.ndarray:
    rising = (update + 1) / _WARM_UP
    share_done = np.maximum(update / last, share_of_time)
    return np.minimum(1.0, np.minimum(rising, (1.0 - share_done) / _COOL_DOWN))


def log_weights(trajectories: Trajectories) -> np.ndarray:
    """Return log importance weights of orders, float64 [B], from the device's float32 sums."""
    steps = trajectories.log_mass.astype(np.float64) - trajectories.log_forward
    return np.where(trajectories.dead_end, -np.inf, steps.sum(axis=0))


def _summary(sums: ParentSums, drawn: Trajectories) -> dict[str, float]:
    weights = log_weights(drawn)
    finite = weights[np.isfinite(weights)]
    if not len(finite):  # every order came to a dead end
        spread = {"log_weight_std": np.inf, "log_weight_mad": np.inf}
        return spread | {"efficiency": 0.0, "log_evidence": -np.inf}
    total = logsumexp(finite)
    offset = float(sums.log_sums[:, -1].sum())
    return {
        "log_weight_std": float(np.std(finite)),
        "log_weight_mad": float(np.mean(np.abs(finite - np.median(finite)))),
        "efficiency": float(np.exp(2 * total - logsumexp(2 * finite)) / len(weights)),
        "log_evidence": float(total - np.log(len(weights)) + offset),
    }
