"""The page by itself: what it says of whatever there is, and that it is sound HTML."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.report import describe_columns, page, read_run, write
from dag_gfn.report.markup import element, escaped
from dag_gfn.report.pairs import pairs


class Outline(HTMLParser):
    """Takes a page apart; fails where elements do not nest."""

    VOID = {"br", "meta", "img"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name: str) -> list[str | None]:
        return [about[name] for _, about in self.elements if name in about]


def report(posterior: dg.Posterior, tmp_path, **settings) -> Outline:
    write(tmp_path / "page.html", posterior, progress=False, **settings)
    return Outline((tmp_path / "page.html").read_text(encoding="utf-8"))


def test_it_is_sound_needs_nothing_and_can_be_read_aloud(whole):
    outline = Outline(whole)
    assert whole.startswith('<!DOCTYPE html>\n<html lang="en">')
    ids = outline.all("id")
    assert len(set(ids)) == len(ids)
    assert {link[1:] for link in outline.all("href")} <= set(ids)
    assert all(source.startswith("data:image/") for source in outline.all("src"))
    tags = [tag for tag, _ in outline.elements]
    assert {"script", "link", "iframe", "object"}.isdisjoint(tags)
    assert all(about["alt"] for tag, about in outline.elements if tag == "img")
    assert all("scope" in about for tag, about in outline.elements if tag == "th")
    (policy,) = (about for _, about in outline.elements if "http-equiv" in about)
    assert "default-src 'none'" in policy["content"]


def test_names_are_escaped_everywhere(whole, folder):
    names = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["variables"]
    for name in names:
        if "<" in name or '"' in name:
            assert name not in whole
        assert escaped(name) in whole
        assert name in Outline(whole).text


def test_the_same_run_gives_the_same_bytes(whole, folder):
    assert page(read_run(folder), progress=False) == whole


def test_the_numbers_are_those_of_the_posterior(whole, folder):
    posterior = dg.Posterior.load(folder / "posterior.npz")
    text = Outline(whole).text
    marginals = posterior.edge_marginals()
    errors = posterior.edge_marginals_standard_error()
    shown = 0
    for cause, effect in zip(*np.nonzero(marginals.to_numpy() > 0.001), strict=True):
        value, error = marginals.iloc[cause, effect], errors.iloc[cause, effect]
        if 0.01 <= error and value < 0.99:
            assert f"{value:.2f} ± {error:.2f}" in text
            shown += 1
    assert shown >= 3
    summary = posterior.causal_effects(standardized=True, random_state=0).summary(0.9)
    sure = summary.iloc[0]
    assert f"{sure['mean']:.2f}".lstrip("-") in text
    assert f"{sure['probability_of_no_effect']:.2f}" in text or "< 0.01" in text
    assert f"{posterior.khat:.2g}".lstrip("-") in text
    for said in ("12 seconds", "fair: every number of causes", "Seed 7", "$x_$", "0.25"):
        assert said in text
    assert "dag-gfn fit 'folder/<b>table.csv' --standardize" in text


def test_whatever_is_missing_is_said(folder, tmp_path):
    shutil.copy(folder / "posterior.npz", tmp_path)
    text = Outline(page(read_run(tmp_path), progress=False)).text
    assert "has no summary.json" in text and "has no history.csv" in text
    assert "No course of a training is recorded" in text


@pytest.mark.parametrize(
    ("summary", "history", "said"),
    [
        ('{"rows": ', "", ["summary.json cannot be read", "history.csv cannot be read"]),
        ("[]", "update,loss\n1,2\n", ["summary.json cannot be read"]),
        ('{"variables": ["other"]}', "update\n", ["is about other variables"]),
    ],
)
def test_files_that_are_damaged_or_of_another_fit_are_left_aside(
    folder, tmp_path, summary, history, said
):
    shutil.copy(folder / "posterior.npz", tmp_path)
    (tmp_path / "summary.json").write_text(summary, encoding="utf-8")
    (tmp_path / "history.csv").write_text(history, encoding="utf-8")
    run = read_run(tmp_path)
    assert run.summary == {} and len(run.notes) == len(said)
    for note, part in zip(run.notes, said, strict=True):
        assert part in note


def test_entries_of_other_types_are_as_good_as_none(tmp_path):
    odd = {"rows": "many", "settings": [], "tiers": 3, "columns": [1], "versions": None, "log": 1}
    dg.Posterior([[[0, 1], [0, 0]]], [0.0], ["a", "b"]).save(tmp_path / "posterior.npz")
    (tmp_path / "summary.json").write_text(json.dumps(odd), encoding="utf-8")
    (tmp_path / "history.csv").write_text("update,loss\n1,2\n", encoding="utf-8")
    text = Outline(page(read_run(tmp_path))).text
    assert "What the columns hold is not recorded" in text and "Rows many" not in text
    assert "No course of a training is recorded" in text


def test_a_posterior_alone_is_enough(folder):
    run = read_run(folder / "posterior.npz")
    assert run.summary == {} and run.history is None
    assert "made from posterior.npz alone" in run.notes[0]


def test_a_poor_posterior_is_called_one(tmp_path):
    graphs = [[[0, 1], [0, 0]]] * 30
    text = report(dg.Posterior(graphs, [0.0] * 29 + [20.0], ["a", "b"]), tmp_path).text
    assert "Trust: poor. Do not use these results yet." in text
    assert "Pareto k-hat" in text and "Surely joined" not in text


def test_graphs_alone_give_paths_in_place_of_effects(tmp_path):
    chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    posterior = dg.Posterior([chain] * 3 + [np.zeros((3, 3))], [0.0] * 4, ["a", "b", "c"])
    text = report(posterior, tmp_path).text
    assert "how large an effect is cannot be said" in text
    assert "a → c 0.75" in text
    assert "What the columns hold is not recorded" in text


def test_draws_of_chains_are_judged_by_how_they_agree(tmp_path):
    posterior = dg.Posterior(
        [[[0, 1], [0, 0]], [[0, 0], [0, 0]]] * 100,
        [0.0] * 200,
        ["a", "b"],
        log_evidence=np.nan,
        metadata={"rhat": 1.2, "ess": 50.0},
    )
    text = report(posterior, tmp_path).text
    assert (
        "R-hat 1.200 : how much chains" in text
        and "Log evidence" not in text
        and "k-hat" not in text
    )
    assert "0.50 ± 0.04" in text


def test_categories_are_counted_also_where_they_were_set(tmp_path):
    table = pd.DataFrame(
        {"smoker": ["no", "yes"] * 20, "cough": (["a"] * 3 + ["b"]) * 10}, dtype="category"
    )
    targets = ["smoker"] * 4 + [None] * 36
    posterior = dg.ExactPosterior(score="bde").fit(table, interventions=targets).posterior_
    outline = report(posterior, tmp_path, table=table)
    assert "smoker 2 no 50 % and yes 50 % 4" in outline.text.replace("\u202f", " ")
    assert "a 75 % and b 25 % 0" in outline.text.replace("\u202f", " ")
    assert "needs no training" in outline.text
    assert "largest change of a probability" in outline.text


def test_effects_are_in_the_units_of_a_table_that_was_not_standardised(tmp_path):
    table = dg.datasets.simulate_linear_gaussian(2, 50, random_state=0).table
    posterior = dg.ExactPosterior().fit(table).posterior_
    assert "per unit of the cause" in report(posterior, tmp_path).text
    with pytest.raises(ValueError, match="other columns"):
        report(posterior, tmp_path, table=table.rename(columns={"X0": "y"}))
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        report(posterior, tmp_path, level=90)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_pairs_add_up():
    posterior = (
        dg.ExactPosterior()
        .fit(dg.datasets.simulate_linear_gaussian(4, 30, random_state=0).table)
        .posterior_
    )
    found = pairs(posterior)
    assert len(found) == 6
    marginals = posterior.edge_marginals()
    for pair in found:
        assert pair.forward == marginals.loc[pair.cause, pair.effect] >= pair.backward
        assert pair.joined == pytest.approx(pair.forward + pair.backward)
    assert sum(pair.joined for pair in found) == pytest.approx(marginals.to_numpy().sum())


def test_columns_are_described_as_pandas_does():
    table = dg.datasets.simulate_linear_gaussian(3, 40, random_state=0).table
    described = describe_columns(table, ["X1"] * 5 + [None] * 35)
    theirs = table.describe()
    for about, name in zip(described, table, strict=True):
        assert about["rows_set"] == (5 if name == "X1" else 0)
        for mine, of_pandas in (("minimum", "min"), ("median", "50%"), ("mean", "mean")):
            assert about[mine] == pytest.approx(theirs.loc[of_pandas, name])
        assert about["standard_deviation"] == pytest.approx(table[name].std(ddof=0))
        assert sum(about["histogram"]) == 40
    json.dumps(described, allow_nan=False)


def test_control_characters_become_signs_of_their_own():
    made = element("p", "a\x00b\x1b[31m", title="\x07")
    assert re.fullmatch(r'<p title="\ufffd">a\ufffdb\ufffd\[31m</p>', made)
