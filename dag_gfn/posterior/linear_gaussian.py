"""Parameters of linear-Gaussian networks, under the normal-Wishart prior of BGe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from dag_gfn import graphs
from dag_gfn.posterior.distinct import distinct_parent_sets
from dag_gfn.posterior.importance import normalised_weights
from dag_gfn.posterior.rows import checked_columns, checked_settings
from dag_gfn.posterior.validation import check_arrays

if TYPE_CHECKING:
    from pgmpy.models import LinearGaussianBayesianNetwork

# Entries of a block of intermediate arrays: 64 MiB of float64.
_BLOCK_ENTRIES = 2**23


@dataclass(frozen=True, eq=False)
class LinearGaussianParameters:
    """Linear-Gaussian networks, in the units of the table, that stand for p(G, theta | D).

    Given its parents, variable j of draw s is normal with mean ``intercepts[s, j] + sum_i
    coefficients[s, i, j] x_i`` and variance ``variances[s, j]``.

    Attributes
    ----------
    names : tuple of str [d]
    adjacency : ndarray of int8 [S, d, d]
        Row causes column.
    coefficients : ndarray of float64 [S, d, d]
        Change of the column's mean per unit of the row, zero where there is no edge.
    intercepts : ndarray of float64 [S, d]
    variances : ndarray of float64 [S, d]
    log_weights : ndarray of float64 [S]
    """

    names: tuple[str, ...]
    adjacency: NDArray[np.int8]  # [S, d, d]
    coefficients: NDArray[np.float64]  # [S, d, d]
    intercepts: NDArray[np.float64]  # [S, d]
    variances: NDArray[np.float64]  # [S, d]
    log_weights: NDArray[np.float64]  # [S]

    def __len__(self) -> int:
        """Return the number of draws."""
        return len(self.adjacency)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights that sum to one, float64 [S]."""
        return normalised_weights(self.log_weights)

    def total_effects(self) -> NDArray[np.float64]:
        """Return (I - B)^-1: the change of the column's mean per unit that the row is set to.

        Returns
        -------
        numpy.ndarray, float64, shape [S, d, d]
            One on the diagonal, zero where there is no directed path (Wright 1934, "The method of
            path coefficients": sums over paths of products of coefficients).
        """
        identity = np.eye(len(self.names))
        effects = np.linalg.inv(identity - self.coefficients)
        # Where there is no path the inverse may be zero up to rounding alone.
        return np.where(graphs.transitive_closure(self.adjacency), effects, identity)

    def simulate(
        self,
        num_rows: int,
        do: Mapping[str, ArrayLike] | None = None,
        *,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.float64]:
        """Simulate rows from every network, also under interventions.

        Parameters
        ----------
        num_rows : int
        do : mapping from name to value or array [S, n], optional
            Variables that are set, in the units of the table.
        random_state : int or numpy.random.Generator, optional
            Same seed, same noise, whatever is set.

        Returns
        -------
        numpy.ndarray, float64, shape [S, n, d]

        Raises
        ------
        ValueError
            If ``do`` names no variable.
        """
        rng = np.random.default_rng(random_state)
        num_draws, num_variables = self.intercepts.shape
        noise = rng.standard_normal((num_draws, num_rows, num_variables))
        added = self.intercepts[:, None] + np.sqrt(self.variances)[:, None] * noise
        coefficients = self.coefficients.copy()
        for node, values in checked_settings(do, self.names, (num_draws, num_rows)).items():
            coefficients[:, :, node] = 0.0
            added[:, :, node] = values
        # x = x B + added, row by row
        return added @ np.linalg.inv(np.eye(num_variables) - coefficients)

    def to_pgmpy(self, i: int) -> LinearGaussianBayesianNetwork:
        """Convert draw ``i`` to a network of pgmpy, which predicts and simulates.

        Parameters
        ----------
        i : int

        Returns
        -------
        pgmpy.models.LinearGaussianBayesianNetwork
        """
        from pgmpy.factors.continuous import LinearGaussianCPD
        from pgmpy.models import LinearGaussianBayesianNetwork

        model = LinearGaussianBayesianNetwork()
        model.add_nodes_from(self.names)
        for node, name in enumerate(self.names):
            parents = np.flatnonzero(self.adjacency[i, :, node])
            model.add_edges_from((self.names[parent], name) for parent in parents)
            model.add_cpds(
                LinearGaussianCPD(
                    name,
                    [self.intercepts[i, node], *self.coefficients[i, parents, node]],
                    np.sqrt(self.variances[i, node]),
                    [self.names[parent] for parent in parents],
                )
            )
        model.check_model()
        return model


