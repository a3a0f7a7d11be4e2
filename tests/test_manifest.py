"""Manifests: they say with what results were made, and every study has one or is known not to."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments import machine, manifest

FOLDER = Path(__file__).parents[1] / "experiments"
STUDIES = sorted(path.parent.name for path in FOLDER.glob("*/run.py"))
# Studies with results that were measured before there were manifests; one whose parts have all been
# measured since leaves the list.
BEFORE_MANIFESTS = {
    "active_learning",
    "benchmark",
    "calibration",
    "dag_gflownet",
    "energy_based",
    "flow_matching",
    "foundations",
    "hard_tables",
    "scaling",
    "stress",
    "trajectory_balance",
}


class Network(NamedTuple):
    width: int = 8
    rate: float = 0.5


@dataclass(frozen=True)
class Config:
    seeds: tuple[int, ...] = (0, 1)
    network: Network = Network()
    updates: object = None


def test_settings_are_written_by_name():
    config = Config(updates={1: 10, 2: None})
    expected = {
        "seeds": [0, 1],
        "network": {"width": 8, "rate": 0.5},
        "updates": {"1": 10, "2": None},
    }
    assert manifest.plain(config) == expected
    assert json.loads(json.dumps(expected)) == expected
    with pytest.raises(TypeError, match="a setting must be a number, a text or a collection"):
        manifest.plain(Config(updates=print))


def test_an_entry_says_what_was_run_and_with_what(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run.py", "--only", "a b"])
    typed = manifest.command("flow_matching")
    assert typed == "python -m experiments.flow_matching.run --only 'a b'"
    run = manifest.about(typed)
    assert run["versions"]["numpy"] == importlib.import_module("numpy").__version__
    assert run["versions"]["python"].startswith("3.")
    assert set(machine.PACKAGES) < set(run["versions"])
    assert run["machine"] == {"cores": machine.cores(), "processor": machine.processor()}
    made = manifest.entries(run, {"a": Config(), "b": Config(seeds=(3,))})
    assert made["b"] == run | {"configuration": manifest.plain(Config(seeds=(3,)))}
    assert set(made) == {"a", "b"}


def test_only_the_parts_that_were_run_are_replaced(tmp_path):
    for run, parts in (({"date": "one"}, "ba"), ({"date": "two"}, "cb")):
        manifest.write(tmp_path, manifest.entries(run, dict.fromkeys(parts, Config())))
    stored = manifest.read(tmp_path)
    assert {part: entry["date"] for part, entry in stored.items()} == {
        "a": "one",
        "b": "two",
        "c": "two",
    }
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert text == json.dumps(stored, indent=2, sort_keys=True) + "\n"


def test_a_manifest_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    manifest.write(tmp_path, manifest.entries({"date": "one"}, {"a": Config()}))
    before = (tmp_path / "manifest.json").read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        manifest.write(tmp_path, manifest.entries({"date": "two"}, {"a": Config()}))
    assert (tmp_path / "manifest.json").read_bytes() == before
    # What is no number in JSON is refused before anything is written.
    with pytest.raises(ValueError, match="JSON"):
        manifest.write(tmp_path, {"a": {"limit": float("inf")}})
    assert (tmp_path / "manifest.json").read_bytes() == before


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_repository(tmp_path):
    def git(*words):
        identity = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", tmp_path, *identity, *words], check=True, capture_output=True)

    assert machine.commit(tmp_path) is None
    script, inner = tmp_path / "run.py", tmp_path / "inner"
    script.touch()
    inner.mkdir()
    git("init", "--quiet")
    git("add", "run.py")
    git("commit", "--quiet", "--message", "first")
    found = machine.commit(tmp_path)
    assert len(found["identity"]) == 40
    assert not found["changed"]
    (tmp_path / "results.jsonl").touch()  # no code, so the results can be made again
    assert machine.commit(tmp_path) == found
    script.write_text("1\n", encoding="utf-8")
    assert machine.commit(tmp_path) == found | {"changed": True}
    assert machine.commit(inner) is None  # the repository is about something else


@pytest.fixture(params=STUDIES)
def study(request, monkeypatch):
    """A study's folder, and the configuration of each of its parts."""
    folder = FOLDER / request.param
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))  # the benchmark is a folder of scripts
    configs = importlib.import_module(f"experiments.{request.param}.run").CONFIGS
    yield folder, configs
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


def test_every_study_has_frozen_configurations(study):
    _, configs = study
    assert configs
    for config in configs.values():
        assert dataclasses.is_dataclass(config)
        name = dataclasses.fields(config)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, name, None)
        # The settings that are published are the defaults.
        assert type(config)() == config


def test_results_were_measured_with_the_present_configuration(study):
    folder, configs = study
    stored = manifest.read(folder)
    assert set(stored) <= set(configs)
    assert (set(stored) != set(configs)) == (folder.name in BEFORE_MANIFESTS)
    for part, entry in stored.items():
        assert entry["configuration"] == manifest.plain(configs[part])
        assert set(entry) == {*manifest.about(""), "configuration"}


def test_the_list_of_studies_says_which_have_a_manifest():
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    rows = {line[3 : line.index("]")]: line for line in lines if line.startswith("| [")}
    assert sorted(rows) == STUDIES
    for name, row in rows.items():
        assert f"experiments.{name}.run`" in row or f"experiments/{name}/run.py`" in row
        assert row.endswith("measured before manifests |" if name in BEFORE_MANIFESTS else "yes |")
