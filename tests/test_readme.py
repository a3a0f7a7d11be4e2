"""What README.md shows is what happens: its Python runs, its commands parse, its links lead on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from dag_gfn.cli import build_parser
from dag_gfn.cli.outputs import FILES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.usefixtures("optimised")
def test_the_python_runs_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    snippets = blocks("python")
    assert len(snippets) >= 3
    names: dict[str, object] = {}
    for number, snippet in enumerate(snippets, start=1):
        exec(compile(snippet, f"README.md, Python block {number}", "exec"), names)
    plt.close("all")
    assert "Trust: good." in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"posterior.npz", "edge_marginals.png"}


def test_the_commands_parse():
    commands = [line for block in blocks("console") for line in block.splitlines()]
    assert len(commands) >= 3
    for command in commands:
        prompt, program, *arguments = shlex.split(command)
        assert (prompt, program) == ("$", "dag-gfn")
        build_parser().parse_args(arguments)


def test_every_result_file_is_explained():
    for name in FILES:
        assert f"`{name}`" in README


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^ {4}make (\w+)", README, flags=re.MULTILINE)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "target", [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
)
def test_links_lead_to_files(target):
    assert (ROOT / target).is_file()
