"""What a posterior may be made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dag_gfn import graphs


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names as a tuple of distinct strings."""
    if isinstance(names, str):
        raise TypeError("names must be a sequence of strings, one for each variable, not a string.")
    names = tuple(names)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"The name {name!r} is not a string; convert names with str().")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"The name {twice!r} occurs twice; give each variable its own.")
    return tuple(str(name) for name in names)


def checked_graphs(adjacency: ArrayLike, names: tuple[str, ...]) -> NDArray[np.int8]:
    """Return draws as a read-only int8 array [S, d, d] of DAGs that no one else holds."""
    array = np.asarray(adjacency)
    if array.ndim != 3 or len(array) == 0:
        raise ValueError(
            f"adjacency has shape {list(array.shape)}; it must be [S, d, d] with at least one draw."
        )
    checked = graphs.check_dag(array, names)
    # What is derived from the graphs is kept, so no caller may change them afterwards.
    return read_only(checked.copy() if np.may_share_memory(checked, array) else checked)


def checked_log_weights(log_weights: ArrayLike, num_samples: int) -> NDArray[np.float64]:
    """Return log-weights as a read-only float64 array [S] of which one is finite."""
    array = np.array(log_weights, np.float64)
    if array.shape != (num_samples,):
        raise ValueError(
            f"log_weights has shape {list(array.shape)}; it must be [{num_samples}], one for each "
            "graph."
        )
    if np.isnan(array).any() or np.isposinf(array).any():
        worst = int(np.flatnonzero(np.isnan(array) | np.isposinf(array))[0])
        raise ValueError(
            f"log_weights[{worst}] is {array[worst]}; a weight must be finite, or -inf for a draw "
            "that does not count."
        )
    if np.isneginf(array).all():
        raise ValueError("log_weights are all -inf; at least one draw must have positive weight.")
    return read_only(array)


def check_arrays(arrays: Mapping[str, NDArray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless there are these arrays, of these shapes, all finite numbers."""
    if arrays.keys() != shapes.keys():
        raise ValueError(f"the arrays are {sorted(arrays)}, not {sorted(shapes)}.")
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite numbers of shape {list(shape)}.")


def read_only(array: NDArray) -> NDArray:
    """Forbid changes to an array, in place."""
    array.flags.writeable = False
    return array
