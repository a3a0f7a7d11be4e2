"""The guide to contributing: each recipe is followed to the letter, and the picture is true."""

from __future__ import annotations

import inspect
import re
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import dag_gfn as dg
from dag_gfn import estimators
from dag_gfn.comparison import METHODS
from dag_gfn.comparison.methods import Method
from dag_gfn.graphs import all_dags
from dag_gfn.scores import PRIORS, SCORES, local_scores

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NAMES = ["a", "b", "c", "e"]


@pytest.fixture(scope="module")
def guide():
    """The Python of the guide as a module, so that what it defines can be pickled."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    module = types.ModuleType("guide")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "guide", module)
        for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            exec(compile(block, "CONTRIBUTING.md", "exec"), vars(module))
        yield module


@pytest.fixture
def score(guide, monkeypatch) -> str:
    monkeypatch.setitem(SCORES, "gaussian_bic", guide.GaussianBIC)
    return "gaussian_bic"


@pytest.fixture
def method(guide, monkeypatch) -> str:
    monkeypatch.setattr(estimators, "GibbsMCMC", guide.GibbsMCMC, raising=False)
    monkeypatch.setitem(METHODS, "gibbs", Method("dag_gfn.estimators", "GibbsMCMC"))
    return "gibbs"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Four correlated columns, weakly enough that no edge is certain."""
    rng = np.random.default_rng(0)
    mixing = np.eye(4) + 0.25 * np.triu(rng.normal(size=(4, 4)), 1)
    return pd.DataFrame(rng.normal(size=(40, 4)) @ mixing + [0, 1, -5, 2], columns=NAMES)


def those_over(path: Path, fixture: str, *others: str) -> dict[str, Any]:
    """Return the tests of a file that ask for a fixture, and for no more than these others."""
    return {
        name: test
        for name, test in runpy.run_path(str(path)).items()
        if name.startswith("test_")
        and {fixture} <= set(inspect.signature(test).parameters) <= {fixture, *others}
    }


def given(test: Any, **words: Any) -> dict[str, Any]:
    return {name: words[name] for name in inspect.signature(test).parameters}


# --- a score -----------------------------------------------------------------------------------


def test_the_score_passes_what_goes_over_the_registry(score, table):
    tests = those_over(TESTS / "scores" / "test_base.py", "score_name", "table", "prior")
    assert "test_equivalent_dags_score_the_same" in tests and len(tests) >= 4
    for test in tests.values():
        for prior in PRIORS if "prior" in inspect.signature(test).parameters else [""]:
            test(**given(test, table=table, score_name=score, prior=prior))


def bic_by_regression(values: np.ndarray, graph: np.ndarray, penalty: float) -> float:
    """The criterion from residuals of least squares, one node after another."""
    total, n = 0.0, len(values)
    for node in range(values.shape[1]):
        features = np.column_stack([np.ones(n), values[:, graph[:, node] > 0]])
        slopes = np.linalg.lstsq(features, values[:, node])[0]
        residuals = values[:, node] - features @ slopes
        total += norm.logpdf(residuals, scale=residuals.std()).sum()
        total -= 0.5 * penalty * (features.shape[1] + 1) * np.log(n)
    return total


@pytest.mark.parametrize("penalty", [1.0, 0.5])
def test_the_score_is_the_sum_of_regressions(score, table, penalty):
    scores = local_scores(table, score, score_params={"penalty": penalty})
    assert np.isfinite(scores.table()).all()
    graphs = all_dags(4)[::30]
    expected = [bic_by_regression(table.to_numpy(), graph, penalty) for graph in graphs]
    np.testing.assert_allclose(scores.log_score(graphs), expected, rtol=1e-10)


def test_the_score_leaves_out_rows_in_which_the_column_was_set(score, table):
    targets = ["a"] * 9 + [None] * 31
    scores = local_scores(table, score, interventions=targets).table()
    np.testing.assert_allclose(scores[0], local_scores(table[9:], score).table()[0], rtol=1e-10)
    np.testing.assert_array_equal(scores[1:], local_scores(table, score).table()[1:])


