"""The architecture: which part of the package may import which, and what loads when."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dag_gfn

ROOT = Path(dag_gfn.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

# What each part may import. The two necks are `scores` (all that inference knows of the data) and
# `posterior` (all that anything after it knows of inference).
INFERENCE = {"graphs", "posterior", "scores"}
ARROWS = {
    "checkpoint": set(),
    "tables": set(),
    "graphs": set(),
    "scores": {"graphs", "tables"},
    "datasets": {"graphs", "scores", "tables"},
    "features": {"graphs"},
    "posterior": {"graphs"},
    "convergence": set(),
    "devices": set(),
    "design": {"posterior", "scores"},
    "diagnostics": {"convergence", "posterior"},
    "imputation": {"graphs", "posterior"},
    "metrics": {"graphs", "posterior"},
    "plots": {
        "calibration",
        "comparison",
        "convergence",
        "diagnostics",
        "graphs",
        "metrics",
        "posterior",
    },
    "gflownet": INFERENCE | {"checkpoint", "devices"},
    "mcmc": INFERENCE,
    "exact": INFERENCE,
    "orderflow": INFERENCE | {"checkpoint", "devices", "mcmc"},
    "estimators": INFERENCE
    | {
        "checkpoint",
        "convergence",
        "diagnostics",
        "exact",
        "gflownet",
        "imputation",
        "mcmc",
        "orderflow",
        "tables",
    },
}
ARROWS["calibration"] = ARROWS["estimators"] | {"estimators"}
ARROWS["comparison"] = ARROWS["estimators"] | {"estimators", "metrics"}
ARROWS["report"] = {"diagnostics", "plots", "posterior", "tables"}
ARROWS["cli"] = set(ARROWS)
ARROWS["__main__"] = {"cli"}

# Slow to load, so never imported by merely importing the package, nor at the top of a file; the
# exceptions are files that are about nothing else.
SLOW = ("arviz_base", "arviz_stats", "matplotlib", "pgmpy")
TOP_LEVEL_EXCEPTIONS = {("plots", "matplotlib")}


def part_of(module: str) -> str:
    return module.split("/")[0].removesuffix(".py")


def imported_modules(source: str, module: str) -> set[str]:
    """Full names of everything that a module imports, wherever in it."""
    package = ["dag_gfn", *module.split("/")[:-1]]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{origin}.{alias.name}" for alias in node.names}
    return found


def imported_parts(source: str, module: str) -> set[str]:
    names = (name.split(".") for name in imported_modules(source, module))
    return {name[1] for name in names if name[0] == "dag_gfn" and len(name) > 1}


def top_level_statements(statements: list[ast.stmt]):
    """Statements that run on import: not in functions, not for type checkers alone."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from top_level_statements(statement.orelse)
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from top_level_statements(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            yield from top_level_statements(handler.body)


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    ("module", "source", "parts"),
    [
        ("exact/dp.py", "def f():\n    from dag_gfn.plots import heat", {"plots"}),
        ("exact/dp.py", "from dag_gfn import graphs, mcmc", {"graphs", "mcmc"}),
        ("exact/dp.py", "import dag_gfn.cli.main as main, numpy.random", {"cli"}),
        ("exact/dp.py", "from ..scores import base\nfrom . import sums", {"scores", "exact"}),
    ],
)
def test_every_form_of_import_is_seen(module, source, parts):
    assert imported_parts(source, module) == parts


@pytest.mark.parametrize("module", [m for m in MODULES if m != "__init__.py"])
def test_imports_run_one_way(module):
    part = part_of(module)
    assert part in ARROWS, f"say in ARROWS what {part} may import"
    parts = imported_parts((ROOT / module).read_text(encoding="utf-8"), module)
    assert parts - {part} <= ARROWS[part]


def test_arrows_have_no_cycle():
    placed: set[str] = set()
    while len(placed) < len(ARROWS):
        free = {part for part in set(ARROWS) - placed if ARROWS[part] - {part} <= placed}
        assert free, f"{set(ARROWS) - placed} import each other"
        placed |= free


@pytest.mark.parametrize("module", MODULES)
def test_slow_packages_are_imported_where_they_are_used(module):
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    top_level = ast.Module(
        body=[
            statement
            for statement in top_level_statements(tree.body)
            if isinstance(statement, ast.Import | ast.ImportFrom)
        ],
        type_ignores=[],
    )
    packages = {name.split(".")[0] for name in imported_modules(ast.unparse(top_level), module)}
    allowed = {package for part, package in TOP_LEVEL_EXCEPTIONS if part == part_of(module)}
    assert packages.isdisjoint(set(SLOW) - allowed)


def test_importing_the_package_is_light():
    slow = (*SLOW, "haiku", "jax", "numba", "pandas", "sklearn", "scipy")
    loaded = run(f"import sys, dag_gfn; print([m for m in {slow} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_loading_a_table_is_light():
    code = "import sys, dag_gfn as dg; dg.datasets.load_sachs(); "
    slow = (*SLOW, "haiku", "jax", "numba")
    loaded = run(f"{code}print([m for m in {slow} if m in sys.modules])")
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("name", dag_gfn.__all__)
def test_public_names_resolve(name):
    assert name in dir(dag_gfn)
    assert getattr(dag_gfn, name) is not None


def test_unknown_names_are_refused_as_python_does():
    with pytest.raises(AttributeError, match="'dag_gfn' has no attribute 'DAGGFlownet'"):
        dag_gfn.DAGGFlownet  # noqa: B018
