from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from dag_gfn import plots
from dag_gfn.plots import graph as graph_module
from dag_gfn.plots.layout import layered_layout
from dag_gfn.posterior import Posterior


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def random_posterior(num_variables, seed, edges_per_node=1.3, names=None):
    """Draws that scatter around one random DAG."""
    rng = np.random.default_rng(seed)
    shape = (num_variables, num_variables)
    base = np.triu(rng.random(shape) < 2 * edges_per_node / (num_variables - 1), 1)
    draws = base & (rng.random((200, *shape)) < rng.uniform(0.4, 1, shape))
    order = rng.permutation(num_variables)
    draws = draws[:, order][:, :, order].astype(np.int8)
    names = names or [f"variable {i}" for i in range(num_variables)]
    return Posterior(draws, rng.normal(0, 0.5, 200), names)


def test_a_dollar_sign_in_a_name_is_no_formula():
    names = ["price in $", "$x_$", "$\\frac{"]
    posterior = random_posterior(3, 0, names=names)
    for picture in (plots.edge_marginals(posterior), plots.posterior_graph(posterior)):
        picture.figure.canvas.draw()
        assert set(names) <= {text.get_text() for text in picture.findobj(Text)}


# --- the layout, against what it promises ------------------------------------------------------


@pytest.mark.parametrize(("num_variables", "seed"), [(5, 0), (11, 1), (11, 2), (20, 3), (35, 4)])
def test_boxes_keep_apart_and_edges_pass_none(num_variables, seed):
    posterior = random_posterior(num_variables, seed)
    marginals = posterior.edge_marginals().to_numpy()
    order = graph_module._consensus_order(posterior)
    edges = graph_module._probable_pairs(marginals, order, 0.5)
    assert edges
    widths = np.array(graph_module._node_widths(posterior.names, edges))
    layout = layered_layout(
        edges, order, widths, gap=graph_module.GAP, layer_height=graph_module.LAYER_HEIGHT
    )
    half = np.stack([widths / 2, np.full(num_variables, graph_module.NODE_HEIGHT / 2)], axis=1)
    apart = np.abs(layout.position[:, None] - layout.position) - (half[:, None] + half)
    np.fill_diagonal(apart[:, :, 0], 1)
    assert (apart.max(axis=-1) > 0.1).all()  # in x or in y, at least 0.1 inches between boxes
    for edge, curve in graph_module._curves(edges, layout, list(widths)).items():
        assert layout.position[edge[0], 1] > layout.position[edge[1], 1]
        others = np.delete(np.arange(num_variables), edge)
        gaps = np.abs(curve[:, None] - layout.position[others]) - half[others]
        assert (gaps.max(axis=-1) > 0.02).all()


def test_a_graph_that_can_be_drawn_without_crossings_is():
    # two trees and a ladder, numbered at random
    edges = [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6), (7, 8), (8, 9), (9, 10)]
    rename = np.random.default_rng(0).permutation(11)
    edges = [(int(rename[i]), int(rename[j])) for i, j in edges]
    layout = layered_layout(edges, list(rename), [0.6] * 11, gap=0.2, layer_height=1.0)
    segments = layout.position[np.array(edges)]  # [edges, 2, 2]
    for i, (start, end) in enumerate(segments):
        for other_start, other_end in segments[i + 1 :]:
            if start[1] == other_start[1] and end[1] == other_end[1]:
                assert (start[0] - other_start[0]) * (end[0] - other_end[0]) >= 0


def test_consensus_order_puts_causes_first():
    posterior = Posterior([[[0, 0, 0], [1, 0, 0], [1, 1, 0]]], [0.0], ["a", "b", "c"])
    assert graph_module._consensus_order(posterior) == [2, 1, 0]
    ax = plots.posterior_graph(posterior)
    height = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert height["c"] > height["b"] > height["a"]


# --- what the graph shows ----------------------------------------------------------------------


def lines_of(ax):
    return [patch for patch in ax.patches if isinstance(patch, matplotlib.patches.FancyArrowPatch)]


def has_head(line):
    return isinstance(line.get_arrowstyle(), matplotlib.patches.ArrowStyle.CurveFilledB)


def test_arrowheads_say_which_directions_are_decided():
    forward, backward = [[0, 1], [0, 0]], [[0, 0], [1, 0]]
    decided = plots.posterior_graph(Posterior([forward, backward], np.log([4, 1]), ["a", "b"]))
    assert [has_head(line) for line in lines_of(decided)] == [True]
    open_ = plots.posterior_graph(Posterior([forward, backward], np.log([3, 2]), ["a", "b"]))
    assert [has_head(line) for line in lines_of(open_)] == [False]


def test_width_grows_with_probability_and_the_threshold_cuts():
    draws = np.zeros((10, 4, 4), np.int8)
    draws[:, 0, 1] = 1
    draws[:6, 1, 2] = 1
    draws[:3, 2, 3] = 1
    posterior = Posterior(draws, np.zeros(10), list("abcd"))
    sure, likely = sorted(
        (line.get_linewidth() for line in lines_of(plots.posterior_graph(posterior))), reverse=True
    )
    assert sure > likely
    assert len(lines_of(plots.posterior_graph(posterior, threshold=0.25))) == 3
    assert len(lines_of(plots.posterior_graph(posterior, threshold=1.0))) == 1


