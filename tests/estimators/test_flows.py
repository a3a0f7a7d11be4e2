"""Conditions on a trained flow, against the exact posterior with the same constraints."""

from __future__ import annotations

import numpy as np
import pytest

import dag_gfn as dg
from dag_gfn.diagnostics import UntrustedPosteriorWarning

# A sampler trained for a moment may be warned of, and is held against the exact posterior here.
pytestmark = pytest.mark.filterwarnings("ignore::dag_gfn.diagnostics.UntrustedPosteriorWarning")

MODELS = {
    "DAGGFlowNet": lambda: dg.DAGGFlowNet(num_updates=750, window=8),
    "OrderGFlowNet": lambda: dg.OrderGFlowNet(num_updates=1000, width=32),
    "IndependenceMCMC": lambda: dg.IndependenceMCMC(num_updates=1000, width=32),
}
# From edges that are nearly certain to those that hardly any draw has.
CONDITIONS = [
    {"required_edges": [("X2", "X3")]},
    {"required_edges": [("X3", "X2")]},
    {"required_edges": [("X3", "X0"), ("X1", "X2")]},
    {"forbidden_edges": [("X0", "X1"), ("X1", "X0")]},
    {"required_edges": [("X0", "X3")], "forbidden_edges": [("X1", "X3"), ("X2", "X1")]},
]


@pytest.fixture(scope="module")
def scores():
    values = np.random.default_rng(1).normal(size=(40, 4))
    values[:, 1] += 0.7 * values[:, 0]
    values[:, 3] += values[:, 2] - 0.5 * values[:, 1]
    return dg.local_scores(values)


@pytest.fixture(scope="module", params=MODELS)
def model(request, scores):
    made = MODELS[request.param]().set_params(progress=False, random_state=0, n_samples=4000)
    return made.infer(scores)


def edges_by_name(condition, names):
    return {
        what: [tuple(names[int(end[1])] for end in edge) for edge in edges]
        for what, edges in condition.items()
    }


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_agree_with_the_exact_posterior(model, scores, condition):
    condition = edges_by_name(condition, scores.names)
    whole = dg.ExactPosterior(progress=False).infer(scores)
    exact = dg.ExactPosterior(progress=False).infer(scores.constrained(**condition))
    given = model.condition(**condition, random_state=1)
    assert len(given) == 4000
    drawn = given.adjacency[given.weights > 0]
    assert np.isfinite(scores.constrained(**condition).log_score(drawn)).all()

    expected = np.exp(exact.log_evidence_ - whole.log_evidence_)
    estimate, error = (
        given.metadata[name] for name in ("probability", "probability_standard_error")
    )
    assert estimate == pytest.approx(expected, abs=4.5 * error + 1e-4 * expected)
    assert error < 0.1 * expected
    # The errors of some 6 x 12 marginals, each with a chance of 7e-6 to be this far off.
    difference = given.edge_marginals() - exact.edge_marginals_
    limit = 4.5 * given.edge_marginals_standard_error() + 2e-3
    assert (difference.abs() <= limit).all(axis=None)
    again = model.condition(**condition, random_state=1)
    np.testing.assert_array_equal(given.adjacency, again.adjacency)
    assert model.probability(**condition, random_state=1) == estimate


def test_a_condition_leaves_the_model_as_it_was(model, scores):
    before = model.sample(100, random_state=3)
    model.condition([(0, 1)], n_samples=100, random_state=0)
    after = model.sample(100, random_state=3)
    np.testing.assert_array_equal(before.adjacency, after.adjacency)
    assert not model.scores_.required.any()


def test_no_condition_gives_the_posterior_itself(model):
    given = model.condition(n_samples=1000, random_state=0)
    error = given.metadata["probability_standard_error"]
    assert given.metadata["probability"] == pytest.approx(1.0, abs=4.5 * error)
    assert error < 0.02


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"required_edges": [(0, 1), (1, 0)]}, "cycle"),
        ({"required_edges": [("X9", "X0")]}, "not in the table"),
        ({"required_edges": [(0, 1)], "forbidden_edges": [(0, 1)]}, "both required and forbidden"),
    ],
)
def test_conditions_that_no_graph_meets_are_refused(model, condition, message):
    with pytest.raises(ValueError, match=message):
        model.condition(**condition)


@pytest.fixture(scope="module")
def order_model(scores):
    # The network has the size of the one above, so that nothing is compiled anew.
    model = dg.OrderGFlowNet(num_updates=200, width=32, progress=False, random_state=0)
    return model.infer(scores.constrained(required_edges=[(0, 1)]))


def test_what_the_fit_forbade_cannot_be_required(order_model):
    with pytest.raises(ValueError, match="both required and forbidden"):
        order_model.condition(forbidden_edges=[(0, 1)])
    with pytest.raises(ValueError, match="cycle"):
        order_model.condition([(1, 2), (2, 0)])


def test_an_edge_that_is_no_candidate_cannot_be_required(order_model, scores):
    from dag_gfn.orderflow import draw_order_posterior_given

    flow = order_model.flow_
    candidates = np.where(flow.sums.candidates == 3, np.arange(4)[:, None], flow.sums.candidates)
    fewer = flow._replace(sums=flow.sums._replace(candidates=candidates))
    with pytest.raises(ValueError, match=f"'{scores.names[3]}' -> '{scores.names[0]}' is not amo"):
        draw_order_posterior_given(fewer, scores.constrained([(3, 0)]), 10)


def test_draws_that_are_worth_too_little_are_warned_of(order_model):
    with pytest.warns(UntrustedPosteriorWarning, match="worth"):
        order_model.condition([(2, 3)], n_samples=8, random_state=0)


def test_a_single_draw_can_be_asked_for(order_model):
    assert len(order_model.condition([(2, 3)], n_samples=1, random_state=0)) == 1


def test_a_condition_that_moves_one_variable_far_is_met_evenly():
    # Given that 0 does not cause 1, the parent sets of 1 that are left weigh next to nothing.
    values = np.random.default_rng(0).normal(size=(1000, 4))
    values[:, 1] += 2 * values[:, 0]
    values[:, 3] += values[:, 2]
    scores = dg.local_scores(values)
    model = dg.OrderGFlowNet(num_updates=1000, width=32, progress=False, random_state=0)
    model.infer(scores)
    given = model.condition(forbidden_edges=[(0, 1)], random_state=0)
    exact = dg.ExactPosterior(progress=False).infer(scores.constrained(None, [(0, 1)]))
    whole = dg.ExactPosterior(progress=False).infer(scores)
    expected = np.exp(exact.log_evidence_ - whole.log_evidence_)
    error = given.metadata["probability_standard_error"]
    assert given.metadata["probability"] == pytest.approx(expected, abs=4.5 * error)
    assert given.efficiency > 0.3
