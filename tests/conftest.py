from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Figures are drawn to files: there may be no screen where the tests run.
os.environ.setdefault("MPLBACKEND", "agg")

# The tests compile thousands of small programs, and the older emitters of XLA, in one piece, take
# half the time for it. Processes that tests start inherit this; what the environment says already
# comes last and wins.
_QUICK_TO_COMPILE = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
if _QUICK_TO_COMPILE not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{_QUICK_TO_COMPILE} {os.environ.get('XLA_FLAGS', '')}".strip()

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


@pytest.fixture
def optimised() -> Iterator[None]:
    """Compile with all optimisations, whatever the files of other tests have asked for.

    For fits of the size that users make, where running takes longer than compiling.
    """
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
