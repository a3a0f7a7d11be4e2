"""A time budget in words."""

from __future__ import annotations

import math
import re

__all__ = ["parse_budget"]

_UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def parse_budget(budget: str | float) -> float:
    """Return a time budget in seconds.

    Parameters
    ----------
    budget : str or float
        Seconds, or a number with the unit s, min or h.

    Returns
    -------
    float
        In seconds, positive.

    Raises
    ------
    ValueError
        If it is not a positive length of time.

    Examples
    --------
    >>> parse_budget("2min")
    120.0
    >>> parse_budget(30)
    30.0
    """
    match = re.fullmatch(r"\s*([0-9.eE+-]+)\s*([a-zA-Z]*)\s*", str(budget))
    try:
        seconds = float(match[1]) * _UNITS[match[2].lower()] if match else math.nan
    except (KeyError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(
            f'budget must be a positive time such as "60s", "2min" or 90, not {budget!r}.'
        )
    return seconds
