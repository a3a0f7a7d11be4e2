"""Notebooks and studies, which lie outside of the documentation, are gathered before it is read.

Sphinx reads what is in its folder alone, and links between what is gathered should lead where they
lead in the repository. So it is copied into folders of the same names, which git ignores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

_PATTERNS = ("notebooks/*.ipynb", "experiments/*.md", "experiments/*/*.md", "experiments/*/*.png")


def gather(root: Path, folder: Path) -> None:
    """Make the copies in a folder what the files of the repository are."""
    sources = {path.relative_to(root): path for pattern in _PATTERNS for path in root.glob(pattern)}
    for pattern in _PATTERNS:
        for copy in folder.glob(pattern):
            if copy.relative_to(folder) not in sources:
                copy.unlink()
    for name, source in sources.items():
        copy, content = folder / name, source.read_bytes()
        # What has not changed keeps its time, by which Sphinx knows what to read again.
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)


def _gather(app: Sphinx, config: Config) -> None:
    gather(app.srcdir.parent, app.srcdir)


def setup(app: Sphinx) -> dict[str, Any]:
    """Gather as soon as the settings are known."""
    app.connect("config-inited", _gather)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
