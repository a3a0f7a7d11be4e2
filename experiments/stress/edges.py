"""A script that fits the flow over edges, and goes on where an earlier process was stopped."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import pandas as pd

import dag_gfn as dg
from dag_gfn.diagnostics import UntrustedPosteriorWarning


def main(table: Path, folder: Path, updates: int) -> None:
    warnings.simplefilter("ignore", UntrustedPosteriorWarning)  # so few updates train little
    model = dg.DAGGFlowNet(
        window=4,
        num_updates=updates,
        target_period=100,
        n_samples=500,
        progress=False,
        checkpoint_dir=folder,
        checkpoint_every=0.0,
        random_state=3,
    ).fit(pd.read_csv(table))
    model.posterior_.save(folder / "posterior.npz")
    model.history_.to_csv(folder / "history.csv", index=False)
    leaves = jax.tree_util.tree_leaves_with_path(model.flow_.params)
    parameters = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    np.savez(folder / "parameters.npz", **parameters)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
