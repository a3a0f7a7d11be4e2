"""``dag-gfn compare``: several methods on one table, with the same scores and the same time."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dag_gfn.cli.fit import (
    add_model_options,
    add_table_options,
    check_usage,
    whole_number_type,
)
from dag_gfn.cli.log import Log, add_log_options
from dag_gfn.cli.messages import plain_warnings, refusing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dag_gfn.comparison import Comparison

# Those of `dag_gfn.comparison.METHODS`, which would take seconds to import here.
METHOD_NAMES = (
    "flow",
    "independence",
    "structure",
    "order",
    "partition",
    "order_flow",
    "exact",
    "bootstrap_ges",
    "bootstrap_pc",
    "sumu",
    "dibs",
)

_DESCRIPTION = """\
Run several methods on one table, with the same scores and the same time for each, and say how far
their edge probabilities are from a reference: the exact posterior where that is possible, else a
partition chain that runs five times as long. The output says which.

methods: {methods}"""

_EPILOG = """\
examples:
  dag-gfn compare --dataset sachs --log --standardize --methods order_flow,structure,partition
  dag-gfn compare table.csv --methods exact,structure,bootstrap_ges --budget 2min --output run

results in the output folder:
  summary.csv            wall time, effective sample size, errors, k-hat, R-hat of each method
  reference.csv          edge probabilities of the reference
  marginals_METHOD.csv   edge probabilities of each method
  errors_over_time.csv   largest and mean error after so many seconds
  scatter.png            edge probabilities of each method against those of the reference
  error_over_time.png    how the largest error fell with time"""


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of commands."""
    parser = commands.add_parser(
        "compare",
        help="run several methods on one table and compare them with a reference",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.description = _DESCRIPTION.format(methods=", ".join(METHOD_NAMES))
    add_table_options(parser)
    add_model_options(parser)
    _add_run_options(parser)
    parser.set_defaults(run=lambda args: run(args, parser))


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--methods",
        default="order_flow,structure,partition",
        metavar="NAME,NAME",
        help="which methods, separated by commas (default: %(default)s)",
    )
    group.add_argument(
        "--budget",
        default="60s",
        metavar="TIME",
        help="time for each method, such as 90s, 2min or 1h (default: %(default)s)",
    )
    group.add_argument(
        "--output",
        type=Path,
        default=Path("comparison"),
        metavar="FOLDER",
        help="folder of results, which must not exist yet (default: %(default)s)",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the results in a folder that exists; its other files are left alone",
    )
    group.add_argument(
        "--seed",
        type=whole_number_type(0, 2**32 - 1),
        metavar="N",
        help="where random numbers start (default: drawn at random); what a time limit ends is not "
        "reproducible",
    )
    add_log_options(group, quiet="print nothing but the results and what is wrong")


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Check everything, run every method, write and report.

    Raises
    ------
    Refusal
        If the table, an option or the output folder is not fit.
    """
    check_usage(args, parser)
    from dag_gfn.cli.inputs import read_request
    from dag_gfn.cli.outputs import claimed_folder
    from dag_gfn.comparison import compare, parse_budget
    from dag_gfn.comparison.methods import resolve_methods

    names = [name.strip() for name in args.methods.split(",") if name.strip()]
    log = Log(args)
    with plain_warnings(log):
        with refusing(OSError, MemoryError, ImportError, TypeError, ValueError):
            resolve_methods(names)
            budget = parse_budget(args.budget)
            request = read_request(args)
            scores = request.check()
        with (
            refusing(OSError, MemoryError, ValueError),
            claimed_folder(args.output, args.overwrite) as folder,
        ):
            log.say(
                f"Read {request.label}: {scores.num_rows} rows, {scores.num_variables} "
                f"variables.\nRunning {', '.join(names)}, {budget:g} s each; the results will "
                f"be in {folder}/."
            )
            log.started(request, folder, seconds_each=budget)
            comparison = compare(
                request.table,
                names,
                budget=budget,
                **request.model,
                **request.constraints,
                random_state=secrets.randbits(32) if args.seed is None else args.seed,
                progress=log.shows_progress,
            )
            _write(folder, comparison)
    for name, row in comparison.summary.iterrows():
        log.event("method", {"method": name, **row})
    log.event("finished", {"folder": str(folder), "reference": comparison.reference_name})
    log.result(str(comparison))


def _write(folder: Path, comparison: Comparison) -> None:
    """Write every file in one step, so that none is ever half written."""
    from dag_gfn.cli.outputs import DIGITS, staged

    tables = {
        "summary.csv": (comparison.summary, "method"),
        "reference.csv": (comparison.reference, "cause/effect"),
        "errors_over_time.csv": (comparison.errors_over_time.set_index("method"), "method"),
    }
    for name, marginals in comparison.marginals.items():
        tables[f"marginals_{name}.csv"] = (marginals, "cause/effect")
    with staged(folder) as staging:
        for file, (frame, label) in tables.items():
            frame.to_csv(staging / file, index_label=label, float_format=DIGITS)
        if comparison.marginals:
            for file, figure in _pictures(comparison).items():
                figure.savefig(staging / file, dpi=200)


def _pictures(comparison: Comparison) -> dict[str, Figure]:
    import matplotlib

    matplotlib.use("agg")  # files need no screen
    from dag_gfn import plots

    pictures = {
        "scatter.png": plots.compare_marginals(comparison)[0].figure,
        "error_over_time.png": plots.error_over_time(comparison).figure,
    }
    import matplotlib.pyplot as plt

    for figure in pictures.values():
        plt.close(figure)  # it can still be saved
    return pictures
