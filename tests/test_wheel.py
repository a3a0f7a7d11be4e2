"""The wheel holds what it should, and works where there is no source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
import dag_gfn as dg
slow = {"arviz_base", "haiku", "jax", "matplotlib", "numba", "optax", "pgmpy"}
assert not slow & set(sys.modules), "importing the package loads what is slow to load"
table = dg.datasets.load_sachs()[["Raf", "Mek", "Erk"]]
print(dg.__file__)
print(dg.ExactPosterior(standardize=True).fit(table).edge_marginals_.shape)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    # A copy, since building leaves files beside the source.
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dag_gfn", source / "dag_gfn", ignore=unwanted)
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", *command, "--wheel-dir", str(folder), str(source)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_every_file_of_the_package_and_no_other_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dag_gfn").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == here


def test_it_works_outside_the_source_tree(wheel, tmp_path):
    site = tmp_path / "site"
    command = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", *command, str(wheel)], check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    place, shape = done.stdout.splitlines()
    assert Path(place).is_relative_to(site)
    assert shape == "(3, 3)"
