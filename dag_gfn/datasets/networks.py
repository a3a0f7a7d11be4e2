"""Bayesian networks with known parameters, and tables drawn from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dag_gfn.graphs import topological_order
from dag_gfn.scores.constraints import intervention_targets


class CategoricalNetwork(NamedTuple):
    """A Bayesian network of categorical variables.

    Attributes
    ----------
    names : tuple of str
        The d variables.
    adjacency : numpy.ndarray, int8, shape [d, d]
        Row causes column.
    states : tuple of tuple of str
        The states of each variable.
    probabilities : tuple of numpy.ndarray, float64
        For each variable an array with one axis for each parent, parents in the order of
        ``names``, and a last axis for its own states, over which it sums to one.
    """

    names: tuple[str, ...]
    adjacency: NDArray[np.int8]  # [d, d]
    states: tuple[tuple[str, ...], ...]
    probabilities: tuple[NDArray[np.float64], ...]  # d arrays [states of parents..., states]


class GaussianNetwork(NamedTuple):
    """A Bayesian network of linear-Gaussian variables.

    Given its parents, variable j has mean ``intercepts[j] + sum_i coefficients[i, j] x_i`` and
    standard deviation ``noise_sd[j]``.

    Attributes
    ----------
    names : tuple of str
        The d variables.
    adjacency : numpy.ndarray, int8, shape [d, d]
        Row causes column.
    coefficients : numpy.ndarray, float64, shape [d, d]
        Change of the column's mean per unit of the row, zero where there is no edge.
    intercepts : numpy.ndarray, float64, shape [d]
    noise_sd : numpy.ndarray, float64, shape [d]
        Standard deviations, positive.
    """

    names: tuple[str, ...]
    adjacency: NDArray[np.int8]  # [d, d]
    coefficients: NDArray[np.float64]  # [d, d]
    intercepts: NDArray[np.float64]  # [d]
    noise_sd: NDArray[np.float64]  # [d]


def sample_categorical(
    network: CategoricalNetwork,
    num_rows: int,
    *,
    interventions: Iterable[str | int | None] | None = None,
    random_state: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Draw independent rows from a categorical network, causes before effects.

    Parameters
    ----------
    network : CategoricalNetwork
    num_rows : int
        Number n of rows, at least 1.
    interventions : iterable of str, int or None, shape [n], optional
        The variable that is randomised in each row, None for none: its states become equally
        likely, whatever its parents are (a perfect intervention).
    random_state : int or numpy.random.Generator, optional

    Returns
    -------
    pandas.DataFrame, category, shape [n, d]
        Each column knows all its states, those not drawn too.

    Raises
    ------
    ValueError
        If ``num_rows`` is not positive, or ``interventions`` has another length or an unknown name.

    Examples
    --------
    >>> coin = CategoricalNetwork(
    ...     names=("coin", "call"),
    ...     adjacency=np.array([[0, 1], [0, 0]], dtype=np.int8),
    ...     states=(("heads", "tails"), ("right", "wrong")),
    ...     probabilities=(np.array([0.5, 0.5]), np.array([[1.0, 0.0], [0.0, 1.0]])),
    ... )
    >>> table = sample_categorical(coin, 100, random_state=0)
    >>> bool(((table["coin"] == "heads") == (table["call"] == "right")).all())
    True
    """
    rng = np.random.default_rng(random_state)
    targets = _targets(network.names, num_rows, interventions)
    num_states = [len(states) for states in network.states]
    codes = np.zeros((num_rows, len(network.names)), dtype=np.int64)
    for j in topological_order(network.adjacency):
        parents = np.flatnonzero(network.adjacency[:, j])
        table = network.probabilities[j].reshape(-1, num_states[j])
        row = np.zeros(num_rows, dtype=np.int64)
        for i in parents:
            row = row * num_states[i] + codes[:, i]
        probabilities = table[row]
        probabilities[targets == j] = 1 / num_states[j]
        # Rounding may leave the last cumulative probability just below the draw.
        cumulative = probabilities.cumsum(axis=1)[:, :-1]
        codes[:, j] = (rng.random(num_rows)[:, None] >= cumulative).sum(axis=1)
    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(codes[:, j], categories=list(network.states[j]))
            for j, name in enumerate(network.names)
        }
    )


def sample_gaussian(
    network: GaussianNetwork,
    num_rows: int,
    *,
    interventions: Iterable[str | int | None] | None = None,
    random_state: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Draw independent rows from a linear-Gaussian network.

    Parameters
    ----------
    network : GaussianNetwork
    num_rows : int
        Number n of rows, at least 1.
    interventions : iterable of str, int or None, shape [n], optional
        The variable that is randomised in each row, None for none: it becomes its intercept plus
        its noise, whatever its parents are (a perfect intervention).
    random_state : int or numpy.random.Generator, optional

    Returns
    -------
    pandas.DataFrame, float64, shape [n, d]

    Raises
    ------
    ValueError
        If ``num_rows`` is not positive, or ``interventions`` has another length or an unknown name.

    Examples
    --------
    >>> network = GaussianNetwork(
    ...     names=("dose", "response"),
    ...     adjacency=np.array([[0, 1], [0, 0]], dtype=np.int8),
    ...     coefficients=np.array([[0.0, 2.0], [0.0, 0.0]]),
    ...     intercepts=np.array([0.0, 10.0]),
    ...     noise_sd=np.array([1.0, 0.1]),
    ... )
    >>> sample_gaussian(network, 1000, random_state=0).corr().round(2).loc["dose", "response"]
    np.float64(1.0)
    """
    rng = np.random.default_rng(random_state)
    targets = _targets(network.names, num_rows, interventions)
    noise = rng.standard_normal((num_rows, len(network.names)))
    values = network.intercepts + network.noise_sd * noise
    for j in topological_order(network.adjacency):
        caused = values @ np.where(network.adjacency[:, j], network.coefficients[:, j], 0.0)
        values[:, j] += np.where(targets == j, 0.0, caused)
    return pd.DataFrame(values, columns=list(network.names))


def _targets(
    names: tuple[str, ...], num_rows: int, interventions: Iterable[str | int | None] | None
) -> NDArray[np.integer]:
    """Return the number of the variable randomised in each row, -1 for none."""
    if num_rows < 1:
        raise ValueError(f"num_rows is {num_rows}; draw at least one row.")
    return intervention_targets(interventions, names, num_rows)
