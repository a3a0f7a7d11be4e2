"""``dag-gfn calibrate``: whether a method's probabilities are right where the model is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dag_gfn.cli.compare import METHOD_NAMES
from dag_gfn.cli.fit import PRIORS, SCORES, whole_number_type
from dag_gfn.cli.log import Log, add_log_options
from dag_gfn.cli.messages import plain_warnings, refusing

FILES = ("pairs.csv", "fits.csv", "summary.csv", "reliability.png", "places.png")

_DESCRIPTION = """\
Draw graphs, parameters and tables from the model itself, fit each table, and count what comes true:
among edges of probability p a share p should exist, 90 % intervals should hold nine of ten true
effects, and the truth should be as likely in any part of its posterior as in any other."""

_EPILOG = """\
examples:
  dag-gfn calibrate --method exact --variables 5 --tables 200
  dag-gfn calibrate --method order_flow --updates 1000 --variables 10 --jobs 2 --output run

results in the output folder:
  summary.csv            calibration error, coverage, ranks, and what is expected of them
  pairs.csv              what was said of each pair of variables, and what was true
  fits.csv               time, k-hat, efficiency and ranks of each fit
  reliability.png        share of edges that exists, by the probability they were given
  places.png             where the true effects lie in their posteriors"""


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of commands."""
    parser = commands.add_parser(
        "calibrate",
        help="whether a method's probabilities are right, on tables drawn from the model",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--method",
        default="exact",
        choices=METHOD_NAMES,
        metavar="NAME",
        help=f"one of {', '.join(METHOD_NAMES)} (default: %(default)s)",
    )
    parser.add_argument("--score", choices=SCORES, default="bge", help="(default: %(default)s)")
    parser.add_argument("--prior", choices=PRIORS, default="uniform", help="(default: %(default)s)")
    parser.add_argument(
        "--max-parents", type=whole_number_type(0), metavar="N", help="most parents of a variable"
    )
    for option, default, what in (
        ("--variables", 5, "variables of each table, at most 20"),
        ("--rows", 100, "rows of each table"),
        ("--tables", 100, "tables that are drawn and fitted"),
        ("--states", 3, "states of each variable, with --score bde"),
        ("--jobs", 1, "fits at once"),
    ):
        parser.add_argument(
            option,
            type=whole_number_type(1),
            default=default,
            metavar="N",
            help=f"{what} (default: %(default)s)",
        )
    parser.add_argument(
        "--updates", type=whole_number_type(1), metavar="N", help="most training updates of a flow"
    )
    parser.add_argument(
        "--seed",
        type=whole_number_type(0, 2**31 - 1),
        default=0,
        metavar="N",
        help="same seed, same tables (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("calibration"),
        metavar="FOLDER",
        help="folder of results, which must not exist yet (default: %(default)s)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the results in a folder that exists; its other files are left alone",
    )
    add_log_options(parser, quiet="print nothing but the results and what is wrong")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Calibrate, write and report.

    Raises
    ------
    Refusal
        If an option or the output folder is not fit.
    """
    from dag_gfn.calibration import calibrate
    from dag_gfn.cli.outputs import DIGITS, claimed_folder, draw, staged
    from dag_gfn.comparison.methods import resolve_methods

    log = Log(args)
    with plain_warnings(log), refusing(OSError, MemoryError, ImportError, TypeError, ValueError):
        estimator = resolve_methods([args.method])[args.method]
        estimator.set_params(score=args.score, prior=args.prior)
        if args.max_parents is not None:
            if "max_parents" not in estimator.get_params():
                raise ValueError(f"{args.method} knows no limit of parents; leave it out.")
            estimator.set_params(max_parents=args.max_parents)
        if args.updates is not None:
            if "num_updates" not in estimator.get_params():
                raise ValueError(f"--updates is for flows, and {args.method} trains nothing.")
            estimator.set_params(num_updates=args.updates)
        with claimed_folder(args.output, args.overwrite, FILES) as folder:
            result = calibrate(
                estimator,
                num_variables=args.variables,
                num_rows=args.rows,
                num_tables=args.tables,
                num_states=args.states,
                n_jobs=args.jobs,
                progress=log.shows_progress,
                random_state=args.seed,
            )
            summary = result.summary()
            with staged(folder) as staging:
                summary.to_csv(staging / "summary.csv", index_label="figure", float_format=DIGITS)
                result.pairs.to_csv(staging / "pairs.csv", index=False, float_format=DIGITS)
                result.fits.to_csv(staging / "fits.csv", index_label="table", float_format=DIGITS)
                draw(staging / "reliability.png", "reliability", result)
                draw(staging / "places.png", "places", result)
    for name, row in summary.iterrows():
        log.event("figure", {"figure": name, **row})
    log.event("finished", {"folder": str(folder)})
    log.result(summary.round(4).to_string(na_rep=""))
