from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

# Figures are drawn to files: there may be no screen where the tests run.
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs() -> Iterator[None]:
    """Free what a file of tests has compiled.

    Every program holds memory maps, of which a process may have 65 530; compiling one more ends the
    process without a word of why.
    """
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
