"""Train a flow on local scores: the loop on the host, its schedule, and when it is enough."""

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
from dag_gfn.gflownet.sampling import (
    SAMPLING_BATCH,
    Trajectories,
    log_weights,
    sample_posterior,
    sample_trajectories,
)
from dag_gfn.gflownet.spaces.dag import GainsFunction
from dag_gfn.gflownet.training import (
    Problem,
    Settings,
    TrainingState,
    init,
    make_problem,
    on_devices,
    train,
)
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores
from dag_gfn.scores.fingerprint import fingerprint

CHUNK = 250  # updates between looks at the weights
_WARM_UP = 100  # updates in which the learning rate rises
_COOL_DOWN = 0.4  # last share of a run, in which it falls to zero
_SETTLED = 0.98  # a spread above this share of the spread before has settled
_PATIENCE = 16  # looks that are compared, half with half

Callback = Callable[[dict[str, float]], None]


class Flow(NamedTuple):
    """A trained sampler of one table's posterior."""

    problem: Problem
    gains_function: GainsFunction
    settings: Settings
    params: Any  # haiku parameters
    history: pd.DataFrame  # a row per chunk: update, loss, log_weight_std, efficiency, ...
    highest_log_score: float = -np.inf  # of all graphs met in training


class _Run(NamedTuple):
    """What a run carries from one chunk to the next."""

    training: TrainingState
    key_look: jax.Array
    rows: list[dict[str, float]]  # of the history
    done: int  # updates
    last: int  # updates, as it now seems
    cooling_from: int  # the update from which the learning rate falls


_ARRAYS = ("training", "key_look")


