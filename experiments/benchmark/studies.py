"""What is measured, and what must be reached."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

STUDIES = (
    "gaussian5",
    "asia5",
    "speed",
    "sachs",
    "orders5",
    "orders_sachs",
    "gaussian10",
    "gaussian20",
    "enumeration",
    "exact15",
    "exact20",
    "exact_draws",
    "structure20",
    "partition20",
    "agreement",
    "many_variables",
)

# Updates a second of jax-dag-gflownet (2022) with its published settings, by number of variables,
# measured on 2 CPU cores with jax 0.4.35.
PUBLISHED_RATE = {5: 2.8, 20: 0.195}

Case = dict[str, Any]
Record = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Everything that a run depends on."""

    num_cores: int = 2
    num_tables: int = 5  # of gaussian5 and of asia5
    gaussian_rows: int = 100
    asia_rows: int = 200
    asia_variables: tuple[str, ...] = ("smoke", "lung", "bronc", "xray", "dysp")
    num_sachs_seeds: int = 3
    larger_rows: tuple[int, ...] = (100, 1000)  # of gaussian10 and gaussian20
    larger_priors: tuple[str, ...] = ("uniform", "fair")
    num_larger_tables: int = 3
    # Of the flow over canonical orders, each less than its target leaves.
    orders_seconds: dict[str, float] = field(
        default_factory=lambda: {
            "orders5": 45.0,
            "orders_sachs": 60.0,
            "gaussian10": 60.0,
            "gaussian20": 100.0,
        }
    )
    orders_updates: int = 100_000  # so many that the time decides
    orders_draws: int = 50_000  # 10 000 exact draws would err by 0.01 at worst
    num_timed_draws: int = 10_000
    speed_variables: tuple[int, ...] = (5, 11, 20)
    speed_settings: tuple[str, ...] = ("published batch", "default")
    speed_rows: int = 100
    speed_updates: int = 250  # in a timed call, as many as between two looks in a fit
    min_speed_calls: int = 5  # timed calls, after two that are not counted
    min_speed_seconds: float = 15.0  # of all timed calls together
    estimator: dict[str, Any] = field(default_factory=dict)  # what differs from its defaults
    num_enumerated_tables: int = 20  # for each score
    exact_variables: dict[str, int] = field(default_factory=lambda: {"exact15": 15, "exact20": 20})
    num_exact_tables: int = 2
    num_exact_draws: int = 10_000
    num_tested_draws: int = 100_000
    num_drawn_tables: int = 3
    chain_variables: int = 20
    chain_rows: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"structure20": (100, 1000), "partition20": (100,)}
    )
    num_chain_tables: int = 2  # for each number of rows
    num_chains: int = 4
    chain_seconds: dict[str, float] = field(
        # 30 s on two cores are 60 CPU-seconds.
        default_factory=lambda: {"structure20": 30.0, "partition20": 120.0}
    )
    agreement_variables: tuple[int, ...] = (5, 10, 15)
    agreement_methods: tuple[str, ...] = ("structure", "order", "partition")
    num_agreeing_chains: int = 16
    agreement_seconds: float = 30.0
    many_variables: int = 100
    many_rows: tuple[int, ...] = (100, 1000)
    many_max_parents: int = 5
    many_seconds: float = 120.0
    timeout: float = 1800.0  # seconds after which a run counts as failed


QUICK = Config(
    num_tables=1,
    num_sachs_seeds=1,
    speed_variables=(5,),
    speed_settings=("published batch",),
    speed_updates=10,
    min_speed_calls=3,
    min_speed_seconds=0.0,
    estimator={"num_updates": 10, "n_samples": 500, "window": 4, "batch_size": 8},
    orders_updates=200,
    orders_draws=500,
    num_timed_draws=100,
    larger_rows=(100,),
    larger_priors=("uniform",),
    num_larger_tables=1,
    num_enumerated_tables=1,
    exact_variables={"exact15": 6, "exact20": 6},
    num_exact_tables=1,
    num_exact_draws=100,
    num_tested_draws=1000,
    num_drawn_tables=1,
    chain_variables=6,
    chain_rows={"structure20": (100,), "partition20": (100,)},
    num_chain_tables=1,
    chain_seconds={"structure20": 1.0, "partition20": 1.0},
    agreement_variables=(5,),
    agreement_methods=("structure",),
    agreement_seconds=1.0,
    many_variables=24,
    many_rows=(100,),
    many_max_parents=2,
    many_seconds=1.0,
)


class Target(NamedTuple):
    """A limit on one of a record's metrics."""

    metric: str
    words: str
    compare: Callable[[float, float], bool]
    limit: float


