"""Any arguments: exit code 0, 1 or 2, and a sentence in place of a traceback."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, strategies as st

import dag_gfn as dg
import dag_gfn.calibration
import dag_gfn.cli.outputs
import dag_gfn.comparison
import dag_gfn.estimators
import dag_gfn.report.pictures
from dag_gfn.cli import main
from dag_gfn.posterior import Posterior
from dag_gfn.scores import local_scores


class Outcome(NamedTuple):
    code: int
    said: str  # standard output
    complained: str  # standard error


class Accepted(Exception):
    """In place of what takes long."""


def quick_fit(self, table, **constraints):
    """Return a fit with one graph, that of the required edges, and keep what was asked for."""
    request = Path(self.checkpoint_dir).parent / "request.json"
    Path("kept.json").write_bytes(request.read_bytes())
    names = ("score", "prior", "standardize", "max_parents", "score_params", "prior_params")
    model = {name: self.get_params()[name] for name in names}
    scores = local_scores(table, **model, **constraints)
    graph = scores.required.astype(np.int8)
    self.posterior_ = Posterior([graph] * 2, scores.log_score([graph] * 2), scores.names)
    self.posterior_.metadata["float32_error"] = 0.0
    self.history_ = pd.DataFrame({"update": [0], "loss": [0.0]})
    return self


def accept(*_, **__):
    raise Accepted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in a folder with a few files, where nothing takes long."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.lognormal(size=(12, 3)), columns=["a", "b", "b:c"])
    numbers.to_csv(folder / "numbers.csv", index=False)
    words = pd.DataFrame(rng.choice(["x", "y"], size=(12, 3)), columns=["a", "b", "é"])
    words.to_csv(folder / "words.csv", index=False)
    words.assign(é=["a", "", "b"] * 4, a=numbers["a"], b=numbers["b"], c=numbers["b:c"]).to_csv(
        folder / "experiments.csv", index=False
    )
    (folder / "empty.csv").touch()
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    (folder / "binary.npz").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    (folder / "unfinished").mkdir()
    (folder / "unfinished" / "request.json").write_text('{"arguments": {}}')
    named = numbers.set_axis(["a", "b", "\u65e5"], axis=1)
    dg.ExactPosterior(random_state=0).fit(named).posterior_.save(folder / "posterior.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(dag_gfn.estimators.OrderGFlowNet, "fit", quick_fit)
        patch.setattr(dag_gfn.comparison, "compare", accept)
        patch.setattr(dag_gfn.calibration, "calibrate", accept)
        patch.setattr(dag_gfn.cli.outputs, "draw", lambda path, *_, **__: path.touch())
        patch.setattr(dag_gfn.report.pictures, "_data", lambda *_: ("data:,", 1.0, 1.0))
        yield folder


def run(arguments: list[str], encoding: str = "utf-8") -> Outcome:
    """Run the command as a process would, with streams of this encoding."""
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    err = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except Accepted:
            code = 0
        except SystemExit as exit:
            code = exit.code
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode(encoding))
    return Outcome(code, *texts)


def check(outcome: Outcome) -> None:
    assert outcome.code in (0, 1, 2)
    assert "Traceback" not in outcome.complained
    complaints = outcome.complained.splitlines()
    if outcome.code == 1:
        assert complaints[-1].startswith("dag-gfn: "), complaints
        assert complaints[-1].endswith("."), complaints
        assert len(complaints[-1]) > 20
    if outcome.code == 2:
        assert "usage: dag-gfn" in outcome.complained


FILES = ["numbers.csv", "words.csv", "experiments.csv", "empty.csv", "binary.csv", "none.csv", "."]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=6)
JUNK = st.sampled_from(["", "-", "--", "=", ":", "nan", "-1", "1e999", "\x00", "x" * 5000]) | TEXT
COLUMNS = st.sampled_from(["a", "b", "c", "é", "b:c", "0"]) | JUNK
EDGES = st.builds("{}:{}".format, COLUMNS, COLUMNS) | JUNK
NUMBERS = (
    st.sampled_from(["0", "1", "2", "3", "7", "0.5", "-2", "1e-300", "inf", "1" * 5000]) | JUNK
)
NAMED = st.builds(
    "{}={}".format,
    st.sampled_from(["alpha_mu", "alpha_w", "nu", "T", "equivalent_sample_size", "beta", "p"])
    | JUNK,
    NUMBERS,
)
FOLDERS = st.sampled_from(["out", "out", "numbers.csv", "numbers.csv/x", "unfinished", "."]) | JUNK
FLAG = st.just(None)

TABLE_OPTIONS = {
    "--dataset": st.sampled_from(["sachs", "asia"]),
    "--all-conditions": FLAG,
    "--imperfect": FLAG,
    "--columns": COLUMNS,
    "--drop": COLUMNS,
    "--interventions-column": COLUMNS,
    "--conditions-column": COLUMNS,
    "--log": FLAG,
    "--standardize": FLAG,
    "--score": st.sampled_from(["bge", "bde"]) | JUNK,
    "--prior": st.sampled_from(["uniform", "edge", "erdos_renyi", "fair"]) | JUNK,
    "--max-parents": NUMBERS,
    "--require": EDGES,
    "--forbid": EDGES,
    "--tier": COLUMNS,
    "--edge-probability": st.builds("{}={}".format, EDGES, NUMBERS) | JUNK,
    "--score-param": NAMED,
    "--prior-param": NAMED,
}
RUN_OPTIONS = {
    "--output": FOLDERS,
    "--overwrite": FLAG,
    "--seed": NUMBERS,
    "--quiet": FLAG,
    "--log-json": FLAG,
    "--help": FLAG,
}
OPTIONS = {
    "fit": TABLE_OPTIONS
    | RUN_OPTIONS
    | {
        "--samples": NUMBERS,
        "--updates": NUMBERS,
        "--checkpoint-every": NUMBERS,
        "--devices": NUMBERS,
        "--resume": FOLDERS,
    },
    "compare": TABLE_OPTIONS
    | RUN_OPTIONS
    | {
        "--methods": st.sampled_from(["exact", "order,exact", "exact,exact", ","]) | JUNK,
        "--budget": st.sampled_from(["1s", "2min", "0", "-1s", "1h", "nan", "1e400s"]) | JUNK,
    },
    "calibrate": RUN_OPTIONS
    | {
        "--method": st.sampled_from(["exact", "order", "order_flow"]) | JUNK,
        "--score": st.sampled_from(["bge", "bde"]) | JUNK,
        "--updates": NUMBERS,
        "--variables": NUMBERS,
        "--rows": NUMBERS,
        "--tables": NUMBERS,
        "--states": NUMBERS,
        "--jobs": NUMBERS,
    },
    "effects": {
        "--pair": EDGES,
        "--level": NUMBERS,
        "--standardized": FLAG,
        "--seed": NUMBERS,
        "--overwrite": FLAG,
        "--quiet": FLAG,
    },
    "report": {
        "--output": st.sampled_from(["page.html", "numbers.csv/x", "unfinished", "."]) | JUNK,
        "--level": NUMBERS,
        "--seed": NUMBERS,
        "--overwrite": FLAG,
        "--quiet": FLAG,
    },
}


@st.composite
def arguments(draw, command: str) -> list[str]:
    """Draw a few options, most of which exist."""
    options = OPTIONS[command]
    names = draw(st.lists(st.sampled_from(sorted(options)), max_size=5))
    words = [command]
    if command in ("fit", "compare"):
        words += draw(st.sampled_from([[file] for file in FILES]) | st.lists(JUNK, max_size=2))
        words += draw(st.sampled_from([[], ["--score", "bde"], ["--score", "bge"]]))
    elif command in ("effects", "report"):
        words += draw(st.sampled_from([["posterior.npz"]] * 3 + [["binary.npz"], ["."], []]))
        words += draw(st.sampled_from([[], ["--overwrite"]]))
    for name in names:
        value = draw(options[name])
        if value is None:
            words.append(name)
        else:
            words += draw(st.sampled_from([[name, value], [name, value], [f"{name}={value}"]]))
    return words


ENCODINGS = st.sampled_from(["utf-8", "ascii"])


@pytest.mark.parametrize("option", ["effects --level=--", "calibrate --method=--"])
def test_a_dash_is_no_value(folder: Path, option: str) -> None:
    outcome = run([*option.split(), "posterior.npz"])
    assert outcome.code == 2 and "expected one argument" in outcome.complained


@pytest.mark.parametrize("command", list(OPTIONS))
@given(data=st.data(), encoding=ENCODINGS)
def test_any_arguments(folder: Path, command: str, data, encoding: str) -> None:
    check(run(data.draw(arguments(command)), encoding))


@pytest.mark.parametrize("output", ["numbers.csv/x\x85y", "numbers.csv/x\ny", "\x00"])
@pytest.mark.parametrize("command", [["calibrate"], ["fit", "numbers.csv"]])
def test_line_ends_in_names_stay_out_of_the_sentence(
    folder: Path, command: list[str], output: str
) -> None:
    outcome = run([*command, "--output", output])
    check(outcome)
    assert outcome.code == 1 and len(outcome.complained.splitlines()) == 1


@given(words=st.lists(JUNK | st.sampled_from(["fit", "--version", "-h"]), max_size=3))
def test_any_words(folder: Path, words: list[str]) -> None:
    check(run(words))


CELLS = st.one_of(
    st.sampled_from(["", "1", "2.5", "x", "y", "a", "nan", "inf", "1e308", "\x00", '"', "é"]),
    st.floats().map(repr),
    st.integers(0, 2).map(str),
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8),
    numbers=st.lists(
        st.lists(st.floats(-1e200, 1e200), min_size=3, max_size=3), min_size=2, max_size=8
    )
    | st.none(),
    score=st.sampled_from(["bge", "bde"]),
    more=st.sampled_from([[], ["--log"], ["--standardize"], ["--interventions-column", "a"]]),
)
@example(rows=[], numbers=None, score="bge", more=[])
def test_any_table(folder: Path, rows, numbers, score: str, more: list[str]) -> None:
    lines = rows if numbers is None else [map(repr, row) for row in numbers]
    table = folder / "any.csv"
    table.write_text("\n".join(map(",".join, [["a", "b", "c"], *lines])), encoding="utf-8")
    check(run(["fit", "any.csv", "--score", score, "--output", "any", "--overwrite", *more]))


@given(
    place=st.floats(0, 1, exclude_max=True),
    letters=st.text(max_size=3) | st.sampled_from(["null", "[]", "{}", "1e999", '"x"', "-"]),
    length=st.integers(0, 12),
)
def test_any_request_that_is_not_finished(
    folder: Path, place: float, letters: str, length: int
) -> None:
    """The file that says what to go on with, of which a few letters were changed."""
    if not (folder / "resumed").exists():
        assert run(["fit", "numbers.csv", "--seed", "1", "--output", "resumed"]).code == 0
        (folder / "kept.json").rename(folder / "request.json")
    text = (folder / "request.json").read_text(encoding="utf-8")
    start = int(place * len(text))
    changed = text[:start] + letters + text[start + length :]
    (folder / "resumed" / "request.json").write_text(changed, encoding="utf-8")
    check(run(["fit", "--resume", "resumed"]))


@given(
    place=st.floats(0, 1, exclude_max=True),
    letters=st.text(max_size=3) | st.sampled_from(["null", "[]", "{}", "1e999", '"x"', "-", "0"]),
    length=st.integers(0, 30),
)
def test_a_report_of_any_summary(folder: Path, place: float, letters: str, length: int) -> None:
    """The file that a report reads what was done from, of which a few letters were changed."""
    if not (folder / "fitted").exists():
        words = ["--tier", "a", "--tier", "b", "--require", "a:b", "--seed", "1"]
        assert run(["fit", "numbers.csv", *words, "--output", "fitted"]).code == 0
        (folder / "fitted" / "summary.json").rename(folder / "summary.json")
    text = (folder / "summary.json").read_text(encoding="utf-8")
    start = int(place * len(text))
    changed = text[:start] + letters + text[start + length :]
    (folder / "fitted" / "summary.json").write_text(changed, encoding="utf-8")
    outcome = run(["report", "fitted", "--overwrite"])
    check(outcome)
    assert outcome.code == 0, outcome.complained


def test_accepted_arguments_are_accepted(folder: Path) -> None:
    """What is drawn above is not refused as a whole."""
    assert run(["fit", "numbers.csv", "--output", "good"]).code == 0
    words = ["--score", "bde", "--require", "a:é", "--quiet", "--output", "good_words"]
    assert run(["fit", "words.csv", *words]).code == 0
    assert run(["compare", "numbers.csv", "--methods", "exact"]).code == 0
    assert run(["calibrate", "--tables", "2"]).code == 0
    assert run(["report", "posterior.npz", "--overwrite"]).code == 0
    shown = run(["effects", "posterior.npz", "--overwrite"], "ascii")
    assert shown.code == 0 and "\\u65e5" in shown.said
