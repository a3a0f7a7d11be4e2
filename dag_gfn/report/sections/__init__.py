"""The sections of a report, one in each file."""

from __future__ import annotations

from dag_gfn.report.sections.data import data
from dag_gfn.report.sections.edges import edges
from dag_gfn.report.sections.effects import effects
from dag_gfn.report.sections.graph import graph
from dag_gfn.report.sections.reading import reading
from dag_gfn.report.sections.repeat import repeat
from dag_gfn.report.sections.short import short
from dag_gfn.report.sections.training import training
from dag_gfn.report.sections.trust import trust

__all__ = ["data", "edges", "effects", "graph", "reading", "repeat", "short", "training", "trust"]
