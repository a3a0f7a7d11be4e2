"""Pictures of a comparison."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import dag_gfn as dg
from dag_gfn.comparison import Comparison

NAMES = ["a", "b", "c"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def comparison(num_methods: int = 3, errors: tuple[float, ...] = (0.3, 0.0, 0.3)) -> Comparison:
    rng = np.random.default_rng(0)
    reference = pd.DataFrame(rng.random((3, 3)), NAMES, NAMES)
    methods = [f"method {i}" for i in range(num_methods)]
    marginals = {name: (reference + 0.1 * i).clip(0, 1) for i, name in enumerate(methods)}
    rows = [(name, 10.0 + i, errors[i % 3], 0.0) for i, name in enumerate(methods)]
    if methods:
        rows += [(methods[0], 20.0, 0.1, 0.0), (f"{methods[0]}, unweighted", 20.0, 0.2, 0.0)]
    return Comparison(
        summary=pd.DataFrame(index=methods),
        reference=reference,
        reference_name="the exact posterior",
        reference_is_exact=True,
        marginals=marginals,
        errors_over_time=pd.DataFrame(
            rows, columns=["method", "seconds", "max_error", "mean_error"]
        ),
        posteriors={},
        budget=10.0,
    )


def test_scatter_has_a_point_for_each_pair_and_the_error_in_the_title():
    shown = comparison()
    panels = dg.plots.compare_marginals(shown)
    assert len(panels) == 3
    pairs = ~np.eye(3, dtype=bool)
    for ax, (name, marginals) in zip(panels, shown.marginals.items(), strict=True):
        x, y = ax.collections[0].get_offsets().T
        assert np.allclose(x, shown.reference.to_numpy()[pairs])
        assert np.allclose(y, marginals.to_numpy()[pairs])
        error = dg.metrics.edge_error(marginals, shown.reference)
        assert f"{name}\nlargest error {error.max:.3f}" in ax.get_title()
        assert np.allclose(ax.lines[0].get_xydata(), [[0, 0], [1, 1]])
    assert "the exact posterior" in panels[0].figure.get_suptitle()


def test_scatter_panels_wrap_and_can_be_given():
    panels = dg.plots.compare_marginals(comparison(5))
    assert len(panels) == 5
    assert sum(ax.get_visible() for ax in panels[0].figure.axes) == 5
    given = plt.subplots(1, 3)[1]
    assert list(dg.plots.compare_marginals(comparison(), given)) == list(given)
    with pytest.raises(ValueError, match="axes has 3 Axes for 2 methods"):
        dg.plots.compare_marginals(comparison(2), given)


def test_error_over_time_labels_each_method_at_its_end():
    ax = dg.plots.error_over_time(comparison())
    assert ax.get_xscale() == ax.get_yscale() == "log"
    labels = {text.get_text(): text for text in ax.texts}
    assert set(labels) == {
        "method 0",
        "method 0, unweighted",
        "method 1 (no error)",
        "method 2",
    }
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    for i, box in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert not box.overlaps(other)
    assert labels["method 0"].get_color() == labels["method 0, unweighted"].get_color()
    assert "the exact posterior" in ax.get_title()


def test_labels_of_equal_errors_do_not_meet():
    ax = dg.plots.error_over_time(comparison(6, errors=(0.2, 0.2, 0.2)))
    ax.figure.canvas.draw()
    heights = sorted(text.get_window_extent().y0 for text in ax.texts)
    height = ax.texts[0].get_window_extent().height
    assert np.diff(heights).min() >= 0.9 * height


def test_all_exact_can_be_drawn():
    shown = comparison(1, errors=(0.0, 0.0, 0.0))
    only = shown.errors_over_time.query("max_error == 0")
    ax = dg.plots.error_over_time(Comparison(**{**vars(shown), "errors_over_time": only}))
    assert [text.get_text() for text in ax.texts] == ["method 0 (no error)"]


def test_nothing_to_draw_is_refused():
    for plot in (dg.plots.compare_marginals, dg.plots.error_over_time):
        with pytest.raises(ValueError, match="no method has a result"):
            plot(comparison(0))
