"""One computation over many devices: batches are shared out, parameters are on all of them.

Arrays are placed, and the compiler does the rest (Xu et al. 2021, "GSPMD", arXiv 2105.04663): the
same program with the same keys computes the same numbers on any number of devices, up to the order
in which sums are taken. A mesh may span the devices of several hosts that `jax.distributed` has
joined.
"""

from __future__ import annotations

import warnings
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

__all__ = [
    "batch_sharding",
    "constrained",
    "gathered",
    "placed",
    "replicated",
    "warn_of_other_devices",
]

Tree = TypeVar("Tree")
_AXIS = "batch"


def batch_sharding(num_devices: int | None, **sizes: int) -> NamedSharding | None:
    """Return how the leading axis of a batch is shared out.

    Parameters
    ----------
    num_devices : int, optional
        The first so many of `jax.devices()`; None for one device and no sharing.
    **sizes : int
        Lengths of the axes that are to be shared out, by the name that the user knows them by.

    Returns
    -------
    jax.sharding.NamedSharding or None

    Raises
    ------
    ValueError
        If there are not so many devices, or a length is not a multiple of their number, or several
        hosts have joined and not all of their devices are to take part.

    Examples
    --------
    >>> batch_sharding(1, batch_size=64).mesh.size
    1
    >>> batch_sharding(None) is None
    True
    """
    if num_devices is None:
        return None
    there = jax.devices()
    if not 1 <= num_devices <= len(there):
        raise ValueError(
            f"num_devices must be from 1 to {len(there)}, the number of devices that jax has, not "
            f"{num_devices}."
        )
    if jax.process_count() > 1 and num_devices < len(there):
        raise ValueError(
            f"num_devices = {num_devices} leaves out some of the {len(there)} devices of the "
            f"{jax.process_count()} hosts that have joined; give {len(there)}."
        )
    for name, size in sizes.items():
        if size % num_devices:
            raise ValueError(
                f"{name} = {size} cannot be shared out evenly among {num_devices} devices; give a "
                f"multiple of {num_devices}, or another num_devices."
            )
    mesh = jax.sharding.Mesh(np.array(there[:num_devices]), (_AXIS,), axis_types=(AxisType.Auto,))
    return NamedSharding(mesh, PartitionSpec(_AXIS))


def placed(tree: Tree, sharding: NamedSharding | None) -> Tree:
    """Share out the leading axis of every array of a tree among the devices.

    On several hosts each must hold the same arrays, of which it keeps its share.
    """
    if sharding is None:
        return tree
    return jax.tree.map(lambda leaf: _put(leaf, sharding), tree)


def replicated(tree: Tree, sharding: NamedSharding | None) -> Tree:
    """Put every array of a tree on all devices."""
    if sharding is None:
        return tree
    return placed(tree, NamedSharding(sharding.mesh, PartitionSpec()))


def constrained(tree: Tree, sharding: NamedSharding | None) -> Tree:
    """Tell the compiler that the leading axis of every array of a tree is shared out."""
    if sharding is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, sharding)


def gathered(tree: Tree, sharding: NamedSharding | None) -> Tree:
    """Return a tree whose arrays this host can read in full, wherever their parts are.

    On several hosts all must call this at the same point of the program. Keys of random numbers
    stay where they are: each host has them.
    """
    if sharding is None:
        return tree
    return jax.tree.map(_whole, tree)


def warn_of_other_devices(then: int | None, now: int | None, run: object) -> None:
    """Warn that a run goes on with another number of devices.

    Parameters
    ----------
    then, now : int or None
        Numbers of devices, as `batch_sharding` takes them.
    run : object
        What the message calls it.

    Warns
    -----
    UserWarning
        If the numbers differ: sums in another order are rounded otherwise.
    """
    if (then or 1) != (now or 1):
        warnings.warn(
            f"{run} was written on {_devices(then)} and goes on with {_devices(now)}: the result "
            "is that of a run which was never moved up to rounding, not bit for bit.",
            stacklevel=3,
        )


def _devices(number: int | None) -> str:
    return f"{number} devices" if (number or 1) > 1 else "one device"


def _whole(array: jax.Array) -> np.ndarray | jax.Array:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return array
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


def _put(array: jax.Array, sharding: NamedSharding) -> jax.Array:
    if sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    # Devices of other hosts cannot be written to: each host makes the parts that are its own.
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = _put(jax.random.key_data(array), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(array))
    here = np.asarray(array)
    return jax.make_array_from_callback(here.shape, sharding, lambda index: here[index])
