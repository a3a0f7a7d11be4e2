"""How many inputs each property is tried on: the same few, or many new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_NUM_EXAMPLES = 50

# What fails is printed with how to repeat it, so nothing is kept between runs. Whole files are
# drawn, and most of what is drawn is wrong on purpose, which is slow on a busy machine.
_COMMON = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
settings.register_profile("usual", max_examples=_NUM_EXAMPLES, derandomize=True, **_COMMON)
# DAG_GFN_STRESS=1 tries a hundred times as many, 0.1 ten times.
_STRESS = float(os.environ.get("DAG_GFN_STRESS") or 0)
settings.register_profile(
    "stress", max_examples=max(1, round(100 * _STRESS * _NUM_EXAMPLES)), **_COMMON
)
settings.load_profile("stress" if _STRESS else "usual")