def fit_flow(
    scores: LocalScores,
    settings: Settings | None = None,
    *,
    num_updates: int = 15_000,
    learning_rate: float = 3e-3,
    early_stopping: bool = True,
    max_seconds: float | None = None,
    num_draws: int = 0,
    num_devices: int | None = None,
    seed: int = 0,
    progress: bool = False,
    callback: Callback | None = None,
    checkpoints: Checkpoints | None = None,
) -> Flow:
    """Train a flow until its weights have settled, or for a number of updates.

    The learning rate rises over the first 100 updates, stays, and falls linearly to zero over the
    last 40 % of the run. After every chunk 256 trajectories are drawn without exploration: the
    standard deviation of their log-weights is zero exactly for a perfect sampler, so it is the
    training curve that needs no ground truth. With ``early_stopping`` the fall begins as soon as
    their mean absolute deviation has decreased by less than 2 % in 2 000 updates; with
    ``max_seconds``, when 40 % of the time is left.

    Parameters
    ----------
    scores : LocalScores
    settings : Settings, optional
        The defaults of `Settings` when left out.
    num_updates : int
        At most so many.
    learning_rate : float
        Of SOAP (`dag_gfn.gflownet.optimizer`), at its highest.
    early_stopping : bool
    max_seconds : float, optional
        Wall time, compiling included, that the training is to take at most; a chunk of 250 updates
        that has begun is finished.
    num_draws : int
        Draws that are to be made in the same time afterwards; how long they take is judged from
        those of a look.
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
        have without a stop, bit for bit.

    Returns
    -------
    Flow

    Raises
    ------
    ValueError
        If the replay cannot hold a window, or batches cannot be shared out among the devices, or
        all checkpoints are of another run.
    TrainingDiverged
        If the loss is not finite.
    KeyboardInterrupt, SystemExit
        With checkpoints: after Ctrl-C or SIGTERM, once the chunk under way has been kept.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> table = np.random.default_rng(0).normal(size=(50, 3))
    >>> flow = fit_flow(local_scores(table), num_updates=250)
    >>> list(flow.history.columns)[:3]
    ['update', 'loss', 'log_weight_std']
    """
    settings = Settings() if settings is None else settings
    if settings.window >= settings.replay_rows:
        raise ValueError(
            f"window = {settings.window} must be less than the {settings.replay_rows} steps that "
            "the replay keeps of each environment."
        )
    begin = time.perf_counter()
    sharding = batch_sharding(
        num_devices,
        num_environments=settings.num_environments,
        batch_size=settings.batch_size,
    )
    problem, gains_function = make_problem(scores, settings)
    offset = float(scores.log_score(scores.required))
    found = None
    if checkpoints is not None:
        found = checkpoints.resume(
            {
                "method": "flow over edges",
                **settings._asdict(),
                "num_updates": num_updates,
                "learning_rate": learning_rate,
                "early_stopping": early_stopping,
                "max_seconds": max_seconds,
                "seed (of random_state)": seed,
                **fingerprint(scores, [*_made_by_host(problem), offset]),
            }
        )
    if found is None:
        key_train, key_look = jax.random.split(jax.random.key(seed))
        run = _Run(
            training=init(problem, settings, key_train),
            key_look=key_look,
            rows=[],
            done=0,
            last=num_updates,
            cooling_from=num_updates - int(_COOL_DOWN * num_updates),
        )
    else:
        run = _go_on(found, problem, settings)
        begin -= found.state["seconds"]  # what was spent before counts
        warn_of_other_devices(found.state["num_devices"], num_devices, found.path)
        found = None  # its arrays are in the run now
    shared, training = on_devices(problem, run.training, sharding)
    state, key_look, rows, done, last, cooling_from = run._replace(training=training)

    def snapshot() -> tuple[dict[str, Any], dict[str, Any]]:
        whole = gathered(state, sharding)
        kept = _Run(whole, key_look, rows, done, last, cooling_from)._asdict()
        arrays = {name: kept.pop(name) for name in _ARRAYS}
        return arrays, kept | {
            "seconds": time.perf_counter() - begin,
            "num_devices": num_devices,
        }

    num_before, compiled = len(rows), None
    listening = nullcontext() if checkpoints is None else checkpoints.listening()
    with (
        listening,
        tqdm(total=last, initial=done, unit="update", disable=not progress) as bar,
    ):
        while done < last:
            size = min(CHUNK, last - done)
            # A short last chunk would be compiled anew; updates at rate zero change nothing.
            rates = np.zeros(CHUNK, np.float32)
            rates[:size] = learning_rate * _schedule(
                np.arange(done, done + size), cooling_from, last
            )
            state, losses = train(
                shared,
                gains_function,
                settings,
                state,
                replicated(jnp.asarray(rates), sharding),
                sharding=sharding,
            )
            losses = jax.device_get(losses)  # waits, so that the clock sees the draws alone
            key_look, key = jax.random.split(key_look)
            look_begin = time.perf_counter()
            params = gathered(state.params, sharding)
            drawn = jax.device_get(
                sample_trajectories(problem, gains_function, settings, params, key)
            )
            draw_seconds = (time.perf_counter() - look_begin) * num_draws / SAMPLING_BATCH
            bad = first_bad_update(losses, log_weights(drawn), done=done)
            if bad is not None:
                raise diverged(
                    bad,
                    learning_rate=learning_rate,
                    score_span=_span(problem),
                    checkpoints=checkpoints,
                )
            done += size
            loss = float(np.mean(losses[:size]))
            rows.append({"update": done, "loss": loss, **_summary(drawn, offset)})
            bar.update(size)
            bar.set_postfix_str(f"loss {loss:.3g}, log-weight sd {rows[-1]['log_weight_std']:.3g}")
            if early_stopping and done < cooling_from and _settled(rows):
                cooling_from = done
                last = min(num_updates, done + int(done * _COOL_DOWN / (1 - _COOL_DOWN)))
            now = time.perf_counter()
            if compiled is None:
                compiled = now
            elif max_seconds is not None and now - begin >= (1 - _COOL_DOWN) * (
                max_seconds - draw_seconds
            ):
                seconds_per_chunk = (now - compiled) / (len(rows) - num_before - 1)
                chunks = int((begin + max_seconds - draw_seconds - now) / seconds_per_chunk)
                # Where cooling has begun the end comes no later than was planned.
                last = min(last, done + CHUNK * max(chunks, 0))
                cooling_from = min(cooling_from, done)
            if bar.total != last:
                bar.total = last
                bar.refresh()
            if callback is not None:
                callback({**rows[-1], "updates_left": last - done})
            if checkpoints is not None:
                checkpoints.after_chunk(done, snapshot)
        if checkpoints is not None:
            checkpoints.finish(done, snapshot)
    highest = offset + float(state.highest)
    params = jax.device_put(gathered(state.params, sharding))
    return Flow(problem, gains_function, settings, params, pd.DataFrame(rows), highest)


