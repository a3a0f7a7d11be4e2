from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Figures are drawn to files: there may be no screen where the tests run.
os.environ.setdefault("MPLBACKEND", "agg")


_MAPS = Path("/proc/self/maps")


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs() -> Iterator[None]:
    """Free what the tests have compiled before it is too much.

    Every program holds memory maps, of which Linux lets a process have 65 530; compiling one more
    ends the process without a word of why. Files of tests share programs, hence not after each.
    """
    yield
    if "jax" in sys.modules and _MAPS.exists():
        with _MAPS.open(encoding="utf-8") as lines:
            num_maps = sum(1 for _ in lines)
        if num_maps > 20_000:
            sys.modules["jax"].clear_caches()
