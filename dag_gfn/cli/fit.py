"""``dag-gfn fit``: from a table to a folder of results."""

from __future__ import annotations

import argparse
import platform
import secrets
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dag_gfn.cli.command import command_of
from dag_gfn.cli.log import Log, add_log_options
from dag_gfn.cli.messages import in_command_words, plain_warnings, refusing

if TYPE_CHECKING:
    from dag_gfn.cli.inputs import Request
    from dag_gfn.estimators import OrderGFlowNet

DATASETS = ("sachs",)
SCORES = ("bge", "bde")
PRIORS = ("uniform", "edge", "erdos_renyi", "fair")

# Options that a run may go on with, whatever it had before.
_WITH_RESUME = ("resume", "devices", "quiet", "log_json")
# Settings of an estimator that the results do not depend on.
_NOT_OF_THE_RESULT = ("callback", "progress", "checkpoint_dir", "checkpoint_every")
# What a program that reads the log is told at the end.
_FINDINGS = (
    "samples",
    "float32_error",
    "khat",
    "ess",
    "log_evidence",
    "log_evidence_standard_error",
    "trust",
    "fit_seconds",
)

_DESCRIPTION = """\
Fit the posterior over causal graphs to a table, and write a folder of results: sampled graphs with
their weights, the probability of every edge and path, and pictures.

The table is a CSV file (.csv, .tsv, .txt, also .gz) whose first line names the columns, or a
Parquet file. Rows are observations, columns are variables: all measurements (--score bge) or all
categories (--score bde). No value may be missing."""

