"""Links from short names in docstrings, such as `Posterior.sample`, to what they must mean."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def _link(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Link a name that is given without its module, if just one object of the package has it.

    Plain lower-case names are left alone: they are parameters, more often than not.
    """
    target = node["reftarget"]
    if node.get("refdomain") != "py" or (target == target.lower() and "." not in target):
        return None
    domain = env.domains.python_domain
    found = domain.find_obj(env, "", "", target, None, 1)
    canonical = [name for name, entry in found if not entry.aliased]
    if len(canonical) != 1:
        return None
    document = env.current_document.docname
    return domain.resolve_xref(
        env, document, app.builder, node["reftype"], canonical[0], node, content
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Be asked about every reference that Sphinx cannot resolve."""
    app.connect("missing-reference", _link)
    return {"parallel_read_safe": True}
