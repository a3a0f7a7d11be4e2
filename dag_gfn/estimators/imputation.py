"""Tables with missing values: any exact estimator, averaged over what the values may be."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import validate_data

from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import PosteriorEstimator
from dag_gfn.estimators.completion import Categories, Fits, Measurements
from dag_gfn.imputation import Accuracy, augment, imputation_accuracy, starting_cells
from dag_gfn.imputation.accuracy import FEWEST_TABLES
from dag_gfn.posterior import Posterior
from dag_gfn.posterior.mechanisms import Parameters
from dag_gfn.scores import BDe, BGe, LocalScores
from dag_gfn.scores.constraints import EdgeSet, intervention_targets
from dag_gfn.scores.knowledge import EdgeProbabilities, Tiers
from dag_gfn.tables import as_frame

__all__ = ["MultipleImputation"]

# As large as 100 independent graphs can give, which `diagnostics.assess` calls good.
_LARGEST_ERROR = 0.05


class MultipleImputation(PosteriorEstimator):
    r"""The posterior of a table with missing values, averaged over what the values may be.

    A Markov chain draws a graph from the posterior of the completed table, parameters of that
    graph, and anew all the missing values given graph, parameters and the observed values of their
    row (data augmentation, Tanner and Wong 1987; see `dag_gfn.imputation.augment`). The posteriors
    of the completed tables, averaged over the chain, are :math:`p(G \mid D_{observed})`.

    That is right if the values are *missing at random*: whether one is missing may depend on the
    observed values, but not on what is missing. And it is as right as the estimator inside is,
    given a completed table: `ExactPosterior`, or chains that have converged. The bootstraps are
    refused, as their frequencies are no posterior. The score must be BGe or BDe, whose parameters
    can be drawn, and interventions perfect.

    It costs ``burn_in + num_tables`` fits of the estimator inside, so take `ExactPosterior`, or
    `StructureMCMC` where there are too many variables for it, rather than a flow that is trained
    anew each time. A table without missing values is fitted once.

    Parameters
    ----------
    estimator : PosteriorEstimator
        Fitted to each completed table; its score, prior and constraints are those of the model.
        With ``standardize=True`` the means and standard deviations of the *observed* values give
        the scale, once for all tables. Its own ``random_state`` and ``progress`` are not looked at.
    num_tables : int, default 100
        Completed tables whose posteriors are averaged; at least 8.
    burn_in : int, default 20
        Completed tables that are left out at the beginning. At the start each missing cell holds an
        observed value of its column, drawn at random.
    n_samples : int, default 10 000
        Draws in ``posterior_``, as many of each table, rounded up to a multiple of `num_tables`.
    progress : bool, default True
        Show a progress bar over the tables.
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    posterior_ : Posterior
        Draws of all tables, one table after another, with equal weights. It has no evidence and no
        mechanisms: ``networks_`` has the parameters. Its ``metadata`` holds ``num_tables``,
        ``burn_in``, ``num_missing``, ``between_share``, ``effective_tables`` and ``ess``; see
        `dag_gfn.imputation.Accuracy`. It is that of the estimator inside if nothing is missing.
    edge_marginals_ : DataFrame [d, d]
        Mean of those of the tables; row causes column.
    edge_standard_errors_ : DataFrame [d, d]
        Their Monte Carlo standard errors, autocorrelation included.
    table_edge_marginals_ : ndarray of float64 [T, d, d]
        Those of each table, to see whether the chain had settled.
    accuracy_ : Accuracy
        Which share of the uncertainty is due to the missing values, and what the tables are worth.
    networks_ : LinearGaussianParameters or CategoricalParameters
        One network with parameters a table, from p(G, theta | observed), in the table's units.
    estimator_ : PosteriorEstimator
        As fitted to the last completed table.

    Warns
    -----
    UntrustedPosteriorWarning
        If the standard error of an edge marginal is above 0.05, or the estimator inside warned of
        completed tables.

    References
    ----------
    M. A. Tanner and W. H. Wong. "The calculation of posterior distributions by data augmentation."
    Journal of the American Statistical Association 82, 1987.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0).table
    >>> table.iloc[:10, 1] = float("nan")
    >>> inside = dg.ExactPosterior()
    >>> model = dg.MultipleImputation(inside, num_tables=50, progress=False, random_state=0)
    >>> model.fit(table).edge_marginals_.shape
    (3, 3)
    >>> model.networks_.total_effects().shape
    (50, 3, 3)
    """

    needs_table = True
    networks_: Parameters | None

    def __init__(
        self,
        estimator: PosteriorEstimator,
        *,
        num_tables: int = 100,
        burn_in: int = 20,
        n_samples: int = 10_000,
        progress: bool = True,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.num_tables = num_tables
        self.burn_in = burn_in
        self.n_samples = n_samples
        self.progress = progress
        self.random_state = random_state

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
        """Infer the posterior over DAGs of a table, some values of which are missing.

        Parameters
        ----------
        X : DataFrame or array [n, d]
            Rows are observations; a missing value is NaN, None or pandas.NA. Categories may be
            whole numbers of a floating-point dtype in a column with missing values.
        y : ignored
            There for scikit-learn's pipelines.
        interventions : sequence [n] of column names or positions, optional
            The column that was set by an intervention in each row, where it must not be missing;
            None for none.
        conditions : sequence [n] of labels, optional
            Only for a table without missing values.
        required_edges, forbidden_edges, tiers, edge_probabilities, max_parents, prior
            As of the ``fit`` of the estimator inside.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator inside is none of this package's, or a bootstrap.
        ValueError
            If a column has no observed value, a value is missing that was set by an intervention,
            the score is neither BGe nor BDe, ``conditions`` are given with missing values, or as
            the ``fit`` of the estimator inside.
        """
        self._check_settings()
        if isinstance(X, np.ndarray) and np.iscomplexobj(X):
            raise ValueError("Complex data not supported; a table holds real measurements.")
        frame = as_frame(X)
        words = {
            "interventions": _kept(interventions),
            "conditions": _kept(conditions),
            "required_edges": _kept(required_edges),
            "forbidden_edges": _kept(forbidden_edges),
            "tiers": _kept(tiers),
            "edge_probabilities": edge_probabilities,
            "max_parents": max_parents,
            "prior": prior,
        }
        missing = frame.isna().to_numpy()
        fits = Fits(clone(self.estimator), words, check_random_state(self.random_state))
        if missing.any():
            self._augment(frame, missing, fits, np.random.default_rng(fits.next_seed()))
        else:
            self._fit_once(X, fits)
        self.estimator_ = fits.estimator
        validate_data(self, X, skip_check_array=True)  # n_features_in_, feature_names_in_
        return self

    def infer(self, scores: LocalScores) -> Self:
        """Refuse: local scores know no missing values, so there is nothing to draw.

        Parameters
        ----------
        scores : LocalScores

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "MultipleImputation draws missing values of the table; give it the table, with fit."
        )

    @property
    def score_setting(self) -> Any:
        """The marginal likelihood of the estimator inside, by name or as an object."""
        return self.estimator.score_setting

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that values may be missing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check_settings(self) -> None:
        if not isinstance(self.estimator, PosteriorEstimator):
            raise TypeError(
                f"estimator must be one such as ExactPosterior(), not {self.estimator!r}."
            )
        if self.estimator.needs_table:
            raise TypeError(
                f"{type(self.estimator).__name__} gives no posterior of a completed table that "
                "could be averaged; take ExactPosterior() or StructureMCMC()."
            )
        self._check_count("num_tables", FEWEST_TABLES)
        self._check_count("burn_in", 0)
        self._check_count("n_samples", 1)

    def _fit_once(self, table: pd.DataFrame | ArrayLike, fits: Fits) -> None:
        """Leave a table without missing values to the estimator inside."""
        fits.estimator.set_params(progress=self.progress)
        posterior, marginals = fits.fit(table)
        fits.pass_on_warnings(stacklevel=4)
        ess = float(posterior.metadata.get("ess", posterior.ess))
        errors = np.sqrt(np.maximum(marginals * (1 - marginals), 0) / ess)
        self.posterior_ = posterior
        self._show(marginals[None], Accuracy(errors, 0.0, 1.0, ess))
        self.networks_ = None
        if posterior.mechanisms is not None:
            self.networks_ = posterior.sample_parameters(self.num_tables, fits.next_seed())

    def _augment(
        self, frame: pd.DataFrame, missing: NDArray[np.bool_], fits: Fits, rng: np.random.Generator
    ) -> None:
        """Average over what the missing values may be."""
        names, words = tuple(frame.columns), fits.words
        if words["conditions"] is not None:
            raise ValueError(
                "conditions are for tables without missing values, as the mechanisms that they "
                "stand for cannot be drawn; leave them out, or drop the rows with missing values."
            )
        targets = intervention_targets(words["interventions"], names, len(frame))
        unknown = np.flatnonzero((targets >= 0) & missing[np.arange(len(frame)), targets])
        if len(unknown):
            raise ValueError(
                f"column {names[targets[unknown[0]]]!r} has no value in row {unknown[0]}, where it "
                "was set by an intervention, and no model says to what; fill it in or drop the row."
            )
        model = Measurements if self._scores_measurements() else Categories
        completed = model(frame, fits)
        found = augment(
            completed.infer,
            starting_cells(completed.cells, missing, rng),
            missing,
            targets,
            num_tables=self.num_tables,
            burn_in=self.burn_in,
            num_draws=-(-self.n_samples // self.num_tables),
            rng=rng,
            progress=self.progress,
        )
        fits.pass_on_warnings(stacklevel=4)
        accuracy = imputation_accuracy(found.edge_marginals)
        self.networks_ = found.networks
        adjacency = found.adjacency.reshape(-1, len(names), len(names))
        self.posterior_ = Posterior(
            adjacency,
            np.zeros(len(adjacency)),
            names,
            log_evidence=np.nan,
            method=f"multiple imputation, each table by {type(self.estimator).__name__}",
            metadata={
                "num_tables": self.num_tables,
                "burn_in": self.burn_in,
                "num_missing": int(missing.sum()),
                "between_share": accuracy.between_share,
                "effective_tables": accuracy.effective_tables,
                "ess": min(accuracy.ess, float(len(adjacency))),
            },
        )
        self._show(found.edge_marginals, accuracy)
        self._warn_if_doubtful(stacklevel=4)

    def _scores_measurements(self) -> bool:
        """Return whether the table holds measurements; refuse a score without parameters."""
        score = self.score_setting
        if score == "bge" or isinstance(score, BGe):
            return True
        if score == "bde" or isinstance(score, BDe):
            return False
        raise ValueError(
            f"missing values can be drawn under the scores BGe and BDe, not under {score!r}; "
            "take one of them, or drop the rows with missing values."
        )

    def _show(self, marginals: NDArray[np.float64], accuracy: Accuracy) -> None:
        names = list(self.posterior_.names)
        self.table_edge_marginals_ = marginals
        self.accuracy_ = accuracy
        self.edge_marginals_ = pd.DataFrame(marginals.mean(axis=0), names, names)
        self.edge_standard_errors_ = pd.DataFrame(accuracy.standard_errors, names, names)

    def _warn_if_doubtful(self, stacklevel: int) -> None:
        errors, names = self.accuracy_.standard_errors, self.posterior_.names
        cause, effect = np.unravel_index(np.argmax(errors), errors.shape)
        if errors[cause, effect] > _LARGEST_ERROR:
            warnings.warn(
                f"The probability of the edge '{names[cause]} -> {names[effect]}' has a standard "
                f"error of {errors[cause, effect]:.2g}, above {_LARGEST_ERROR}, as the "
                f"{self.num_tables} tables are worth {self.accuracy_.effective_tables:.0f} "
                "independent ones; make more (num_tables).",
                UntrustedPosteriorWarning,
                stacklevel=stacklevel,
            )


def _kept(words: Any) -> Any:
    """Return what can be gone through once as what can be gone through for every table."""
    return list(words) if isinstance(words, Iterator) else words
