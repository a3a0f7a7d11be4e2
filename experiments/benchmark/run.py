"""Measure the accuracy and the speed of the trained sampler (`make benchmark`).

Every run has a process of its own, one at a time, with nothing compiled before. After each run
the results are written to results.jsonl, and the tables of README.md are made anew from it; at the
end manifest.json says with what all was measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# A script finds the files of its own folder alone.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from report import rewrite, verdict
from studies import QUICK, STUDIES, Case, Config, Record, cases

from experiments import machine, manifest
from experiments.records import read, replace

HERE = Path(__file__).resolve().parent
CONFIGS = dict.fromkeys(STUDIES, Config())  # of each part of the manifest
PACKAGES = ("dag_gfn", "jax", "jaxlib", "dm-haiku", "optax", "numpy")  # of the tables


def main() -> None:
    args = _parse()
    config = QUICK if args.quick else Config()
    studies = [study for study in STUDIES if study in args.only]
    about = {
        "command": _command(args),
        "quick": args.quick,
        "machine": _machine(config.num_cores),
        "versions": machine.versions(PACKAGES),
    }
    args.output.mkdir(parents=True, exist_ok=True)
    results = args.output / "results.jsonl"
    run = manifest.about(about["command"])
    records = [record for record in read(results) if record["study"] not in studies]
    planned = [(study, case) for study in studies for case in cases(study, config)]
    num_failed = 0
    for number, (study, case) in enumerate(planned, start=1):
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in case.items())
        print(f"[{number}/{len(planned)}] {study}: {words}", flush=True)
        record = {"study": study, "case": case, "date": _today()} | about
        record |= measure(study, case, config)
        records.append(record)
        num_failed += "error" in record
        print(f"    {verdict(record)}", flush=True)
        replace(results, "".join(json.dumps(line) + "\n" for line in _ordered(records)))
        readme = (HERE / "README.md").read_text(encoding="utf-8")
        replace(args.output / "README.md", rewrite(readme, _ordered(records)))
    manifest.write(args.output, manifest.entries(run, dict.fromkeys(studies, config)))
    print(f"\nThe tables are in {args.output / 'README.md'}, the records in {results}.")
    if num_failed:
        sys.exit(f"{num_failed} of {len(planned)} runs failed.")


def measure(study: str, case: Case, config: Config) -> Record:
    """Run one case in a fresh process; return its metrics, or its error."""
    with tempfile.TemporaryDirectory() as cache:
        environment = dict(os.environ)
        # Compile time counts, so caches of earlier runs must not help.
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        environment |= {"NUMBA_CACHE_DIR": cache, "JAX_PLATFORMS": "cpu"}
        request = {
            "study": study,
            "case": case,
            "config": dataclasses.asdict(config),
            "time": time.time(),
        }
        try:
            done = subprocess.run(
                [sys.executable, str(HERE / "measure.py"), json.dumps(request)],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                timeout=config.timeout,
                check=True,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {config.timeout:g} s"}
        except subprocess.CalledProcessError as error:
            return {"error": f"ended with status {error.returncode}"}
    return {"metrics": json.loads(done.stdout.splitlines()[-1])}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=STUDIES,
        default=STUDIES,
        metavar="STUDY",
        help=f"measure these studies and keep the results of the others: {', '.join(STUDIES)}",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few updates each, to see that all works; measures nothing, needs --output",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for results.jsonl and README.md (default: the folder of this script)",
    )
    args = parser.parse_args()
    if args.quick and args.output is None:
        parser.error("--quick measures nothing: give it an --output of its own")
    args.output = HERE if args.output is None else args.output
    return args


def _command(args: argparse.Namespace) -> str:
    """Return the command as one would type it at the top of the repository."""
    words = ["python experiments/benchmark/run.py"]
    if set(args.only) != set(STUDIES):
        words += ["--only", *(study for study in STUDIES if study in args.only)]
    return " ".join(words + ["--quick"] * args.quick)


def _machine(num_cores: int) -> dict[str, str | int]:
    """Describe the machine, and keep this process and those it starts to some of its cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:num_cores])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": machine.processor(),
        "cores": machine.cores(),
        "memory_gib": round(memory / 2**30),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _ordered(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: STUDIES.index(record["study"]))


if __name__ == "__main__":
    main()
