"""Total causal effects of every variable on every other, with their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from dag_gfn import graphs
from dag_gfn.posterior.categorical import CategoricalParameters
from dag_gfn.posterior.importance import normalised_weights
from dag_gfn.posterior.linear_gaussian import LinearGaussianParameters


@dataclass(frozen=True, eq=False)
class CausalEffects:
    """The posterior of the total causal effect of every variable on every other.

    Made by `Posterior.causal_effects`. Each draw is a graph with parameters of its own; an effect
    is exactly zero in the draws in which there is no directed path.

    Attributes
    ----------
    names : tuple of str [d]
    draws : ndarray of float64 [S, d, d]
        Effect of the row on the column; zero on the diagonal.
    log_weights : ndarray of float64 [S]
    means : ndarray of float64 [d, d]
        Posterior means.
    no_effect : ndarray of float64 [d, d]
        Posterior probability that there is no directed path.
    quantity : str
        What an effect is, in words.
    """

    names: tuple[str, ...]
    draws: NDArray[np.float64]  # [S, d, d]
    log_weights: NDArray[np.float64]  # [S]
    means: NDArray[np.float64]  # [d, d]
    no_effect: NDArray[np.float64]  # [d, d]
    quantity: str

    # Whether an effect has a direction, up or down.
    signed: ClassVar[bool] = True

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of the draws that sum to one, float64 [S]."""
        return normalised_weights(self.log_weights)

    def mean(self) -> pd.DataFrame:
        """Return the posterior mean of every effect.

        Returns
        -------
        DataFrame, float64, shape [d, d]
            Of the row on the column.
        """
        return self._frame(self.means)

    def interval(self, level: float = 0.9) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return central credible intervals: as much probability below as above.

        Parameters
        ----------
        level : float, default 0.9
            Their posterior probability, at least: the spike at zero is never cut in two.

        Returns
        -------
        lower, upper : DataFrame, float64, shape [d, d]

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.
        """
        lower, upper = np.empty((2, *self.means.shape))
        weights = self.weights
        for cause in range(len(self.names)):
            lower[cause], upper[cause] = central_interval(self.draws[:, cause], weights, level)
        return self._frame(lower), self._frame(upper)

    def probability_of_no_effect(self) -> pd.DataFrame:
        """Return the posterior probability that there is no directed path.

        Returns
        -------
        DataFrame, float64, shape [d, d]
            From the row to the column. A path whose contributions cancel out has probability zero.
        """
        return self._frame(self.no_effect)

    def of(self, cause: str, effect: str) -> NDArray[np.float64]:
        """Return the draws of one effect, to be weighted by ``weights``.

        Parameters
        ----------
        cause, effect : str

        Returns
        -------
        numpy.ndarray, float64, shape [S]

        Raises
        ------
        ValueError
            If there is no such variable.
        """
        first, second = self._pair(cause, effect)
        return self.draws[:, first, second]

    def summary(self, level: float = 0.9) -> pd.DataFrame:
        """List all pairs, those that most surely have an effect first.

        Parameters
        ----------
        level : float, default 0.9
            Of the intervals.

        Returns
        -------
        DataFrame [d (d - 1)]
            Indexed by cause and effect: ``mean``, ``lower``, ``upper`` and
            ``probability_of_no_effect``; and ``probability_positive``, where effects have signs.
        """
        lower, upper = self.interval(level)
        columns = {"mean": self.means, "lower": lower.to_numpy(), "upper": upper.to_numpy()}
        if self.signed:
            columns["probability_positive"] = np.tensordot(self.weights, self.draws > 0, axes=1)
        columns["probability_of_no_effect"] = self.no_effect
        off_diagonal = ~np.eye(len(self.names), dtype=bool)
        causes, effects = np.nonzero(off_diagonal)
        names = np.array(self.names, dtype=object)
        index = pd.MultiIndex.from_arrays(
            [names[causes], names[effects]], names=["cause", "effect"]
        )
        table = pd.DataFrame({key: of[off_diagonal] for key, of in columns.items()}, index=index)
        by_size = table["mean"].abs().sort_values(ascending=False, kind="stable").index
        return table.loc[by_size].sort_values("probability_of_no_effect", kind="stable")

    def _pair(self, cause: str, effect: str) -> tuple[int, int]:
        for name in (cause, effect):
            if name not in self.names:
                raise ValueError(
                    f"there is no variable {name!r}; there are {', '.join(map(repr, self.names))}."
                )
        if cause == effect:
            raise ValueError(f"{cause!r} has no effect on itself; name two variables.")
        return self.names.index(cause), self.names.index(effect)

    def _frame(self, matrix: NDArray) -> pd.DataFrame:
        return pd.DataFrame(matrix, index=list(self.names), columns=list(self.names))


@dataclass(frozen=True, eq=False)
class CategoricalEffects(CausalEffects):
    """Total causal effects among categories.

    The size of an effect is the largest total variation distance between P(effect | do(cause = x))
    and P(effect | do(cause = x')), over all x and x': by how much the choice of x can change the
    probability of anything that the effect may do. `distribution` has the probabilities themselves.

    Attributes
    ----------
    parameters : CategoricalParameters
        The networks of the draws.
    mean_parameters : CategoricalParameters
        The distinct graphs, each with the posterior mean of its parameters.
    """

    parameters: CategoricalParameters
    mean_parameters: CategoricalParameters

    signed: ClassVar[bool] = False

    def distribution(self, cause: str, effect: str) -> pd.DataFrame:
        """Return the posterior mean of P(effect | do(cause)).

        Exact given the graphs: each table enters the sum over paths of states at most once, and the
        tables are independent, so the mean is that of the networks with mean tables.

        Parameters
        ----------
        cause, effect : str

        Returns
        -------
        DataFrame, float64 [states of cause, states of effect]
            Rows sum to one.

        Raises
        ------
        ValueError
            If there is no such variable.
        """
        pair = self._pair(cause, effect)
        mean = np.tensordot(
            self.mean_parameters.weights, self.mean_parameters.interventional(*pair), axes=1
        )
        return self._distribution_frame(mean, pair)

    def distribution_interval(
        self, cause: str, effect: str, level: float = 0.9
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return central credible intervals of P(effect | do(cause)).

        Parameters
        ----------
        cause, effect : str
        level : float, default 0.9

        Returns
        -------
        lower, upper : DataFrame, float64 [states of cause, states of effect]

        Raises
        ------
        ValueError
            If there is no such variable, or the level is not between 0 and 1.
        """
        pair = self._pair(cause, effect)
        drawn = self.parameters.interventional(*pair)
        lower, upper = central_interval(drawn.reshape(len(drawn), -1), self.weights, level)
        shape = drawn.shape[1:]
        return (
            self._distribution_frame(lower.reshape(shape), pair),
            self._distribution_frame(upper.reshape(shape), pair),
        )

    def _distribution_frame(self, matrix: NDArray, pair: tuple[int, int]) -> pd.DataFrame:
        index, columns = (
            pd.Index(list(self.parameters.states[one]), name=self.names[one]) for one in pair
        )
        return pd.DataFrame(matrix, index=index, columns=columns)


def linear_effects(
    parameters: LinearGaussianParameters,
    mean_parameters: LinearGaussianParameters,
    no_effect: NDArray[np.float64],
    column_sds: NDArray[np.float64] | None,
) -> CausalEffects:
    r"""Return the effects (I - B)^-1 of linear networks.

    The mean is exact given the graphs. Along a directed path every coefficient is that of another
    variable, and these are independent given the graph, so :math:`E[(I - B)^{-1} \mid G, D] =
    (I - E[B \mid G, D])^{-1}`.

    Parameters
    ----------
    parameters : LinearGaussianParameters
        Draws.
    mean_parameters : LinearGaussianParameters
        The distinct graphs, weighted, each with the posterior mean of its parameters.
    no_effect : float64 [d, d]
    column_sds : float64 [d], optional
        Units in which causes and effects are measured, in place of those of the table.

    Returns
    -------
    CausalEffects
    """
    names = parameters.names
    scale = np.ones((len(names), len(names)))
    quantity = "change of the mean per unit of the cause"
    if column_sds is not None:
        scale = column_sds[:, None] / column_sds
        quantity = "change of the mean per SD of the cause, in SD"
    off_diagonal = ~np.eye(len(names), dtype=bool)
    return CausalEffects(
        names=names,
        draws=parameters.total_effects() * scale * off_diagonal + 0.0,  # no negative zeros
        log_weights=parameters.log_weights,
        means=np.tensordot(mean_parameters.weights, mean_parameters.total_effects(), axes=1)
        * scale
        * off_diagonal,
        no_effect=no_effect,
        quantity=quantity,
    )


def categorical_effects(
    parameters: CategoricalParameters,
    mean_parameters: CategoricalParameters,
    no_effect: NDArray[np.float64],
    *,
    progress: bool,
) -> CategoricalEffects:
    """Return the effects of categorical networks, as sizes.

    Parameters
    ----------
    parameters : CategoricalParameters
        Draws.
    mean_parameters : CategoricalParameters
        The distinct graphs, weighted, each with the posterior mean of its parameters.
    no_effect : float64 [d, d]
    progress : bool

    Returns
    -------
    CategoricalEffects
    """
    names = parameters.names
    reaches = graphs.transitive_closure(parameters.adjacency)
    draws = np.zeros(reaches.shape)
    pairs = np.argwhere(reaches.any(axis=0))
    for cause, effect in tqdm(pairs, unit="pair", disable=not progress, delay=2):
        reached = np.flatnonzero(reaches[:, cause, effect])
        draws[reached, cause, effect] = largest_distance(
            parameters.interventional(cause, effect, reached)
        )
    return CategoricalEffects(
        names=names,
        draws=draws,
        log_weights=parameters.log_weights,
        means=np.tensordot(parameters.weights, draws, axes=1),
        no_effect=no_effect,
        quantity="largest change of a probability by the choice of the cause",
        parameters=parameters,
        mean_parameters=mean_parameters,
    )


def central_interval(
    values: NDArray[np.float64], weights: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Return both ends of central intervals: as much weight below as above.

    Parameters
    ----------
    values : float64 [S, k]
    weights : float64 [S]
        Sum to one.
    level : float

    Returns
    -------
    float64 [2, k]

    Raises
    ------
    ValueError
        If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level!r}.")
    tail = (1 - level) / 2
    return weighted_quantiles(values, weights, (tail, 1 - tail))


def weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], levels: tuple[float, ...]
) -> NDArray[np.float64]:
    """Return the smallest values with at least so much weight at or below them.

    Parameters
    ----------
    values : float64 [S, k]
    weights : float64 [S]
        Sum to one.
    levels : tuple of float [q]

    Returns
    -------
    float64 [q, k]
    """
    order = np.argsort(values, axis=0, kind="stable")
    cumulative = weights[order].cumsum(axis=0)
    found = np.empty((len(levels), values.shape[1]))
    for number, level in enumerate(levels):
        # Rounding must not push a level past the value that reaches it.
        first = np.argmax(cumulative >= level - 1e-12, axis=0)
        found[number] = np.take_along_axis(
            values, np.take_along_axis(order, first[None], axis=0), axis=0
        )[0]
    return found


def largest_distance(distributions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest total variation distance between two rows of each [L, k, r]: [L]."""
    difference = np.abs(distributions[:, :, None] - distributions[:, None])
    return 0.5 * difference.sum(axis=-1).max(axis=(1, 2))
