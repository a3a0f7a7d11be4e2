"""What is measured, and what must be reached."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

STUDIES = ("gaussian5", "asia5", "speed", "sachs")

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
    gaussian_edges: int = 5
    asia_rows: int = 200
    asia_variables: tuple[str, ...] = ("smoke", "lung", "bronc", "xray", "dysp")
    num_sachs_seeds: int = 3
    speed_variables: tuple[int, ...] = (5, 11, 20)
    speed_settings: tuple[str, ...] = ("published batch", "default")
    speed_rows: int = 100
    speed_updates: int = 250  # in a timed call, as many as between two looks in a fit
    min_speed_calls: int = 5  # timed calls, after two that are not counted
    min_speed_seconds: float = 15.0  # of all timed calls together
    estimator: dict[str, Any] = field(default_factory=dict)  # what differs from its defaults
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
)


class Target(NamedTuple):
    """A limit on one of a record's metrics."""

    metric: str
    words: str
    compare: Callable[[float, float], bool]
    limit: float


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
    ),
}


def cases(study: str, config: Config) -> list[Case]:
    """List the runs of a study; each is measured in a process of its own."""
    if study == "speed":
        return [
            {"settings": settings, "num_variables": d}
            for settings in config.speed_settings
            for d in config.speed_variables
        ]
    if study == "sachs":
        return [{"seed": seed} for seed in range(config.num_sachs_seeds)]
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
