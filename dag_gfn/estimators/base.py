"""What every estimator shares: a table in, local scores, a posterior out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from dag_gfn.estimators.mechanisms import mechanisms_of
from dag_gfn.posterior import Posterior
from dag_gfn.scores import LocalScores, local_scores
from dag_gfn.scores.constraints import EdgeSet
from dag_gfn.scores.knowledge import EdgeProbabilities, Tiers

__all__ = ["PosteriorEstimator", "marginals_of"]


class ScoreOrSetting:
    """The attribute ``score`` of an estimator: set as a setting, read as scikit-learn's method.

    The marginal likelihood is a setting called ``score``, and what scikit-learn calls to judge an
    estimator is a method called ``score``. So the attribute is the method, and the setting is where
    scikit-learn looks for settings: in ``get_params()["score"]``.
    """

    def __set__(self, estimator: PosteriorEstimator, setting: Any) -> None:
        """Keep the setting."""
        estimator.__dict__["score"] = setting

    def __get__(
        self, estimator: PosteriorEstimator | None, owner: type[PosteriorEstimator]
    ) -> Callable[..., float]:
        """Return the method."""
        return owner.score_table if estimator is None else estimator.score_table


class PosteriorEstimator(BaseEstimator):
    """What every way to infer a posterior shares: a table in, local scores, a posterior out."""

    score = ScoreOrSetting()
    prior: Any
    standardize: bool
    max_parents: int | None
    score_params: Mapping[str, Any] | None
    prior_params: Mapping[str, Any] | None
    random_state: Any
    posterior_: Posterior

    # Whether the method looks at the rows of the table, so that `infer` is not enough.
    needs_table = False

    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: Any = None,
        *,
        interventions: Iterable[str | int | None] | None = None,
        conditions: Iterable[Hashable] | None = None,
        required_edges: EdgeSet | None = None,
        forbidden_edges: EdgeSet | None = None,
        tiers: Tiers | None = None,
        edge_probabilities: EdgeProbabilities | None = None,
        max_parents: int | None = None,
        prior: Any = None,
    ) -> Self:
        """Infer the posterior over DAGs of a table.

        Parameters
        ----------
        X : DataFrame or array [n, d]
            Rows are observations; column names become the names of the variables.
        y : ignored
            There for scikit-learn's pipelines.
        interventions : sequence [n] of column names or positions, optional
            The column that was set by an intervention in each row; None for none.
        conditions : sequence [n] of labels, optional
            What was done in each row with an intervention, where interventions are imperfect: the
            column that they are aimed at still depends on its parents, but by a mechanism of the
            condition's own. Left out, interventions are perfect. See `dag_gfn.local_scores`.
        required_edges, forbidden_edges : iterable of (cause, effect), or bool [d, d], optional
            Pairs of names or positions, or a matrix in which row causes column.
        tiers : iterable of collections of columns, mapping or Series, optional
            Lists of names or positions, earliest first; or the number of each column's tier, lower
            for earlier. Edges from a later tier to an earlier one are forbidden. A column in no
            tier may be cause and effect of any.
        edge_probabilities : mapping {(cause, effect): p}, DataFrame or float [d, d], optional
            Prior probability of single edges, as if they were independent, before graphs with a
            cycle are ruled out; NaN, or an edge left out, for nothing known, which is the same as
            0.5. A probability of 1 requires the edge and one of 0 forbids it. See
            `dag_gfn.local_scores` for the formula.
        max_parents : int, optional
            In-degree limit; takes the place of the estimator's own.
        prior : str or Prior, optional
            Takes the place of the estimator's own.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If the table, a constraint or a setting is not fit; the message says which and what
            to do.
        """
        self._check_settings()
        if isinstance(X, np.ndarray) and np.iscomplexobj(X):
            raise ValueError("Complex data not supported; a table holds real measurements.")
        # The table is checked where it is scored, since messages name the column there.
        scores = local_scores(
            X,
            self.score_setting,
            self.prior if prior is None else prior,
            interventions=interventions,
            conditions=conditions,
            required_edges=required_edges,
            forbidden_edges=forbidden_edges,
            tiers=tiers,
            edge_probabilities=edge_probabilities,
            max_parents=self.max_parents if max_parents is None else max_parents,
            standardize=self.standardize,
            score_params=self.score_params,
            prior_params=self.prior_params,
        )
        validate_data(self, X, skip_check_array=True)  # n_features_in_, feature_names_in_
        self.scores_ = scores
        if self.needs_table:
            self._infer_from_table(X, scores, interventions)
        else:
            self._infer(scores)
        self.posterior_.mechanisms = mechanisms_of(scores)
        return self

    def infer(self, scores: LocalScores) -> Self:
        """Infer the posterior from local scores that are there already.

        Several estimators can so share one table of scores; the settings that make scores (`score`,
        `prior`, `standardize`, `max_parents` and their hyper-parameters) are not looked at.

        Parameters
        ----------
        scores : LocalScores
            As made by `dag_gfn.local_scores`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the method needs the rows of the table (``needs_table``).
        ValueError
            If a setting is not fit.
        """
        self._check_settings()
        self.n_features_in_ = scores.num_variables
        self.feature_names_in_ = np.array(scores.names, dtype=object)
        self.scores_ = scores
        self._infer(scores)
        self.posterior_.mechanisms = mechanisms_of(scores)
        return self

    @property
    def score_setting(self) -> Any:
        """The marginal likelihood that was chosen, by name or as an object."""
        return self.__dict__["score"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings, as scikit-learn does.

        Parameters
        ----------
        deep : bool, default True

        Returns
        -------
        dict
        """
        settings = super().get_params(deep=deep)
        return {
            name: self.__dict__[name] if name == "score" else settings[name] for name in settings
        }

    def score_table(
        self,
        X: pd.DataFrame | ArrayLike,
        y: Any = None,
        *,
        interventions: Iterable[str | None] | None = None,
    ) -> float:
        r"""Return how well the posterior predicts new rows; it is ``estimator.score(X)``.

        That is :math:`\log p(D' \mid D) / n'`, the log predictive density of all new rows together,
        over their number; see `Posterior.log_predictive`.

        Parameters
        ----------
        X : DataFrame or array [n', d]
            New rows, matched by name if they have names.
        y : ignored
            There for scikit-learn's cross-validation.
        interventions : sequence [n'] of column names, optional
            The column that was set in each new row.

        Returns
        -------
        float
            In nats a row; more is better.

        Raises
        ------
        ValueError
            If the rows do not fit the table of the fit, or the score is neither BGe nor BDe.

        Examples
        --------
        >>> import dag_gfn as dg
        >>> from sklearn.model_selection import cross_val_score
        >>> table = dg.datasets.simulate_linear_gaussian(3, 60, random_state=0).table
        >>> cross_val_score(dg.ExactPosterior(), table, cv=3).shape
        (3,)
        """
        check_is_fitted(self)
        if not isinstance(X, pd.DataFrame):  # whose columns are matched by name
            validate_data(self, X, reset=False, skip_check_array=True)
        log_density = self.posterior_.log_predictive(X, interventions=interventions)
        return float(log_density) / len(np.asarray(X))

    def __sklearn_is_fitted__(self) -> bool:
        # scikit-learn looks for a trailing underscore, which the parameter `lambda_` has too.
        return hasattr(self, "posterior_")

    def _check_settings(self) -> None:
        """Refuse a setting before there is work to throw away."""
        raise NotImplementedError

    def _infer_from_table(
        self,
        table: pd.DataFrame | ArrayLike,
        scores: LocalScores,
        interventions: Iterable[str | int | None] | None,
    ) -> None:
        """Do what `_infer` does, where the method ``needs_table``."""
        raise NotImplementedError

    def _infer(self, scores: LocalScores) -> None:
        """Set ``posterior_`` and whatever else the method has to show."""
        raise NotImplementedError

    def _check_count(self, name: str, minimum: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
            raise ValueError(f"{name} must be an integer of at least {minimum}, not {value!r}.")

    def _check_range(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value!r}.")

    def _check_choice(self, name: str, choices: Iterable[str]) -> None:
        value = vars(self)[name]  # `score` as an attribute is a method
        if value not in choices:
            raise ValueError(f"{name} must be one of {sorted(choices)}, not {value!r}.")


def marginals_of(estimator: PosteriorEstimator) -> pd.DataFrame:
    """Return the edge marginals of a fitted estimator, [d, d].

    Its own, which for a chain are those of all steps, rather than those of the draws it kept.
    """
    own = getattr(estimator, "edge_marginals_", None)
    return estimator.posterior_.edge_marginals() if own is None else own