def test_the_score_refuses_what_it_is_not_finite_for(score, table):
    assert np.isfinite(local_scores(table.head(6), score).table()).all()
    with pytest.raises(ValueError, match="cannot score column 'a': there are too few rows"):
        local_scores(table.head(4), score)
    with pytest.raises(ValueError, match="cannot score column 'c': there are too few rows"):
        local_scores(table.head(6), score, interventions=["c", "c", *[None] * 4])
    with pytest.raises(ValueError, match="or a column is a sum of others"):
        local_scores(table.assign(b=table["a"] - 2 * table["c"]), score)
    with pytest.raises(ValueError, match="'b'"):
        local_scores(table.assign(b=1.0), score)


def test_methods_take_the_score_as_they_take_others(score, guide, table):
    exact = dg.ExactPosterior(score, prior="edge").fit(table)
    graphs = all_dags(4)
    log_p = np.array([bic_by_regression(table.to_numpy(), graph, 1.0) for graph in graphs])
    log_p += graphs.sum(axis=(1, 2)) * np.log(1 / 3)
    marginals = np.tensordot(np.exp(log_p - logsumexp(log_p)), graphs, 1)
    np.testing.assert_allclose(exact.edge_marginals_, marginals, atol=1e-10)
    chain = guide.GibbsMCMC(score, prior="edge", num_sweeps=2_000, random_state=0).fit(table)
    assert_same_within_error(chain.posterior_.adjacency, marginals)


# --- a state space, and an objective -----------------------------------------------------------


@pytest.fixture(scope="module")
def listed(guide):
    """The space of the guide with its 11 states, of which those of two things may stop."""
    import jax

    from dag_gfn.gflownet.enumeration import enumerate_states
    from dag_gfn.gflownet.spaces import SPACES

    # The tests compile many small programs and run each for a moment only.
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SPACES, "subsets", guide.subsets)
        make = SPACES["subsets"]
        space = make(4, 2, lambda state: 1.5 * state[:, 0] - state[:, 1] * state[:, 2])
        yield space, enumerate_states(space), 1 + 4 + 6, 6


def test_the_space_passes_what_goes_over_the_registry(listed):
    tests = those_over(TESTS / "gflownet" / "test_spaces.py", "listed")
    assert "test_all_states_are_reached" in tests
    for test in tests.values():
        test(listed)


def test_the_objective_passes_what_goes_over_the_registry(guide, listed, monkeypatch):
    from dag_gfn.gflownet.objectives import OBJECTIVES, Objective

    entry = Objective(guide.median_balance, guide.Trajectories)
    monkeypatch.setitem(OBJECTIVES, "median_balance", entry)
    found = runpy.run_path(str(TESTS / "gflownet" / "test_balance.py"))
    assert ("median_balance", "both ends") in found["COMBINATIONS"]
    found["test_the_solution_has_no_loss"]({"subsets": listed[:2]}, "median_balance", "subsets")


# --- a method ----------------------------------------------------------------------------------


def assert_same_within_error(draws: np.ndarray, marginals: np.ndarray) -> None:
    """Check the edge frequencies of a chain, [T, d, d], by the spread of their means in batches."""
    batches = np.array([batch.mean(axis=0) for batch in np.array_split(draws, 20)])
    error = batches.std(axis=0, ddof=1) / 20**0.5
    assert error.max() < 0.04
    np.testing.assert_array_less(np.abs(batches.mean(axis=0) - marginals), 5 * error + 1e-3)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"prior": "fair", "max_parents": 1},
        {"required_edges": [("a", "b")], "forbidden_edges": [("c", "e"), ("b", "c")]},
    ],
)
def test_the_method_finds_the_exact_posterior(guide, table, words):
    scores = local_scores(table, **words)
    chain = guide.GibbsMCMC(num_sweeps=2_000, random_state=1).infer(scores)
    exact = dg.ExactPosterior().infer(scores)
    assert_same_within_error(chain.posterior_.adjacency, exact.edge_marginals_.to_numpy())
    draws = chain.posterior_.adjacency
    assert np.all(draws[:, scores.required] == 1) and not draws[:, scores.forbidden].any()


