"""What every estimator shares: a table in, local scores, a posterior out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from dag_gfn.scores import LocalScores, local_scores
from dag_gfn.scores.constraints import EdgeSet

__all__ = ["PosteriorEstimator"]


class PosteriorEstimator(BaseEstimator):
    """What every way to infer a posterior shares: a table in, local scores, a posterior out."""

    score: Any
    prior: Any
    standardize: bool
    max_parents: int | None
    score_params: Mapping[str, Any] | None
    prior_params: Mapping[str, Any] | None
    random_state: Any

    # Whether the method looks at the rows of the table, so that `infer` is not enough.
    needs_table = False

    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: Any = None,
        *,
        interventions: Iterable[str | int | None] | None = None,
        required_edges: EdgeSet | None = None,
        forbidden_edges: EdgeSet | None = None,
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
            The column that was set by a perfect intervention in each row; None for none.
        required_edges, forbidden_edges : iterable of (cause, effect), or bool [d, d], optional
            Pairs of names or positions, or a matrix in which row causes column.
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
            self.score,
            self.prior if prior is None else prior,
            interventions=interventions,
            required_edges=required_edges,
            forbidden_edges=forbidden_edges,
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
        return self

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
        value = getattr(self, name)
        if value not in choices:
            raise ValueError(f"{name} must be one of {sorted(choices)}, not {value!r}.")
