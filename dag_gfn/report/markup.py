"""HTML from Python values, in which whatever is not known to be markup is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

# An HTML document cannot hold them, not even escaped.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_VOID = frozenset({"br", "col", "img", "meta"})


class Html(str):
    """Text that is markup already. Every other string is escaped where it enters an element."""


# In quotes, since it is about itself.
Child: TypeAlias = "str | Iterable[Child] | None"


def escaped(text: str) -> Html:
    """Return a text as markup.

    Examples
    --------
    >>> escaped("a < b")
    'a &lt; b'
    """
    return Html(html.escape(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)))


def element(tag: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Make an element.

    Parameters
    ----------
    tag : str
    *children : str, Html, None or iterables of them
        `Html` goes in as it is, a str is escaped, None is left out.
    **attributes : str, number, bool or None
        An underscore stands for a hyphen, and one at the end for nothing. True gives an attribute
        without a value; False and None leave it out.

    Returns
    -------
    Html

    Examples
    --------
    >>> element("p", "1 < 2: ", element("b", "yes"), class_="note", hidden=False)
    '<p class="note">1 &lt; 2: <b>yes</b></p>'
    """
    start = tag
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        start += f" {name.rstrip('_').replace('_', '-')}"
        if value is not True:
            start += f'="{escaped(str(value))}"'
    if tag in _VOID:
        return Html(f"<{start}>")
    return Html(f"<{start}>{join(children)}</{tag}>")


def join(children: Child, between: str = "") -> Html:
    """Put markup and texts one after another.

    Examples
    --------
    >>> join(["<", element("br"), None, ["a", "b"]], ", ")
    '&lt;, <br>, a, b'
    """
    return Html(escaped(between).join(_flat(children)))


def _flat(child: Child) -> Iterable[Html]:
    if child is None:
        return
    if isinstance(child, Html):
        yield child
    elif isinstance(child, str):
        yield escaped(child)
    else:
        for one in child:
            yield from _flat(one)


def paragraph(*children: Child, class_: str | None = None) -> Html:
    """Make a paragraph."""
    return element("p", *children, class_=class_)


def bullets(items: Iterable[Child]) -> Html:
    """Make a list."""
    return element("ul", [element("li", item) for item in items])


def facts(pairs: Iterable[tuple[str, Child]]) -> Html:
    """Make a list of terms, each with what it stands for."""
    rows = [element("div", element("dt", term), element("dd", what)) for term, what in pairs]
    return element("dl", rows, class_="facts")


def table(
    caption: Child,
    columns: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    numbers: Iterable[int] = (),
) -> Html:
    """Make a table that scrolls by itself where the screen is narrow.

    Parameters
    ----------
    caption : str or Html
    columns : sequence of str
        Their headings.
    rows : iterable of sequences
        Cells, of which the first names the row.
    numbers : iterable of int
        Which columns hold numbers, which stand to the right.

    Returns
    -------
    Html
    """
    right = set(numbers)
    look = ["number" if position in right else None for position in range(len(columns))]
    head = [
        element("th", title, scope="col", class_=one)
        for title, one in zip(columns, look, strict=True)
    ]
    body = []
    for row in rows:
        first, *others = row
        cells = [
            element("td", cell, class_=one) for cell, one in zip(others, look[1:], strict=True)
        ]
        body.append(element("tr", element("th", first, scope="row", class_=look[0]), cells))
    whole = element("table", element("thead", element("tr", head)), element("tbody", body))
    return element("figure", element("figcaption", caption), scrolling(whole), class_="table")


def scrolling(content: Child) -> Html:
    """Put something wide into a box that scrolls by itself, so that the page need not."""
    # A keyboard reaches what is scrolled out of sight only where the box can have the focus.
    return element("div", content, class_="scroll", tabindex=0)


def details(title: Child, *children: Child) -> Html:
    """Make a part that is folded up until it is asked for."""
    return element("details", element("summary", title), *children)


def share_bar(share: float) -> Html:
    """Draw a probability as a bar. The number stands beside it, so it is for the eye alone."""
    filled = f"width:{100 * min(max(share, 0.0), 1.0):.1f}%"
    return element("span", element("span", style=filled), class_="bar", aria_hidden="true")
