"""The studies of active learning: each runs, small, and its landscape and metrics are as said."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

from dag_gfn.gflownet.active import EnsembleSettings
from dag_gfn.gflownet.generic import GenericSettings
from experiments import records
from experiments.active_learning import interventions, run, sequences
from experiments.active_learning.landscape import (
    LANDSCAPE,
    Landscape,
    arrangements,
    arrangements_of,
    score,
    start_set,
)

SMALL = Landscape(length=5, alphabet_size=2, motifs=((0, 1), (1, 1)), offsets=((0, 2), (0, 1)))
SEQUENCES = sequences.SequenceSettings(
    num_start=10,
    num_rounds=2,
    batch_size=4,
    num_candidates=64,
    num_updates=3,
    policy=GenericSettings(width=8, num_layers=1, batch_size=4),
    ensemble=EnsembleSettings(num_members=2, width=8, num_layers=1, num_updates=3),
    top=4,
    num_generations=2,
)
INTERVENTIONS = interventions.InterventionSettings(
    num_variables=3, num_edges=2, num_start_rows=20, num_rounds=2, num_outcomes=20
)


# --- the landscape -------------------------------------------------------------------------------


def test_the_optima_are_the_sequences_with_an_arrangement():
    everything = np.array(list(itertools.product(range(2), repeat=5)))
    values = score(SMALL, everything)
    assert set(values) <= {0.0, 0.25, 0.5, 1.0}
    is_optimum = [len(arrangements_of(SMALL, row[None])) > 0 for row in everything]
    np.testing.assert_array_equal(values == 1.0, is_optimum)
    # All arrangements are there, and there are no others.
    assert arrangements_of(SMALL, everything) == set(arrangements(SMALL))


def test_the_landscape_of_the_study_has_so_many_optima_as_the_readme_says():
    assert len(arrangements(LANDSCAPE)) == 102
    text = (run.FOLDER / "README.md").read_text(encoding="utf-8")
    assert "102 arrangements" in text


def test_the_first_sequences_are_modest_and_different():
    start = start_set(LANDSCAPE, 50, 0.3, np.random.default_rng(0))
    assert len(np.unique(start, axis=0)) == 50
    assert score(LANDSCAPE, start).max() <= 0.3
    with pytest.raises(ValueError, match="a ceiling of 0 is too low for 50"):
        start_set(LANDSCAPE, 50, 0, np.random.default_rng(0))


def test_metrics_of_a_case_made_by_hand():
    # Two optima, two tokens apart, and a sequence without any token of the second motif.
    queried = np.array([[0, 1, 1, 1, 1], [1, 1, 0, 1, 1], [0, 0, 0, 0, 0]])
    start = np.array([[1, 1, 1, 1, 1]])
    assert score(SMALL, queried).tolist() == [1.0, 1.0, 0.0]
    found = sequences.metrics(SMALL, queried, start, 2)
    assert found["performance"] == found["highest"] == 1.0
    assert found["diversity"] == 2.0
    assert found["novelty"] == 1.0
    expected = len(arrangements_of(SMALL, queried)) / len(arrangements(SMALL))
    assert found["optima"] == expected


# --- the campaigns -------------------------------------------------------------------------------


def test_a_campaign_of_sequences_compiles_once_for_all_rounds():
    compiled = (sequences.fit_proxy, sequences.generate)
    before = [function._cache_size() for function in compiled]
    with jax.default_prng_impl("rbg"):  # compiles in half the time
        rounds = list(sequences.campaign(SEQUENCES, "GFlowNet, EI", 0))
    assert [function._cache_size() for function in compiled] == [size + 1 for size in before]
    assert [one["round"] for one in rounds] == [1, 2]
    assert all(0 <= one["performance"] <= one["highest"] <= 1 for one in rounds)
    assert rounds[1]["highest"] >= rounds[0]["highest"]


@pytest.mark.parametrize(
    "method", ["evolution on the proxy, UCB", "evolution, no proxy", "uniform"]
)
def test_nothing_is_measured_twice_and_a_seed_is_repeatable(method):
    start = start_set(LANDSCAPE, SEQUENCES.num_start, 0.5, np.random.default_rng(0))
    known = sequences.Known(np.zeros((18, 24), np.int32), np.zeros(18, np.float32), 0)
    known = known.add(LANDSCAPE, start)
    with jax.default_prng_impl("rbg"):
        batch, again = (sequences.propose(SEQUENCES, method, known, [0, 1]) for _ in range(2))
    np.testing.assert_array_equal(batch, again)
    after = known.add(LANDSCAPE, batch)
    measured = after.tokens[: after.number]
    assert len(np.unique(measured, axis=0)) == len(measured) == 14
    np.testing.assert_allclose(after.values[:14], score(LANDSCAPE, measured), rtol=1e-6)


@pytest.fixture(scope="module")
def campaigns():
    return {
        strategy: list(interventions.campaign(INTERVENTIONS, strategy, 0))
        for strategy in interventions.STRATEGIES
    }


def test_campaigns_of_interventions_begin_alike_and_differ_in_their_targets(campaigns):
    assert {one[0]["entropy"] for one in campaigns.values()} == {campaigns["random"][0]["entropy"]}
    for strategy, rounds in campaigns.items():
        assert len(rounds) == 1 + INTERVENTIONS.num_rounds
        targets = [one["target"] for one in rounds[1:]]
        assert set(targets) <= ({None} if strategy == "observation" else {"X0", "X1", "X2"})
        assert all(0 <= one["true_graph"] <= 1 for one in rounds)
    assert len({one["target"] for one in campaigns["round robin"][1:]}) == 2
    assert all(one["predicted_gain"] > 0 for one in campaigns["information gain"][1:])


# --- what is written -----------------------------------------------------------------------------


def test_pictures_and_tables_are_made_of_the_results(tmp_path, campaigns, monkeypatch):
    text = (run.FOLDER / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    flat = {"performance": 0.5, "highest": 1.0, "diversity": 4.0, "novelty": 3.0, "optima": 0.25}
    fakes = {
        "interventions": lambda settings, method, seed: campaigns[method],
        "sequences": lambda settings, method, seed: [{"round": n, **flat} for n in (1, 2)],
    }
    for study, fake in fakes.items():
        small = run.STUDIES[study]._replace(campaign=fake)
        monkeypatch.setitem(run.STUDIES, study, small)
        for method, seed in itertools.product(small.methods, range(2)):
            row = run.measured(study, method, seed, run.CONFIGS[study])
            records.put(tmp_path / "results.jsonl", row, ("study", "method", "seed"))
        run.report(study, tmp_path)
        assert (tmp_path / f"{study}.png").stat().st_size > 10_000
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (
        "| uniform | 0.50 ± 0.00 | 1.00 ± 0.00 | 4.0 ± 0.0 | 3.0 ± 0.0 | 0.250 ± 0.000 |" in written
    )
    assert "| observation | " in written
