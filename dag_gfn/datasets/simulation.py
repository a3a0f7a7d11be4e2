"""Random graphs, and tables simulated from random networks on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dag_gfn import tables
from dag_gfn.datasets.networks import (
    CategoricalNetwork,
    GaussianNetwork,
    sample_categorical,
    sample_gaussian,
)
from dag_gfn.graphs import check_dag


class Simulation(NamedTuple):
    """A simulated table and the network that it was drawn from.

    Attributes
    ----------
    table : pandas.DataFrame, shape [n, d]
    graph : pandas.DataFrame, int8, shape [d, d]
        The true graph, with names: row causes column.
    network : CategoricalNetwork or GaussianNetwork
        The true parameters. They belong to the columns before any standardisation.
    """

    table: pd.DataFrame  # [n, d]
    graph: pd.DataFrame  # [d, d]
    network: CategoricalNetwork | GaussianNetwork

    @property
    def adjacency(self) -> NDArray[np.int8]:
        """The true graph, without names: int8, shape [d, d]."""
        return self.network.adjacency


def random_dag(
    num_variables: int,
    *,
    edges_per_node: float = 1.0,
    num_edges: int | None = None,
    max_parents: int | None = None,
    random_state: int | np.random.Generator | None = None,
) -> NDArray[np.int8]:
    r"""Draw an Erdős-Rényi DAG: random edges, directed along a random order of the nodes.

    Each of the :math:`d(d-1)/2` pairs is an edge with probability :math:`\min(1, 2k/(d-1))`, which
    gives :math:`kd` edges on average, or a given number of pairs is drawn.

    Parameters
    ----------
    num_variables : int
        Number d of nodes, at least 1.
    edges_per_node : float, default 1.0
        Expected number of edges for each node (k), between 0 and the larger of 1 and
        (d - 1) / 2; not used when ``num_edges`` is given.
    num_edges : int, optional
        Exact number of edges.
    max_parents : int, optional
        Largest number of parents of a node; edges that would exceed it are drawn again.
    random_state : int or numpy.random.Generator, optional

    Returns
    -------
    numpy.ndarray, int8, shape [d, d]
        Row causes column.

    Raises
    ------
    ValueError
        If a number is negative, or there cannot be that many edges.

    Examples
    --------
    >>> dag = random_dag(5, num_edges=5, random_state=0)
    >>> int(dag.sum())
    5
    """
    d = num_variables
    if d < 1:
        raise ValueError(f"num_variables is {d}; a graph has at least one node.")
    if max_parents is not None and max_parents < 0:
        raise ValueError(f"max_parents is {max_parents}; it must be at least 0.")
    rng = np.random.default_rng(random_state)
    limit = d - 1 if max_parents is None else max_parents
    num_pairs = d * (d - 1) // 2
    capacity = sum(min(i, limit) for i in range(d))
    if num_edges is None:
        # One edge per node, the default, is more than two nodes have: they get all there are.
        most = max((d - 1) / 2, 1.0)
        if not 0 <= edges_per_node <= most:
            raise ValueError(
                f"edges_per_node is {edges_per_node}; with {d} nodes it is between 0 and {most:g}."
            )
        probability = min(1.0, 2 * edges_per_node / max(d - 1, 1))
        num_edges = min(int(rng.binomial(num_pairs, probability)), capacity)
    elif not 0 <= num_edges <= capacity:
        bound = "" if max_parents is None else f" and at most {max_parents} parents each"
        raise ValueError(
            f"num_edges is {num_edges}; a DAG with {d} nodes{bound} has between 0 and {capacity}."
        )
    earlier, later = np.triu_indices(d, 1)
    ordered = np.zeros((d, d), dtype=np.int8)
    num_placed = 0
    for pair in rng.permutation(num_pairs):
        if num_placed == num_edges:
            break
        if ordered[:, later[pair]].sum() < limit:
            ordered[earlier[pair], later[pair]] = 1
            num_placed += 1
    order = rng.permutation(d)
    adjacency = np.zeros_like(ordered)
    adjacency[np.ix_(order, order)] = ordered
    return adjacency


def simulate_linear_gaussian(
    dag: int | ArrayLike | pd.DataFrame,
    num_rows: int,
    *,
    weight_range: tuple[float, float] = (0.5, 2.0),
    noise_sd: float | Sequence[float] = 1.0,
    standardize: bool = False,
    interventions: Iterable[str | int | None] | None = None,
    random_state: int | np.random.Generator | None = None,
) -> Simulation:
    """Simulate a table of measurements from a linear-Gaussian network with random coefficients.

    Parameters
    ----------
    dag : int, array_like or pandas.DataFrame, shape [d, d]
        The true graph, row causes column; a DataFrame names the variables, which are called X0, X1
        and so on otherwise. An integer is a number of variables, for which a graph is drawn by
        ``random_dag`` with one edge per node on average.
    num_rows : int
        Number n of rows.
    weight_range : (float, float), default (0.5, 2.0)
        Smallest and largest magnitude of a coefficient, which is uniform between the two; its sign
        is random.
    noise_sd : float or sequence of float [d], default 1.0
        Standard deviation of each variable given its parents.
    standardize : bool, default False
        Give each column mean zero and standard deviation one. Without it, variances grow along the
        causal order and give the order away.
    interventions : iterable of str, int or None, shape [n], optional
        The variable that is randomised in each row, None for none: it becomes noise alone.
    random_state : int or numpy.random.Generator, optional

    Returns
    -------
    Simulation
        The table [n, d], the true graph and the true parameters.

    Raises
    ------
    ValueError
        If the graph has a cycle, a standard deviation is not positive, ``weight_range`` is not an
        interval of magnitudes, or ``interventions`` does not fit the rows.

    Examples
    --------
    >>> dag = random_dag(5, num_edges=5, random_state=0)
    >>> simulation = simulate_linear_gaussian(dag, 100, standardize=True, random_state=1)
    >>> simulation.table.shape
    (100, 5)
    """
    rng = np.random.default_rng(random_state)
    names, adjacency = _named_dag(dag, rng)
    low, high = weight_range
    if not 0 <= low <= high < np.inf:
        raise ValueError(
            f"weight_range is {weight_range}; give the smallest and the largest magnitude, "
            "0 <= smallest <= largest."
        )
    if np.ndim(noise_sd) > 0 and np.shape(noise_sd) != (len(names),):
        raise ValueError(f"noise_sd must be one number or one for each of {len(names)} variables.")
    scales = np.broadcast_to(np.asarray(noise_sd, dtype=np.float64), len(names)).copy()
    for name, scale in zip(names, scales, strict=True):
        if not 0 < scale < np.inf:
            raise ValueError(f"noise_sd is {scale:g} for {name!r}; it must be positive and finite.")
    weights = rng.uniform(low, high, adjacency.shape) * rng.choice([-1.0, 1.0], adjacency.shape)
    network = GaussianNetwork(
        names=names,
        adjacency=adjacency,
        coefficients=np.where(adjacency, weights, 0.0),
        intercepts=np.zeros(len(names)),
        noise_sd=scales,
    )
    table = sample_gaussian(network, num_rows, interventions=interventions, random_state=rng)
    if standardize:
        table = tables.standardize(table)
    return Simulation(table, _frame(adjacency, names), network)


def simulate_categorical(
    dag: int | ArrayLike | pd.DataFrame,
    num_rows: int,
    *,
    num_states: int | Sequence[int] = 2,
    concentration: float = 1.0,
    interventions: Iterable[str | int | None] | None = None,
    random_state: int | np.random.Generator | None = None,
) -> Simulation:
    """Simulate a table of categories from a network with random probabilities.

    For each variable and each configuration of its parents, the probabilities of its states are
    drawn from a symmetric Dirichlet distribution.

    Parameters
    ----------
    dag : int, array_like or pandas.DataFrame, shape [d, d]
        The true graph, as for ``simulate_linear_gaussian``.
    num_rows : int
        Number n of rows.
    num_states : int or sequence of int [d], default 2
        Number of states of each variable, at least 2; they are called "0", "1" and so on.
    concentration : float, default 1.0
        Parameter of the Dirichlet distribution for each state: the smaller it is, the closer an
        effect is to a function of its causes.
    interventions : iterable of str, int or None, shape [n], optional
        The variable that is randomised in each row, None for none: its states become equally
        likely.
    random_state : int or numpy.random.Generator, optional

    Returns
    -------
    Simulation
        The table [n, d], the true graph and the true parameters.

    Raises
    ------
    ValueError
        If the graph has a cycle, ``num_states`` is below 2, ``concentration`` is not positive, or
        ``interventions`` does not fit the rows.

    Examples
    --------
    >>> simulation = simulate_categorical([[0, 1], [0, 0]], 50, num_states=3, random_state=0)
    >>> simulation.table["X1"].cat.categories.tolist()
    ['0', '1', '2']
    """
    rng = np.random.default_rng(random_state)
    names, adjacency = _named_dag(dag, rng)
    if np.ndim(num_states) > 0 and np.shape(num_states) != (len(names),):
        raise ValueError(
            f"num_states must be one number or one for each of {len(names)} variables."
        )
    cardinalities = [int(k) for k in np.broadcast_to(num_states, len(names))]
    for name, cardinality in zip(names, cardinalities, strict=True):
        if cardinality < 2:
            raise ValueError(f"num_states is {cardinality} for {name!r}; it must be at least 2.")
    if not 0 < concentration < np.inf:
        raise ValueError(f"concentration is {concentration}; it must be positive and finite.")
    probabilities = []
    for j, cardinality in enumerate(cardinalities):
        parent_states = [cardinalities[i] for i in np.flatnonzero(adjacency[:, j])]
        probabilities.append(rng.dirichlet(np.full(cardinality, concentration), parent_states))
    network = CategoricalNetwork(
        names=names,
        adjacency=adjacency,
        states=tuple(tuple(str(state) for state in range(k)) for k in cardinalities),
        probabilities=tuple(probabilities),
    )
    table = sample_categorical(network, num_rows, interventions=interventions, random_state=rng)
    return Simulation(table, _frame(adjacency, names), network)


def _named_dag(
    dag: int | ArrayLike | pd.DataFrame, rng: np.random.Generator
) -> tuple[tuple[str, ...], NDArray[np.int8]]:
    if isinstance(dag, (int, np.integer)):
        adjacency = random_dag(int(dag), random_state=rng)
    elif isinstance(dag, pd.DataFrame):
        if list(dag.index) != list(dag.columns):
            raise ValueError("the rows and columns of dag must be the same names in one order.")
        names = tuple(str(name) for name in dag.columns)
        return names, check_dag(dag.to_numpy(), names, what="dag").copy()
    else:
        adjacency = check_dag(dag, what="dag").copy()
        if adjacency.ndim != 2:
            raise ValueError(f"dag has shape {list(adjacency.shape)}; give one graph, [d, d].")
    return tuple(f"X{i}" for i in range(len(adjacency))), adjacency


def _frame(adjacency: NDArray[np.int8], names: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(adjacency, index=list(names), columns=list(names))
