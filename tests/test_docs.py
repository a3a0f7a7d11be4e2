"""The documentation builds without a warning, its links lead on, and its Python runs."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import matplotlib.pyplot as plt
import pytest

import dag_gfn
from dag_gfn.cli import build_parser
from dag_gfn.cli.outputs import FILES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Copies of what lies outside of the folder are tested where they come from.
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if page.relative_to(DOCS).parts[0] not in ("_build", "experiments", "notebooks")
]


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


class Page(HTMLParser):
    """What a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(given["href"])
        elif tag in ("img", "script", "source", "iframe") and given.get("src"):
            self.loaded.append(given["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    built = subprocess.run(
        [*command, "-d", folder / "doctrees", DOCS, folder / "html"], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def site_pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_local_link_leads_on(site, site_pages):
    broken = []
    for path, page in site_pages.items():
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = site_pages.get(target)
            if not target.is_file() or (
                known and parts.fragment and unquote(parts.fragment) not in known.anchors
            ):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken


def test_nothing_is_loaded_from_elsewhere(site, site_pages):
    elsewhere = [
        f"{path.relative_to(site)}: {url}"
        for path, page in site_pages.items()
        for url in page.loaded
        if urlsplit(url).netloc
    ]
    assert not elsewhere


def test_notebooks_and_studies_are_there(site):
    for pattern in ("notebooks/*.ipynb", "experiments/*/README.md"):
        sources = list(ROOT.glob(pattern))
        assert sources
        for source in sources:
            assert (site / source.relative_to(ROOT)).with_suffix(".html").is_file()


def test_every_public_name_has_an_entry(site):
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    entries = {line.split(" ")[0] for line in zlib.decompress(inventory).decode().splitlines()}
    public = {f"dag_gfn.{name}" for name in dag_gfn.__all__ if not name.startswith("__")}
    assert public <= entries


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python")],
    ids=lambda page: page.relative_to(DOCS).as_posix(),
)
def test_the_python_of_a_page_runs_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(page, "python"), start=1):
        exec(compile(block, f"{page.name}, Python block {number}", "exec"), names)
    plt.close("all")


def test_the_commands_parse():
    commands = [line for page in PAGES for b in blocks(page, "console") for line in b.splitlines()]
    assert len(commands) >= 10
    for command in commands:
        prompt, program, *arguments = shlex.split(command)
        assert (prompt, program) == ("$", "dag-gfn")
        build_parser().parse_args(arguments)


def test_every_result_file_is_explained():
    text = (DOCS / "how-to" / "command-line.md").read_text(encoding="utf-8")
    for name in FILES:
        assert f"`{name}`" in text


def test_what_lies_outside_is_gathered(tmp_path):
    gather = runpy.run_path(str(DOCS / "extensions" / "gathered.py"))["gather"]
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    for name in ("kept", "changed", "renamed"):
        (notebooks / f"{name}.ipynb").write_text(name)
    gather(tmp_path, tmp_path / "docs")
    kept = tmp_path / "docs" / "notebooks" / "kept.ipynb"
    written = kept.stat().st_mtime_ns
    (notebooks / "changed.ipynb").write_text("anew")
    (notebooks / "renamed.ipynb").rename(notebooks / "new.ipynb")
    gather(tmp_path, tmp_path / "docs")
    found = {path.stem: path.read_text() for path in kept.parent.iterdir()}
    assert found == {"kept": "kept", "changed": "anew", "new": "renamed"}
    assert kept.stat().st_mtime_ns == written


def test_the_picture_of_the_priors_can_be_drawn(tmp_path):
    draw = runpy.run_path(str(DOCS / "explanations" / "prior.py"))["draw"]
    draw(tmp_path / "prior.png", num_graphs=100, num_tables=2, rows=(10, 20))
    plt.close("all")
    assert (tmp_path / "prior.png").read_bytes().startswith(b"\x89PNG")
