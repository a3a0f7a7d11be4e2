"""What results depend on besides their settings: the machine, the versions and the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "dag_gfn",
    "jax",
    "jaxlib",
    "dm-haiku",
    "optax",
    "numpy",
    "scipy",
    "pandas",
    "numba",
    "networkx",
    "pgmpy",
    "scikit-learn",
)
OPTIONAL = ("ges", "sumu", "dibs-lib")  # other people's samplers, which some studies run


def processor() -> str:
    """Return the name of the processor, and of its architecture where there is no other."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions(packages: Sequence[str] = (*PACKAGES, *OPTIONAL)) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit(root: Path = ROOT) -> dict[str, Any] | None:
    """Return the commit, and whether Python files differ from it; none outside a repository."""
    found = _git(root, "rev-parse", "--show-toplevel", "HEAD")
    if found is None or found.returncode != 0:
        return None
    top, identity = found.stdout.split("\n")[:2]
    if Path(top).resolve() != root.resolve():
        return None  # of somebody else, around a copy of these files
    status = _git(root, "status", "--porcelain", "--", "*.py")
    return {"identity": identity, "changed": status is None or status.stdout != ""}


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str] | None:
    """Ask git, which is not to write anything; none where it is not installed."""
    command = ["git", "--no-optional-locks", "-C", str(root), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
