"""The pictures of `dag_gfn.plots` as parts of a page."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from dag_gfn.report.markup import Child, Html, element, scrolling

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A drawing of more bytes, of ten thousand dots for instance, is smaller as pixels.
_MAX_SVG = 400_000
_PIXELS_PER_INCH = 200
_SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"')
# An SVG is XML, whose comments matplotlib fills with the names that it draws.
_NOT_IN_XML = re.compile(r"<!--.*?-->|[\x00-\x08\x0b\x0c\x0e-\x1f]", re.DOTALL)


def figure(
    draw: Callable[[], Axes],
    *,
    alternative: str,
    caption: Child,
    least_width: float = 22,
) -> Html:
    """Draw a picture and put it into a figure, with its caption.

    The same picture gives the same bytes. It is an image of its own, not a part of the page, so
    that nothing in it can act on the page.

    Parameters
    ----------
    draw : callable
        Draws on a new figure, and returns its Axes.
    alternative : str
        What there is to see, for those who cannot.
    caption : str or Html
    least_width : float, default 22
        Where there is less room the picture scrolls, lest its text be too small to read; in units
        of the page's letters.

    Returns
    -------
    Html
    """
    address, width, height = _data(draw)
    image = element(
        "img",
        src=address,
        alt=alternative,
        width=round(width),
        height=round(height),
        style=f"min-width:min({round(width)}px, {least_width}rem)",
    )
    return element("figure", scrolling(image), element("figcaption", caption))


def _data(draw: Callable[[], Axes]) -> tuple[str, float, float]:
    """Return a picture as the address of its data, and its size in pixels of a page."""
    import matplotlib
    import matplotlib.pyplot as plt

    with matplotlib.rc_context({"svg.hashsalt": "dag_gfn", "svg.fonttype": "path"}):
        drawn = draw().get_figure(root=True)
        assert drawn is not None
        file = io.BytesIO()
        # Tight, which also makes room for names that are longer than the layout expects.
        drawn.savefig(
            file, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None}
        )
        text = _NOT_IN_XML.sub("", file.getvalue().decode("utf-8"))
        size = _SIZE.search(text)
        assert size is not None
        data, kind = text.encode("utf-8"), "svg+xml"
        if len(data) > _MAX_SVG:
            file = io.BytesIO()
            drawn.savefig(
                file,
                format="png",
                dpi=_PIXELS_PER_INCH,
                bbox_inches="tight",
                metadata={"Software": None},
            )
            data, kind = file.getvalue(), "png"
        plt.close(drawn)
    address = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    width, height = (96 / 72 * float(points) for points in size.groups())
    return address, width, height