def condition_flow(flow: Flow, scores: LocalScores) -> Flow:
    """Return the sampler of a posterior that is constrained further, with the network as it is.

    It begins at the graph of the required edges, which it has met in training, and masks what is
    forbidden; what it sees of the scores ahead is of the graphs that are left.

    Parameters
    ----------
    flow : Flow
    scores : LocalScores
        Those it was trained on, with further required or forbidden edges.

    Returns
    -------
    Flow
    """
    problem, gains_function = make_problem(scores, flow.settings)
    return flow._replace(problem=problem, gains_function=gains_function, highest_log_score=-np.inf)


def draw_posterior(
    flow: Flow, scores: LocalScores, num_samples: int, *, seed: int = 0
) -> Posterior:
    """Draw a weighted posterior from a trained flow.

    Parameters
    ----------
    flow : Flow
    scores : LocalScores
        Those it was trained on.
    num_samples : int
    seed : int

    Returns
    -------
    Posterior
    """
    return sample_posterior(
        flow.problem,
        flow.gains_function,
        flow.settings,
        flow.params,
        scores=scores,
        num_samples=num_samples,
        highest_log_score=flow.highest_log_score,
        key=jax.random.key(seed),
    )


def _go_on(found: Found, problem: Problem, settings: Settings) -> _Run:
    """Return what a checkpoint holds."""
    key = jax.random.key(0)
    like = {
        "training": jax.eval_shape(lambda key: init(problem, settings, key), key),
        "key_look": key,
    }
    kept = {name: found.state[name] for name in _Run._fields if name not in _ARRAYS}
    return _Run(**found.tree(like), **kept)


def _made_by_host(problem: Problem) -> list[np.ndarray]:
    """Return the arrays of a problem, but for what a device computed and another would round."""
    space = problem.space._asdict()
    del space["initial_gains"]
    return jax.device_get(jax.tree.leaves([space, problem.parent_sets]))


def _span(problem: Problem) -> float:
    """Return the largest gain of a first edge, or loss by it, in nats."""
    gains = np.asarray(problem.space.initial_gains)
    return float(np.abs(gains[np.isfinite(gains)]).max(initial=0.0))


def _schedule(update: np.ndarray, cooling_from: int, last: int) -> np.ndarray:
    rising = (update + 1) / _WARM_UP
    falling = (last - update) / max(last - cooling_from, 1)
    return np.minimum(1.0, np.minimum(rising, falling))


def _summary(drawn: Trajectories, offset: float) -> dict[str, float]:
    """Summarise the weights of trajectories; ``offset`` is log R of the initial graph."""
    weights = log_weights(drawn)
    total = logsumexp(weights)
    return {
        "log_weight_std": float(np.std(weights)),
        "log_weight_mad": float(np.mean(np.abs(weights - np.median(weights)))),
        "efficiency": float(np.exp(2 * total - logsumexp(2 * weights)) / len(weights)),
        "log_evidence": float(total - np.log(len(weights)) + offset),
        "num_edges": float(np.mean(drawn.num_added)),
    }


def _settled(rows: list[dict[str, float]]) -> bool:
    """Whether the spread of the last few looks is hardly less than of as many before.

    The mean absolute deviation, since one draw in the tail can decide the standard deviation.
    """
    if len(rows) < _PATIENCE:
        return False
    spread = [row["log_weight_mad"] for row in rows[-_PATIENCE:]]
    half = _PATIENCE // 2
    return bool(np.mean(spread[half:]) > _SETTLED * np.mean(spread[:half]))
