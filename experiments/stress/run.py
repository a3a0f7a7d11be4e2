"""Kill, starve and confuse runs, and see whether they end as those that nobody disturbed.

Also: what devices, memory and float32 do to a run.

    .venv/bin/python -m experiments.stress.run [--only STUDY ...] [--repetitions 50]

Results go to results.jsonl, from which the tables of the README are made.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from experiments.records import Row, fill, markdown, provenance, put, read
from experiments.stress import devices, memory, precision
from experiments.stress.faults import CASES, Setting, suffer
from experiments.stress.kill import LOOK, MOMENTS, Undisturbed, kill_once
from experiments.stress.runs import FLOWS, finish, make_table, newest_file, outcome, start

FOLDER = Path(__file__).parent
STUDIES = ("kills", "faults", "devices", "memory", "precision")
KEY = ("study", "case")


def undisturbed(flow: str, table: Path, work: Path, updates: int) -> Undisturbed:
    """Run to the end, twice, as the first time everything is compiled; both must end alike."""
    found = []
    for number in range(2):
        folder, begin = work / f"{flow}_whole_{number}", time.monotonic()
        process = start(FLOWS[flow].begin(table, folder, updates), work)
        kept = []  # when the newest checkpoint was seen to be another one
        seen = None
        while process.poll() is None:
            time.sleep(LOOK)
            newest = newest_file(folder / FLOWS[flow].checkpoints)
            if newest not in (None, seen):
                seen = newest
                kept.append(time.monotonic() - begin)
        code, said = finish(process)
        if code != 0:
            raise RuntimeError(said)
        seconds = time.monotonic() - begin
        found.append(Undisturbed(updates, outcome(folder), seconds, kept[-1] - kept[0]))
    if found[0].whole != found[1].whole:
        raise RuntimeError(f"two runs of {flow} that nobody disturbed are not the same.")
    return found[1]


def measure_kills(
    results: Path, repetitions: int, work: Path, updates: Mapping[str, int] | None = None
) -> None:
    """Share the repetitions among flows and moments, and write a row for each."""
    table = make_table(work)
    wholes = {}
    for flow in FLOWS:
        num_updates = FLOWS[flow].updates if updates is None else updates[flow]
        wholes[flow] = undisturbed(flow, table, work, num_updates)
        print(f"{flow}: {wholes[flow].seconds:.1f} s", flush=True)
    pairs = [(flow, moment) for moment in MOMENTS for flow in FLOWS]
    for number in range(repetitions):
        flow, moment = pairs[number % len(pairs)]
        row = kill_once(
            flow, moment, number // len(pairs), table=table, work=work, undisturbed=wholes[flow]
        )
        print({name: row[name] for name in row if name != "study"}, flush=True)
        put(results, row, key=KEY)


def measure_faults(results: Path, work: Path) -> None:
    """Write a row for each case."""
    updates = FLOWS["orders"].updates
    setting = Setting(make_table(work), work, updates)
    whole = undisturbed("orders", setting.table, work, updates).whole
    for name in CASES:
        row = suffer(name, setting, whole)
        print(row, flush=True)
        put(results, row, key=KEY)


def measure_rest(results: Path, study: str) -> None:
    """Write the rows of a study that disturbs nothing."""
    if study == "devices":
        rows = (row for flow in devices.FLOWS for row in devices.measure(flow))
    elif study == "memory":
        rows = (memory.measure(case) for case in memory.CASES)
    else:
        rows = (precision.measure(*case) for case in precision.CASES)
    for row in rows:
        print(row, flush=True)
        put(results, row, key=KEY)


def _count(rows: list[Row], name: str) -> int:
    return sum(bool(row[name]) for row in rows)


def tables_of(rows: list[Row]) -> dict[str, str]:
    """Make the tables of the README."""
    kills = [row for row in rows if row["study"] == "kills"]
    groups = []
    for flow in FLOWS:
        for moment in MOMENTS:
            group = [row for row in kills if (row["flow"], row["moment"]) == (flow, moment)]
            groups.append(
                {
                    "flow": flow,
                    "moment": moment,
                    "kills": len(group),
                    "in a write": _count(group, "in_a_write"),
                    "before the first checkpoint": len(group) - _count(group, "update"),
                    "exit code 0 when resumed": sum(row["exit_code"] == 0 for row in group),
                    "bit-identical": _count(group, "identical"),
                    "damaged files met": sum("cut short" in row["said"] for row in group),
                }
            )
    total = {
        name: sum(group[name] for group in groups)
        for name in groups[0]
        if name not in ("flow", "moment")
    }
    groups.append({"flow": "all", "moment": "", **total})
    faults = [row for row in rows if row["study"] == "faults"]
    others = {
        name: [row for row in rows if row["study"] == name]
        for name in ("devices", "memory", "precision")
    }
    return {
        "devices": markdown(
            others["devices"],
            {
                "flow": "flow",
                "devices": "devices",
                "updates": "updates",
                "updates a second": "updates_per_second",
                "difference of the loss, first chunk": "first_loss_difference",
                "last chunk": "last_loss_difference",
                "largest difference of an edge marginal": "marginal_difference",
                "ESS / N": "efficiency",
            },
        ),
        "memory": markdown(
            others["memory"],
            {"what": "case", "largest resident memory, GiB": "gib", "seconds": "seconds"},
        ),
        "precision": markdown(
            others["precision"],
            {
                "flow": "flow",
                "variables": "variables",
                "rows": "rows",
                "best graph over the empty one, nats": "gain_over_no_edges",
                "largest difference, nats": "float32_error",
                "ESS / N": "efficiency",
            },
        ),
        "kills": markdown(groups, {name: name for name in groups[0]}),
        "faults": markdown(
            faults,
            {
                "what happens": "case",
                "exit codes": lambda row: ", ".join(map(str, row["exit_codes"])),
                "what is said": lambda row: "; then: ".join(
                    one or "nothing" for one in row["said"]
                ),
                "results bit-identical": lambda row: (
                    "no results" if row["identical"] is None else str(row["identical"]).lower()
                ),
                "as it should be": lambda row: "yes" if row["as_expected"] else "**no**",
            },
        ),
        "provenance": provenance(sum(row["seconds"] for row in rows)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=STUDIES)
    parser.add_argument("--repetitions", type=int, default=50)
    args = parser.parse_args()
    results = FOLDER / "results.jsonl"
    with tempfile.TemporaryDirectory() as work:
        if "kills" in args.only:
            measure_kills(results, args.repetitions, Path(work))
        if "faults" in args.only:
            measure_faults(results, Path(work))
    for study in ("devices", "memory", "precision"):
        if study in args.only:
            measure_rest(results, study)
    for name, text in tables_of(read(results)).items():
        fill(FOLDER / "README.md", name, text)


if __name__ == "__main__":
    main()
