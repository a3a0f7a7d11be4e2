"""Measures of the trained flow."""

from __future__ import annotations

import math
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.special import logsumexp
from studies import PUBLISHED_RATE, Case, Config
from tables import gaussian_table
from tqdm.auto import tqdm

import dag_gfn as dg
from dag_gfn.estimators import DAGGFlowNet, ExactPosterior, OrderGFlowNet
from dag_gfn.gflownet import Settings, terminal_distribution
from dag_gfn.gflownet.training import init, make_problem, train
from dag_gfn.graphs import all_dags
from dag_gfn.metrics import edge_error, total_variation

Metrics = dict[str, float]


def accuracy(table: pd.DataFrame, model: dict, config: Config, seed: int) -> Metrics:
    """Fit a table of 5 variables and compare with the enumerated posterior."""
    estimator, metrics = fit(DAGGFlowNet(**model | config.estimator), table, seed)
    graphs, log_prob = terminal_distribution(estimator.flow_, estimator.scores_)
    return metrics | _against_all_graphs(estimator, graphs, log_prob)


def _against_all_graphs(
    estimator: DAGGFlowNet | OrderGFlowNet, graphs: np.ndarray, log_prob: np.ndarray
) -> Metrics:
    """Compare the probability of every graph with the enumerated posterior."""
    exact = ExactPosterior().infer(estimator.scores_).posterior_
    if not np.array_equal(graphs, exact.adjacency):
        raise RuntimeError("the terminal distribution and the posterior list different graphs.")
    log_mass = float(logsumexp(log_prob))
    # Distances are between normalised distributions, which would hide mass that is lost.
    if abs(log_mass) > 1e-3:
        raise RuntimeError(f"the terminal distribution sums to {math.exp(log_mass):.4f}, not 1.")
    marginals = exact.edge_marginals().to_numpy()
    terminal = np.einsum("n,nij->ij", np.exp(log_prob - log_mass), graphs)
    posterior = estimator.posterior_
    return {
        "total_variation": total_variation(log_prob, exact.log_weights),
        "edge_error": edge_error(terminal, marginals).max,
        "weighted_edge_error": edge_error(posterior.edge_marginals().to_numpy(), marginals).max,
        "log_evidence_error": posterior.log_evidence - exact.log_evidence,
    }


def fit(
    estimator: DAGGFlowNet | OrderGFlowNet, table: pd.DataFrame, seed: int
) -> tuple[DAGGFlowNet | OrderGFlowNet, Metrics]:
    """Fit a table; the clock sees the whole of the estimator's `fit`."""
    estimator.set_params(progress=sys.stderr.isatty(), random_state=seed)
    begin = time.perf_counter()
    estimator.fit(table)
    seconds = time.perf_counter() - begin
    posterior = estimator.posterior_
    return estimator, {
        "fit_seconds": seconds,
        "updates": int(estimator.history_["update"].iloc[-1]),
        "samples": len(posterior),
        "khat": posterior.khat,
        "efficiency": posterior.efficiency,
        "log_evidence": posterior.log_evidence,
        "log_evidence_standard_error": posterior.log_evidence_standard_error,
    }


def gaussian5(case: Case, config: Config) -> Metrics:
    table = gaussian_table(5, config.gaussian_rows, case["table"])
    return accuracy(table, {"score": "bge", "standardize": True}, config, case["table"])


def asia5(case: Case, config: Config) -> Metrics:
    table = dg.datasets.sample_network(
        "asia",
        config.asia_rows,
        variables=config.asia_variables,
        random_state=case["table"],
    )
    return accuracy(table, {"score": "bde"}, config, case["table"])


def orders5(case: Case, config: Config) -> Metrics:
    table = gaussian_table(5, config.gaussian_rows, case["table"])
    estimator, metrics = fit(_orders("orders5", config), table, case["table"])
    graphs = all_dags(5)
    return metrics | _against_all_graphs(estimator, graphs, estimator.log_prob(graphs))


def sachs(case: Case, config: Config) -> Metrics:
    estimator = DAGGFlowNet(standardize=True, **config.estimator)
    return against_sums(estimator, np.log(dg.datasets.load_sachs()), config, case["seed"])


