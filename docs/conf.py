"""How the documentation is built: ``sphinx-build -W --keep-going docs docs/_build/html``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import dag_gfn

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "dag_gfn"
author = "The dag_gfn authors"
copyright = "the dag_gfn authors; MIT licence"
version = release = dag_gfn.__version__

extensions = [
    "gathered",
    "mathml",
    "myst_nb",
    "numpydoc",
    "short_names",
    "sphinx.ext.autodoc",
]
exclude_patterns = ["_build"]

# Notebooks are kept with their outputs, and the tests run them.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Types are said in the docstrings, with shapes and units.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False
smartquotes = False  # docstrings quote values, and prime letters
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r"[a-z_]+"),  # parameters
    ("py:.*", r"(jax|optax|sklearn)\..*"),
]

html_theme = "furo"
html_title = f"dag_gfn {release}"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["dag_gfn.css"]
html_copy_source = False


def _skip(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what scikit-learn adds to every estimator for the routing of metadata."""
    is_routing = name == "get_metadata_routing" or name.startswith("set_") and "_request" in name
    return True if is_routing else None


def setup(app: Sphinx) -> None:
    """Be asked about every member that is to be documented."""
    app.connect("autodoc-skip-member", _skip)
