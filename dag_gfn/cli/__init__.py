"""The command ``dag-gfn``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

import dag_gfn
from dag_gfn.cli import calibrate, compare, effects, fit, report
from dag_gfn.cli.log import Log
from dag_gfn.cli.messages import Refusal

__all__ = ["build_parser", "main"]

_EPILOG = """\
example:
  dag-gfn fit --dataset sachs --log --standardize --output sachs_run

"dag-gfn fit --help" explains every option.

exit codes:
  0    all went well
  1    a table, an option or a folder was refused, in one sentence on the standard error stream
  2    the options cannot be understood
  130  interrupted by Ctrl-C
  143  ended by SIGTERM
A fit that is interrupted or ended is kept, and goes on with "dag-gfn fit --resume FOLDER"."""


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the arguments; its result has ``run``, which does the work."""
    parser = argparse.ArgumentParser(
        prog="dag-gfn",
        description="The posterior over the causal graphs that could have produced a table.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dag-gfn {dag_gfn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    fit.add_parser(commands)
    effects.add_parser(commands)
    report.add_parser(commands)
    compare.add_parser(commands)
    calibrate.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the command's name; those of the process when left out.

    Returns
    -------
    int
        The exit code: 0 when all went well, 1 when the table, a constraint or the output folder was
        refused (in one sentence on the standard error stream), 130 when interrupted. Arguments that
        cannot be understood end the process with 2, as argparse does, and SIGTERM ends it with 143,
        once a fit has kept its training.

    Examples
    --------
    >>> main(["fit", "no_such_table.csv"])  # says why on the standard error stream
    1
    """
    argv = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # Names may have letters that the terminal, or whoever reads the output, has not.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # Whoever types the bare command wants to know what it does.
        parser = build_parser()
        _refuse_empty_values(parser, argv)
        args = parser.parse_args(argv or ["--help"])
        args.run(args)
    except Refusal as refusal:
        print(f"dag-gfn: {refusal}", file=sys.stderr)
        Log(args).event("refused", {"text": str(refusal)})
        return 1
    except BrokenPipeError:
        # Whoever read the output has seen enough; what is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("dag-gfn: interrupted before the results were complete.", file=sys.stderr)
        return 130
    return 0


def _refuse_empty_values(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """End the process at an option whose value is ``--``, which argparse makes an empty list."""
    for word in argv:
        option, _, value = word.partition("=")
        if option.startswith("--") and value == "--":
            parser.error(f"argument {option}: expected one argument")