def orders_sachs(case: Case, config: Config) -> Metrics:
    table = np.log(dg.datasets.load_sachs())
    return against_sums(_orders("orders_sachs", config), table, config, case["seed"])


def gaussian10(case: Case, config: Config) -> Metrics:
    table = gaussian_table(10, case["rows"], case["table"])
    estimator = _orders("gaussian10", config).set_params(prior=case["prior"])
    return against_sums(estimator, table, config, case["table"])


def gaussian20(case: Case, config: Config) -> Metrics:
    table = gaussian_table(20, case["rows"], case["table"])
    estimator = _orders("gaussian20", config).set_params(prior=case["prior"])
    return against_sums(estimator, table, config, case["table"])


def _orders(study: str, config: Config) -> OrderGFlowNet:
    return OrderGFlowNet(
        standardize=True,
        num_updates=config.orders_updates,
        early_stopping=False,
        n_samples=config.orders_draws,
        max_seconds=config.orders_seconds[study],
    )


def against_sums(
    estimator: DAGGFlowNet | OrderGFlowNet, table: pd.DataFrame, config: Config, seed: int
) -> Metrics:
    """Fit a table and compare with the exact posterior of its local scores."""
    estimator, metrics = fit(estimator, table, seed)
    exact = ExactPosterior(n_samples=1, progress=False).infer(estimator.scores_)
    posterior = estimator.posterior_
    begin = time.perf_counter()
    estimator.sample(config.num_timed_draws, random_state=seed)
    draw_seconds = time.perf_counter() - begin
    marginals = exact.edge_marginals_
    return metrics | {
        "edge_error": edge_error(posterior.adjacency.mean(axis=0), marginals.to_numpy()).max,
        "weighted_edge_error": edge_error(posterior.edge_marginals(), marginals).max,
        "log_evidence_error": posterior.log_evidence - exact.log_evidence_,
        "num_edges": float(marginals.to_numpy().sum()),
        "draws_per_minute": 60 * config.num_timed_draws / draw_seconds,
    }


def speed(case: Case, config: Config) -> Metrics:
    """Time calls of the compiled training loop, each of the same number of updates."""
    d = case["num_variables"]
    defaults = DAGGFlowNet().get_params()
    settings = Settings(**{name: defaults[name] for name in Settings._fields if name in defaults})
    if case["settings"] == "published batch":
        settings = settings._replace(
            objective="modified_detailed_balance",
            lambda_=0.0,
            window=1,
            num_environments=8,
            batch_size=32,
            target_period=1000,
        )
    table = gaussian_table(d, config.speed_rows, d)
    begin = time.perf_counter()
    problem, gains_function = make_problem(dg.local_scores(table, standardize=True), settings)
    jax.block_until_ready(problem)
    setup_seconds = time.perf_counter() - begin
    state = init(problem, settings, jax.random.key(0))

    rates = jnp.full(config.speed_updates, defaults["learning_rate"], jnp.float32)

    def call() -> float:
        """Seconds that a call takes."""
        nonlocal state
        begin = time.perf_counter()
        state, losses = train(problem, gains_function, settings, state, rates)
        jax.block_until_ready((state, losses))
        return time.perf_counter() - begin

    # The first call compiles, the second fills caches.
    first, _ = call(), call()
    seconds: list[float] = []
    with tqdm(unit="call", disable=not sys.stderr.isatty()) as bar:
        while len(seconds) < config.min_speed_calls or sum(seconds) < config.min_speed_seconds:
            seconds.append(call())
            bar.update()
    metrics = {
        "updates_per_second": config.speed_updates / float(np.median(seconds)),
        "slowest": config.speed_updates / max(seconds),
        "fastest": config.speed_updates / min(seconds),
        "calls": len(seconds),
        "setup_seconds": setup_seconds,
        "compile_seconds": max(first - float(np.median(seconds)), 0.0),
    }
    if case["settings"] == "published batch" and d in PUBLISHED_RATE:
        metrics["times_published"] = metrics["updates_per_second"] / PUBLISHED_RATE[d]
    return metrics
