"""The hard tables: their exact posteriors, and how deep single-edge moves go between modes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import connected_components

import dag_gfn as dg
from dag_gfn.graphs import all_dags
from experiments import manifest
from experiments.hard_tables import run
from experiments.hard_tables.barriers import barriers, way_out_of_the_empty_graph
from experiments.hard_tables.tables import TABLES, local_scores

FOLDER = Path(__file__).parents[1] / "experiments" / "hard_tables"
SMALL = ["balanced_parity", "drawn_parity", "mirror", "duplicated_causes"]


def stored(name):
    return json.loads((FOLDER / "exact" / f"{name}.json").read_text(encoding="utf-8"))


def test_every_table_has_its_exact_posterior_and_no_other():
    files = sorted(path.stem for path in (FOLDER / "exact").iterdir())
    assert files == sorted(TABLES)


@pytest.mark.parametrize("name", [*SMALL, "mirror_of_three"])
def test_the_stored_posterior_is_that_of_the_table(name):
    facts, scores = stored(name), local_scores(name)
    assert facts["variables"] == list(scores.names)
    assert facts["rows"] == scores.num_rows
    exact = dg.ExactPosterior(progress=False, random_state=0).infer(scores)
    np.testing.assert_allclose(exact.edge_marginals_, facts["edge_marginals"], atol=1e-6)
    assert exact.log_evidence_ == pytest.approx(facts["log_evidence"], abs=1e-6)


@pytest.mark.parametrize("name", ["balanced_parity", "parity_of_eight"])
def test_every_edge_is_as_probable_as_any_other_under_a_balanced_parity(name):
    marginals = np.array(stored(name)["edge_marginals"])
    d = len(marginals)
    off_diagonal = marginals[~np.eye(d, dtype=bool)]
    assert np.ptp(off_diagonal) < 1e-6
    # Each variable is the child of all others in one mode of d, and edges beyond that are few.
    assert 1 / d - 1e-3 < off_diagonal[0] < 1 / d + 0.02


@pytest.mark.parametrize("name", ["mirror", "mirror_of_three"])
def test_copies_can_be_exchanged(name):
    facts = stored(name)
    marginals = pd.DataFrame(facts["edge_marginals"], facts["variables"], facts["variables"])
    copies = [name for name in facts["variables"] if name.startswith("copy")]
    renamed = dict(zip(copies, np.roll(copies, 1), strict=True))
    turned = marginals.rename(index=renamed, columns=renamed)
    pd.testing.assert_frame_equal(marginals, turned.loc[marginals.index, marginals.columns])


def test_modes_are_far_apart():
    for name, num_modes in [("balanced_parity", 5), ("drawn_parity", 5), ("mirror", 2)]:
        deep = [barrier for barrier in stored(name)["barriers"] if barrier["nats"] > 10]
        assert len(deep) >= num_modes - 1
        assert all(barrier["mass"] > 0.02 for barrier in deep)
    # The contrast: copies alone are no obstacle.
    assert stored("duplicated_causes")["barriers"][0]["nats"] < 6


@pytest.mark.parametrize(("name", "num_modes"), [("mirror", 2), ("drawn_parity", 5)])
def test_passes_are_where_a_search_of_the_graphs_above_finds_them(name, num_modes):
    log_scores = local_scores(name).log_score(all_dags(5))
    probabilities = np.exp(log_scores - log_scores.max())
    probabilities /= probabilities.sum()
    above = np.flatnonzero(log_scores > log_scores.max() - 15)
    group = _components(all_dags(5)[above])
    masses = np.bincount(group, weights=probabilities[above])
    assert (masses > 0.02).sum() == num_modes
    # Every pass is so far below the top of one of the modes, and just above it they are apart.
    tops = [log_scores[above[group == number]].max() for number in np.flatnonzero(masses > 0.02)]
    deep = [barrier["nats"] for barrier in stored(name)["barriers"] if barrier["nats"] > 10]
    levels = np.array([top - depth for top in tops for depth in deep])
    passes = levels[[np.isclose(log_scores, level, atol=1e-7).any() for level in levels]]
    joined = np.flatnonzero(log_scores > passes.max() + 1e-6)
    assert (_masses(probabilities, joined) > 0.02).sum() == num_modes
    joined = np.flatnonzero(log_scores > passes.min() - 1e-6)
    assert (_masses(probabilities, joined) > 0.02).sum() == 1


def _masses(probabilities, some):
    return np.bincount(_components(all_dags(5)[some]), weights=probabilities[some])


def _components(dags):
    """Connected components under the addition, deletion and reversal of an edge."""
    upper = np.triu_indices(5, 1)
    joined = dags[:, upper[0], upper[1]] + 2 * dags[:, upper[1], upper[0]]  # [U, 10]
    differing = (joined[:, None] != joined[None]).sum(axis=-1)
    return connected_components(differing == 1, directed=False)[1]


def test_on_a_hill_without_valleys_there_is_no_barrier():
    class Hill:
        def log_score(self, adjacency):
            return -adjacency.sum(axis=(1, 2)).astype(float)

    assert barriers(Hill()) == []
    assert way_out_of_the_empty_graph(Hill()) == 0


def test_two_peaks_meet_at_the_best_graph_between_them():
    class TwoPeaks:
        """The full graph in one order and the empty graph, each edge away from either costs 1."""

        def log_score(self, adjacency):
            edges = adjacency.sum(axis=(1, 2)).astype(float)
            return np.maximum(-edges, -0.5 - (10 - edges))

    deepest = barriers(TwoPeaks(), least_mass=0.0)[0]
    # Full graphs of different orders meet by reversals; between 0 and 10 edges the lowest is at 5.
    assert deepest.nats in (4.5, 5.0)


def test_the_readme_shows_the_results():
    results = pd.DataFrame(run._stored())
    assert set(results["table"]) == set(TABLES)
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"<!-- begin results -->\n{run.report(results)}\n<!-- end results -->" in readme
    for name in TABLES:
        assert f"`{name}`" in readme


def test_single_edges_stick_where_they_should():
    lines = (FOLDER / "results.jsonl").read_text(encoding="utf-8").splitlines()
    results = pd.DataFrame(map(json.loads, lines))
    median = results.groupby(["table", "method"])["max_error"].median()
    for name in ("balanced_parity", "drawn_parity", "parity_of_eight"):
        assert median[name, "single edges"] > 0.1
        for method in ("structure", "order", "partition"):
            assert median[name, method] < 0.03


@pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")
def test_a_method_is_measured_and_what_it_was_made_with_is_kept(tmp_path, monkeypatch):
    for name in ("README.md", "exact/mirror.json"):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((FOLDER / name).read_bytes())
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    monkeypatch.setattr(run, "README", tmp_path / "README.md")
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results.jsonl")
    monkeypatch.setattr("sys.argv", ["run", "--only", "mirror", "--methods", "structure"])
    run.main({"structure, mirror": run.Config(seconds=0.5, seeds=(3,))})
    (row,) = run._stored()
    assert (row["table"], row["method"], row["seed"]) == ("mirror", "structure", 3)
    assert row["max_error"] < 0.2
    assert "| mirror | 0." in (tmp_path / "README.md").read_text(encoding="utf-8")
    (entry,) = manifest.read(tmp_path).values()
    assert entry["configuration"]["seconds"] == 0.5
