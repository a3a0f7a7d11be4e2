"""Measures of the exact posterior and of the Markov chains."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
from scipy import stats
from studies import Case, Config
from tables import gaussian_table

import dag_gfn as dg
from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.exact import draw_dags, enumerate_posterior, exact_marginals, subset_sums
from dag_gfn.metrics import edge_error
from dag_gfn.scores import LocalScores

Metrics = dict[str, float]

_CHAINS = {
    "structure": dg.StructureMCMC,
    "order": dg.OrderMCMC,
    "partition": dg.PartitionMCMC,
}


def _small_scores(score: str, seed: int) -> LocalScores:
    if score == "bge":
        return dg.local_scores(gaussian_table(5, 100, seed), standardize=True)
    rng = np.random.default_rng(seed)
    dag = dg.datasets.random_dag(5, num_edges=5, random_state=rng)
    table = dg.datasets.simulate_categorical(dag, 100, random_state=rng).table
    return dg.local_scores(table, "bde")


def enumeration(case: Case, config: Config) -> Metrics:
    """Compare sums over sets with all 29 281 graphs of 5 variables, on several tables."""
    errors = {"edge_error": 0.0, "path_error": 0.0, "evidence_error": 0.0}
    for seed in range(config.num_enumerated_tables):
        scores = _small_scores(case["score"], seed)
        listed = enumerate_posterior(scores)
        sums = subset_sums(scores)
        marginals = exact_marginals(5, sums)
        found = {
            "edge_error": np.abs(marginals.edges - listed.edge_marginals().to_numpy()).max(),
            "path_error": np.abs(marginals.paths - listed.path_marginals().to_numpy()).max(),
            "evidence_error": abs(sums.log_evidence - listed.log_evidence),
        }
        errors = {name: max(errors[name], float(found[name])) for name in errors}
    return errors | {"tables": config.num_enumerated_tables}


def exact(case: Case, config: Config) -> Metrics:
    """Time the exact posterior of many variables, and see what another order of them changes."""
    d = case["num_variables"]
    table = gaussian_table(d, 100, case["table"])
    begin = time.perf_counter()
    _exact(gaussian_table(6, 100, 0), n_samples=1)  # compiles
    compile_seconds = time.perf_counter() - begin
    begin, cpu_begin = time.perf_counter(), time.process_time()
    model = _exact(table, n_samples=1)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
    begin = time.perf_counter()
    sums = subset_sums(model.scores_)
    sums_seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    draw_dags(model.scores_, sums, config.num_exact_draws, random_state=0)
    draw_seconds = time.perf_counter() - begin
    names = np.random.default_rng(0).permutation(table.columns)
    again = _exact(table[list(names)], n_samples=1)
    moved = [
        np.abs(one - other.loc[one.index, one.columns]).to_numpy().max()
        for one, other in (
            (model.edge_marginals_, again.edge_marginals_),
            (model.path_marginals_, again.path_marginals_),
        )
    ]
    return {
        "fit_seconds": seconds,
        "fit_cpu_seconds": cpu_seconds,
        "compile_seconds": compile_seconds,
        "error_estimate": model.error_estimate_,
        "reordered_difference": float(max(moved)),
        "draws": config.num_exact_draws,
        # From the scores: the sums over sets and the draws, without the marginals.
        "draw_seconds": sums_seconds + draw_seconds,
    }


def _exact(table: pd.DataFrame, n_samples: int) -> dg.ExactPosterior:
    model = dg.ExactPosterior(standardize=True, n_samples=n_samples, progress=False, random_state=0)
    return model.fit(table)


def exact_draws(case: Case, config: Config) -> Metrics:
    """Test independent draws against the enumerated posterior of 5 variables."""
    scores = _small_scores("bge", case["table"])
    listed = enumerate_posterior(scores)
    draws = draw_dags(scores, subset_sums(scores), config.num_tested_draws, random_state=0)
    powers = 1 << np.arange(25, dtype=np.int64)
    codes = listed.adjacency.reshape(-1, 25) @ powers
    order = np.argsort(codes)
    found = np.searchsorted(codes[order], draws.adjacency.reshape(-1, 25) @ powers)
    observed = np.bincount(order[found], minlength=len(codes))
    expected = listed.weights * config.num_tested_draws
    # Cells with few expected draws are pooled, as the approximation of the test needs.
    large = expected >= 10
    cells = [np.append(values[large], values[~large].sum()) for values in (observed, expected)]
    statistic = float(((cells[0] - cells[1]) ** 2 / cells[1]).sum())
    return {
        "draws": config.num_tested_draws,
        "cells": len(cells[0]),
        "chi_squared": statistic,
        "p_value": float(stats.chi2.sf(statistic, len(cells[0]) - 1)),
    }


def structure(case: Case, config: Config) -> Metrics:
    return _chains("structure", config.chain_seconds["structure20"], case, config)


def partition(case: Case, config: Config) -> Metrics:
    return _chains("partition", config.chain_seconds["partition20"], case, config)


def _chains(method: str, max_seconds: float, case: Case, config: Config) -> Metrics:
    """Run chains for a time, against the exact edge marginals."""
    d = config.chain_variables
    scores = dg.local_scores(gaussian_table(d, case["rows"], case["table"]), standardize=True)
    if scores.has_table:
        scores.unconstrained_table  # noqa: B018 (made now, so that the clocks see the chains alone)
    reference = dg.ExactPosterior(n_samples=1, progress=False).infer(scores)
    estimator = _CHAINS[method](
        num_chains=config.num_chains,
        max_seconds=max_seconds,
        progress=False,
        random_state=case["table"],
    )
    begin, cpu_begin = time.perf_counter(), time.process_time()
    _without_warnings(estimator, scores)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
    error = edge_error(estimator.edge_marginals_, reference.edge_marginals_)
    steps = estimator.chains_.num_steps * config.num_chains
    return {
        "fit_seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "steps_per_cpu_second": steps / cpu_seconds,
        "edge_error": error.max,
        "mean_edge_error": error.mean,
        "rhat": estimator.rhat_,
        "ess": estimator.ess_,
    }


def agreement(case: Case, config: Config) -> Metrics:
    """Test whether the differences from the exact marginals are chance, as chains differ."""
    d = case["num_variables"]
    scores = dg.local_scores(gaussian_table(d, 100, d), standardize=True)
    reference = dg.ExactPosterior(n_samples=1, progress=False).infer(scores)
    exact_edges = reference.edge_marginals_.to_numpy()
    estimator = _CHAINS[case["method"]](
        num_chains=config.num_agreeing_chains,
        max_seconds=config.agreement_seconds,
        progress=False,
        random_state=0,
    )
    _without_warnings(estimator, scores)
    marginals = estimator.chains_.edge_marginals
    mean = marginals.mean(axis=0)
    error = marginals.std(axis=0, ddof=1) / np.sqrt(len(marginals))
    # Edges that every chain gives the same probability, almost surely 0 or 1, have no error bar.
    varied = error > 0
    t = np.abs(mean - exact_edges)[varied] / error[varied]
    p_values = 2 * stats.t.sf(t, df=len(marginals) - 1)
    return {
        "edge_error": edge_error(mean, exact_edges).max,
        "standard_error": float(error.max()),
        "largest_t": float(t.max()),
        # Of the largest, among so many edges (Bonferroni).
        "p_value": float(min(p_values.min() * len(p_values), 1.0)),
        "rhat": estimator.rhat_,
    }


def many_variables(case: Case, config: Config) -> Metrics:
    """Run two kinds of chains on 100 variables, and see how far they agree."""
    d = config.many_variables
    scores = dg.local_scores(
        gaussian_table(d, case["rows"], 0),
        standardize=True,
        max_parents=config.many_max_parents,
    )
    metrics: Metrics = {}
    found = {}
    for method in ("structure", "partition"):
        estimator = _CHAINS[method](
            num_chains=config.num_chains,
            max_seconds=config.many_seconds,
            progress=False,
            random_state=0,
        )
        begin = time.perf_counter()
        _without_warnings(estimator, scores)
        found[method] = estimator.edge_marginals_
        metrics |= {
            f"{method}_seconds": time.perf_counter() - begin,
            f"{method}_rhat": estimator.rhat_,
            f"{method}_ess": estimator.ess_,
        }
    return metrics | {"edge_difference": edge_error(*found.values()).max}


def _without_warnings(estimator: PosteriorEstimator, scores: LocalScores) -> None:
    """Infer; what a warning would say of trust is in the table of results."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrustedPosteriorWarning)
        estimator.infer(scores)
