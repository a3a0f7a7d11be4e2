"""The protein-signalling table of Sachs et al. (2005)."""

from __future__ import annotations

from importlib import resources
from typing import Literal, overload

import pandas as pd


@overload
def load_sachs(interventions: Literal[False] = False) -> pd.DataFrame: ...


@overload
def load_sachs(
    interventions: Literal[True], *, conditions: Literal[False] = False
) -> tuple[pd.DataFrame, pd.Series]: ...


@overload
def load_sachs(
    interventions: Literal[True], *, conditions: Literal[True]
) -> tuple[pd.DataFrame, pd.Series, pd.Series]: ...


def load_sachs(
    interventions: bool = False, *, conditions: bool = False
) -> pd.DataFrame | tuple[pd.DataFrame, pd.Series] | tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Load the abundances of 11 phosphorylated proteins and phospholipids in single cells.

    Human immune cells were measured by flow cytometry under nine conditions [1]_. The values are
    the published raw intensities, all positive and strongly skewed: for a Gaussian score take logs
    and standardise. The network usually taken for the truth is ``true_graph("sachs")``; align it
    with the table by name, for the two differ in the order of the proteins.

    Parameters
    ----------
    interventions : bool, default False
        Load all nine conditions and the protein that each of them acts on. Two of the reagents
        activate their target and the others inhibit it, and one (LY294002) acts on PI3K, which was
        not measured and is coded as PIP3: to call them perfect interventions is an approximation.
    conditions : bool, default False
        Return the condition of each cell too, with ``interventions=True``. With it the
        interventions are imperfect ones: each reagent changes how its target depends on its causes.

    Returns
    -------
    table : pandas.DataFrame, float64, shape [853, 11] or [7466, 11]
        The cells of the first condition, which stimulates no protein in particular, or of all nine.
    targets : pandas.Series of str or None, shape [7466]
        The protein intervened on in each row, None where there is none; only with
        ``interventions=True``. Pass it on as ``fit(table, interventions=targets)``.
    conditions : pandas.Series of str, shape [7466]
        The reagents that each cell was given; only with ``conditions=True``. Pass it on as
        ``fit(table, interventions=targets, conditions=conditions)``.

    Raises
    ------
    ValueError
        If conditions are asked for without the interventions.

    References
    ----------
    .. [1] Sachs, Perez, Pe'er, Lauffenburger and Nolan, "Causal protein-signaling networks derived
       from multiparameter single-cell data", Science 308 (2005) 523-529.

    Examples
    --------
    >>> load_sachs().shape
    (853, 11)
    >>> table, targets = load_sachs(interventions=True)
    >>> sorted(set(targets.dropna()))
    ['Akt', 'Mek', 'PIP2', 'PIP3', 'PKA', 'PKC']
    >>> table, targets, conditions = load_sachs(interventions=True, conditions=True)
    >>> sorted(conditions[targets == "PKC"].unique())
    ['cd3cd28+g0076', 'pma']
    """
    if conditions and not interventions:
        raise ValueError("conditions=True goes with interventions=True; add it.")
    if not interventions:
        return _read("sachs_observational.csv")
    table = _read("sachs.csv")
    named = table.pop("intervention")
    targets = named.astype(object).where(named.notna(), None)
    labels = table.pop("condition").astype(object)
    return (table, targets, labels) if conditions else (table, targets)


def _read(file: str) -> pd.DataFrame:
    with resources.files(__package__).joinpath(file).open("rb") as stream:
        return pd.read_csv(stream)
