"""A posterior for other libraries and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from xarray import DataTree


def pairs_frame(**matrices: pd.DataFrame) -> pd.DataFrame:
    """List every ordered pair of variables, by the first matrix from high to low.

    Parameters
    ----------
    **matrices : DataFrame [d, d]
        Row causes column; all with the same names.

    Returns
    -------
    DataFrame [d (d - 1), 2 + number of matrices]
        ``cause``, ``effect``, and a column for each matrix, called like it.
    """
    first = next(iter(matrices))
    names = matrices[first].columns.to_numpy()
    cause, effect = np.nonzero(~np.eye(len(names), dtype=bool))
    frame = pd.DataFrame(
        {"cause": names[cause], "effect": names[effect]}
        | {name: matrix.to_numpy()[cause, effect] for name, matrix in matrices.items()}
    )
    return frame.sort_values(first, ascending=False, kind="stable", ignore_index=True)


def to_arviz(
    draws: NDArray[np.int8],
    adjacency: NDArray[np.int8],
    log_weights: NDArray[np.float64],
    *,
    names: Sequence[str],
    method: str,
) -> DataTree:
    """Convert draws that weigh the same, int8 [N, d, d], and weighted ones to ArviZ."""
    import arviz_base  # takes a second to import

    return arviz_base.from_dict(
        {
            "posterior": {"edge": draws[None]},
            "weighted_draws": {"edge": adjacency[None], "log_weight": log_weights[None]},
        },
        check_conventions=False,  # one chain is what there is
        coords={"cause": list(names), "effect": list(names)},
        dims={"edge": ["cause", "effect"]},
        attrs={"/": {"method": method}},
    )
