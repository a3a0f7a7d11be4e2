"""Closure, topological order, Markov blankets and other relations between nodes.

The cubic loops (closure, blankets, acyclicity) run on bits: eight graphs of the batch share a
byte, so that one vector instruction serves hundreds of graphs, and the batch is the last axis,
so that numpy's inner loop is long whatever the number of variables.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_dag(
    adjacency: ArrayLike, names: Sequence[str] | None = None, *, what: str = "adjacency"
) -> NDArray[np.int8]:
    """Validate adjacency matrices of directed acyclic graphs.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]
        Entry ``[i, j]`` is 1 (or True) when ``i -> j`` is an edge, 0 otherwise.
    names : sequence of str, optional
        Names of the d variables, used in the error messages.
    what : str
        What to call the argument in the error messages.

    Returns
    -------
    numpy.ndarray, int8, shape [..., d, d]
        The same graphs. An int8 array is returned as it is, not copied.

    Raises
    ------
    ValueError
        If the matrices are not square, hold anything but 0 and 1, do not have one row for each
        name, or contain a cycle (which the message spells out).

    Examples
    --------
    >>> check_dag([[0, 1], [0, 0]])
    array([[0, 1],
           [0, 0]], dtype=int8)
    >>> check_dag([[0, 1], [1, 0]], names=["rain", "wet"])
    Traceback (most recent call last):
        ...
    ValueError: adjacency contains the cycle rain -> wet -> rain; a DAG has none.
    """
    array = np.asarray(adjacency)
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.shape[-1] == 0:
        raise ValueError(
            f"{what} has shape {list(array.shape)}; it must be [..., d, d], with one row and one "
            "column for each variable."
        )
    if array.dtype.kind not in "biuf" or not np.all((array == 0) | (array == 1)):
        raise ValueError(f"{what} holds values other than 0 and 1; entry [i, j] is 1 for i -> j.")
    num_variables = array.shape[-1]
    if names is not None and len(names) != num_variables:
        raise ValueError(f"{what} has {num_variables} variables but {len(names)} names were given.")
    array = array.astype(np.int8, copy=False)
    acyclic = is_acyclic(array)
    if not np.all(acyclic):
        graph = array[~acyclic][0] if array.ndim > 2 else array
        cycle = [str(node) if names is None else str(names[node]) for node in _find_cycle(graph)]
        raise ValueError(f"{what} contains the cycle {' -> '.join(cycle)}; a DAG has none.")
    return array


def is_acyclic(adjacency: ArrayLike) -> NDArray[np.bool_] | np.bool_:
    """Tell whether directed graphs have no cycle (a self-loop is one).

    Nodes without parents are taken away until none is left or none can go.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]

    Returns
    -------
    numpy.ndarray, bool, shape [...]

    Examples
    --------
    >>> is_acyclic([[[0, 1], [0, 0]], [[0, 1], [1, 0]]])
    array([ True, False])
    """
    array = np.asarray(adjacency)
    packed = _pack(array)  # [d, d, bytes]
    remaining = np.full(packed.shape[1:], 0xFF, np.uint8)  # [d, bytes]
    for _ in range(array.shape[-1]):
        with_parents = np.bitwise_or.reduce(packed & remaining[:, None], axis=0) & remaining
        if np.array_equal(with_parents, remaining):
            break
        remaining = with_parents
    cyclic = np.unpackbits(
        np.bitwise_or.reduce(remaining, axis=0), count=int(np.prod(array.shape[:-2], dtype=int))
    )
    return ~cyclic.astype(bool).reshape(array.shape[:-2])[()]


def transitive_closure(adjacency: ArrayLike) -> NDArray[np.bool_]:
    """Find which nodes reach which along directed paths of length one or more.

    Warshall's algorithm: a path may pass through nodes ``0 .. k`` after step ``k``.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]

    Returns
    -------
    numpy.ndarray, bool, shape [..., d, d]
        Entry ``[i, j]`` is True when there is a directed path from ``i`` to ``j``.

    Examples
    --------
    >>> transitive_closure([[0, 1, 0], [0, 0, 1], [0, 0, 0]]).astype(int)
    array([[0, 1, 1],
           [0, 0, 1],
           [0, 0, 0]])
    """
    array = np.asarray(adjacency)
    packed = _pack(array)
    for k in range(array.shape[-1]):
        packed |= packed[:, k, None] & packed[None, k]
    return _unpack(packed, array.shape)


def markov_blankets(adjacency: ArrayLike) -> NDArray[np.bool_]:
    """Find each node's Markov blanket: parents, children, and the children's other parents.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]

    Returns
    -------
    numpy.ndarray, bool, shape [..., d, d]
        Symmetric, False on the diagonal; entry ``[i, j]`` is True when ``j`` is in the blanket
        of ``i``.

    Examples
    --------
    The two parents of a common child are in each other's blanket.

    >>> markov_blankets([[0, 0, 1], [0, 0, 1], [0, 0, 0]]).astype(int)
    array([[0, 1, 1],
           [1, 0, 1],
           [1, 1, 0]])
    """
    array = np.asarray(adjacency)
    packed = _pack(array)
    blanket = packed | packed.swapaxes(0, 1)
    for child in range(array.shape[-1]):
        blanket |= packed[:, child, None] & packed[None, :, child]
    diagonal = np.arange(array.shape[-1])
    blanket[diagonal, diagonal] = 0
    return _unpack(blanket, array.shape)


def skeleton(adjacency: ArrayLike) -> NDArray[np.bool_]:
    """Find which nodes are adjacent, whatever the direction.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]

    Returns
    -------
    numpy.ndarray, bool, shape [..., d, d]
        Symmetric.

    Examples
    --------
    >>> skeleton([[0, 1], [0, 0]]).astype(int)
    array([[0, 1],
           [1, 0]])
    """
    array = np.asarray(adjacency).astype(bool)
    return array | array.swapaxes(-1, -2)


def v_structures(adjacency: ArrayLike) -> NDArray[np.bool_]:
    """Find the v-structures ``i -> k <- j``, where ``i`` and ``j`` are not adjacent.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]

    Returns
    -------
    numpy.ndarray, bool, shape [..., d, d, d]
        Entry ``[i, k, j]`` is True when ``i -> k <- j`` is a v-structure; symmetric in ``i`` and
        ``j``. Two DAGs are Markov equivalent exactly when they have the same skeleton and the
        same v-structures (Verma and Pearl 1990).

    Examples
    --------
    >>> import numpy as np
    >>> np.argwhere(v_structures([[0, 0, 1], [0, 0, 1], [0, 0, 0]])).tolist()
    [[0, 2, 1], [1, 2, 0]]
    """
    array = np.asarray(adjacency).astype(bool)
    apart = ~(skeleton(array) | np.eye(array.shape[-1], dtype=bool))
    into = array.swapaxes(-1, -2)  # [k, j]: j -> k
    return array[..., :, :, None] & into[..., None, :, :] & apart[..., :, None, :]


def topological_layers(adjacency: ArrayLike) -> NDArray[np.int64]:
    """Count the edges on the longest directed path into each node: its layer in a drawing.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]

    Returns
    -------
    numpy.ndarray, int64, shape [..., d]
        0 for nodes without parents; every edge goes from a lower layer to a higher one.

    Raises
    ------
    ValueError
        If a graph has a cycle.

    Examples
    --------
    >>> topological_layers([[0, 0, 1], [0, 0, 0], [0, 0, 0]])
    array([0, 0, 1])
    """
    array = check_dag(adjacency)
    packed = _pack(array)  # [d, d, bytes]
    remaining = np.full(packed.shape[1:], 0xFF, np.uint8)  # [d, bytes]
    batch = array.shape[:-2]
    layers = np.zeros((*batch, array.shape[-1]), np.int64)
    while True:
        remaining = np.bitwise_or.reduce(packed & remaining[:, None], axis=0) & remaining
        left = np.unpackbits(remaining, axis=-1, count=int(np.prod(batch, dtype=int)))
        if not left.any():
            return layers
        layers += np.moveaxis(left, -1, 0).reshape(layers.shape)


def topological_order(adjacency: ArrayLike) -> NDArray[np.int64]:
    """Order the nodes of DAGs so that every edge goes forward.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]

    Returns
    -------
    numpy.ndarray, int64, shape [..., d]
        Nodes by topological layer, then by number.

    Raises
    ------
    ValueError
        If a graph has a cycle.

    Examples
    --------
    >>> topological_order([[0, 0, 0], [1, 0, 0], [0, 0, 0]])
    array([1, 2, 0])
    """
    return np.argsort(topological_layers(adjacency), axis=-1, kind="stable")


def dag_codes(adjacency: ArrayLike) -> NDArray[np.void]:
    """Give each graph a key that equals another's exactly when the graphs are the same.

    Parameters
    ----------
    adjacency : array_like, shape [..., d, d]
        Any 0/1 matrices, CPDAGs too.

    Returns
    -------
    numpy.ndarray, void of ceil(d * d / 8) bytes, shape [...]
        The matrices as bits. ``numpy.unique`` takes them; ``.tobytes()`` of one is hashable.

    Examples
    --------
    >>> import numpy as np
    >>> graphs = [[[0, 1], [0, 0]], [[0, 0], [0, 0]], [[0, 1], [0, 0]]]
    >>> np.unique(dag_codes(graphs), return_inverse=True)[1]
    array([1, 0, 1])
    """
    array = np.asarray(adjacency)
    batch = array.shape[:-2]
    bits = np.packbits(array.astype(bool).reshape(*batch, array.shape[-1] ** 2), axis=-1)
    return np.ascontiguousarray(bits).view(f"V{bits.shape[-1]}").reshape(batch)


def _pack(array: NDArray) -> NDArray[np.uint8]:
    """Turn ``[..., d, d]`` into bits ``[d, d, ceil(batch / 8)]``, the batch last."""
    flat = array.reshape(-1, *array.shape[-2:])
    return np.ascontiguousarray(np.moveaxis(np.packbits(flat.astype(bool), axis=0), 0, -1))


def _unpack(packed: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Undo ``_pack``, given the shape of the array that went in."""
    count = int(np.prod(shape[:-2], dtype=int))
    flat = np.unpackbits(np.ascontiguousarray(np.moveaxis(packed, -1, 0)), axis=0, count=count)
    return flat.view(bool).reshape(shape)


def _find_cycle(adjacency: NDArray) -> list[int]:
    """Find one shortest cycle of a cyclic graph, its first node repeated at the end."""
    num_variables = len(adjacency)
    walks = np.eye(num_variables, dtype=bool)
    step = adjacency.astype(bool)
    # lengths[l] holds which nodes reach which in exactly l + 1 steps
    lengths = []
    for _ in range(num_variables):
        walks = walks @ step
        lengths.append(walks)
        if walks.diagonal().any():
            break
    start = int(np.flatnonzero(walks.diagonal())[0])
    cycle = [start]
    for reach in reversed(lengths[:-1]):
        successors = step[cycle[-1]] & reach[:, start]
        cycle.append(int(np.flatnonzero(successors)[0]))
    return [*cycle, start]
