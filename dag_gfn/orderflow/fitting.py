"""Train a flow over canonical orders: chains explore, the flow learns what they have seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.special import logsumexp
from tqdm import tqdm

from dag_gfn.checkpoint import Checkpoints, Found, diverged, first_bad_update
from dag_gfn.devices import batch_sharding, gathered, replicated, warn_of_other_devices
from dag_gfn.mcmc import structure_kernel
from dag_gfn.mcmc.candidates import CandidateTable, candidate_table
from dag_gfn.mcmc.chains import Draws, Kernel
from dag_gfn.mcmc.parent_sums import ParentSums, parent_sums
from dag_gfn.mcmc.walk import Walk, start_walk
from dag_gfn.orderflow.space import (
    OrderSpace,
    canonical_orders,
    order_space,
    rank_by_degree,
)
from dag_gfn.orderflow.training import (
    OrderSettings,
    OrderTrainingState,
    Trajectories,
    init,
    sample_orders,
    train,
)
from dag_gfn.scores import LocalScores
from dag_gfn.scores.fingerprint import fingerprint

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


class _Run(NamedTuple):
    """What a run carries from one chunk to the next."""

    training: OrderTrainingState
    key_look: jax.Array
    walk: Walk
    orders: np.ndarray  # int32 [N, d], canonical orders of the graphs that are learned from
    rank: list[int]  # [d], of the variables in an order
    highest: float  # log-score of all graphs that the chains brought
    rows: list[dict[str, float]]  # of the history
    done: int  # updates
    last: int  # updates, as it now seems
    balance: float  # weight of the second loss


_ARRAYS = ("training", "key_look", "walk", "orders")


def fit_order_flow(
    scores: LocalScores,
    settings: OrderSettings | None = None,
    *,
    num_updates: int = 20_000,
    learning_rate: float = 5e-3,
    early_stopping: bool = True,
    max_seconds: float | None = None,
    max_candidates: int = 14,
    num_devices: int | None = None,
    seed: int = 0,
    progress: bool = False,
    callback: Callback | None = None,
    checkpoints: Checkpoints | None = None,
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
    num_devices : int, optional
        Devices that share each batch; None for one. More give the same training up to rounding, and
        a run that was kept may go on with another number. On several hosts (`jax.distributed`)
        all call this with the same scores and settings, without ``max_seconds``.
    seed : int
        The same seed gives the same parameters, bit for bit, on the same machine, unless time
        decides.
    progress : bool
        Show a progress bar.
    callback : callable, optional
        Called after each chunk with the new row of the history and ``updates_left``.
    checkpoints : Checkpoints, optional
        Where the run is kept between chunks, and goes on from if it is there. It ends as it would
        have without a stop, bit for bit, chains included.

    Returns
    -------
    OrderFlow

    Raises
    ------
    ValueError
        If the candidate table cannot be made, or batches cannot be shared out among the devices, or
        all checkpoints are of another run.
    TrainingDiverged
        If the loss is not finite.
    KeyboardInterrupt, SystemExit
        With checkpoints: after Ctrl-C or SIGTERM, once the chunk under way has been kept.

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
    sharding = batch_sharding(num_devices, batch_size=settings.batch_size)
    candidates = candidate_table(scores, max_candidates)
    sums = parent_sums(candidates)
    found = None
    if checkpoints is not None:
        found = checkpoints.resume(
            {
                "method": "flow over canonical orders",
                **settings._asdict(),
                "num_updates": num_updates,
                "learning_rate": learning_rate,
                "early_stopping": early_stopping,
                "max_seconds": max_seconds,
                "max_candidates": max_candidates,
                "seed (of random_state)": seed,
                **fingerprint(scores, candidates),
            }
        )
    if found is None:
        kernel = _explorer(scores, candidates, seed)
        space, run = _begin(kernel, sums, settings, num_updates, seed=seed)
        ready = time.perf_counter()
    else:
        space, run = _go_on(found, candidates, sums, settings)
        kernel = _explorer(scores, candidates, seed, run.walk)
        # What was spent before counts.
        begin -= found.state["seconds"]
        ready = begin + found.state["seconds_to_ready"]
        warn_of_other_devices(found.state["num_devices"], num_devices, found.path)
        found = None  # its arrays are in the run now
    state, key_look, walk, orders, rank, highest, rows, done, last, balance = run
    shared, state = replicated((space, state), sharding)

    def snapshot() -> tuple[dict[str, Any], dict[str, Any]]:
        whole = gathered(state, sharding)
        run = _Run(whole, key_look, walk, orders, rank, highest, rows, done, last, balance)
        kept = run._asdict()
        arrays = {name: kept.pop(name) for name in _ARRAYS}
        return arrays, kept | {
            "seconds": time.perf_counter() - begin,
            "seconds_to_ready": ready - begin,
            "num_devices": num_devices,
        }

    began = time.perf_counter()
    num_before = len(rows)
    seconds = np.inf if max_seconds is None else max_seconds - (ready - begin)
    listening = nullcontext() if checkpoints is None else checkpoints.listening()
    with (
        listening,
        tqdm(total=last, initial=done, unit="update", disable=not progress) as bar,
    ):
        while done < last:
            now = time.perf_counter()
            # The first chunk compiles: the second is the first that tells how long one takes.
            chunk_seconds = now - began if len(rows) - num_before > 1 else 0.0
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
            draws = _explore(kernel)
            highest = max(highest, float(draws.log_scores.max()))
            orders = np.concatenate(
                [orders[_FRESH:], canonical_orders(_graphs(draws), np.array(rank, np.int32))]
            )
            places, updates, weight = replicated(
                (jnp.asarray(orders), jnp.asarray(rates), jnp.asarray(balance)), sharding
            )
            state, losses = train(
                shared, settings, state, places, updates, balance=weight, sharding=sharding
            )
            key_look, key = jax.random.split(key_look)
            params = gathered(state.params, sharding)
            drawn = jax.device_get(sample_orders(space, settings, params, key, batch_size=LOOK))
            losses = jax.device_get(losses)
            bad = first_bad_update(losses, drawn.log_forward, done=done)
            if bad is not None:
                raise diverged(
                    bad,
                    learning_rate=learning_rate,
                    score_span=_span(candidates),
                    checkpoints=checkpoints,
                )
            done += size
            loss = float(np.mean(losses[:size]))
            rows.append({"update": done, "loss": loss, **_summary(sums, drawn)})
            balance = min(1.0, (_NEAR / max(rows[-1]["log_weight_mad"], _NEAR)) ** 2)
            bar.update(size)
            bar.set_postfix_str(f"log-weight sd {rows[-1]['log_weight_std']:.3g}")
            if early_stopping and _is_good(rows):
                bar.total = last = min(last, int(done / (1.0 - _COOL_DOWN)))
            if callback is not None:
                callback({**rows[-1], "updates_left": last - done})
            if checkpoints is not None:
                checkpoints.after_chunk(done, snapshot)
        if checkpoints is not None:
            checkpoints.finish(done, snapshot)
    params = jax.device_put(gathered(state.params, sharding))
    return OrderFlow(sums, space, settings, params, pd.DataFrame(rows), highest)


def _begin(
    kernel: Kernel, sums: ParentSums, settings: OrderSettings, num_updates: int, *, seed: int
) -> tuple[OrderSpace, _Run]:
    """Let the chains bring the first graphs, which decide what an order is."""
    begun = [_explore(kernel) for _ in range(_KEPT // _FRESH // 4)]
    graphs = np.concatenate([_graphs(draws) for draws in begun])
    rank = rank_by_degree(graphs)
    space = order_space(sums, rank)
    key_train, key_look = jax.random.split(jax.random.key(seed))
    return space, _Run(
        training=init(space, settings, key_train),
        key_look=key_look,
        walk=_walk(kernel),
        # The ring is full from the start, with copies: a program is compiled for one shape.
        orders=np.tile(canonical_orders(graphs, rank), (4, 1)),
        rank=rank.tolist(),
        highest=max(float(draws.log_scores.max()) for draws in begun),
        rows=[],
        done=0,
        last=num_updates,
        balance=0.0,
    )


def _go_on(
    found: Found, candidates: CandidateTable, sums: ParentSums, settings: OrderSettings
) -> tuple[OrderSpace, _Run]:
    """Return what a checkpoint holds."""
    space = order_space(sums, np.array(found.state["rank"], np.int32))
    d = len(candidates.candidates)
    key = jax.random.key(0)
    like = {
        "training": jax.eval_shape(lambda key: init(space, settings, key), key),
        "key_look": key,
        "walk": start_walk(candidates, np.zeros((_NUM_CHAINS, d, d), np.int8), seed=0),
        "orders": np.empty((_KEPT, d), np.int32),
    }
    kept = {name: found.state[name] for name in _Run._fields if name not in _ARRAYS}
    return space, _Run(**found.tree(like), **kept)


def _explorer(
    scores: LocalScores, candidates: CandidateTable, seed: int, walk: Walk | None = None
) -> Kernel:
    """Return chains that have forgotten where they started, or that go on from a walk."""
    kernel = structure_kernel(
        scores, num_chains=_NUM_CHAINS, seed=seed, table=candidates, walk=walk
    )
    if walk is None:
        kernel.advance(1, _BURN_IN * scores.num_variables)
    return kernel


def _explore(kernel: Kernel) -> Draws:
    """Walk on, and return `_FRESH` new graphs."""
    d = _walk(kernel).masks.shape[1]
    return kernel.advance(_FRESH // _NUM_CHAINS, _THIN * d)


def _walk(kernel: Kernel) -> Walk:
    assert kernel.walk is not None  # structure chains have one
    return kernel.walk


def _span(candidates: CandidateTable) -> float:
    """Return the largest difference between the scores of a variable's parent sets, in nats."""
    table = candidates.log_scores
    lowest = np.where(np.isfinite(table), table, np.inf).min(axis=1)
    return float((table.max(axis=1) - lowest).max())


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
