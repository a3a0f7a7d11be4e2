"""One HTML page that says what a posterior holds, to hand to a colleague."""

from __future__ import annotations

from dag_gfn.report.columns import describe_columns
from dag_gfn.report.findings import Run, read_run
from dag_gfn.report.page import page, write

__all__ = ["Run", "describe_columns", "page", "read_run", "write"]
