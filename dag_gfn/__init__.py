"""Posterior over the causal graphs that could have produced a table.

Names are resolved when first used, so that ``import dag_gfn`` is quick: jax, pgmpy and matplotlib
are loaded by the parts that need them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dag_gfn import (
        datasets,
        design,
        diagnostics,
        features,
        graphs,
        metrics,
        plots,
        report,
        scores,
    )
    from dag_gfn.calibration import Calibration, calibrate
    from dag_gfn.comparison import Comparison, compare
    from dag_gfn.estimators import (
        BootstrapGES,
        BootstrapPC,
        DAGGFlowNet,
        ExactPosterior,
        IndependenceMCMC,
        MultipleImputation,
        OrderGFlowNet,
        OrderMCMC,
        PartitionMCMC,
        StructureMCMC,
    )
    from dag_gfn.posterior import Posterior
    from dag_gfn.scores import LocalScores, local_scores

__version__ = "0.1.0"

__all__ = [
    "BootstrapGES",
    "BootstrapPC",
    "Calibration",
    "Comparison",
    "DAGGFlowNet",
    "ExactPosterior",
    "IndependenceMCMC",
    "LocalScores",
    "MultipleImputation",
    "OrderGFlowNet",
    "OrderMCMC",
    "PartitionMCMC",
    "Posterior",
    "StructureMCMC",
    "__version__",
    "calibrate",
    "compare",
    "datasets",
    "design",
    "diagnostics",
    "features",
    "graphs",
    "local_scores",
    "metrics",
    "plots",
    "report",
    "scores",
]

_MODULES = {
    "datasets",
    "design",
    "diagnostics",
    "features",
    "graphs",
    "metrics",
    "plots",
    "report",
    "scores",
}
_HOMES = {
    "BootstrapGES": "estimators",
    "BootstrapPC": "estimators",
    "Calibration": "calibration",
    "Comparison": "comparison",
    "DAGGFlowNet": "estimators",
    "ExactPosterior": "estimators",
    "IndependenceMCMC": "estimators",
    "LocalScores": "scores",
    "MultipleImputation": "estimators",
    "OrderGFlowNet": "estimators",
    "OrderMCMC": "estimators",
    "PartitionMCMC": "estimators",
    "Posterior": "posterior",
    "StructureMCMC": "estimators",
    "calibrate": "calibration",
    "compare": "comparison",
    "local_scores": "scores",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