_EPILOG = """\
examples:
  dag-gfn fit --dataset sachs --log --standardize --output sachs_run
      the protein-signalling table that ships with the package

  dag-gfn fit table.csv --standardize --forbid outcome:age --output run
      measurements in table.csv, knowing that the outcome does not cause the age

  dag-gfn fit table.csv --tier age sex --tier dose --tier outcome \\
          --edge-probability dose:outcome=0.9 --output run
      knowing what comes before what, and that the dose probably has an effect

  dag-gfn fit answers.parquet --score bde --prior fair --max-parents 3 --output run
      categories, with a prior that does not favour dense graphs

  dag-gfn fit --resume run
      go on where a run was stopped, to the same results

results in the output folder:
{files}"""


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of commands."""
    parser = commands.add_parser(
        "fit",
        help="fit the posterior over causal graphs to a table",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_table_options(parser)
    add_model_options(parser)
    _add_run_options(parser)
    parser.epilog = _EPILOG.format(files=_file_list())
    parser.set_defaults(run=lambda args: run(args, parser))


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a table and its columns, for `read_request`."""
    group = parser.add_argument_group("the table")
    group.add_argument("table", nargs="?", type=Path, metavar="TABLE", help="CSV or Parquet file")
    group.add_argument(
        "--dataset", choices=DATASETS, help="a table that ships with the package, in place of TABLE"
    )
    group.add_argument(
        "--all-conditions",
        action="store_true",
        help="with --dataset sachs: all nine experimental conditions (7466 rows) and their "
        "interventions, not the observational one alone (853 rows)",
    )
    group.add_argument(
        "--imperfect",
        action="store_true",
        help="with --all-conditions: the interventions change how a protein depends on its causes, "
        "but do not cut it off from them",
    )
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument(
        "--columns", nargs="+", action="extend", metavar="NAME", help="use these columns alone"
    )
    chosen.add_argument(
        "--drop", nargs="+", action="extend", metavar="NAME", help="leave these columns out"
    )
    group.add_argument(
        "--interventions-column",
        metavar="NAME",
        help="the column that says which variable was set by an experiment in each row, empty for "
        "none; it is not a variable itself",
    )
    group.add_argument(
        "--conditions-column",
        metavar="NAME",
        help="the column that says what was done in each row that has an intervention, which is "
        "then an imperfect one: the variable still depends on its causes, but differently in each "
        "condition; without this option interventions are perfect",
    )
    group.add_argument(
        "--log", action="store_true", help="take the natural logarithm of every column first"
    )
    group.add_argument(
        "--standardize",
        action="store_true",
        help="give every column mean 0 and variance 1 (after --log); the BGe score depends on the "
        "scale of the columns, so this is wise unless their units are comparable",
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that the local scores depend on, for `read_request`."""
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--score",
        choices=SCORES,
        default="bge",
        help="bge for measurements (linear, Gaussian), bde for categories (default: %(default)s)",
    )
    group.add_argument(
        "--prior",
        choices=PRIORS,
        default="uniform",
        help="prior over graphs (default: %(default)s, which favours dense graphs when there are "
        "few rows; fair gives every number of parents the same probability, edge and erdos_renyi "
        "make edges costly)",
    )
    group.add_argument(
        "--max-parents", type=whole_number_type(0), metavar="N", help="most parents of a variable"
    )
    for option, word in (("--require", "required"), ("--forbid", "forbidden")):
        group.add_argument(
            option,
            action="append",
            default=[],
            metavar="CAUSE:EFFECT",
            help=f"an edge that is {word}; may be repeated"
            + (" (names may contain colons themselves)" if word == "required" else ""),
        )
    group.add_argument(
        "--tier",
        nargs="+",
        action="append",
        default=[],
        metavar="NAME",
        help="variables of one time; give it once for each time, earliest first, and no edge leads "
        "from a later tier to an earlier one; variables in no tier are free",
    )
    group.add_argument(
        "--edge-probability",
        action="append",
        default=[],
        type=_number_type("CAUSE:EFFECT=P"),
        metavar="CAUSE:EFFECT=P",
        help="prior probability of an edge, as if edges were independent, before graphs with a "
        "cycle are ruled out; may be repeated (default: 0.5, which says nothing)",
    )
    for what in ("score", "prior"):
        group.add_argument(
            f"--{what}-param",
            action="append",
            default=[],
            type=_number_type("NAME=NUMBER"),
            metavar="NAME=NUMBER",
            help=f"a hyper-parameter of the {what}, such as "
            + {"score": "equivalent_sample_size=1", "prior": "beta=0.1"}[what],
        )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder of results, which must not exist yet (default: the table's name followed by "
        "_posterior)",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the results in a folder that exists; its other files are left alone",
    )
    group.add_argument(
        "--samples", type=whole_number_type(1), metavar="N", help="graphs to draw (default: 10000)"
    )
    group.add_argument(
        "--updates",
        type=whole_number_type(1),
        metavar="N",
        help="most training updates (default: 20000); training ends sooner once all weights are "
        "nearly equal",
    )
    group.add_argument(
        "--seed",
        type=whole_number_type(0, 2**32 - 1),
        metavar="N",
        help="same seed, same result (default: drawn at random, and kept in summary.json)",
    )
    group.add_argument(
        "--checkpoint-every",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="keep the training in the output folder so often, until the results are complete "
        "(default: %(default)g)",
    )
    group.add_argument(
        "--resume",
        type=Path,
        metavar="FOLDER",
        help="go on with the run in this output folder, which was stopped; the table and all other "
        "options are those of that run, and so are the results, bit for bit",
    )
    group.add_argument(
        "--devices",
        type=whole_number_type(1),
        metavar="N",
        help="train on so many devices of this machine, which share each batch; a run may go on "
        "with another number, to the same results up to rounding (default: one)",
    )
    add_log_options(group, quiet="print nothing but warnings and what is wrong")


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Check everything, fit, write and report.

    Raises
    ------
    Refusal
        If the table, an option or the output folder is not fit.
    """
    _check_resume(args, parser)
    from dag_gfn.cli.inputs import read_request
    from dag_gfn.cli.outputs import claimed_folder, write_results
    from dag_gfn.cli.unfinished import read_unfinished, refuse_to_begin_anew, unfinished

    log = Log(args)
    with plain_warnings(log):
        with refusing(OSError, MemoryError, TypeError, ValueError):
            if args.resume is None:
                output = args.output or Path(f"{_stem(args)}_posterior")
                if args.seed is None:
                    args.seed = secrets.randbits(32)
                request = read_request(args)
            else:
                output = args.resume
                args, label = read_unfinished(args)
                request = read_request(args)._replace(label=label)
            scores = request.check()
            if args.resume is None and not args.overwrite:
                refuse_to_begin_anew(output)
        # A TypeError from here on is a fault of ours, and its traceback should be seen.
        with (
            refusing(OSError, MemoryError, ValueError, FloatingPointError),
            claimed_folder(output, args.overwrite or args.resume is not None) as folder,
            unfinished(folder, args, request.label) as checkpoints,
        ):
            log.say(
                f"Read {request.label}: {scores.num_rows} rows, {scores.num_variables} variables.\n"
                f"Fitting; the results will be in {folder}/."
            )
            log.started(request, folder, seed=args.seed)
            started = time.monotonic()
            estimator = _fit(args, request, checkpoints, log)
            seconds = time.monotonic() - started
            summary = {
                "command": command_of(args, parser),
                **_summary(args, request, estimator, seconds),
            }
            write_results(
                folder,
                estimator.posterior_,
                history=estimator.history_,
                scores=scores,
                summary=summary,
            )
    trust = summary["trust"]
    log.event("finished", {"folder": str(folder), **{name: summary[name] for name in _FINDINGS}})
    log.say(f"\nWrote to {folder}/:\n{_file_list()}\n")
    verdict = "\n".join([f"Trust: {trust['level']}.", *map(in_command_words, trust["sentences"])])
    if args.quiet and trust["level"] == "poor":
        print(f"dag-gfn: {' '.join(verdict.split())}", file=sys.stderr)
    log.say(verdict)


def _check_resume(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """End the process if options do not go together, those of a run that is to go on included."""
    if args.resume is None:
        check_usage(args, parser)
        return
    for name, value in vars(args).items():
        if name not in _WITH_RESUME and value != parser.get_default(name):
            option = "TABLE" if name == "table" else f"--{name.replace('_', '-')}"
            parser.error(f"leave out {option}: --resume takes it from the folder")


def check_usage(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """End the process if options do not go together."""
    if (args.table is None) == (args.dataset is None):
        parser.error("give either a TABLE or --dataset, one of the two")
    if args.all_conditions and args.dataset is None:
        parser.error("--all-conditions goes with --dataset")
    if args.imperfect and not args.all_conditions:
        parser.error("--imperfect goes with --all-conditions; a TABLE has --conditions-column")
    if args.interventions_column is not None and args.dataset is not None:
        parser.error(
            "--interventions-column goes with a TABLE; --dataset has --all-conditions instead"
        )
    if args.conditions_column is not None and args.interventions_column is None:
        parser.error("--conditions-column goes with --interventions-column")
    if args.score == "bde" and (args.log or args.standardize):
        option = "--log" if args.log else "--standardize"
        parser.error(f"{option} is for measurements; leave it out with --score bde")


def _fit(args: argparse.Namespace, request: Request, checkpoints: Path, log: Log) -> OrderGFlowNet:
    from dag_gfn.estimators import OrderGFlowNet

    chosen = {"n_samples": args.samples, "num_updates": args.updates}
    estimator = OrderGFlowNet(
        **request.model,
        progress=log.shows_progress,
        callback=log.training,
        checkpoint_dir=checkpoints,
        checkpoint_every=args.checkpoint_every,
        num_devices=args.devices,
        random_state=args.seed,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    return estimator.fit(request.table, **request.constraints)


def _summary(
    args: argparse.Namespace, request: Request, estimator: OrderGFlowNet, seconds: float
) -> dict[str, Any]:
    """Collect what it takes to repeat the run, and what it takes to judge it."""
    from dag_gfn.diagnostics import assess
    from dag_gfn.report import describe_columns

    posterior = estimator.posterior_
    trust = assess(posterior)
    parameters = estimator.get_params(deep=False)
    interventions = request.constraints["interventions"]
    return {
        "table": request.label,
        "rows": len(request.table),
        "variables": list(posterior.names),
        "columns": describe_columns(request.table, interventions, categories=args.score == "bde"),
        "log": args.log,
        "rows_with_intervention": sum(target is not None for target in interventions or []),
        "imperfect_interventions": request.constraints["conditions"] is not None,
        "required_edges": request.constraints["required_edges"],
        "forbidden_edges": request.constraints["forbidden_edges"],
        "tiers": request.constraints["tiers"],
        "edge_probabilities": [
            [*edge, probability]
            for edge, probability in request.constraints["edge_probabilities"].items()
        ],
        "seed": parameters.pop("random_state"),
        "settings": {
            name: value for name, value in parameters.items() if name not in _NOT_OF_THE_RESULT
        },
        "samples": len(posterior),
        "float32_error": posterior.metadata["float32_error"],
        "khat": posterior.khat,
        "ess": posterior.ess,
        "log_evidence": posterior.log_evidence,
        "log_evidence_standard_error": posterior.log_evidence_standard_error,
        "trust": {"level": trust.level, "sentences": trust.sentences},
        "fit_seconds": round(seconds, 1),
        "finished": date.today().isoformat(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("dag_gfn", "jax", "dm-haiku", "numpy", "pandas")},
        },
    }


def _stem(args: argparse.Namespace) -> str:
    return args.dataset or args.table.name.split(".")[0]


def _file_list() -> str:
    from dag_gfn.cli.outputs import FILES

    width = max(map(len, FILES))
    return "\n".join(f"  {name:<{width}}  {what}" for name, what in FILES.items())


def whole_number_type(least: int, most: int | None = None) -> Any:
    """Make a type for argparse: a whole number in a range."""

    def whole_number(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            bound = f"at least {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{value} is not {bound}")
        return value

    return whole_number


def _seconds(text: str) -> float:
    """Read a number of seconds, of argparse."""
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def _number_type(form: str) -> Any:
    """Make a type for argparse: something and a number, with a sign of equality between them."""

    def something_and_number(text: str) -> tuple[str, float]:
        name, separator, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            separator = ""
        if not separator or value != value:
            raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
        return name, value

    return something_and_number