_EXACT_TARGETS = (
    Target("error_estimate", "reported error", operator.le, 1e-6),
    Target("memory_gib", "memory", operator.le, 2.0),
)
_TEN_TARGETS = (
    Target("efficiency", "ESS / N", operator.ge, 0.5),
    Target("edge_error", "edge error", operator.le, 0.03),
    Target("weighted_edge_error", "weighted edge error", operator.le, 0.01),
)
_ACCURACY_TARGETS = (
    Target("total_variation", "total variation", operator.le, 0.03),
    Target("edge_error", "edge error", operator.le, 0.01),
    Target("fit_seconds", "fit time", operator.le, 90.0),
)
TARGETS = {
    "gaussian5": _ACCURACY_TARGETS,
    "asia5": _ACCURACY_TARGETS,
    "speed": (Target("times_published", "updates a second", operator.ge, 100.0),),
    "sachs": (
        Target("khat", "k-hat", operator.lt, 0.7),
        Target("fit_seconds", "fit time", operator.le, 300.0),
        *_TEN_TARGETS,
    ),
    "orders5": (
        Target("total_variation", "total variation", operator.le, 0.01),
        Target("fit_seconds", "fit time", operator.le, 60.0),
    ),
    "orders_sachs": (Target("fit_seconds", "fit time", operator.le, 300.0), *_TEN_TARGETS),
    "gaussian10": (Target("fit_seconds", "fit time", operator.le, 180.0), *_TEN_TARGETS),
    "gaussian20": (
        Target("fit_seconds", "fit time", operator.le, 600.0),
        Target("efficiency", "ESS / N", operator.ge, 0.1),
        Target("weighted_edge_error", "edge error", operator.le, 0.02),
        Target("draws_per_minute", "draws a minute", operator.ge, 10_000.0),
    ),
    "enumeration": (
        Target("edge_error", "edge error", operator.le, 1e-9),
        Target("path_error", "path error", operator.le, 1e-9),
        Target("evidence_error", "evidence error", operator.le, 1e-9),
    ),
    "exact15": (Target("fit_seconds", "fit time", operator.le, 2.0), *_EXACT_TARGETS),
    "exact20": (
        Target("fit_seconds", "fit time", operator.le, 90.0),
        Target("draw_seconds", "time of the draws", operator.le, 60.0),
        *_EXACT_TARGETS,
    ),
    "exact_draws": (Target("p_value", "chi-squared test", operator.ge, 0.001),),
    "structure20": (
        Target("edge_error", "edge error", operator.le, 0.01),
        Target("steps_per_cpu_second", "speed", operator.ge, 2e6),
    ),
    "partition20": (
        Target("edge_error", "edge error", operator.le, 0.02),
        Target("rhat", "R-hat", operator.lt, 1.01),
    ),
    "agreement": (Target("p_value", "agreement", operator.ge, 0.001),),
    "many_variables": (),
}


def cases(study: str, config: Config) -> list[Case]:
    """List the runs of a study; each is measured in a process of its own."""
    if study == "speed":
        return [
            {"settings": settings, "num_variables": d}
            for settings in config.speed_settings
            for d in config.speed_variables
        ]
    if study in ("sachs", "orders_sachs"):
        return [{"seed": seed} for seed in range(config.num_sachs_seeds)]
    if study == "enumeration":
        return [{"score": score} for score in ("bge", "bde")]
    if study in ("gaussian10", "gaussian20"):
        return [
            {"rows": rows, "prior": prior, "table": table}
            for rows in config.larger_rows
            for prior in config.larger_priors
            for table in range(config.num_larger_tables)
        ]
    if study in config.exact_variables:
        d = config.exact_variables[study]
        return [{"num_variables": d, "table": table} for table in range(config.num_exact_tables)]
    if study == "exact_draws":
        return [{"table": table} for table in range(config.num_drawn_tables)]
    if study in config.chain_rows:
        return [
            {"rows": rows, "table": table}
            for rows in config.chain_rows[study]
            for table in range(config.num_chain_tables)
        ]
    if study == "agreement":
        return [
            {"method": method, "num_variables": d}
            for method in config.agreement_methods
            for d in config.agreement_variables
        ]
    if study == "many_variables":
        return [{"rows": rows} for rows in config.many_rows]
    return [{"table": table} for table in range(config.num_tables)]


def missed(record: Record) -> list[str] | None:
    """Return the targets that a run has missed, in words; None where it has no target.

    Metrics may be written as strings, as JSON has no infinities; not a number misses its target.
    """
    if "error" in record:
        return ["failed"]
    metrics = record["metrics"]
    judged = [target for target in TARGETS[record["study"]] if target.metric in metrics]
    if not judged:
        return None
    return [
        target.words
        for target in judged
        if not target.compare(float(metrics[target.metric]), target.limit)
    ]
