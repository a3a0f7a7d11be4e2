"""What a calibration found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

_NUM_RESAMPLES = 500


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a posterior said of many tables, and what was true.

    Attributes
    ----------
    pairs : DataFrame [num_tables d (d - 1)]
        For each ordered pair of variables the ``probability`` of the edge and whether it
        ``exists``; the ``mean`` of its total effect, its interval from ``lower`` to ``upper``, the
        probability of ``no_effect``, the ``true_effect``, and its ``place``: the share of the
        posterior below it. ``table`` numbers the tables.
    fits : DataFrame [num_tables]
        ``seconds``, ``khat`` and ``efficiency`` of each fit, and the places of the true graph's
        number of edges and log-score in their posteriors.
    level : float
        Of the intervals.
    """

    pairs: pd.DataFrame
    fits: pd.DataFrame
    level: float

    def reliability(self, num_bins: int = 10) -> pd.DataFrame:
        """Return what share of edges exists, by the probability they were given.

        Parameters
        ----------
        num_bins : int, default 10

        Returns
        -------
        DataFrame [at most num_bins]
            ``edges`` in the bin, their mean ``probability``, the ``share`` that exists.
        """
        grouped = self.pairs.groupby(self._bins(num_bins))
        return pd.DataFrame(
            {
                "edges": grouped.size(),
                "probability": grouped["probability"].mean(),
                "share": grouped["exists"].mean(),
            }
        ).rename_axis("bin")

    def calibration_error(self, num_bins: int = 10) -> float:
        """Return the expected calibration error of the edges.

        That is the mean over edges of the distance between the probability and the share that
        exists in its bin (Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated
        probabilities using Bayesian binning").

        Parameters
        ----------
        num_bins : int, default 10

        Returns
        -------
        float
            It is above zero by chance: see the standard error in `summary`.
        """
        bins = self.reliability(num_bins)
        gap = (bins["probability"] - bins["share"]).abs()
        return float((gap * bins["edges"]).sum() / bins["edges"].sum())

    def covered(self) -> NDArray[np.bool_]:
        """Return whether each interval holds the true effect, bool [num_tables d (d - 1)]."""
        true = self.pairs["true_effect"]
        return ((self.pairs["lower"] <= true) & (true <= self.pairs["upper"])).to_numpy()

    def summary(self) -> pd.DataFrame:
        """Return the figures that say whether the probabilities are right.

        Returns
        -------
        DataFrame
            ``value``, ``standard_error`` (by drawing tables again, with return) and what is
            ``expected`` of a right posterior. An interval that ends in the spike of no effect holds
            more than its level; with the spike split at random it is the level exactly.
            For the ranks the value is the p-value of a Kolmogorov-Smirnov test, table by table.
        """
        surely = self.pairs["no_effect"] < (1 - self.level) / 2
        groups = {
            "coverage, all pairs": pd.Series(True, self.pairs.index),
            "coverage, pairs with an effect": self.pairs["true_effect"] != 0,
            "coverage, pairs that surely have one": surely,
        }
        covered = self.covered()
        rows = {
            "calibration error of edges": (
                self.calibration_error(),
                self._standard_error_of_calibration(),
                "0",
            )
        }
        expected = [f"at least {self.level:g}", "no figure", f"about {self.level:g}"]
        for (name, kept), what in zip(groups.items(), expected, strict=True):
            rows[name] = (*self._share(covered, kept.to_numpy()), what)
        central = (np.abs(self.pairs["place"] - 0.5) <= self.level / 2).to_numpy()
        everywhere = np.ones(len(central), bool)
        rows["coverage, spike split at random"] = (
            *self._share(central, everywhere),
            f"{self.level:g}",
        )
        for quantity in ("num_edges", "log_score"):
            test = stats.kstest(self.fits[f"place_of_{quantity}"], "uniform")
            rows[f"rank of the true {quantity}, p-value"] = (test.pvalue, np.nan, "not near 0")
        return pd.DataFrame.from_dict(
            rows, orient="index", columns=["value", "standard_error", "expected"]
        )

    def _share(self, holds: NDArray[np.bool_], kept: NDArray[np.bool_]) -> tuple[float, float]:
        """Return the share of pairs of which something holds, and its standard error."""
        table = self.pairs["table"].to_numpy()
        size = len(self.fits)
        hits = np.bincount(table[kept & holds], minlength=size)
        of = np.bincount(table[kept], minlength=size)
        again = self._resampled()
        with np.errstate(invalid="ignore"):
            shares = hits[again].sum(axis=1) / of[again].sum(axis=1)
            return float(hits.sum() / of.sum()) if of.sum() else np.nan, float(np.std(shares))

    def _standard_error_of_calibration(self, num_bins: int = 10) -> float:
        size = len(self.fits)
        index = self.pairs["table"].to_numpy() * num_bins + self._bins(num_bins).to_numpy()
        sums = [
            np.bincount(index, self.pairs[what].to_numpy(float), size * num_bins)
            for what in ("probability", "exists")
        ]
        gap = (sums[0] - sums[1]).reshape(size, num_bins)
        count = np.bincount(self.pairs["table"], minlength=size)
        again = self._resampled()
        errors = np.abs(gap[again].sum(axis=1)).sum(axis=1) / count[again].sum(axis=1)
        return float(errors.std())

    def _bins(self, num_bins: int) -> pd.Series:
        """Return which bin the probability of each edge is in."""
        return np.minimum((self.pairs["probability"] * num_bins).astype(int), num_bins - 1)

    def _resampled(self) -> NDArray[np.int64]:
        size = len(self.fits)
        return np.random.default_rng(0).integers(0, size, (_NUM_RESAMPLES, size))
