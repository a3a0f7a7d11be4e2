"""From nested arrays to named ones that a file can hold, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from dag_gfn.checkpoint.files import CheckpointError

__all__ = ["named_arrays", "tree_like"]


def named_arrays(tree: Any) -> tuple[dict[str, NDArray], dict[str, str]]:
    """Return the leaves of a tree on the host, by their place in it.

    Parameters
    ----------
    tree : pytree
        Of jax and numpy arrays; typed keys of random numbers are among them.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
        Keys of random numbers as the uint32 that they are made of.
    generators : dict of str to str
        For each leaf that is a key, the name of its generator.

    Examples
    --------
    >>> arrays, generators = named_arrays({"step": np.int64(3), "key": jax.random.key(0)})
    >>> sorted(arrays), generators
    (["['key']", "['step']"], {"['key']": 'threefry2x32'})
    """
    arrays, generators = {}, {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path)
        if _is_key(leaf):
            generators[name] = str(jax.random.key_impl(leaf))
            leaf = jax.random.key_data(leaf)
        arrays[name] = np.asarray(leaf)
    return arrays, generators


def tree_like(like: Any, arrays: Mapping[str, NDArray], generators: Mapping[str, str]) -> Any:
    """Undo `named_arrays`.

    Parameters
    ----------
    like : pytree
        Its structure, shapes and types. Leaves that are numpy arrays come back as such, all others
        (jax arrays, or `jax.ShapeDtypeStruct` in their place) on the device.
    arrays, generators : mapping
        As returned by `named_arrays`.

    Returns
    -------
    pytree

    Raises
    ------
    CheckpointError
        If an array is missing or too many, or has another shape or type.

    Examples
    --------
    >>> tree = {"key": jax.random.key(0), "weights": np.arange(3.0)}
    >>> again = tree_like(tree, *named_arrays(tree))
    >>> bool(again["key"] == tree["key"]), again["weights"].tolist()
    (True, [0.0, 1.0, 2.0])
    """
    places, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(path) for path, _ in places]
    if set(names) != set(arrays):
        other = min(set(names) ^ set(arrays))
        raise CheckpointError(
            f"{'has an' if other in arrays else 'lacks the'} array {other}, as of another version "
            "of dag_gfn"
        )
    leaves = []
    for name, (_, expected) in zip(names, places, strict=True):
        leaf: Any = arrays[name]
        if not isinstance(expected, np.ndarray | np.generic):
            leaf = jnp.array(leaf)  # a copy, since training gives its buffer away
            if name in generators:
                leaf = jax.random.wrap_key_data(leaf, impl=generators[name])
        if leaf.shape != expected.shape or leaf.dtype != expected.dtype:
            raise CheckpointError(
                f"has {leaf.dtype} {list(leaf.shape)} for {name}, where {expected.dtype} "
                f"{list(expected.shape)} was expected, as of another version of dag_gfn"
            )
        leaves.append(leaf)
    return jax.tree.unflatten(structure, leaves)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
