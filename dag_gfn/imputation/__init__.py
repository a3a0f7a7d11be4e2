"""Missing values, drawn together with graphs and parameters by data augmentation."""

from dag_gfn.imputation.accuracy import Accuracy, imputation_accuracy
from dag_gfn.imputation.augmentation import Augmentation, augment, starting_cells
from dag_gfn.imputation.categorical import draw_missing_codes
from dag_gfn.imputation.linear_gaussian import draw_missing_values
from dag_gfn.imputation.patterns import Pattern, missing_patterns

__all__ = [
    "Accuracy",
    "Augmentation",
    "Pattern",
    "augment",
    "draw_missing_codes",
    "draw_missing_values",
    "imputation_accuracy",
    "missing_patterns",
    "starting_cells",
]
