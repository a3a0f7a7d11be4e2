"""Numbers and names in words, as a reader expects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dag_gfn.report.markup import Child, Html, element, join

_THIN = "\N{NARROW NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
ARROW = " \N{RIGHTWARDS ARROW} "
DASH = " \N{EN DASH} "
_MOST_DECIMALS = 6


def name(variable: str) -> Html:
    """Mark up the name of a variable, whatever its letters and their direction.

    Examples
    --------
    >>> name("<i>")
    '<bdi>&lt;i&gt;</bdi>'
    """
    shown = (
        variable
        if variable.strip()
        else f"\N{LEFT DOUBLE QUOTATION MARK}{variable}\N{RIGHT DOUBLE QUOTATION MARK}"
    )
    return element("bdi", shown)


def edge(cause: str, effect: str, *, directed: bool = True) -> Html:
    """Mark up two variables with an arrow between them, or a dash."""
    return join([name(cause), ARROW if directed else DASH, name(effect)])


def listed(items: Sequence[Child]) -> Html:
    """Join by commas, with an "and" before the last.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    if len(items) < 2:
        return join(items)
    return join([join(items[:-1], ", "), " and ", items[-1]])


def whole(number: float) -> str:
    """Write a whole number, its thousands set apart.

    Examples
    --------
    >>> whole(12345).split(_THIN)
    ['12', '345']
    """
    return f"{number:,.0f}".replace(",", _THIN).replace("-", _MINUS)


def count(number: int, thing: str, things: str | None = None) -> str:
    """Write how many of something there are.

    Examples
    --------
    >>> count(1, "row"), count(2, "row"), count(0, "class", "classes")
    ('1 row', '2 rows', '0 classes')
    """
    return f"{whole(number)} {thing if number == 1 else things or thing + 's'}"


def decimal(number: float, digits: int = 2) -> str:
    """Write a number with so many decimals; none for an exact zero.

    Examples
    --------
    >>> decimal(0.123), decimal(-0.001), decimal(0.0)
    ('0.12', '0.00', '0')
    """
    if number == 0 or not np.isfinite(number):
        return "0" if number == 0 else significant(number)
    text = f"{number:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", _MINUS)


def measured(number: float, spread: float) -> str:
    """Write a number to the digits that it has, by how wide an interval about it is.

    Examples
    --------
    >>> measured(0.26768, 0.45), measured(1234.5, 320.0), measured(0.00012345, 0.00004)
    ('0.27', '1234', '0.000123')
    """
    if not spread > 0:
        return decimal(number) if number == 0 else significant(number, 2)
    digits = int(1 - np.floor(np.log10(spread)))
    return significant(number, 2) if digits > _MOST_DECIMALS else decimal(number, max(digits, 0))


def significant(number: float, digits: int = 3) -> str:
    """Write a number with so many significant digits.

    Examples
    --------
    >>> significant(1234.5), significant(0.00012), significant(float("inf"))
    ('1230', '0.00012', 'infinite')
    """
    if np.isnan(number):
        return "not known"
    if np.isinf(number):
        return "infinite" if number > 0 else f"{_MINUS} infinite"
    text = f"{number:.{digits}g}"
    if "e" in text and abs(number) >= 1 and abs(number) < 1e6:
        text = f"{float(text):.0f}"
    return text.replace("-", _MINUS)


def probability(value: float) -> str:
    """Write a probability with two decimals, and as a bound where rounding would make it certain.

    Draws that all agree do not make anything certain, so neither does a value of 0 or 1.

    Examples
    --------
    >>> probability(0.5), probability(0.001), probability(1.0)
    ('0.50', '< 0.01', '> 0.99')
    """
    return _bounded(value, 2)


def _bounded(value: float, digits: int) -> str:
    step = 10.0**-digits
    if value < step / 2:
        return f"< {step:.{digits}f}"
    if value >= 1 - step / 2:
        return f"> {1 - step:.{digits}f}"
    return f"{value:.{digits}f}"


def interval(row: Mapping[str, float]) -> str:
    """Write the interval of an effect, from its ``lower`` to its ``upper`` end.

    Examples
    --------
    >>> interval({"lower": 0.0, "upper": 0.4512})
    '0 to 0.45'
    """
    spread = row["upper"] - row["lower"]
    return f"{measured(row['lower'], spread)} to {measured(row['upper'], spread)}"


def percent(level: float) -> str:
    """Write a level as a percentage.

    Examples
    --------
    >>> percent(0.9).replace(_THIN, " ")
    '90 %'
    """
    return f"{100 * level:.6g}{_THIN}%"


def with_error(value: float, error: float) -> str:
    """Write an estimate of a probability with its standard error, to the digits that it has.

    Examples
    --------
    >>> with_error(0.50777, 0.00504), with_error(0.3, 0.0), with_error(0.0, 0.0)
    ('0.508 ± 0.005', '0.300', '< 0.001')
    """
    digits = 3 if error < 0.01 else 2
    shown = _bounded(value, digits)
    return shown if error <= 0 else f"{shown} ± {max(error, 10.0**-digits):.{digits}f}"
