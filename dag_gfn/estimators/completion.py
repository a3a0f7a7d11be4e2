"""Completed tables, and one estimator that is fitted to all of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dag_gfn.diagnostics import UntrustedPosteriorWarning
from dag_gfn.estimators.base import PosteriorEstimator, marginals_of
from dag_gfn.posterior import Posterior
from dag_gfn.posterior.linear_gaussian import LinearGaussianMechanisms
from dag_gfn.tables import categorical_codes, continuous_values

__all__ = ["Categories", "Fits", "Measurements"]


class Fits:
    """Fits of one estimator to many tables; what they warn of is kept, to be said once."""

    def __init__(
        self,
        estimator: PosteriorEstimator,
        words: Mapping[str, Any],
        seeds: np.random.RandomState,
    ) -> None:
        self.estimator = estimator.set_params(progress=False)
        self.words = words
        self.seeds = seeds
        self.num_fits = 0
        self.doubts: list[str] = []
        self.others: dict[tuple[type[Warning], str, int], str] = {}

    def next_seed(self) -> int:
        """Return a seed that was not used before."""
        return int(self.seeds.randint(2**31 - 1))

    def fit(self, table: pd.DataFrame | ArrayLike) -> tuple[Posterior, NDArray[np.float64]]:
        """Return the posterior of a table without missing values, and its edge marginals."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.estimator.set_params(random_state=self.next_seed()).fit(table, **self.words)
        self.num_fits += 1
        for one in caught:
            if issubclass(one.category, UntrustedPosteriorWarning):
                self.doubts.append(str(one.message))
            else:
                place = one.category, one.filename, one.lineno
                self.others.setdefault(place, str(one.message))
        return self.estimator.posterior_, marginals_of(self.estimator).to_numpy()

    def pass_on_warnings(self, stacklevel: int) -> None:
        """Give each warning once."""
        for (category, _, _), message in self.others.items():
            warnings.warn(message, category, stacklevel=stacklevel)
        if self.num_fits == 1 or not self.doubts:
            for doubt in self.doubts:
                warnings.warn(doubt, UntrustedPosteriorWarning, stacklevel=stacklevel)
            return
        warnings.warn(
            f"{len(self.doubts)} warnings came from the {self.num_fits} fits to completed tables, "
            f"the first of them: {self.doubts[0]}",
            UntrustedPosteriorWarning,
            stacklevel=stacklevel,
        )


class Measurements:
    """A table of measurements, on the scale that its observed values gave once for all."""

    def __init__(self, frame: pd.DataFrame, fits: Fits) -> None:
        self.fits = fits
        with warnings.catch_warnings():
            # What can be said of the scales is said by the fits, unless they standardise.
            warnings.simplefilter("ignore", UserWarning)
            self.cells = continuous_values(frame, allow_missing=True)
        self.names = list(frame.columns)
        self.centre, self.unit = np.zeros(len(self.names)), np.ones(len(self.names))
        if fits.estimator.standardize:
            self.centre, self.unit = np.nanmean(self.cells, axis=0), np.nanstd(self.cells, axis=0)
            fits.estimator.set_params(standardize=False)

    def infer(self, cells: NDArray[np.float64]) -> tuple[Posterior, NDArray[np.float64]]:
        """Return the posterior of a completed table, with mechanisms in its units."""
        table = pd.DataFrame((cells - self.centre) / self.unit, columns=self.names)
        posterior, marginals = self.fits.fit(table)
        mechanisms = posterior.mechanisms
        assert isinstance(mechanisms, LinearGaussianMechanisms)
        posterior.mechanisms = replace(
            mechanisms,
            centre=self.centre,
            unit=self.unit,
            column_means=cells.mean(axis=0),
            column_sds=cells.std(axis=0),
        )
        return posterior, marginals


class Categories:
    """A table of categories, with the states of its observed values or its dtypes."""

    def __init__(self, frame: pd.DataFrame, fits: Fits) -> None:
        self.fits = fits
        self.cells, self.states = categorical_codes(frame, allow_missing=True)
        self.names = list(frame.columns)

    def infer(self, cells: NDArray[np.int32]) -> tuple[Posterior, NDArray[np.float64]]:
        """Return the posterior of a completed table."""
        columns = zip(self.names, cells.T, self.states, strict=True)
        return self.fits.fit(
            pd.DataFrame(
                {name: pd.Categorical.from_codes(codes, states) for name, codes, states in columns}
            )
        )
