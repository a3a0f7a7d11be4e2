"""``dag-gfn report``: one page that says what a fit has found."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dag_gfn.cli.fit import whole_number_type
from dag_gfn.cli.messages import in_command_words, plain_warnings, refusing

_DESCRIPTION = """\
Write one HTML file that says what "dag-gfn fit" has found: the data, the probability of every
edge, the graph, causal effects with their intervals, how far to trust all of it, and how to repeat
it. Any browser opens it; it needs no other file and no network, so it can be mailed, printed or
kept."""

_EPILOG = """\
examples:
  dag-gfn report run
  dag-gfn report run --level 0.95 --output results/report.html

What the folder lacks is left out of the page, which says so. Effects are in standard deviations of
the columns if the fit had --standardize, else in the units of the table."""


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of commands."""
    parser = commands.add_parser(
        "report",
        help="one page that says what a fit has found",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "posterior", type=Path, metavar="FOLDER", help='that "dag-gfn fit" has written, or its .npz'
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the page (default: report.html in the folder)",
    )
    parser.add_argument(
        "--level",
        type=float,
        default=0.9,
        metavar="P",
        help="probability of the intervals (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number_type(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="where random numbers start, of the effects (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a page that exists")
    parser.add_argument("--quiet", action="store_true", help="print nothing but what is wrong")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read the folder, build the page, write and report.

    Raises
    ------
    Refusal
        If there is no posterior, an option does not fit it, or the file cannot be written.
    """
    import matplotlib

    matplotlib.use("agg")  # a file needs no screen

    from dag_gfn.cli.outputs import staged
    from dag_gfn.diagnostics import assess
    from dag_gfn.report import page, read_run

    folder = args.posterior if args.posterior.is_dir() else args.posterior.parent
    output = args.output or folder / "report.html"
    with plain_warnings(), refusing(OSError, MemoryError, ValueError):
        if output.is_dir():
            raise ValueError(f"{output} is a folder; give the name of a file to --output.")
        if output.exists() and not args.overwrite:
            raise ValueError(f"{output} exists; give --overwrite to replace it.")
        if not output.parent.is_dir():
            raise ValueError(
                f"there is no folder {output.parent}; make it, or give another --output."
            )
        found = read_run(args.posterior)
        text = page(found, level=args.level, random_state=args.seed, progress=not args.quiet)
        with staged(output.parent) as staging:
            (staging / output.name).write_text(text, encoding="utf-8")
    trust = assess(found.posterior)
    if not args.quiet:
        for note in found.notes:
            print(note)
        print(f"Wrote {output}, which any browser opens.")
        print(f"Trust: {trust.level}. {in_command_words(' '.join(trust.sentences))}")
