from __future__ import annotations

import os

# Figures are drawn to files: there may be no screen where the tests run.
os.environ.setdefault("MPLBACKEND", "agg")
