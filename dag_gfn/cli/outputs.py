"""The folder of results: claimed before the fit, filled after it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dag_gfn.posterior import Posterior
    from dag_gfn.scores import LocalScores

# Every file and what it holds, in the order of writing: the draws first, since they cost the most.
FILES = {
    "posterior.npz": "all sampled graphs and their weights; dag_gfn.Posterior.load reads it",
    "summary.json": "settings, seed, versions, k-hat, effective sample size, log evidence",
    "edge_marginals.csv": "probability that the row is a direct cause of the column",
    "path_marginals.csv": "probability that the row is a cause of the column, direct or not",
    "markov_blanket_marginals.csv": "probability that one is in the Markov blanket of the other",
    "graphs.csv": "the most probable graphs, as lists of edges",
    "history.csv": "loss and spread of the log-weights during training",
    "edge_marginals.png": "the edge probabilities as a heat map",
    "posterior_graph.png": "the probable edges as a graph",
    "training_curve.png": "how training went",
}
NUM_GRAPHS = 100
_STAGING = ".writing-"
DIGITS = "%.6g"  # far more than the Monte Carlo error


@contextmanager
def claimed_folder(
    path: Path, overwrite: bool, files: Iterable[str] = tuple(FILES)
) -> Iterator[Path]:
    """Make the folder of results, or check that its files may be replaced.

    What was made is removed again if the body fails before writing anything.

    Raises
    ------
    ValueError
        If the path is taken and ``overwrite`` is False, or is not a folder, or the name of a result
        is that of a folder in it.
    OSError
        If the folder cannot be made or written to.
    """
    if path.exists() or path.is_symlink():
        if not path.is_dir():
            raise ValueError(f"{path} is not a folder; give another --output.")
        if not overwrite:
            raise ValueError(
                f"the folder {path} exists; give another --output, or --overwrite to replace the "
                "results in it."
            )
        for name in files:
            if (path / name).is_dir():
                raise ValueError(f"{path / name} is a folder where a file of results belongs.")
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
        yield path
    except BaseException:
        for folder in made:
            if any(folder.iterdir()):
                break
            folder.rmdir()
        raise


def write_results(
    folder: Path,
    posterior: Posterior,
    *,
    history: pd.DataFrame,
    scores: LocalScores,
    summary: Mapping[str, Any],
) -> None:
    """Write every file of `FILES`, each in one step, so that none is ever half written."""
    edges = posterior.edge_marginals()
    writers: dict[str, Callable[[Path], None]] = {
        "posterior.npz": posterior.save,
        "summary.json": lambda path: _write_json(path, summary),
        "edge_marginals.csv": lambda path: edges.to_csv(
            path, index_label="cause/effect", float_format=DIGITS
        ),
        "path_marginals.csv": lambda path: posterior.path_marginals().to_csv(
            path, index_label="cause/effect", float_format=DIGITS
        ),
        "markov_blanket_marginals.csv": lambda path: posterior.markov_blanket_marginals().to_csv(
            path, index_label="variable/other", float_format=DIGITS
        ),
        "graphs.csv": lambda path: most_probable_graphs(posterior, scores).to_csv(
            path, index=False
        ),
        "history.csv": lambda path: history.to_csv(path, index=False),
        "edge_marginals.png": lambda path: draw(path, "edge_marginals", posterior),
        "posterior_graph.png": lambda path: draw(path, "posterior_graph", posterior),
        "training_curve.png": lambda path: draw(path, "training_curve", history),
    }
    for left_by_a_kill in folder.glob(f"{_STAGING}*"):
        shutil.rmtree(left_by_a_kill)
    for name in FILES:
        with staged(folder) as staging:
            writers[name](staging / name)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give a folder to write files in, which are then moved to where they belong, each in one step.

    So none is ever half written there; if the body fails, nothing is moved.
    """
    # On the same disk as the folder, where a rename is one step.
    with tempfile.TemporaryDirectory(dir=folder, prefix=_STAGING) as staging:
        yield Path(staging)
        for path in Path(staging).iterdir():
            os.replace(path, folder / path.name)


def most_probable_graphs(posterior: Posterior, scores: LocalScores) -> pd.DataFrame:
    """List the graphs of highest score among those drawn.

    The probability of a graph is its exact score over the evidence, ``exp(log_score -
    log_evidence)``: far less noisy than the weight of the few draws that a single graph gets.

    Returns
    -------
    DataFrame
        Columns ``rank``, ``probability``, ``log_score`` (log p(D | G) + log p(G) in nats, up to the
        constant of the prior), ``num_edges``, and ``edges``, written as ``A -> B; B -> C``.
    """
    drawn = posterior.unique().adjacency
    log_scores = scores.log_score(drawn)
    best = np.argsort(-log_scores, kind="stable")[:NUM_GRAPHS]
    names = posterior.names
    edges = [
        "; ".join(f"{names[i]} -> {names[j]}" for i, j in np.argwhere(graph))
        for graph in drawn[best]
    ]
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(edges) + 1),
            # A poor estimate of the evidence can be too low.
            "probability": np.exp(np.minimum(log_scores[best] - posterior.log_evidence, 0)),
            "log_score": log_scores[best],
            "num_edges": drawn[best].sum(axis=(1, 2)),
            "edges": edges,
        }
    )


def _write_json(path: Path, summary: Mapping[str, Any]) -> None:
    text = json.dumps(plain(summary), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """Return a value of types that JSON knows: infinities become strings, NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return repr(value)


def draw(path: Path, plot: str, *what: Any, **settings: Any) -> None:
    """Draw a picture of `dag_gfn.plots`, by name, to a file."""
    import matplotlib

    matplotlib.use("agg")  # files need no screen
    import matplotlib.pyplot as plt

    from dag_gfn import plots

    axes: Axes = getattr(plots, plot)(*what, **settings)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig(path, dpi=200)
    plt.close(figure)
