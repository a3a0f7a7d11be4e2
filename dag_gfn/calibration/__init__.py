"""Simulation-based calibration: whether the probabilities are right where the model is."""

from __future__ import annotations

from dag_gfn.calibration.result import Calibration
from dag_gfn.calibration.running import calibrate

__all__ = ["Calibration", "calibrate"]