# The array API check is skipped with a warning where SCIPY_ARRAY_API is not set.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_the_method_is_an_estimator_of_scikit_learn(guide, table):
    words = {"prior": "edge", "score_params": {"alpha_mu": 2}, "num_sweeps": 10}
    model = guide.GibbsMCMC(**words)
    assert words.items() <= clone(model).get_params().items()
    first, second = (clone(model).set_params(random_state=3).fit(table) for _ in range(2))
    np.testing.assert_array_equal(first.posterior_.adjacency, second.posterior_.adjacency)
    check_estimator(
        model,
        expected_failed_checks={
            "check_estimators_dtypes": "integers with few values are taken for categories"
        },
    )


def test_a_comparison_finds_the_method(method, table):
    words = {"budget": "1s", "random_state": 0, "progress": False}
    comparison = dg.compare(table[["a", "b", "e"]], ["exact", method], **words)
    row = comparison.summary.loc[method]
    assert row["max_error"] < 0.05
    assert row["remark"] == "has no time limit"
    assert comparison.posteriors[method].method == "Gibbs MCMC"


def test_the_method_refuses_too_many_columns(guide):
    wide = local_scores(np.random.default_rng(0).normal(size=(30, 13)))
    with pytest.raises(ValueError, match="12 columns are its most"):
        guide.GibbsMCMC().infer(wide)


# --- the picture -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def picture() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "explanations" / "architecture.py"))


@pytest.fixture(scope="module")
def allowed() -> dict[str, set[str]]:
    arrows = runpy.run_path(str(TESTS / "test_imports.py"))["ARROWS"]
    return {part: set(arrows[part]) for part in arrows if part != "__main__"}


@pytest.fixture(scope="module")
def drawn(picture) -> dict[str, set[str]]:
    """What each part points at, with the parts of a group in its place."""
    pointed: dict[str, set[str]] = {part: set() for part in picture["BOXES"]}
    for source, target in picture["ARROWS"]:
        for part in picture["GROUPS"].get(source, [source]):
            pointed[part].update(picture["GROUPS"].get(target, [target]))
    return pointed


def test_every_part_has_a_box(picture, allowed):
    assert set(picture["BOXES"]) == set(allowed)


def test_the_numbers_are_those_of_the_recipes(picture):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (\d)\. An? (?:.* )?(\w+)$", text, re.MULTILINE)
    assert [(int(number), word) for number, word in headings] == list(picture["RECIPES"].items())


def test_no_arrow_is_forbidden(drawn, allowed):
    for part in allowed:
        assert drawn[part] <= allowed[part], part


def test_every_import_that_is_allowed_follows_from_the_arrows(picture, drawn, allowed):
    found = set()
    for part in allowed:
        reached: set[str] = set()
        new = drawn[part]
        while new:
            reached |= new
            new = set().union(*(drawn[one] for one in new)) - reached
        found |= {(part, other) for other in allowed[part] - reached - {part}}
    assert found == picture["LEFT_OUT"]


def test_boxes_do_not_overlap(picture):
    edges = {part: picture["edges_of"](part) for part in picture["BOXES"]}
    for part, (left, bottom, right, top) in edges.items():
        assert 0 < left < right < picture["WIDTH"] and 0 < bottom < top < picture["HEIGHT"]
        for other, (to_left, to_bottom, to_right, to_top) in edges.items():
            apart = right < to_left or to_right < left or top < to_bottom or to_top < bottom
            assert apart or part == other, (part, other)


def test_the_picture_is_the_one_that_is_kept(picture, tmp_path):
    picture["draw"](tmp_path / "architecture.svg")
    plt.close("all")
    shown = [
        re.findall(
            r'<g id="((?:box|arrow)-[^"]+)">|>([^<>\n]+)</t', path.read_text(encoding="utf-8")
        )
        for path in (tmp_path / "architecture.svg", picture["IMAGE"])
    ]
    assert shown[0] == shown[1]
    assert {f"box-{part}" for part in picture["BOXES"]} <= {name for name, _ in shown[1]}
