"""scikit-learn estimators: they check, wire and keep; the algorithms are elsewhere."""

from dag_gfn.estimators.bootstrap import BootstrapGES, BootstrapPC
from dag_gfn.estimators.exact import ExactPosterior
from dag_gfn.estimators.flow import DAGGFlowNet
from dag_gfn.estimators.imputation import MultipleImputation
from dag_gfn.estimators.independence import IndependenceMCMC
from dag_gfn.estimators.mcmc import OrderMCMC, PartitionMCMC, StructureMCMC
from dag_gfn.estimators.order_flow import OrderGFlowNet

__all__ = [
    "BootstrapGES",
    "BootstrapPC",
    "DAGGFlowNet",
    "ExactPosterior",
    "IndependenceMCMC",
    "MultipleImputation",
    "OrderGFlowNet",
    "OrderMCMC",
    "PartitionMCMC",
    "StructureMCMC",
]
