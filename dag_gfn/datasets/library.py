"""Networks of the literature, read from the installed pgmpy package without a download."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from dag_gfn.datasets.networks import (
    CategoricalNetwork,
    GaussianNetwork,
    sample_categorical,
    sample_gaussian,
)
from dag_gfn.graphs import check_dag

_SUFFIXES = {"categorical": ".bif.gz", "gaussian": ".json"}


def list_networks(kind: Literal["categorical", "gaussian"] | None = None) -> list[str]:
    """List the networks that ``load_network`` knows.

    Parameters
    ----------
    kind : {"categorical", "gaussian"}, optional
        Only networks of this kind.

    Returns
    -------
    list of str
        Their names, sorted.

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> "asia" in list_networks("categorical"), "ecoli70" in list_networks("gaussian")
    (True, True)
    """
    if kind is not None and kind not in _SUFFIXES:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(map(repr, _SUFFIXES))}.")
    suffixes = _SUFFIXES.values() if kind is None else [_SUFFIXES[kind]]
    folder = _folder()
    return sorted(
        path.name.removesuffix(suffix) for suffix in suffixes for path in folder.glob(f"*{suffix}")
    )


def load_network(name: str) -> CategoricalNetwork | GaussianNetwork:
    """Load a network of the literature with its parameters.

    The files are those of the Bayesian Network Repository [1]_ as pgmpy ships them. The first
    categorical one takes a few seconds, because pgmpy has to be imported, and the largest take up
    to half a minute to read.

    Parameters
    ----------
    name : str
        One of ``list_networks()``.

    Returns
    -------
    CategoricalNetwork or GaussianNetwork
        Its arrays are shared between calls and read-only.

    Raises
    ------
    ValueError
        If there is no such network.

    References
    ----------
    .. [1] Scutari, "Learning Bayesian networks with the bnlearn R package", Journal of Statistical
       Software 35(3) (2010).

    Examples
    --------
    >>> network = load_network("ecoli70")
    >>> len(network.names), int(network.adjacency.sum())
    (46, 70)
    """
    if name in list_networks("categorical"):
        return _read_bif(_folder() / f"{name}.bif.gz")
    if name in list_networks("gaussian"):
        return _read_json(_folder() / f"{name}.json")
    raise ValueError(f"there is no network {name!r}; the names are {', '.join(list_networks())}.")


def true_graph(name: str) -> pd.DataFrame:
    """Load the graph of a network of the literature.

    Parameters
    ----------
    name : str
        One of ``list_networks()``. For ``"sachs"`` it is the consensus network with 17 edges, the
        variables of which are the columns of ``load_sachs()`` in another order.

    Returns
    -------
    pandas.DataFrame, int8, shape [d, d]
        Row causes column, by name.

    Raises
    ------
    ValueError
        If there is no such network.

    Examples
    --------
    >>> graph = true_graph("sachs")
    >>> graph.shape, int(graph.to_numpy().sum()), int(graph.loc["Raf", "Mek"])
    ((11, 11), 17, 1)
    """
    network = load_network(name)
    return pd.DataFrame(
        network.adjacency.copy(), index=list(network.names), columns=list(network.names)
    )


def sample_network(
    name: str,
    num_rows: int,
    *,
    variables: Sequence[str] | None = None,
    interventions: Iterable[str | int | None] | None = None,
    random_state: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Draw independent rows from a network of the literature.

    Parameters
    ----------
    name : str
        One of ``list_networks()``.
    num_rows : int
        Number n of rows.
    variables : sequence of str, optional
        Keep only these columns, in this order. All variables are drawn first, so that the others
        are hidden causes: the part of the true graph on the columns left is the true graph of the
        table only where every parent of a kept variable is kept.
    interventions : iterable of str, int or None, shape [n], optional
        The variable of the network that is randomised in each row, None for none, as for
        ``sample_categorical`` and ``sample_gaussian``.
    random_state : int or numpy.random.Generator, optional

    Returns
    -------
    pandas.DataFrame, category or float64, shape [n, d]
        Categorical columns know all their states, those not drawn too.

    Raises
    ------
    ValueError
        If there is no such network or variable, a variable is given twice, ``num_rows`` is not
        positive, or ``interventions`` does not fit the rows.

    Examples
    --------
    >>> names = ["smoke", "lung", "bronc", "xray", "dysp"]
    >>> sample_network("asia", 200, variables=names, random_state=0).shape
    (200, 5)
    """
    network = load_network(name)
    columns = list(network.names if variables is None else variables)
    for column in columns:
        if column not in network.names:
            raise ValueError(
                f"the network {name!r} has no variable {column!r}; it has "
                f"{', '.join(network.names)}."
            )
        if columns.count(column) > 1:
            raise ValueError(f"variables holds {column!r} twice; give each variable once.")
    if isinstance(network, CategoricalNetwork):
        table = sample_categorical(
            network, num_rows, interventions=interventions, random_state=random_state
        )
    else:
        table = sample_gaussian(
            network, num_rows, interventions=interventions, random_state=random_state
        )
    return table[columns]


