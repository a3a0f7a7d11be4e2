"""Local scores: what a table says about each node and each parent set."""

from dag_gfn.scores.base import SCORES, LocalScores, local_scores
from dag_gfn.scores.bde import BDe
from dag_gfn.scores.bge import BGe
from dag_gfn.scores.likelihood import LocalLikelihood, Score
from dag_gfn.scores.parent_sets import ParentSets, parent_set_list
from dag_gfn.scores.priors import (
    PRIORS,
    EdgePrior,
    ErdosRenyiPrior,
    FairPrior,
    Prior,
    UniformPrior,
)

__all__ = [
    "PRIORS",
    "SCORES",
    "BDe",
    "BGe",
    "EdgePrior",
    "ErdosRenyiPrior",
    "FairPrior",
    "LocalLikelihood",
    "LocalScores",
    "ParentSets",
    "Prior",
    "Score",
    "UniformPrior",
    "local_scores",
    "parent_set_list",
]
