"""Pictures are written in a form that a journal takes."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt
import pytest

from dag_gfn import plots
from dag_gfn.plots import save
from dag_gfn.posterior import Posterior


@pytest.fixture
def picture():
    posterior = Posterior([[[0, 1], [0, 0]]], [0.0], ["rain", "wet"])
    yield plots.posterior_graph(posterior)
    plt.close("all")


@pytest.mark.parametrize("part", ["axes", "figure"])
def test_the_text_of_a_vector_picture_is_text(picture, part, tmp_path):
    path = tmp_path / "graph.svg"
    save(picture if part == "axes" else picture.figure, path)
    written = re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))
    assert {"rain", "wet"} <= set(written)


def test_a_pdf_embeds_fonts_that_can_be_edited(picture, tmp_path):
    save(picture, tmp_path / "graph.pdf")
    assert b"/Type3" not in (tmp_path / "graph.pdf").read_bytes()
    picture.figure.savefig(tmp_path / "default.pdf")
    assert b"/Type3" in (tmp_path / "default.pdf").read_bytes()


def test_the_settings_of_the_session_stay_and_options_are_passed_on(picture, tmp_path):
    before = dict(plt.rcParams)
    save(picture, tmp_path / "small.png", dpi=20)
    save(picture, tmp_path / "large.png", dpi=80)
    assert dict(plt.rcParams) == before
    small, large = (plt.imread(tmp_path / name) for name in ("small.png", "large.png"))
    assert large.shape[0] == pytest.approx(4 * small.shape[0], abs=4)


def test_an_unknown_format_is_refused(picture, tmp_path):
    with pytest.raises(ValueError, match="nonsense"):
        save(picture, tmp_path / "graph.nonsense")