def test_every_name_is_written_even_without_edges_and_with_odd_names():
    names = ["a_b^c", "$x$", "", "längd", "a very long name indeed", "z"]
    posterior = Posterior(np.zeros((1, 6, 6)), [0.0], names)
    ax = plots.posterior_graph(posterior)
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.texts] == names


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1, np.nan])
def test_thresholds_that_make_no_sense(threshold):
    posterior = Posterior([[[0, 1], [0, 0]]], [0.0], ["a", "b"])
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        plots.posterior_graph(posterior, threshold)


# --- the heat map ------------------------------------------------------------------------------


def test_heat_map_shows_the_marginals_row_causes_column():
    posterior = random_posterior(6, 5, names=list("abcdef"))
    ax = plots.edge_marginals(posterior)
    marginals = posterior.edge_marginals().to_numpy()
    shown = ax.images[0].get_array()
    np.testing.assert_array_equal(shown.mask, np.eye(6, dtype=bool))
    np.testing.assert_allclose(shown.filled(0), marginals)
    assert ax.get_ylabel() == "cause"
    assert ax.get_xlabel() == "effect"
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list("abcdef")
    for text in ax.texts:
        column, row = text.get_position()
        assert text.get_text() == f"{marginals[row, column]:.2f}"
    assert len(ax.texts) == (marginals >= 0.005).sum() > 0


def test_cells_are_labelled_up_to_fifteen_variables():
    assert plots.edge_marginals(random_posterior(15, 0)).texts
    assert not plots.edge_marginals(random_posterior(16, 0)).texts


@pytest.mark.parametrize("num_variables", [2, 5, 11, 20, 60])
def test_nothing_on_the_heat_map_overlaps_or_is_cut(num_variables):
    posterior = random_posterior(num_variables, 0)
    ax = plots.edge_marginals(posterior)
    ax.figure.canvas.draw()
    page = ax.figure.bbox
    rows = [label.get_window_extent() for label in ax.get_yticklabels()]
    columns = [label.get_window_extent() for label in ax.get_xticklabels()]
    for above, below in zip(rows[:-1], rows[1:], strict=True):
        assert above.y0 >= below.y1 - 1
    for left, right in zip(columns[:-1], columns[1:], strict=True):
        assert left.x1 <= right.x0 + 1
    for box in rows + columns:
        assert page.x0 <= box.x0 and box.x1 <= page.x1
        assert page.y0 <= box.y0 and box.y1 <= page.y1


# --- axes that are given, and the curves -------------------------------------------------------


HISTORY = pd.DataFrame(
    {
        "update": [10, 20, 30],
        "loss": [2.0, 1.0, 0.5],
        "log_weight_std": [np.nan, 1.0, 0.7],
        "efficiency": [np.nan, 0.3, 0.6],
    }
)


def test_given_axes_are_used_and_returned():
    posterior = random_posterior(8, 0)
    figure, axes = plt.subplots(2, 2, figsize=(9, 8), layout="constrained")
    assert plots.edge_marginals(posterior, axes[0, 0]) is axes[0, 0]
    assert plots.posterior_graph(posterior, ax=axes[0, 1]) is axes[0, 1]
    assert plots.training_curve(HISTORY, axes[1, 0]) is axes[1, 0]
    assert plots.weights(posterior, axes[1, 1]) is axes[1, 1]
    figure.canvas.draw()
    assert len(plt.get_fignums()) == 1


def test_names_shrink_with_the_axes():
    posterior = random_posterior(20, 3)
    small = plt.figure(figsize=(3, 3)).add_subplot()
    plots.posterior_graph(posterior, ax=small)
    large = plots.posterior_graph(posterior)
    assert small.texts[0].get_fontsize() < 0.6 * large.texts[0].get_fontsize()


def test_training_curve_skips_what_was_not_computed():
    ax = plots.training_curve(HISTORY)
    loss, spread = ax.lines
    assert list(loss.get_xdata()) == [10, 20, 30]
    assert list(spread.get_ydata()) == [1.0, 0.7]
    assert ax.get_yscale() == "log"
    twin = next(other for other in ax.figure.axes if other is not ax)
    assert list(twin.lines[0].get_ydata()) == [0.3, 0.6]
    plots.training_curve(HISTORY.iloc[:1]).figure.canvas.draw()


@pytest.mark.parametrize("column", ["update", "loss", "log_weight_std", "efficiency"])
def test_training_curve_needs_its_columns(column):
    with pytest.raises(ValueError, match=f"no column {column!r}"):
        plots.training_curve(HISTORY.drop(columns=column))
    with pytest.raises(ValueError, match="no rows"):
        plots.training_curve(HISTORY.iloc[:0])


def test_weights_are_sorted_and_summed_up_in_words():
    posterior = random_posterior(5, 0)
    ax = plots.weights(posterior)
    curve = ax.lines[-1].get_ydata()
    np.testing.assert_allclose(curve, np.sort(posterior.weights)[::-1] * 200)
    assert f"k-hat {posterior.khat:.2f}" in ax.texts[0].get_text()
    exact = Posterior([[[0, 1], [0, 0]], [[0, 0], [0, 0]]], [0, -2000], ["a", "b"], exact=True)
    ax = plots.weights(exact)
    ax.figure.canvas.draw()
    assert ax.texts[0].get_text() == "exact: 2 graphs"
    assert len(ax.lines[-1].get_ydata()) == 1
