"""``dag-gfn effects``: the causal effects that a fitted posterior implies."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from dag_gfn.cli.fit import whole_number_type
from dag_gfn.cli.messages import plain_warnings, refusing

_NUM_SHOWN = 10

_DESCRIPTION = """\
Compute the total causal effect of every variable on every other from what "dag-gfn fit" has
written: the posterior mean, an interval, and the probability that there is no effect. For
measurements an effect is the change of the effect's mean per unit of the cause; for categories, how
far the choice of the cause can change a probability."""

_EPILOG = """\
examples:
  dag-gfn effects sachs_posterior --standardized
  dag-gfn effects run --pair Raf:Mek --pair PKC:Jnk --level 0.95

results, in the same folder:
  effects.csv                  mean, interval and probability of no effect, the surest first
  effects.png                  all means as a heat map
  effect_CAUSE_EFFECT.png      the density of each --pair, with its spike at zero"""


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of commands."""
    parser = commands.add_parser(
        "effects",
        help="the causal effects that a fitted posterior implies",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "posterior", type=Path, metavar="FOLDER", help='that "dag-gfn fit" has written, or its .npz'
    )
    parser.add_argument(
        "--pair",
        action="append",
        default=[],
        metavar="CAUSE:EFFECT",
        help="draw the density of this effect; may be repeated",
    )
    parser.add_argument(
        "--level",
        type=float,
        default=0.9,
        metavar="P",
        help="probability of the intervals (default: %(default)s)",
    )
    parser.add_argument(
        "--standardized",
        action="store_true",
        help="in standard deviations of the table's columns, not in its units",
    )
    parser.add_argument(
        "--seed",
        type=whole_number_type(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="where random numbers start (default: %(default)s)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace results of this command that exist"
    )
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing but the results and what is wrong"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Read the posterior, compute its effects, write and report.

    Raises
    ------
    Refusal
        If there is no posterior, it knows no parameters, or an option does not fit it.
    """
    from dag_gfn.cli.inputs import split_edge
    from dag_gfn.cli.outputs import DIGITS, draw, staged
    from dag_gfn.posterior import Posterior

    path = args.posterior / "posterior.npz" if args.posterior.is_dir() else args.posterior
    with plain_warnings(), refusing(OSError, MemoryError, ValueError):
        posterior = Posterior.load(path)
        pairs = [split_edge(pair, posterior.names, "--pair") for pair in args.pair]
        files = {pair: f"effect_{_plain(pair[0])}_{_plain(pair[1])}.png" for pair in pairs}
        if len(set(files.values())) < len(files):
            raise ValueError(
                "two of the pairs would be drawn to one file, as their names differ in signs that "
                "file names do not have; leave one of them for a run of its own."
            )
        written = ["effects.csv", "effects.png", *files.values()]
        for name in written:
            if (path.parent / name).exists() and not args.overwrite:
                raise ValueError(f"{path.parent / name} exists; give --overwrite to replace it.")
        effects = posterior.causal_effects(
            standardized=args.standardized, random_state=args.seed, progress=not args.quiet
        )
        summary = effects.summary(args.level)
        with staged(path.parent) as staging:
            summary.to_csv(staging / "effects.csv", float_format=DIGITS)
            draw(staging / "effects.png", "causal_effects", effects, level=args.level)
            for pair, name in files.items():
                draw(staging / name, "effect_density", effects, *pair, level=args.level)
    shown = summary.head(_NUM_SHOWN)
    print(f"{effects.quantity[0].upper()}{effects.quantity[1:]}, {100 * args.level:g} % intervals:")
    print(shown.round(3).to_string())
    print(f"All {len(summary)} pairs are in {path.parent / 'effects.csv'}.")


def _plain(name: str) -> str:
    """Return a name as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", name)
