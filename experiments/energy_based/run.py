"""Train energies and their samplers together: on densities in Gray code, and on an Ising model.

    .venv/bin/python -m experiments.energy_based.run

Writes results.jsonl, the pictures, the tables of README.md, and manifest.json.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import manifest, records
from experiments.energy_based import ising, planes
from experiments.processes import run_cases

FOLDER = Path(__file__).parent
PLANES = ("2spirals", "8gaussians", "circles", "moons", "pinwheel")
# Negative log-likelihoods of the paper, and -log RMSE of the couplings.
PAPER = {"2spirals": 20.05, "8gaussians": 19.98, "circles": 20.55, "pinwheel": 19.55}
PAPER_ISING = {"EB-GFN": 6.1}
CONFIGS: dict[str, Any] = {"ising": ising.IsingSettings()}
CONFIGS |= dict.fromkeys(PLANES, planes.PlaneSettings())


def measure(name: str, settings: Any) -> tuple[str, planes.Plane | ising.Study]:
    """Run one case: the Ising model, or the density of that name."""
    return name, ising.study(settings) if name == "ising" else planes.study(name, settings)


def _decimals(name: str, digits: int) -> Any:
    def show(row: records.Row) -> str:
        return "–" if row.get(name) is None else f"{row[name]:.{digits}f}"

    return show


def report(learned: ising.Study, found: list[planes.Plane], seconds: float, folder: Path) -> None:
    """Write the results, draw the pictures and fill the tables."""
    from experiments.energy_based import pictures  # takes a second to import

    results, readme = folder / "results.jsonl", folder / "README.md"
    rows = [{"study": "density", "name": plane.row["density"], **plane.row} for plane in found]
    rows += [{"study": "ising", "name": row["method"], **row} for row in learned.rows]
    for row in rows:
        records.put(results, row, ("study", "name"))
    pictures.draw_planes(found, folder / "densities.png")
    pictures.draw_ising(learned, folder / "ising.png")
    records.fill(
        readme,
        "densities",
        records.markdown(
            [plane.row for plane in found],
            {
                "density": "density",
                "flow network": lambda row: f"{row['flow']:.2f} ± {row['error']:.2f}",
                "energy": _decimals("energy", 2),
                "entropy": _decimals("best", 2),
                "paper": lambda row: str(PAPER.get(row["density"], "–")),
                "efficiency": _decimals("efficiency", 2),
                "accepted": _decimals("acceptance", 2),
                "updates": "updates",
                "core-seconds": _decimals("seconds", 0),
            },
        ),
    )
    records.fill(
        readme,
        "ising",
        records.markdown(
            learned.rows,
            {
                "method": "method",
                "-log RMSE": _decimals("log_rmse", 2),
                "paper": lambda row: str(PAPER_ISING.get(row["method"], "–")),
                "mean of neighbours": _decimals("neighbours", 3),
                "RMS of others": _decimals("others", 4),
                "pairs": "pairs",
                "accepted": _decimals("acceptance", 2),
                "updates": lambda row: f"{row['curve'][-1][0]:.0f}" if "curve" in row else "–",
                "core-seconds": _decimals("seconds", 0),
            },
        ),
    )
    records.fill(readme, "provenance", f"Measured in {records.provenance(seconds)}")


def main(configs: Mapping[str, Any] = CONFIGS) -> None:
    run, begin = manifest.about(manifest.command("energy_based")), time.perf_counter()
    made = dict(run_cases(measure, list(configs.items())))
    report(made["ising"], [made[name] for name in PLANES], time.perf_counter() - begin, FOLDER)
    manifest.write(FOLDER, manifest.entries(run, configs))


if __name__ == "__main__":
    main()