class _Regressions(NamedTuple):
    """Normal-inverse-gamma posteriors of one variable given parent sets of one size, as scored.

    The precision is gamma with the given shape and rate; given it, the coefficients are normal with
    the covariance ``factor^-T factor^-1`` over the precision, and the value at the mean of the
    parents is normal about the mean with the variance of ``1 / weight`` rows.
    """

    fitted: NDArray[np.float64]  # [K, k], posterior mean of the coefficients
    factor: NDArray[np.float64]  # [K, k, k], Cholesky factor of R_PP
    shape: float  # of the precision's gamma distribution
    rate: NDArray[np.float64]  # [K]
    mean: float  # of the variable
    parent_means: NDArray[np.float64]  # [K, k]
    weight: float  # alpha_mu + N


@dataclass(frozen=True, eq=False)
class LinearGaussianMechanisms:
    r"""p(theta | G, D) of linear-Gaussian networks under the prior of BGe.

    With R the posterior scale matrix and P the parents of j, the precision of j is gamma with
    shape :math:`(\alpha_w - d + N + |P| + 1) / 2` and rate :math:`R_{jj|P} / 2`, where
    :math:`R_{jj|P} = R_{jj} - R_{jP} R_{PP}^{-1} R_{Pj}`; given it, the coefficients are normal
    about :math:`R_{PP}^{-1} R_{Pj}` with the covariance :math:`R_{PP}^{-1}` over the precision.
    This is the regression in a normal-Wishart distribution, and the variables are independent
    (Geiger and Heckerman 2002, "Parameter priors for directed acyclic graphical models", sections
    4 and 5).

    Attributes
    ----------
    names : tuple of str [d]
    scale : ndarray of float64 [V, d, d]
        R of each version of the table, as scored.
    mean : ndarray of float64 [V, d]
        Posterior mean of mu, as scored.
    mean_weight : ndarray of float64 [V]
        alpha_mu + N.
    degrees : ndarray of float64 [V]
        alpha_w - d + N; a family of l columns has l more.
    version : ndarray of int64 [d]
        Which of them is for each column: those rows in which it was not set.
    centre, unit : ndarray of float64 [d]
        A value of the table is ``centre + unit * scored``: zero and one unless it was standardised.
    column_means, column_sds : ndarray of float64 [d]
        Of all rows, in the units of the table.
    """

    names: tuple[str, ...]
    scale: NDArray[np.float64]  # [V, d, d]
    mean: NDArray[np.float64]  # [V, d]
    mean_weight: NDArray[np.float64]  # [V]
    degrees: NDArray[np.float64]  # [V]
    version: NDArray[np.int64]  # [d]
    centre: NDArray[np.float64]  # [d]
    unit: NDArray[np.float64]  # [d]
    column_means: NDArray[np.float64]  # [d]
    column_sds: NDArray[np.float64]  # [d]

    def draw(
        self,
        adjacency: NDArray[np.int8],
        log_weights: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> LinearGaussianParameters:
        """Draw parameters of each graph from their posterior.

        Parameters
        ----------
        adjacency : int8 [S, d, d]
        log_weights : float64 [S]
            Carried along.
        rng : numpy.random.Generator

        Returns
        -------
        LinearGaussianParameters
        """
        coefficients = np.zeros(adjacency.shape)
        intercepts, variances = np.empty((2, *adjacency.shape[:2]))
        for node in range(len(self.names)):
            for members, which, draws in _by_size(adjacency, node):
                given = self._regressions(node, members)
                parents = members[which]
                variance = given.rate[which] / rng.standard_gamma(given.shape, len(draws))
                standard = rng.standard_normal((*parents.shape, 1))
                inverse = np.linalg.inv(given.factor).swapaxes(1, 2)
                deviation = np.sqrt(variance)
                slopes = given.fitted[which]
                slopes += deviation[:, None] * (inverse[which] @ standard)[:, :, 0]
                off = deviation * rng.standard_normal(len(draws)) / np.sqrt(given.weight)
                at_means = (slopes * given.parent_means[which]).sum(axis=1)
                coefficients[draws[:, None], parents, node] = slopes
                intercepts[draws, node] = given.mean - at_means + off
                variances[draws, node] = variance
        return self._in_table_units(adjacency, coefficients, intercepts, variances, log_weights)

    def mean_parameters(
        self, adjacency: NDArray[np.int8], log_weights: NDArray[np.float64]
    ) -> LinearGaussianParameters:
        """Return the posterior mean of the parameters of each graph.

        Parameters
        ----------
        adjacency : int8 [S, d, d]
        log_weights : float64 [S]

        Returns
        -------
        LinearGaussianParameters
            A variance is infinite where its posterior has no mean.
        """
        coefficients = np.zeros(adjacency.shape)
        intercepts, variances = np.empty((2, *adjacency.shape[:2]))
        for node in range(len(self.names)):
            for members, which, draws in _by_size(adjacency, node):
                given = self._regressions(node, members)
                coefficients[draws[:, None], members[which], node] = given.fitted[which]
                at_means = (given.fitted * given.parent_means).sum(axis=1)
                intercepts[draws, node] = given.mean - at_means[which]
                average = given.rate / (given.shape - 1) if given.shape > 1 else np.inf
                variances[draws, node] = np.broadcast_to(average, given.rate.shape)[which]
        return self._in_table_units(adjacency, coefficients, intercepts, variances, log_weights)

    def log_density(self, parameters: LinearGaussianParameters) -> NDArray[np.float64]:
        """Return log p(theta | G, D) of networks.

        Parameters
        ----------
        parameters : LinearGaussianParameters

        Returns
        -------
        float64 [S]
            With respect to the intercepts, the coefficients of the edges and the variances, in the
            units of the table.
        """
        total = np.zeros(len(parameters))
        for node in range(len(self.names)):
            for members, which, draws in _by_size(parameters.adjacency, node):
                given = self._regressions(node, members)
                parents = members[which]
                ratio = self.unit[parents] / self.unit[node]
                raw_slopes = parameters.coefficients[draws[:, None], parents, node]
                slopes = raw_slopes * ratio
                variance = parameters.variances[draws, node] / self.unit[node] ** 2
                at_centre = parameters.intercepts[draws, node] - self.centre[node]
                at_centre += (raw_slopes * self.centre[parents]).sum(axis=1)
                at_means = (slopes * given.parent_means[which]).sum(axis=1)
                off = at_centre / self.unit[node] + at_means - given.mean
                difference = (slopes - given.fitted[which])[:, :, None]
                whitened = given.factor.swapaxes(1, 2)[which] @ difference
                squares = (whitened**2).sum(axis=(1, 2)) + given.weight * off**2
                pivots = np.log(np.diagonal(given.factor, axis1=1, axis2=2)).sum(axis=1)
                rate = given.rate[which]
                total[draws] += (
                    given.shape * np.log(rate)
                    - gammaln(given.shape)
                    - (given.shape + 1) * np.log(variance)
                    - rate / variance
                    + pivots[which]
                    + 0.5 * np.log(given.weight)
                    - 0.5 * (members.shape[1] + 1) * np.log(2 * np.pi * variance)
                    - 0.5 * squares / variance
                    # from the units that were scored to those of the table
                    + np.log(ratio).sum(axis=1)
                    - 3 * np.log(self.unit[node])
                )
        return total

    def encode(self, table: pd.DataFrame | ArrayLike) -> NDArray:
        """Check new rows, and return them as they would be scored.

        Parameters
        ----------
        table : DataFrame or array [n, d]

        Returns
        -------
        float64 [n, d]

        Raises
        ------
        ValueError
            If a column is missing or unknown, or a value is not a finite number.
        """
        frame = checked_columns(table, self.names)
        values = np.empty(frame.shape)
        for position, name in enumerate(self.names):
            try:
                values[:, position] = frame[name].to_numpy(np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(f"column {name!r} of the new rows must hold numbers.") from error
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise ValueError(
                f"column {self.names[column]!r} of the new rows is {values[row, column]} in row "
                f"{row}; drop that row."
            )
        return self.encode_values(values)

    def encode_values(self, rows: NDArray) -> NDArray:
        """Return rows [..., d] in the units of the table as they would be scored."""
        return (rows - self.centre) / self.unit

    def log_predictive(self, rows: NDArray, node: int, parent_sets: NDArray) -> NDArray[np.float64]:
        """Return the log-density of one column of new rows, given its parents in them.

        That is the local score with the new rows less the one without, in which only the terms that
        the new rows change are left.

        Parameters
        ----------
        rows : float64 [S, n, d]
            As `encode` returns them: S tables, each predicted by itself, all its rows at once.
        node : int
            A column that is not set in the new rows.
        parent_sets : int8 [K, d]

        Returns
        -------
        float64 [S, K]
            Per unit of the table.
        """
        version = self.version[node]
        before, weight = self.scale[version], self.mean_weight[version]
        num_tables, num_new = rows.shape[:2]
        mean = rows.mean(axis=1, keepdims=True)
        centred, shift = rows - mean, mean - self.mean[version]
        after = before + centred.swapaxes(1, 2) @ centred
        after += num_new * weight / (num_new + weight) * shift.swapaxes(1, 2) * shift
        sizes = parent_sets.sum(axis=1)
        log_density = np.empty((num_tables, len(parent_sets)))
        for size in np.unique(sizes):
            sets = np.flatnonzero(sizes == size)
            length = max(1, _BLOCK_ENTRIES // (num_tables * (size + 1) ** 2))
            for block in np.split(sets, range(length, len(sets), length)):
                members = np.nonzero(parent_sets[block])[1].reshape(len(block), size)
                families = np.column_stack([members, np.full(len(block), node)])
                det_before, variance_before = _log_minors(before[None], families)
                det_after, variance_after = _log_minors(after, families)
                half = 0.5 * (self.degrees[version] + size + 1)
                log_density[:, block] = (
                    0.5 * np.log(weight / (weight + num_new))
                    + gammaln(half + 0.5 * num_new)
                    - gammaln(half)
                    - 0.5 * num_new * np.log(np.pi)
                    + 0.5 * (det_before - det_after)
                    + half * variance_before
                    - (half + 0.5 * num_new) * variance_after
                )
        return log_density - num_new * np.log(self.unit[node])

    def arrays(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return all there is to save: arrays, and what JSON knows."""
        return {field.name: getattr(self, field.name) for field in fields(self)[1:]}, {}

    @classmethod
    def from_arrays(
        cls, names: tuple[str, ...], arrays: Mapping[str, NDArray], about: Mapping[str, Any]
    ) -> Self:
        """Return what `arrays` saved; ValueError if it did not save these."""
        size, count = len(names), len(arrays["scale"])
        shapes = {
            "scale": (count, size, size),
            "mean": (count, size),
            "mean_weight": (count,),
            "degrees": (count,),
        }
        of_columns = ("version", "centre", "unit", "column_means", "column_sds")
        check_arrays(arrays, shapes | dict.fromkeys(of_columns, (size,)))
        version = arrays["version"]
        if version.dtype.kind != "i" or not ((version >= 0) & (version < count)).all():
            raise ValueError("version must number the versions of the table.")
        return cls(names=names, **arrays)

    def _regressions(self, node: int, members: NDArray[np.int64]) -> _Regressions:
        """Return the posteriors given parent sets of one size, [K, k]."""
        version = self.version[node]
        scale, mean = self.scale[version], self.mean[version]
        blocks = scale[members[:, :, None], members[:, None, :]]
        covariance = scale[members, node]
        fitted = np.linalg.solve(blocks, covariance[:, :, None])[:, :, 0]
        return _Regressions(
            fitted=fitted,
            factor=np.linalg.cholesky(blocks),
            shape=0.5 * (self.degrees[version] + members.shape[1] + 1),
            rate=0.5 * (scale[node, node] - (covariance * fitted).sum(axis=1)),
            mean=mean[node],
            parent_means=mean[members],
            weight=self.mean_weight[version],
        )

    def _in_table_units(
        self,
        adjacency: NDArray[np.int8],
        coefficients: NDArray[np.float64],
        intercepts: NDArray[np.float64],
        variances: NDArray[np.float64],
        log_weights: NDArray[np.float64],
    ) -> LinearGaussianParameters:
        coefficients = coefficients * self.unit / self.unit[:, None]
        shift = coefficients.swapaxes(1, 2) @ self.centre
        return LinearGaussianParameters(
            names=self.names,
            adjacency=adjacency,
            coefficients=coefficients,
            intercepts=self.centre + self.unit * intercepts - shift,
            variances=self.unit**2 * variances,
            log_weights=log_weights,
        )


def _by_size(
    adjacency: NDArray[np.int8], node: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Go through the parent sets of a node, those of one size k at a time.

    Yields
    ------
    members : int64 [K, k]
    which : int64 [L], which of them each draw has
    draws : int64 [L]
    """
    parent_sets, inverse = distinct_parent_sets(adjacency, node)
    sizes = parent_sets.sum(axis=1)
    for size in np.unique(sizes):
        sets = np.flatnonzero(sizes == size)
        members = np.nonzero(parent_sets[sets])[1].reshape(len(sets), size)
        place = np.full(len(parent_sets), -1)
        place[sets] = np.arange(len(sets))
        having = np.flatnonzero(sizes[inverse] == size)
        length = max(1, _BLOCK_ENTRIES // max(1, int(size) ** 2))
        for draws in np.split(having, range(length, len(having), length)):
            yield members, place[inverse[draws]], draws


def _log_minors(scale: NDArray, families: NDArray) -> tuple[NDArray, NDArray]:
    """Return log |M_PP| and log M_jj|P of families (P, j) [K, k + 1] in M [S, d, d]: [S, K]."""
    blocks = scale[:, families[:, :, None], families[:, None, :]]
    log_pivots = 2 * np.log(np.diagonal(np.linalg.cholesky(blocks), axis1=2, axis2=3))
    return log_pivots[:, :, :-1].sum(axis=2), log_pivots[:, :, -1]
