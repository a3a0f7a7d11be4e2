"""What a report is about: a posterior, what is recorded of its fit, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dag_gfn.diagnostics import Trust
from dag_gfn.posterior import Posterior
from dag_gfn.posterior.effects import CausalEffects


class Run(NamedTuple):
    """What a fit has left."""

    posterior: Posterior
    summary: Mapping[str, Any]  # of summary.json; empty if there is none
    history: pd.DataFrame | None
    notes: tuple[str, ...]  # a sentence for whatever is missing or was left aside


class Findings(NamedTuple):
    """A run with what follows from it, for all sections of a report."""

    run: Run
    trust: Trust
    effects: CausalEffects | None  # None without mechanisms
    effects_summary: pd.DataFrame | None  # of `CausalEffects.summary`
    level: float  # of intervals

    @property
    def posterior(self) -> Posterior:
        """The posterior of the run."""
        return self.run.posterior

    def entry(self, *keys: str, default: Any = None) -> Any:
        """Return an entry of the summary, of the type of the default if there is one."""
        found: Any = self.run.summary
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found is None or (default is not None and not isinstance(found, type(default))):
            return default
        return found

    @property
    def is_categorical(self) -> bool | None:
        """Whether the table holds categories; None if that is not known."""
        if self.posterior.mechanisms is not None:
            return hasattr(self.posterior.mechanisms, "states")
        score = self.entry("settings", "score")
        return {"bge": False, "bde": True}.get(str(score))


def read_run(path: Path) -> Run:
    """Read what ``dag-gfn fit`` has written; all but the posterior may be missing.

    Parameters
    ----------
    path : Path
        The folder, or the ``.npz`` file of a posterior by itself.

    Returns
    -------
    Run

    Raises
    ------
    FileNotFoundError
        If there is no posterior.
    ValueError
        If its file is not one that ``Posterior.save`` wrote.
    """
    if not path.is_dir():
        alone = f"The report was made from {path.name} alone, which says nothing of the fit."
        return Run(Posterior.load(path), {}, None, (alone,))
    posterior = Posterior.load(path / "posterior.npz")
    notes: list[str] = []
    return Run(
        posterior,
        _read_summary(path / "summary.json", posterior.names, notes),
        _read_history(path / "history.csv", notes),
        tuple(notes),
    )


def _read_summary(path: Path, names: tuple[str, ...], notes: list[str]) -> Mapping[str, Any]:
    lost = "so the table, the settings and the versions of the fit are not known."
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        notes.append(f"The folder has no {path.name}, {lost}")
        return {}
    except (OSError, ValueError):
        summary = None
    if not isinstance(summary, dict):
        notes.append(f"{path.name} cannot be read, {lost}")
        return {}
    if summary.get("variables", list(names)) != list(names):
        notes.append(f"{path.name} is about other variables than posterior.npz, {lost}")
        return {}
    return summary


def _read_history(path: Path, notes: list[str]) -> pd.DataFrame | None:
    lost = "so the course of the training is not known."
    try:
        history = pd.read_csv(path)
    except FileNotFoundError:
        notes.append(f"The folder has no {path.name}, {lost}")
        return None
    except (OSError, ValueError):
        notes.append(f"{path.name} cannot be read, {lost}")
        return None
    return history
