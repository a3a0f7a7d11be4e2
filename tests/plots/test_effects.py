"""Pictures of causal effects say what the effects say."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import dag_gfn as dg
from dag_gfn import plots
from dag_gfn.posterior.effects import CausalEffects


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def effects():
    """a -> b for sure, and a -> c in three draws of four."""
    rng = np.random.default_rng(0)
    draws = np.zeros((4000, 3, 3))
    draws[:, 0, 1] = rng.normal(-2.0, 0.1, 4000)
    draws[1000:, 0, 2] = rng.normal(0.5, 0.1, 3000)
    no_effect = np.ones((3, 3))
    no_effect[0, 1:] = 0.0, 0.25
    return CausalEffects(
        ("a", "b", "c"), draws, np.zeros(4000), draws.mean(axis=0), no_effect, "units"
    )


def test_heat_map_is_bold_where_the_interval_leaves_zero_out(effects):
    ax = plots.causal_effects(effects)
    shown = {text.get_text(): text.get_fontweight() for text in ax.texts}
    mean = effects.mean().loc["a", "c"]
    assert shown == {"−2.00": "bold", f"{mean:.2f}": "light"}
    image = ax.images[0]
    assert image.get_clim() == pytest.approx((-2.0, 2.0), abs=0.01)
    assert image.get_array().mask.diagonal().all()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]


def test_density_has_the_mass_of_an_effect_and_the_spike_that_of_none(effects):
    ax = plots.effect_density(effects, "a", "c")
    curve, spike = ax.lines[0].get_xydata(), ax.lines[1].get_xydata()
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(0.75, abs=0.01)
    assert curve[np.argmax(curve[:, 1]), 0] == pytest.approx(0.5, abs=0.05)
    top = 1.12 * curve[:, 1].max()
    np.testing.assert_allclose(spike, [[0, 0], [0, 0.25 * top]])
    assert ax.texts[0].get_text() == "no effect: 25 %"
    bar = ax.lines[2].get_xdata()
    lower, upper = (bound.loc["a", "c"] for bound in effects.interval())
    assert list(bar) == [lower, upper]
    low, high = ax.get_xlim()
    assert low < 0 < high


def test_no_effect_at_all_is_a_spike_alone(effects):
    ax = plots.effect_density(effects, "c", "a", plt.figure().subplots())
    assert ax.texts[0].get_text() == "no effect: 100 %"
    assert len(ax.collections) == 0
    with pytest.raises(ValueError, match="there is no variable 'z'"):
        plots.effect_density(effects, "c", "z")


def test_sizes_among_categories_have_one_colour():
    table = dg.datasets.simulate_categorical(3, 100, random_state=0).table
    sizes = dg.ExactPosterior("bde").fit(table).posterior_.causal_effects(random_state=0)
    ax = plots.causal_effects(sizes)
    assert ax.images[0].get_cmap().name == "Blues"
    assert ax.images[0].get_clim()[0] == 0.0
    plots.effect_density(sizes, *table.columns[:2])
