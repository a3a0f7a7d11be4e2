"""Parameters of categorical networks, under the Dirichlet prior of BDe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, logsumexp, xlogy

from dag_gfn import graphs
from dag_gfn.posterior.distinct import distinct_parent_sets
from dag_gfn.posterior.importance import normalised_weights
from dag_gfn.posterior.rows import checked_columns, checked_settings
from dag_gfn.posterior.validation import check_arrays

if TYPE_CHECKING:
    from pgmpy.models import DiscreteBayesianNetwork

# Entries that the tables of one variable may have together, 800 MB of float64.
_MAX_ENTRIES = 10**8
_BIF_WORD = re.compile(r"[A-Za-z0-9_-]+")


class ConditionalTables(NamedTuple):
    """The conditional probability tables of one variable in many networks."""

    parents: tuple[NDArray[np.int64], ...]  # K parent sets, as positions
    which: NDArray[np.int64]  # [S], which parent set each network has
    row: NDArray[np.int64]  # [S], and where in its array the network's table is
    probabilities: tuple[NDArray[np.float64], ...]  # K arrays [S_k, states of parents..., states]

    def of(self, draws: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the tables of networks that share a parent set, [draws, states...]."""
        return self.probabilities[self.which[draws[0]]][self.row[draws]]


@dataclass(frozen=True, eq=False)
class CategoricalParameters:
    """Categorical networks that stand for p(G, theta | D).

    Attributes
    ----------
    names : tuple of str [d]
    states : tuple of tuples [d]
        What each code of each variable stands for.
    adjacency : ndarray of int8 [S, d, d]
        Row causes column.
    tables : tuple of ConditionalTables [d]
    log_weights : ndarray of float64 [S]
    """

    names: tuple[str, ...]
    states: tuple[tuple[Any, ...], ...]
    adjacency: NDArray[np.int8]  # [S, d, d]
    tables: tuple[ConditionalTables, ...]
    log_weights: NDArray[np.float64]  # [S]

    def __len__(self) -> int:
        """Return the number of draws."""
        return len(self.adjacency)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights that sum to one, float64 [S]."""
        return normalised_weights(self.log_weights)

    def interventional(
        self, cause: int, effect: int, draws: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        r"""Return P(effect | do(cause = x)) for every state x, by truncated factorisation.

        The conditional table of the cause is left out of the product of all tables, and every other
        variable is summed out (Pearl 2009, "Causality", equation 3.10); only ancestors of the
        effect matter.

        Parameters
        ----------
        cause, effect : int
            Positions of two different variables.
        draws : int64 [L], optional
            Of which networks; all of them by default.

        Returns
        -------
        float64 [L, states of cause, states of effect]
        """
        import opt_einsum

        draws = np.arange(len(self)) if draws is None else draws
        cut = self.adjacency[draws]
        cut[:, :, cause] = 0
        needed = graphs.transitive_closure(cut)[:, :, effect]
        needed[:, effect] = True
        needed[:, cause] = False
        result = np.empty((len(draws), len(self.states[cause]), len(self.states[effect])))
        # Networks whose needed variables have the same parents are summed out together.
        relevant = cut * needed[:, None, :]
        keys = np.packbits(
            np.concatenate([relevant, needed[:, None]], axis=1).reshape(len(draws), -1), axis=1
        )
        _, which = np.unique(keys, axis=0, return_inverse=True)
        which = which.ravel()
        order = np.argsort(which, kind="stable")
        batch = len(self.names)  # the label of the axis of networks
        for alike in np.split(order, np.cumsum(np.bincount(which))[:-1]):
            # The cause has no table here, but must be an axis even where nothing depends on it.
            terms: list[Any] = [np.ones((len(alike), result.shape[1])), [batch, cause]]
            for node in np.flatnonzero(needed[alike[0]]):
                parents = np.flatnonzero(relevant[alike[0], :, node])
                terms += [
                    self.tables[node].of(draws[alike]),
                    [batch, *map(int, parents), int(node)],
                ]
            # Better orders than the greedy one take longer to find than they save.
            result[alike] = opt_einsum.contract(*terms, [batch, cause, effect], optimize="greedy")
        return result

    def simulate(
        self,
        num_rows: int,
        do: Mapping[str, ArrayLike] | None = None,
        *,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.int32]:
        """Simulate rows from every network, also under interventions.

        Parameters
        ----------
        num_rows : int
        do : mapping from name to code or array [S, n] of codes, optional
            Variables that are set; a code is the position of a state in ``states``.
        random_state : int or numpy.random.Generator, optional
            Same seed, same noise, whatever is set.

        Returns
        -------
        numpy.ndarray, int32, shape [S, n, d]
            Codes.

        Raises
        ------
        ValueError
            If ``do`` names no variable.
        """
        rng = np.random.default_rng(random_state)
        noise = rng.random((len(self), num_rows, len(self.names)))
        settings = checked_settings(do, self.names, noise.shape[:2])
        rows = np.zeros(noise.shape, np.int32)
        layers = graphs.topological_layers(self.adjacency)
        for layer in range(layers.max() + 1):
            for node in range(len(self.names)):
                here = np.flatnonzero(layers[:, node] == layer)
                if node in settings:
                    rows[here, :, node] = settings[node][here]
                    continue
                tables = self.tables[node]
                for number in np.unique(tables.which[here]):
                    draws = here[tables.which[here] == number]
                    values = tuple(rows[draws][:, :, parent] for parent in tables.parents[number])
                    chances = tables.probabilities[number][
                        (tables.row[draws][:, None], *values)
                    ].cumsum(axis=-1)
                    chosen = (noise[draws][:, :, node, None] > chances[..., :-1]).sum(axis=-1)
                    rows[draws, :, node] = chosen
        return rows

    def to_pgmpy(self, i: int) -> DiscreteBayesianNetwork:
        """Convert draw ``i`` to a network of pgmpy, which predicts and simulates.

        Parameters
        ----------
        i : int

        Returns
        -------
        pgmpy.models.DiscreteBayesianNetwork
            Its states are those of the table.
        """
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.models import DiscreteBayesianNetwork

        model = DiscreteBayesianNetwork()
        model.add_nodes_from(self.names)
        for node, name in enumerate(self.names):
            table = self.tables[node].of(np.array([i]))[0]
            parents = np.flatnonzero(self.adjacency[i, :, node])
            evidence = [self.names[parent] for parent in parents]
            model.add_edges_from((parent, name) for parent in evidence)
            num_states = len(self.states[node])
            model.add_cpds(
                TabularCPD(
                    name,
                    num_states,
                    table.reshape(-1, num_states).T,
                    evidence=evidence or None,
                    evidence_card=[len(self.states[parent]) for parent in parents] or None,
                    state_names={
                        self.names[one]: list(self.states[one]) for one in (node, *parents)
                    },
                )
            )
        model.check_model()
        return model

    def to_bif(self, i: int) -> str:
        """Write draw ``i`` in the Bayesian interchange format, which many programs read.

        Parameters
        ----------
        i : int

        Returns
        -------
        str
            The contents of a ``.bif`` file.

        Raises
        ------
        ValueError
            If a name or a state has signs that words of that format do not have.

        Examples
        --------
        >>> import dag_gfn as dg
        >>> table = dg.datasets.simulate_categorical(2, 50, random_state=0).table
        >>> posterior = dg.ExactPosterior(score="bde").fit(table).posterior_
        >>> text = posterior.sample_parameters(1, random_state=0).to_bif(0)
        >>> text.splitlines()[2].startswith("variable")
        True
        """
        from pgmpy.readwrite import BIFWriter

        for name, states in zip(self.names, self.states, strict=True):
            for what, word in (("name", name), *((f"state of {name!r}", one) for one in states)):
                if not _BIF_WORD.fullmatch(str(word)):
                    raise ValueError(
                        f"{what} {word!r} cannot stand in a BIF file, whose words have letters, "
                        "digits, _ and - alone; rename it in the table."
                    )
        return str(BIFWriter(self.to_pgmpy(i)))


@dataclass(frozen=True, eq=False)
class CategoricalMechanisms:
    r"""p(theta | G, D) of categorical networks under the prior of BDe.

    For each joint state k of its q parent states, a variable with r states has probabilities that
    are Dirichlet with the parameters :math:`\alpha / (q r) + N_{kl}`, independent of all others
    (Heckerman, Geiger and Chickering 1995, "Learning Bayesian networks: the combination of
    knowledge and statistical data", section 2).

    Attributes
    ----------
    names : tuple of str [d]
    states : tuple of tuples [d]
        What each code of each variable stands for.
    codes : ndarray of int32 [d, m]
        State of each column in each distinct row.
    targets : ndarray of int32 [m]
        Column that was set by intervention, -1 for none.
    counts : ndarray of int64 [m]
        How often the row occurs.
    equivalent_sample_size : float
        alpha.
    """

    names: tuple[str, ...]
    states: tuple[tuple[Any, ...], ...]
    codes: NDArray[np.int32]  # [d, m]
    targets: NDArray[np.int32]  # [m]
    counts: NDArray[np.int64]  # [m]
    equivalent_sample_size: float

    def draw(
        self,
        adjacency: NDArray[np.int8],
        log_weights: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> CategoricalParameters:
        """Draw parameters of each graph from their posterior.

        Parameters
        ----------
        adjacency : int8 [S, d, d]
        log_weights : float64 [S]
            Carried along.
        rng : numpy.random.Generator

        Returns
        -------
        CategoricalParameters

        Raises
        ------
        ValueError
            If the tables of one variable would not fit into memory.
        """

        def dirichlet(concentration: NDArray, size: int) -> NDArray:
            # A gamma of shape a is one of shape a + 1 times U^(1/a), which does not underflow
            # to zero in all states at once when it is kept as a logarithm.
            shape = (size, *concentration.shape)
            with np.errstate(divide="ignore"):
                log_gamma = np.log(rng.standard_gamma(concentration + 1, shape))
                log_gamma += np.log(rng.random(shape)) / concentration
            return np.exp(log_gamma - logsumexp(log_gamma, axis=-1, keepdims=True))

        return self._parameters(adjacency, log_weights, dirichlet)

    def mean_parameters(
        self, adjacency: NDArray[np.int8], log_weights: NDArray[np.float64]
    ) -> CategoricalParameters:
        """Return the posterior mean of the parameters of each graph.

        Parameters
        ----------
        adjacency : int8 [S, d, d]
        log_weights : float64 [S]

        Returns
        -------
        CategoricalParameters
        """

        def mean(concentration: NDArray, size: int) -> NDArray:
            average = concentration / concentration.sum(axis=-1, keepdims=True)
            return np.repeat(average[None], size, axis=0)

        return self._parameters(adjacency, log_weights, mean)

    def log_density(self, parameters: CategoricalParameters) -> NDArray[np.float64]:
        """Return log p(theta | G, D) of networks.

        Parameters
        ----------
        parameters : CategoricalParameters

        Returns
        -------
        float64 [S]
            With respect to all probabilities but the last of each distribution.
        """
        total = np.zeros(len(parameters))
        for node, tables in enumerate(parameters.tables):
            for number, parents in enumerate(tables.parents):
                shape = self.concentration(node, parents)
                constant = gammaln(shape.sum(axis=-1)).sum() - gammaln(shape).sum()
                logs = xlogy(shape - 1, tables.probabilities[number])
                draws = tables.which == number
                of_table = logs.reshape(len(logs), -1).sum(axis=1) + constant
                total[draws] += of_table[tables.row[draws]]
        return total

    def concentration(self, node: int, parents: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the parameters of the Dirichlet distributions of one variable.

        Parameters
        ----------
        node : int
        parents : int64 [k]
            Positions, in increasing order.

        Returns
        -------
        float64 [states of parents..., states]
        """
        family = [*map(int, parents), node]
        shape = tuple(len(self.states[member]) for member in family)
        observed = self.targets != node
        cells = np.ravel_multi_index(tuple(self.codes[family][:, observed]), shape)
        counts = np.bincount(cells, self.counts[observed], minlength=int(np.prod(shape)))
        return counts.reshape(shape) + self.equivalent_sample_size / np.prod(shape)

    def encode(self, table: pd.DataFrame | ArrayLike) -> NDArray:
        """Check new rows, and return the codes of their states.

        Parameters
        ----------
        table : DataFrame or array [n, d]

        Returns
        -------
        int32 [n, d]

        Raises
        ------
        ValueError
            If a column is missing or unknown, or holds a state that the posterior does not know.
        """
        frame = checked_columns(table, self.names)
        codes = np.empty(frame.shape, np.int32)
        for position, (name, states) in enumerate(zip(self.names, self.states, strict=True)):
            found = pd.Index(states, dtype=object).get_indexer(frame[name].astype(object))
            if (found < 0).any():
                row = int(np.argmax(found < 0))
                raise ValueError(
                    f"column {name!r} of the new rows is {frame[name].iloc[row]!r} in row {row}, "
                    "which is none of its states; declare all states with a categorical dtype "
                    "before the fit."
                )
            codes[:, position] = found
        return codes

    def encode_values(self, rows: NDArray) -> NDArray:
        """Return simulated rows [S, n, d]: codes are what is scored."""
        return rows

    def log_predictive(self, rows: NDArray, node: int, parent_sets: NDArray) -> NDArray[np.float64]:
        """Return the log-probability of one column of new rows, given its parents in them.

        That is the local score with the new rows less the one without. Only the joint states that
        occur are numbered, so nothing grows with their product.

        Parameters
        ----------
        rows : int32 [S, n, d]
            As `encode` returns them: S tables, each predicted by itself, all its rows at once.
        node : int
            A column that is not set in the new rows.
        parent_sets : int8 [K, d]

        Returns
        -------
        float64 [S, K]
        """
        num_tables, num_new = rows.shape[:2]
        observed = self.targets != node
        known = self.codes[:, observed]
        stacked = np.concatenate([known, rows.reshape(-1, rows.shape[-1]).T], axis=1)
        table_of = np.repeat(np.arange(num_tables), num_new)
        result = np.empty((num_tables, len(parent_sets)))
        for number, members in enumerate(parent_sets):
            group, alpha = np.zeros(stacked.shape[1], np.int64), self.equivalent_sample_size
            for parent in np.flatnonzero(members):
                num_states = len(self.states[parent])
                group = np.unique(group * num_states + stacked[parent], return_inverse=True)[1]
                alpha /= num_states
            num_states = len(self.states[node])
            cell = group * num_states + stacked[node]
            result[:, number] = _rising(
                cell, alpha / num_states, self.counts[observed], table_of, num_tables
            ) - _rising(group, alpha, self.counts[observed], table_of, num_tables)
        return result

    def arrays(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return all there is to save: arrays, and what JSON knows."""
        return (
            {"codes": self.codes, "targets": self.targets, "counts": self.counts},
            {
                "states": [[_plain(state) for state in column] for column in self.states],
                "equivalent_sample_size": self.equivalent_sample_size,
            },
        )

    @classmethod
    def from_arrays(
        cls, names: tuple[str, ...], arrays: Mapping[str, NDArray], about: Mapping[str, Any]
    ) -> Self:
        """Return what `arrays` saved; ValueError if it did not save these."""
        states = tuple(tuple(column) for column in about["states"])
        num_rows = len(arrays["counts"])
        shapes = {"codes": (len(names), num_rows), "targets": (num_rows,), "counts": (num_rows,)}
        check_arrays(arrays, shapes)
        if any(array.dtype.kind != "i" for array in arrays.values()):
            raise ValueError("codes, targets and counts must be integers.")
        num_states = np.array([len(column) for column in states], np.int64)
        codes, targets, counts = (arrays[name] for name in shapes)
        inside = (
            num_states.shape == (len(names),)
            and ((codes >= 0) & (codes < num_states[:, None])).all()
            and ((targets >= -1) & (targets < len(names))).all()
            and (counts >= 0).all()
        )
        size = float(about["equivalent_sample_size"])
        if not inside or not 0 < size < np.inf:
            raise ValueError("codes, targets or counts are not those of a table.")
        return cls(
            names=names,
            states=states,
            equivalent_sample_size=size,
            **arrays,
        )

    def _parameters(self, adjacency, log_weights, make) -> CategoricalParameters:
        """Return networks whose tables are made from their concentrations and number."""
        tables = []
        for node in range(len(self.names)):
            parent_sets, which = distinct_parent_sets(adjacency, node)
            members = tuple(np.flatnonzero(one) for one in parent_sets)
            sizes = np.bincount(which, minlength=len(members))
            self._refuse_large(node, members, sizes)
            row = np.empty(len(which), np.int64)
            order = np.argsort(which, kind="stable")
            starts = np.cumsum(sizes) - sizes
            row[order] = np.arange(len(which)) - np.repeat(starts, sizes)
            probabilities = tuple(
                make(self.concentration(node, parents), size)
                for parents, size in zip(members, sizes, strict=True)
            )
            tables.append(ConditionalTables(members, which, row, probabilities))
        return CategoricalParameters(
            names=self.names,
            states=self.states,
            adjacency=adjacency,
            tables=tuple(tables),
            log_weights=log_weights,
        )

    def _refuse_large(self, node: int, parent_sets, sizes) -> None:
        num_states = np.array([len(states) for states in self.states], np.float64)
        entries = sum(
            size * num_states[parents].prod() * num_states[node]
            for parents, size in zip(parent_sets, sizes, strict=True)
        )
        if entries > _MAX_ENTRIES:
            raise ValueError(
                f"the conditional tables of {self.names[node]!r} have {entries:.2g} entries in "
                f"{sizes.sum()} draws, more than {_MAX_ENTRIES:.0e}; take fewer draws, or fit with "
                "max_parents."
            )


def _rising(
    label: NDArray[np.int64],
    alpha: float,
    counts: NDArray[np.int64],
    table_of: NDArray[np.int64],
    num_tables: int,
) -> NDArray[np.float64]:
    """Sum log Gamma(alpha + N + M) - log Gamma(alpha + N) over the labels of each new table.

    N counts a label in the rows known, of which there are `len(counts)` distinct ones and which
    come first; M counts it in the rows of the new table.
    """
    num_labels = int(label.max()) + 1
    known = np.bincount(label[: len(counts)], counts, minlength=num_labels)
    pair, new = np.unique(table_of * num_labels + label[len(counts) :], return_counts=True)
    before = alpha + known[pair % num_labels]
    terms = gammaln(before + new) - gammaln(before)
    return np.bincount(pair // num_labels, terms, minlength=num_tables).astype(np.float64)


def _plain(state: Any) -> Any:
    """Return a state as a type that JSON knows."""
    plain = state.item() if isinstance(state, np.generic) else state
    return plain if isinstance(plain, str | int | float | bool) else str(plain)
