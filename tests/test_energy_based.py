"""The studies of energy-based training: references are right, and each study runs, small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dag_gfn.gflownet.energy import EnergySettings
from dag_gfn.gflownet.generic import GenericSettings
from experiments import records
from experiments.energy_based import ising, planes, run
from experiments.energy_based.densities import DENSITIES, Grid, entropy, grid_of

FOLDER = Path(__file__).parents[1] / "experiments" / "energy_based"
POLICY = GenericSettings(width=8, batch_size=4)


@pytest.mark.parametrize("name", DENSITIES)
def test_points_fit_into_their_grid(name):
    grid = grid_of(name)
    points = DENSITIES[name](500, np.random.default_rng(0))
    bits = grid.encode(points)
    assert bits.shape == (500, 32)
    assert np.abs(grid.decode(bits) - points).max() <= grid.cell / 2 + 1e-9


def test_neighbouring_cells_differ_in_one_bit():
    grid = Grid(1.0)
    cells = (np.arange(2000, 2100) + 0.5) * grid.cell - 1.0
    bits = grid.encode(np.stack([cells, cells], axis=1))
    np.testing.assert_array_equal(np.abs(np.diff(bits[:, :16], axis=0)).sum(axis=1), 1)
    np.testing.assert_array_equal(bits[:, :16], bits[:, 16:])


def test_entropies_are_those_that_are_known():
    squares = entropy("checkerboard", num_points=400_000, width=0.1)
    assert squares == pytest.approx(np.log(32), abs=0.01)
    # Eight normals of variance 1 / 8 that hardly overlap.
    normals = entropy("8gaussians", num_points=400_000, width=0.1)
    assert normals == pytest.approx(np.log(8) + np.log(2 * np.pi * np.e / 8), abs=0.02)


@pytest.fixture(scope="module")
def exact():
    """Correlations of a torus of 16 spins, from its 65 536 states."""
    spins = 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1) - 1
    weights = np.exp(np.einsum("bi,ij,bj->b", spins, 0.1 * ising.torus(4), spins))
    return (spins.T * (weights / weights.sum())) @ spins


def test_gibbs_chains_draw_from_the_model(exact):
    spins = ising.gibbs(4, 0.1, 20_000, num_sweeps=30)
    error = (spins.T @ spins / 20_000 - exact)[np.triu_indices(16, 1)]
    # Products of spins have a variance of one at most.
    assert np.abs(error).max() < 4.5 / np.sqrt(20_000)


def test_pseudo_likelihood_finds_the_couplings():
    truth = 0.1 * ising.torus(4)
    spins = ising.gibbs(4, 0.1, 20_000, num_sweeps=30)
    learned = ising.pseudo_likelihood(spins, 0.0, ~np.eye(16, dtype=bool))
    # The standard error of 2 J is about one over the square root of the rows.
    assert np.abs(learned - truth).max() < 4.5 * 0.6 / np.sqrt(20_000)
    assert np.array_equal(ising.large(learned), truth > 0)
    shrunk = ising.pseudo_likelihood(spins, 0.05, ~np.eye(16, dtype=bool))
    assert shrunk[truth > 0].mean() < learned[truth > 0].mean()


def test_a_matrix_of_zeros_has_a_known_error():
    truth = 0.1 * ising.torus(10)
    assert truth.sum(axis=1) == pytest.approx(np.full(100, 0.4))
    assert ising.log_rmse(np.zeros((100, 100)), truth) == pytest.approx(-np.log(0.02))


def test_both_studies_run_and_are_reported(tmp_path, monkeypatch):
    energy = EnergySettings(POLICY, num_back=4, data_batch_size=4, steps_back=2, warmup=2)
    settings = ising.IsingSettings(energy, side=4, num_rows=500, num_chunks=2, chunk=3)
    # Compiling takes most of the time, so that one run stands for both.
    everywhere = ~np.eye(16, dtype=bool)
    trained = ising.learn(settings, ising.gibbs(4, 0.1, 500), penalty=0.01, support=everywhere)
    assert [updates for updates, _ in trained.curve] == [3, 6]
    monkeypatch.setattr(ising, "learn", lambda *args, **words: trained)
    learned = ising.study(settings)
    zero = learned.rows[-1]
    assert zero["log_rmse"] == pytest.approx(-0.5 * np.log(0.01 * 64 / 256))
    for row in learned.rows:
        assert np.isfinite(row["log_rmse"])
        assert learned.matrices[row["method"]] == pytest.approx(learned.matrices[row["method"]].T)
    settings = planes.PlaneSettings(
        energy,
        num_updates=5,
        num_last=0,
        width=8,
        num_layers=1,
        num_rows=200,
        num_held_out=20,
        num_draws=50,
        num_pixels=10,
    )
    plane = planes.study("circles", settings)
    assert plane.row["updates"] == 5
    # A sampler that is all but untrained draws bits that are all but fair coins.
    for name in ("flow", "energy"):
        assert plane.row[name] == pytest.approx(32 * np.log(2), abs=0.5)
    assert 0 < plane.row["efficiency"] <= 1
    readme = tmp_path / "README.md"
    readme.write_text((FOLDER / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    for _ in range(2):
        run.report(learned, [plane], 1.0, tmp_path)
    assert len(records.read(tmp_path / "results.jsonl")) == len(learned.rows) + 1
    text = readme.read_text(encoding="utf-8")
    assert "| circles | 22." in text
    assert "| EB-GFN, then without penalty on the large ones | " in text
    for name in ("densities.png", "ising.png"):
        assert (tmp_path / name).stat().st_size > 10_000
