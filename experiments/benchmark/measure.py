"""Measure one case in this process, and print its metrics as the last line, in JSON.

`run.py` calls this, so that no case profits from what another has compiled.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time

import flows
import references
from studies import Config

IMPORTED = time.time()

MEASURES = {
    "gaussian5": flows.gaussian5,
    "asia5": flows.asia5,
    "speed": flows.speed,
    "sachs": flows.sachs,
    "orders5": flows.orders5,
    "orders_sachs": flows.orders_sachs,
    "gaussian10": flows.gaussian10,
    "gaussian20": flows.gaussian20,
    "enumeration": references.enumeration,
    "exact15": references.exact,
    "exact20": references.exact,
    "exact_draws": references.exact_draws,
    "structure20": references.structure,
    "partition20": references.partition,
    "agreement": references.agreement,
    "many_variables": references.many_variables,
}


def main() -> None:
    request = json.loads(sys.argv[1])
    started_seconds = IMPORTED - request["time"]
    config = Config(**request["config"])
    metrics = MEASURES[request["study"]](request["case"], config)
    metrics["start_seconds"] = started_seconds
    # Linux counts the largest resident size in KiB.
    metrics["memory_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    # JSON has no infinities, and k-hat is -inf where weights are all alike.
    strict = {
        name: value if math.isfinite(value) else str(value) for name, value in metrics.items()
    }
    print(json.dumps(strict, allow_nan=False))


if __name__ == "__main__":
    main()
