"""``python -m dag_gfn`` is the command ``dag-gfn``."""

from __future__ import annotations

import sys

from dag_gfn.cli import main

if __name__ == "__main__":
    sys.exit(main())