def _folder() -> Path:
    # Found without importing pgmpy, which takes seconds.
    spec = importlib.util.find_spec("pgmpy")
    if spec is None or spec.origin is None:
        raise ImportError("the networks are read from pgmpy: install it with 'pip install pgmpy'.")
    return Path(spec.origin).parent / "utils" / "example_models"


@lru_cache(maxsize=32)
def _read_bif(path: Path) -> CategoricalNetwork:
    from pgmpy.readwrite.BIF import BIFReader

    with gzip.open(path, "rt", encoding="utf-8") as stream:
        reader = BIFReader(string=stream.read())
    names = tuple(reader.variable_names)
    position = {name: i for i, name in enumerate(names)}
    adjacency = np.zeros((len(names), len(names)), dtype=np.int8)
    probabilities = []
    for name in names:
        parents = [position[parent] for parent in reader.variable_parents[name]]
        adjacency[parents, position[name]] = 1
        num_states = [len(reader.variable_states[names[i]]) for i in parents]
        # The file has a row for each state and a column for each configuration of the parents in
        # its own order, the last one varying fastest; its numbers are rounded.
        array = reader.variable_cpds[name].T.reshape(*num_states, -1)
        array = array.transpose(*np.argsort(parents), array.ndim - 1)
        probabilities.append(_read_only(array / array.sum(axis=-1, keepdims=True)))
    return CategoricalNetwork(
        names=names,
        adjacency=_read_only(check_dag(adjacency, names, what=path.name)),
        states=tuple(tuple(reader.variable_states[name]) for name in names),
        probabilities=tuple(probabilities),
    )


@lru_cache(maxsize=32)
def _read_json(path: Path) -> GaussianNetwork:
    content = json.loads(path.read_text(encoding="utf-8"))
    names = tuple(content["nodes"])
    position = {name: i for i, name in enumerate(names)}
    coefficients = np.zeros((len(names), len(names)))
    adjacency = np.zeros((len(names), len(names)), dtype=np.int8)
    intercepts = np.zeros(len(names))
    noise_sd = np.zeros(len(names))
    for cause, effect in content["arcs"]:
        adjacency[position[cause], position[effect]] = 1
    for name, distribution in content["cpds"].items():
        j = position[name]
        noise_sd[j] = np.sqrt(distribution["variance"][0])
        for term, values in distribution["coefficients"].items():
            if term == "(Intercept)":
                intercepts[j] = values[0]
            else:
                coefficients[position[term], j] = values[0]
    return GaussianNetwork(
        names=names,
        adjacency=_read_only(check_dag(adjacency, names, what=path.name)),
        coefficients=_read_only(coefficients),
        intercepts=_read_only(intercepts),
        noise_sd=_read_only(noise_sd),
    )


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
