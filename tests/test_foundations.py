"""The study of conditional flows: what it calls exact is exact, and it runs, small."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp

import dag_gfn as dg
from dag_gfn.graphs import all_dags
from experiments.foundations import run as study
from experiments.records import read


def test_information_between_edges_is_that_of_the_posterior():
    scores = dg.local_scores(np.random.default_rng(1).normal(size=(20, 3)))
    graphs = all_dags(3)
    order = np.argsort(graphs.sum(axis=(1, 2)), kind="stable")
    graphs = graphs[order]
    found = SimpleNamespace(depth=graphs.sum(axis=(1, 2)), states=SimpleNamespace(adjacency=graphs))
    contains = (graphs[:, None] <= graphs[None]).all(axis=(2, 3))
    flow = logsumexp(np.where(contains, scores.log_score(graphs), -np.inf), axis=1)
    row = study.information(study.edge_events(found), flow, flow)
    posterior = dg.ExactPosterior(progress=False).infer(scores).posterior_
    edges = [(i, j) for i in range(3) for j in range(3) if i != j]
    pairs = [(a, b) for k, a in enumerate(edges) for b in edges[k + 1 :]]
    expected = [
        posterior.mutual_information(lambda g, a=a: g[a], lambda g, b=b: g[b]) for a, b in pairs
    ]
    np.testing.assert_allclose(row["information"][0], expected, atol=1e-5)
    assert row["information_max"] == 0.0


def test_conditions_are_of_graphs_without_cycles():
    scores = dg.local_scores(np.random.default_rng(1).normal(size=(20, 4)))
    edges = dg.ExactPosterior(progress=False).infer(scores).edge_marginals_.to_numpy()
    chosen = study.conditions(scores, edges)
    assert len(chosen) == 36
    assert {len(some) for some in chosen} == {1, 2, 3}
    for some in chosen:
        scores.constrained(some)


@pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")
def test_results_become_tables_and_a_picture(monkeypatch, tmp_path):
    short = partial(dg.OrderGFlowNet, num_updates=200, width=16, progress=False)
    for name, value in {
        "FOLDER": tmp_path,
        "OrderGFlowNet": lambda **_: short(),
    }.items():
        monkeypatch.setattr(study, name, value)
    flows = study.FlowsConfig(
        spaces=("spins",),
        num_spins=3,
        policy=study.FlowsConfig().policy._replace(width=16),
        schedule=((100, 4e-3),),
        chunk=100,
    )
    condition = study.ConditionConfig(tables=("gaussian4",))
    monkeypatch.setattr("sys.argv", ["run.py"])
    readme = "".join(f"<!-- begin {name} -->\n<!-- end {name} -->\n" for name in study.STUDIES)
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    study.main({"flows": flows, "condition": condition})
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| spins | 27 |" in written
    assert "| gaussian4 | 36 |" in written
    assert (tmp_path / "figure.png").stat().st_size > 10_000

    flows, condition = read(tmp_path / "results.jsonl")
    # Of (x0, x1, x2) the weight is exp(1.2 agreeing neighbours - 0.8 x0).
    expected = np.log((np.exp(1.2) + 1) ** 2 * (1 + np.exp(-0.8)))
    assert flows["log_z"] == pytest.approx(expected, abs=1e-4)
    exact = flows["information"][0]
    # x1 lies between x0 and x2, so that these say less of each other.
    assert 0 < exact[1] < min(exact[0], exact[2])
    assert np.isfinite([flows[f"{of}_rms"] for of in ("flow", "entropy", "information")]).all()
    assert condition["log_probability_median"] < 0.5
