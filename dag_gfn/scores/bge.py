"""BGe: the marginal likelihood of linear-Gaussian networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import gammaln

from dag_gfn.scores.likelihood import Indices, LocalLikelihood
from dag_gfn.scores.minors import log_minors, subset_minors, subset_sums, unexplained_shares
from dag_gfn.scores.subsets import colex_order, colex_subsets, num_subsets
from dag_gfn.tables import continuous_values

__all__ = ["BGe", "BGeLikelihood"]

# Matrix entries gathered at a time for batched factorisations (128 MiB of float64).
_CHUNK_ENTRIES = 2**24

# Below this share a conditional variance has fewer than six digits left in float64.
_SMALLEST_SHARE = 1e-10

# Above, what the rows change is lost in the rounding of log Gamma.
_LARGEST_DEGREES = 1e9


@dataclass(frozen=True, eq=False)
class BGe:
    r"""Bayesian metric for Gaussian networks, score equivalent.

    The rows are independent draws of N(mu, W^-1) with a normal-Wishart prior, mu | W ~
    N(nu, (alpha_mu W)^-1) and W ~ Wishart(alpha_w, T^-1). For a set Y of l columns and N rows, with
    the constants as corrected in [1]_,

    .. math::

        p(d^Y) = \left(\frac{\alpha_\mu}{N + \alpha_\mu}\right)^{l/2}
        \frac{\Gamma_l((N + \alpha_w - d + l)/2)}{\pi^{lN/2}\,\Gamma_l((\alpha_w - d + l)/2)}
        \frac{|T_{YY}|^{(\alpha_w - d + l)/2}}{|R_{YY}|^{(N + \alpha_w - d + l)/2}},

    R = T + S_N + N alpha_mu / (N + alpha_mu) (nu - mean)(nu - mean)', where S_N is the scatter
    matrix about the mean. The local score is log p(d^{Pa + j}) - log p(d^{Pa}).

    Parameters
    ----------
    alpha_mu : float, default 1
        Weight of the prior mean, in rows.
    alpha_w : float, optional
        Degrees of freedom of the Wishart prior, above d - 1 and at most 1e9; d + 2 by default.
    nu : float or array of float [d], default 0
        Prior mean, in the units of the columns.
    T : float or array of float [d, d], optional
        Prior scale matrix, in squared units; a number t stands for t times the identity. By default
        t = alpha_mu (alpha_w - d - 1) / (alpha_mu + 1), which needs alpha_w > d + 1.

    References
    ----------
    .. [1] J. Kuipers, G. Moffa and D. Heckerman. "Addendum on the scoring of Gaussian directed
       acyclic graphical models." Annals of Statistics 42(4), 2014.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores([[1.0, 2.0], [2.0, 1.5], [4.0, 0.5]], score=BGe(alpha_mu=0.5))
    >>> round(scores.local_score(0, [1]), 6)
    -11.399583
    """

    alpha_mu: float = 1.0
    alpha_w: float | None = None
    nu: ArrayLike = 0.0
    T: ArrayLike | None = None

    def __post_init__(self) -> None:
        """Check what does not depend on the table."""
        # Beyond, its quotient with the number of rows is not a number of float64.
        if not 1e-100 <= self.alpha_mu <= 1e100:
            raise ValueError(
                f"alpha_mu of BGe must be positive, not {self.alpha_mu}, and lie between 1e-100 "
                "and 1e100."
            )

    def prepare(
        self, frame: pd.DataFrame, targets: np.ndarray, mechanisms: np.ndarray | None = None
    ) -> BGeLikelihood:
        """Condense the table into posterior scale matrices.

        Parameters
        ----------
        frame : DataFrame [n, d]
        targets : array of int [n]
            Column that was set by intervention in each row, -1 for none.
        mechanisms : array of int [n], optional
            Number of the mechanism that made its value, -1 where there is no target; left out where
            interventions are perfect.

        Raises
        ------
        ValueError
            If a column is not continuous (see `dag_gfn.tables.continuous_values`) or is a linear
            combination of others up to rounding, or a hyper-parameter does not fit the number of
            columns.
        """
        values = continuous_values(frame)
        num_variables = values.shape[1]
        alpha_w = num_variables + 2 if self.alpha_w is None else self.alpha_w
        if not num_variables - 1 < alpha_w <= _LARGEST_DEGREES:
            raise ValueError(
                f"alpha_w of BGe must be above d - 1 = {num_variables - 1} for {num_variables} "
                f"columns and at most {_LARGEST_DEGREES:g}, not {alpha_w}."
            )
        mean = self._prior_mean(num_variables)
        prior_scale = self._prior_scale(num_variables, alpha_w)
        # Columns that were never set share one matrix, the first.
        set_columns = np.unique(targets[targets >= 0])
        version = np.zeros(num_variables, dtype=np.int64)
        version[set_columns] = 1 + np.arange(len(set_columns))
        rows = [values, *(values[targets != column] for column in set_columns)]
        changed: list[list[int]] = [[] for _ in range(num_variables)]
        for mechanism in range(0 if mechanisms is None else mechanisms.max(initial=-1) + 1):
            inside = mechanisms == mechanism
            changed[targets[inside][0]].append(len(rows))
            rows.append(values[inside])
        num_rows = np.array([len(block) for block in rows])
        totals = np.stack([block.sum(axis=0) for block in rows])
        with np.errstate(over="ignore", invalid="ignore"):
            scales = np.stack(
                [posterior_scale(block, prior_scale, mean, self.alpha_mu) for block in rows]
            )
            means = (totals + self.alpha_mu * mean) / (num_rows + self.alpha_mu)[:, None]
        if not (np.isfinite(scales).all() and np.isfinite(means).all()):
            raise ValueError(
                "alpha_mu, nu and T of BGe and the values of the table are together too large to "
                "compute with; make the hyper-parameters smaller, or use standardize=True."
            )
        shares = unexplained_shares(scales)
        if np.min(shares) < _SMALLEST_SHARE:
            worst, column = np.unravel_index(np.argmin(shares), shares.shape)
            where = "".join(
                f", in rows of one condition in which {name!r} was set,"
                for name, versions in zip(frame.columns, changed, strict=True)
                if worst in versions
            )
            raise ValueError(
                f"column {frame.columns[column]!r} is a linear combination of other columns{where} "
                "up to rounding, at the scale of T; drop it, or use standardize=True."
            )
        return BGeLikelihood(
            names=tuple(frame.columns),
            alpha_mu=float(self.alpha_mu),
            alpha_w=float(alpha_w),
            prior_scale=prior_scale,
            prior_mean=mean,
            posterior_scale=scales,
            posterior_mean=means,
            num_rows=num_rows,
            version=version,
            changed_versions=tuple(map(tuple, changed)),
            column_means=values.mean(axis=0),
            column_sds=values.std(axis=0),
        )

    def _prior_mean(self, num_variables: int) -> np.ndarray:
        """Return nu, float64 [d]."""
        mean = np.asarray(self.nu, dtype=np.float64)
        if mean.shape not in {(), (num_variables,)} or not np.all(np.isfinite(mean)):
            raise ValueError(
                f"nu of BGe must be a finite number or have one for each of the {num_variables} "
                f"columns, but its shape is {mean.shape}."
            )
        return np.broadcast_to(mean, num_variables)

    def _prior_scale(self, num_variables: int, alpha_w: float) -> np.ndarray:
        """Return T, float64 [d, d]."""
        if self.T is None:
            if alpha_w <= num_variables + 1:
                raise ValueError(
                    f"the default T of BGe needs alpha_w above d + 1 = {num_variables + 1}, not "
                    f"{alpha_w}; give T as well."
                )
            t = self.alpha_mu * (alpha_w - num_variables - 1) / (self.alpha_mu + 1)
            return t * np.eye(num_variables)
        scale = np.asarray(self.T, dtype=np.float64)
        if scale.ndim == 0:
            scale = scale * np.eye(num_variables)
        if scale.shape != (num_variables, num_variables):
            raise ValueError(
                f"T of BGe must be a number or a matrix of {num_variables} x {num_variables}, but "
                f"its shape is {scale.shape}."
            )
        if not np.all(np.isfinite(scale)) or not np.allclose(scale, scale.T, rtol=1e-12, atol=0):
            raise ValueError("T of BGe must be finite and symmetric.")
        if np.linalg.eigvalsh(scale)[0] <= 0:
            raise ValueError("T of BGe must be positive definite.")
        return scale


@dataclass(frozen=True, eq=False)
class BGeLikelihood(LocalLikelihood):
    """BGe of one table: everything the score knows of the data.

    Attributes
    ----------
    names : tuple of str [d]
    alpha_mu, alpha_w : float
    prior_scale : ndarray of float64 [d, d]
        T.
    prior_mean : ndarray of float64 [d]
        nu.
    posterior_scale : ndarray of float64 [V, d, d]
        R of each version of the table. Version 0 has all rows, some leave out the rows in which one
        column was set by intervention, and the others have the rows of one changed mechanism alone.
    posterior_mean : ndarray of float64 [V, d]
        (N mean + alpha_mu nu) / (N + alpha_mu) of each version.
    num_rows : ndarray of int64 [V]
    version : ndarray of int64 [d]
        Which version has the rows in which each column was not set.
    changed_versions : tuple of tuples of int [d]
        Which versions have the rows in which each column was set, one for each mechanism that took
        the place of its own; none where interventions are perfect.
    column_means, column_sds : ndarray of float64 [d]
        Of the whole table.
    """

    names: tuple[str, ...]
    alpha_mu: float
    alpha_w: float
    prior_scale: np.ndarray
    prior_mean: np.ndarray
    posterior_scale: np.ndarray
    posterior_mean: np.ndarray
    num_rows: np.ndarray
    version: np.ndarray
    changed_versions: tuple[tuple[int, ...], ...]
    column_means: np.ndarray
    column_sds: np.ndarray

    @property
    def num_variables(self) -> int:
        """Number of columns, d."""
        return len(self.version)

    @property
    def prior_is_diagonal(self) -> bool:
        """Whether T is diagonal, so that its minors need no factorisation."""
        return np.count_nonzero(self.prior_scale) == self.num_variables

    def versions_of(self, node: int | np.integer) -> tuple[int, ...]:
        """Return the versions whose scores add up to the local score of a column.

        A mechanism that took the place of the column's own has parameters of its own, so its rows
        contribute a factor of their own.
        """
        return (int(self.version[node]), *self.changed_versions[node])

    def log_constant(self, version: int | np.integer) -> np.ndarray:
        """Return what depends on the parent count alone in a version's score, float64 [d]."""
        num_rows = self.num_rows[version]
        degrees = self.degrees_of_freedom
        return (
            0.5 * np.log(self.alpha_mu / (num_rows + self.alpha_mu))
            + gammaln(0.5 * (num_rows + degrees + 1))
            - gammaln(0.5 * (degrees + 1))
            - 0.5 * num_rows * np.log(np.pi)
        )

    @property
    def degrees_of_freedom(self) -> np.ndarray:
        """Return alpha_w - d + k for k = 0, ..., d - 1 parents, float64 [d]."""
        return self.alpha_w - self.num_variables + np.arange(self.num_variables)

    def log_marginals(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        """Return log p(column `node` | columns of each parent set), float64 [K]."""
        sizes = np.sum(parent_sets, axis=1)
        values = np.empty(len(parent_sets))
        for size in np.unique(sizes):
            rows = np.flatnonzero(sizes == size)
            members = np.nonzero(parent_sets[rows])[1].reshape(len(rows), size)
            values[rows] = self._log_marginals_of_size(node, members)
        return values

    def log_marginals_of_subsets(
        self, node: int, candidates: Indices, max_size: int, base: Indices = ()
    ) -> np.ndarray:
        """Return log p(column `node` | `base` and S) of every subset S of the candidates.

        When most subsets are wanted, all principal minors come from one sweep: conditioning on each
        candidate in turn doubles the number of Schur complements while each loses a row and a
        column, so 2^m minors cost little more than 2^m operations.
        """
        free = np.asarray(candidates, dtype=np.int64)
        fixed = np.asarray(base, dtype=np.int64)
        max_size = min(max_size, len(free))
        if 2 ** len(free) > 8 * num_subsets(len(free), max_size):
            return self._log_marginals_by_size(node, free, max_size, fixed)
        order = colex_order(len(free), max_size)
        sizes = len(fixed) + np.bitwise_count(order)
        family = np.concatenate([fixed, free, [node]])
        if self.prior_is_diagonal:
            log_diagonal = np.log(np.diag(self.prior_scale))
            log_det = subset_sums(log_diagonal[free]) + np.sum(log_diagonal[fixed])
            prior = log_det, np.full_like(log_det, log_diagonal[node])
        else:
            prior = subset_minors(self.prior_scale[np.ix_(family, family)], len(fixed))
        total = np.zeros(len(order))
        for version in self.versions_of(node):
            posterior = subset_minors(
                self.posterior_scale[version][np.ix_(family, family)], len(fixed)
            )
            minors = (log_minor[order] for log_minor in (*prior, *posterior))
            total += self._combine(version, sizes, *minors)
        return total

    def device_gains(
        self, log_prior: np.ndarray, forbidden: np.ndarray, max_parents: int
    ) -> tuple[Callable, Any] | None:
        """Return `(function, arrays)` that computes gains by a Schur complement.

        None with imperfect interventions, whose mechanisms would take a complement each.
        """
        if any(self.changed_versions):
            return None
        from dag_gfn.scores.schur import schur_arrays, schur_gains

        return schur_gains, schur_arrays(self, log_prior, forbidden, max_parents)

    def _log_marginals_by_size(
        self, node: int, candidates: np.ndarray, max_size: int, base: np.ndarray
    ) -> np.ndarray:
        """Return the same as `log_marginals_of_subsets` when few of the subsets are wanted."""
        values = []
        for size in range(max_size + 1):
            free = candidates[colex_subsets(len(candidates), size)]
            fixed = np.broadcast_to(base, (len(free), len(base)))
            values.append(self._log_marginals_of_size(node, np.hstack([fixed, free])))
        return np.concatenate(values)

    def _log_marginals_of_size(self, node: int, members: np.ndarray) -> np.ndarray:
        """Return the log-marginals of parent sets int [K, k] of one size, float64 [K]."""
        num_sets, size = members.shape
        families = np.column_stack([members, np.full(num_sets, node)])
        chunk = max(1, _CHUNK_ENTRIES // (size + 1) ** 2)
        values = np.zeros(num_sets)
        for start in range(0, num_sets, chunk):
            block = families[start : start + chunk]
            if self.prior_is_diagonal:
                log_diagonal = np.log(np.diag(self.prior_scale))
                prior = np.sum(log_diagonal[block[:, :-1]], axis=1), log_diagonal[node]
            else:
                prior = log_minors(self.prior_scale, block)
            for version in self.versions_of(node):
                values[start : start + chunk] += self._combine(
                    version, size, *prior, *log_minors(self.posterior_scale[version], block)
                )
        return values

    def _combine(
        self,
        version: int,
        size: int | np.ndarray,
        prior_log_det: np.ndarray,
        prior_log_variance: np.ndarray,
        posterior_log_det: np.ndarray,
        posterior_log_variance: np.ndarray,
    ) -> np.ndarray:
        """Return a version's scores from log |T_P|, log T_jj|P, log |R_P| and log R_jj|P.

        |T_{P+j}| = |T_P| T_jj|P, so the ratio of the two marginals leaves half of log |T_P|.
        """
        degrees = self.degrees_of_freedom[size] + 1
        num_rows = self.num_rows[version]
        return (
            self.log_constant(version)[size]
            + 0.5 * (prior_log_det - posterior_log_det)
            + 0.5 * degrees * prior_log_variance
            - 0.5 * (num_rows + degrees) * posterior_log_variance
        )


def posterior_scale(
    values: np.ndarray, prior_scale: np.ndarray, prior_mean: np.ndarray, alpha_mu: float
) -> np.ndarray:
    """Return R = T + S_N + N alpha_mu / (N + alpha_mu) (nu - mean)(nu - mean)', float64 [d, d]."""
    num_rows = len(values)
    if num_rows == 0:
        return prior_scale
    mean = np.mean(values, axis=0)
    centred = values - mean
    shift = mean - prior_mean
    return (
        prior_scale
        + centred.T @ centred
        + num_rows * alpha_mu / (num_rows + alpha_mu) * np.outer(shift, shift)
    )
