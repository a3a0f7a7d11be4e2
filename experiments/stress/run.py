"""Kill, starve and confuse runs, and see whether they end as those that nobody disturbed.

Also: what devices, memory and float32 do to a run.

    .venv/bin/python -m experiments.stress.run [--only STUDY ...]

Results go to results.jsonl, from which the tables of the README are made, and what they were made
with to manifest.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments import manifest
from experiments.records import Row, fill, markdown, provenance, put, read
from experiments.stress import devices, memory, precision
from experiments.stress.faults import CASES, Setting, suffer
from experiments.stress.kill import LOOK, MOMENTS, Undisturbed, kill_once
from experiments.stress.runs import FLOWS, Table, finish, make_table, newest_file, outcome, start

FOLDER = Path(__file__).parent
KEY = ("study", "case")


@dataclass(frozen=True)
class KillsConfig:
    """What the study of kills depends on."""

    table: Table = Table()
    repetitions: int = 50  # shared among flows and moments; each is a seed of a moment
    moments: tuple[str, ...] = MOMENTS
    updates: dict[str, int] = field(default_factory=lambda: {"orders": 2000, "edges": 1500})


@dataclass(frozen=True)
class FaultsConfig:
    """What the study of everything else that goes wrong depends on."""

    table: Table = Table()
    updates: int = 2000


CONFIGS: dict[str, Any] = {
    "kills": KillsConfig(),
    "faults": FaultsConfig(),
    "devices": devices.Config(),
    "memory": memory.Config(),
    "precision": precision.Config(),
}


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


def measure_kills(results: Path, work: Path, config: KillsConfig) -> None:
    """Share the repetitions among flows and moments, and write a row for each."""
    table = make_table(work, config.table)
    wholes = {}
    for flow, num_updates in config.updates.items():
        wholes[flow] = undisturbed(flow, table, work, num_updates)
        print(f"{flow}: {wholes[flow].seconds:.1f} s", flush=True)
    pairs = [(flow, moment) for moment in config.moments for flow in config.updates]
    for number in range(config.repetitions):
        flow, moment = pairs[number % len(pairs)]
        row = kill_once(
            flow, moment, number // len(pairs), table=table, work=work, undisturbed=wholes[flow]
        )
        print({name: row[name] for name in row if name != "study"}, flush=True)
        put(results, row, key=KEY)


def measure_faults(results: Path, work: Path, config: FaultsConfig) -> None:
    """Write a row for each case."""
    setting = Setting(make_table(work, config.table), work, config.updates)
    whole = undisturbed("orders", setting.table, work, config.updates).whole
    for name in CASES:
        row = suffer(name, setting, whole)
        print(row, flush=True)
        put(results, row, key=KEY)


def measure_rest(results: Path, study: str, config: Any) -> None:
    """Write the rows of a study that disturbs nothing."""
    if study == "devices":
        rows = (row for flow in config.updates for row in devices.measure(flow, config))
    elif study == "memory":
        rows = (memory.measure(case, config) for case in memory.CASES)
    else:
        rows = (precision.measure(*case, config) for case in config.cases)
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


def main(configs: Mapping[str, Any] = CONFIGS) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    args = parser.parse_args()
    run = manifest.about(manifest.command("stress"))
    results = FOLDER / "results.jsonl"
    with tempfile.TemporaryDirectory() as work:
        if "kills" in args.only:
            measure_kills(results, Path(work), configs["kills"])
        if "faults" in args.only:
            measure_faults(results, Path(work), configs["faults"])
    for study in ("devices", "memory", "precision"):
        if study in args.only:
            measure_rest(results, study, configs[study])
    for name, text in tables_of(read(results)).items():
        fill(FOLDER / "README.md", name, text)
    manifest.write(FOLDER, manifest.entries(run, {study: configs[study] for study in args.only}))


if __name__ == "__main__":
    main()
