"""Run the cases of a study in a few processes, each of them on a core of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tqdm import tqdm

PROCESSES = 2


def run_cases(measure: Callable[..., Any], cases: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """Yield what `measure` makes of each case, as they end.

    Processes are spawned, since a forked one cannot use jax, and pinned before they import it, so
    that it starts no more threads than there are cores.
    """
    context = multiprocessing.get_context("spawn")
    cores = context.SimpleQueue()
    allowed = sorted(os.sched_getaffinity(0))
    for worker in range(PROCESSES):
        cores.put(allowed[worker % len(allowed)])
    with context.Pool(PROCESSES, initializer=_pin, initargs=(cores,)) as pool:
        made = pool.imap_unordered(_Call(measure), cases)
        yield from tqdm(made, total=len(cases), unit="case")


def _pin(cores: Any) -> None:
    os.sched_setaffinity(0, {cores.get()})


class _Call:
    """A function of a tuple that a spawned process can read."""

    def __init__(self, measure: Callable[..., Any]) -> None:
        self.measure = measure

    def __call__(self, case: tuple[Any, ...]) -> Any:
        return self.measure(*case)
