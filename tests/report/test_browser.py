"""The report in a real browser: it looks as meant, runs nothing, and asks for nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

# What sticks out of the window to the right, other than in a box that scrolls by itself.
STICKING_OUT = """
[...document.querySelectorAll("body *")]
  .filter(one => !one.closest(".scroll > *, .skip")
    && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(one => one.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def tab(whole, browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(whole, encoding="utf-8")
    opened = browser.open(path)
    yield opened
    opened.close()


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_it_runs_nothing_and_asks_for_nothing(tab):
    """Although the columns are named like scripts and images."""
    asked = [event["request"]["url"] for event in tab.events("Network.requestWillBeSent")]
    assert asked[0] == tab.address
    assert all(address.startswith("data:image/") for address in asked[1:])
    for event in (
        "Runtime.exceptionThrown",
        "Runtime.consoleAPICalled",
        "Log.entryAdded",
        "Page.javascriptDialogOpening",
    ):
        assert tab.events(event) == []
    assert tab.evaluate("document.scripts.length") == 0


def test_the_names_are_shown_as_they_are(tab):
    assert tab.evaluate("document.title") == "Causal graphs of <b>table.csv"
    shown = tab.evaluate("document.body.innerText")
    for name in ("<script>alert(1)</script>", "\"&'", "</style><img src=x onerror=alert(2)>"):
        assert name in shown


def test_every_picture_is_drawn(tab):
    images = tab.evaluate(
        "[...document.images].map(one => [one.complete, one.naturalWidth, one.naturalHeight, "
        "one.clientWidth, one.alt])"
    )
    assert len(images) == 7  # edges, graph, effects, two densities, weights, training
    for complete, width, height, shown_width, alternative in images:
        assert complete and min(width, height, shown_width) > 100 and len(alternative) > 40
    boxes = tab.evaluate(
        "[...document.querySelectorAll('svg')].map(one => one.getBBox()).map(b => b.width)"
    )
    assert len(boxes) >= 4 + 8 and min(boxes) > 5  # a histogram a column, an interval an effect


def test_headings_go_down_by_one_and_the_tables_have_rows(tab):
    levels = tab.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map(one => +one.tagName[1])"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert max(np.diff(levels)) == 1
    rows = tab.evaluate(
        "[...document.querySelectorAll('table')].map(one => one.tBodies[0].rows.length)"
    )
    assert rows == [4, 6, 8, 4]  # columns, pairs, effects, settings


def test_the_contents_lead_to_every_section(tab):
    tab.call(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-reduced-motion", "value": "reduce"}],  # no slow scrolling
    )
    reached = tab.evaluate(
        """
        (async () => {
          const reached = [];
          for (const link of document.querySelectorAll("nav a")) {
            link.click();
            await new Promise(requestAnimationFrame);
            const top = document.querySelector(location.hash).getBoundingClientRect().top;
            const atEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
            reached.push([location.hash, Math.abs(top) < 40 || (atEnd && top < innerHeight)]);
          }
          scrollTo(0, 0);
          return reached;
        })()
        """
    )
    sections = tab.evaluate("[...document.querySelectorAll('section > h2')].map(one => one.id)")
    assert reached == [[f"#{section}", True] for section in sections]


@pytest.mark.parametrize("width", [1600, 1000, 400, 320])
def test_nothing_sticks_out(tab, width):
    tab.resize(width, 800)
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(STICKING_OUT) == []
    tab.resize(1200, 900)


def test_it_is_not_blank_on_the_screen_nor_on_paper(tab):
    for width in (1200, 400):
        tab.resize(width, 900)
        seen = pixels(tab.screenshot())
        assert seen.shape == (900, width, 3)
        assert 0.02 < (seen.min(axis=2) < 128).mean() < 0.5  # text, on white
    tab.resize(1200, 900)
    whole = pixels(tab.screenshot(full=True))
    boxes = tab.evaluate(
        "[...document.images].map(one => one.getBoundingClientRect())"
        ".map(box => [box.left, box.top + scrollY, box.right, box.bottom + scrollY])"
    )
    assert len(boxes) == 7
    for left, top, right, bottom in np.round(boxes).astype(int):
        assert whole[top:bottom, left:right].std() > 10
    assert tab.print_to_pdf().startswith(b"%PDF-")
