"""Formulae as MathML, which browsers draw by themselves: no script, no font, no network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

_log = logging.getLogger(__name__)

# Browsers leave no space between a function and what it is applied to without parentheses.
_APPLIED = re.compile(r'(<mo>&ApplyFunction;</mo>)(?!\s*<mo stretchy="false">\()')
_SPACED = r'\1<mspace width="0.17em"></mspace>'


def _mathml(node: nodes.Node, *, as_block: bool) -> str:
    try:
        return _APPLIED.sub(_SPACED, tex2mathml(node.astext(), as_block=as_block))
    except MathError as error:
        _log.warning("%s in the formula %r", error, node.astext(), location=node)
        return ""


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def _block(writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer the renderer to Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
