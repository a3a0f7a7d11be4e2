"""Tables and graphs of other libraries go in, posteriors and networks come out, names and all."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pydot
import pytest
from pgmpy.base import DAG
from pgmpy.readwrite import BIFReader
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

import dag_gfn as dg

NAMES = ["dose, mg", "Blut→druck", 'the "third"']


@pytest.fixture(scope="module")
def measurements() -> pd.DataFrame:
    table = dg.datasets.simulate_linear_gaussian(3, 80, random_state=0).table
    return table.set_axis(NAMES, axis=1)


@pytest.fixture(scope="module")
def categories() -> pd.DataFrame:
    table = dg.datasets.simulate_categorical(3, 80, num_states=3, random_state=0).table
    states = ["high", "low", "mid"]
    return table.apply(lambda column: column.astype(int).map(dict(enumerate(states))))


def exact(**settings) -> dg.ExactPosterior:
    return dg.ExactPosterior(**settings)


# --- tables --------------------------------------------------------------------------------------


def test_a_polars_table_is_a_pandas_table(measurements, categories):
    for table, score in ((measurements, "bge"), (categories, "bde")):
        targets = [None] * 60 + [table.columns[1]] * 20
        expected = exact(score=score).fit(table, interventions=targets).edge_marginals_
        fitted = exact(score=score).fit(
            pl.from_pandas(table), interventions=pl.Series(targets, dtype=pl.String)
        )
        pd.testing.assert_frame_equal(fitted.edge_marginals_, expected)
        assert fitted.feature_names_in_.tolist() == list(table.columns)


def test_categories_of_polars_keep_states_that_never_occur(categories):
    kinds = pl.Enum(["high", "low", "mid", "never"])
    declared = pl.from_pandas(categories).with_columns(pl.all().cast(kinds))
    in_pandas = categories.astype(pd.CategoricalDtype(["high", "low", "mid", "never"]))
    one, other = (
        dg.local_scores(table, score="bde").local_score(0, [1]) for table in (declared, in_pandas)
    )
    assert one == other != dg.local_scores(categories, score="bde").local_score(0, [1])


def test_files_keep_names_and_values(measurements, tmp_path):
    from dag_gfn.tables import read_table

    measurements.to_csv(tmp_path / "table.csv", index=False)
    measurements.to_parquet(tmp_path / "table.parquet")
    for name in ("table.csv", "table.parquet"):
        pd.testing.assert_frame_equal(read_table(tmp_path / name), measurements)


# --- scikit-learn --------------------------------------------------------------------------------


def test_a_standardiser_in_a_pipeline_is_the_setting(measurements):
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, exact()).fit(measurements)
    expected = exact(standardize=True).fit(measurements).edge_marginals_
    pd.testing.assert_frame_equal(pipeline[-1].edge_marginals_, expected)
    # The scores are of the standardised values, so that they differ by the change of units.
    assert np.isfinite(cross_val_score(clone(pipeline), measurements, cv=3)).all()


def test_a_discretiser_in_a_pipeline_makes_categories(measurements):
    discretiser = KBinsDiscretizer(3, encode="ordinal", strategy="uniform")
    discretiser.set_output(transform="pandas")
    pipeline = make_pipeline(discretiser, exact(score="bde")).fit(measurements)
    codes = discretiser.fit_transform(measurements).astype(int)
    expected = exact(score="bde").fit(codes).edge_marginals_
    pd.testing.assert_frame_equal(pipeline[-1].edge_marginals_, expected)
    searched = GridSearchCV(pipeline, {"exactposterior__prior": ["uniform", "fair"]}, cv=2)
    assert np.isfinite(searched.fit(measurements).best_score_)


def test_fractions_are_no_categories(measurements):
    with pytest.raises(ValueError, match="holds floating-point numbers that are not whole"):
        exact(score="bde").fit(measurements)
    whole = measurements.round().clip(-1, 1)
    expected = exact(score="bde").fit(whole.astype(int)).edge_marginals_
    pd.testing.assert_frame_equal(exact(score="bde").fit(whole).edge_marginals_, expected)


# --- graphs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [nx.DiGraph, DAG])
def test_graphs_of_other_libraries_say_what_is_known(kind, measurements):
    known = kind()
    known.add_edges_from([(NAMES[0], NAMES[1])])
    expected = exact().fit(measurements, required_edges=[(NAMES[0], NAMES[1])])
    fitted = exact().fit(measurements, required_edges=known)
    pd.testing.assert_frame_equal(fitted.edge_marginals_, expected.edge_marginals_)
    truth = kind()
    truth.add_nodes_from(NAMES)
    truth.add_edges_from([(NAMES[0], NAMES[1])])
    shd = dg.metrics.expected_shd(fitted.posterior_, truth)
    assert shd == dg.metrics.expected_shd(fitted.posterior_, dg.graphs.from_networkx(truth))
    with pytest.raises(TypeError, match="the graph of forbidden edges has no directions"):
        exact().fit(measurements, forbidden_edges=nx.Graph(known))


def test_draws_go_to_networkx_and_pgmpy_and_back(measurements):
    posterior = exact().fit(measurements).posterior_
    for i in (0, 7):
        expected = pd.DataFrame(posterior.adjacency[i], NAMES, NAMES)
        for back in (
            dg.graphs.from_networkx(posterior.to_networkx(i)),
            dg.graphs.from_pgmpy(posterior.to_pgmpy(i)),
        ):
            pd.testing.assert_frame_equal(back, expected)


# pydot still uses names that pyparsing is about to drop.
in_dot = pytest.mark.filterwarnings("ignore:.*deprecated - use:DeprecationWarning")


def parsed(text: str) -> nx.Graph:
    """Return a graph in DOT as pydot reads it, without the quotation marks that it keeps."""

    def plain(name: str) -> str:
        return name[1:-1].replace('\\"', '"').replace("\\\\", "\\")

    (dot,) = pydot.graph_from_dot_data(text)
    graph = nx.DiGraph() if dot.get_type() == "digraph" else nx.Graph()
    graph.add_nodes_from(plain(node.get_name()) for node in dot.get_nodes())
    for edge in dot.get_edges():
        label = edge.get_label()
        graph.add_edge(plain(edge.get_source()), plain(edge.get_destination()), label=label)
    return graph


@in_dot
@pytest.mark.parametrize("number", [0, 5, 24])
def test_dot_is_read_as_the_graph_that_was_written(number):
    names = [*NAMES[:2], "back\\slash"]
    adjacency = pd.DataFrame(dg.graphs.all_dags(3)[number], names, names)
    expected = dg.graphs.to_networkx(adjacency)
    for graph in (parsed(dg.graphs.to_dot(adjacency)), parsed(dg.graphs.to_dot(expected))):
        assert list(graph) == names
        assert set(graph.edges) == set(expected.edges)


@in_dot
def test_dot_of_a_consensus_has_its_probabilities(measurements):
    posterior = exact().fit(measurements).posterior_
    for skeleton in (False, True):
        consensus = posterior.consensus(0.2, skeleton=skeleton)
        graph = parsed(dg.graphs.to_dot(consensus))
        assert graph.is_directed() != skeleton
        labels = {
            edge: f'"{p:.2f}"'
            for *edge, p in map(list, consensus.edges(data="probability"))
            for edge in [tuple(edge)]
        }
        assert {(a, b): label for a, b, label in graph.edges(data="label")} == labels
    with pytest.raises(TypeError, match="a networkx graph has its own"):
        dg.graphs.to_dot(consensus, names=NAMES)


# --- networks and tables of results --------------------------------------------------------------


def test_a_network_in_bif_is_read_as_the_one_that_was_written(categories):
    posterior = exact(score="bde").fit(categories).posterior_
    networks = posterior.sample_parameters(3, random_state=0)
    expected = networks.to_pgmpy(1)
    found = BIFReader(string=networks.to_bif(1)).get_model()
    assert set(found.edges) == set(expected.edges)
    for table in expected.get_cpds():
        other = found.get_cpds(table.variable)
        assert other.state_names[table.variable] == table.state_names[table.variable]
        assert other == table


def test_what_bif_has_no_words_for_is_refused(categories):
    renamed = categories.rename(columns={"X1": "body mass"})
    networks = exact(score="bde").fit(renamed).posterior_.sample_parameters(1, random_state=0)
    with pytest.raises(ValueError, match="name 'body mass' cannot stand in a BIF file"):
        networks.to_bif(0)
    restated = categories.replace("low", "very low")
    networks = exact(score="bde").fit(restated).posterior_.sample_parameters(1, random_state=0)
    with pytest.raises(ValueError, match="state of 'X0' 'very low' cannot stand"):
        networks.to_bif(0)


def test_a_table_of_pairs_survives_files(measurements, tmp_path):
    model = exact().fit(measurements)
    frame = model.posterior_.to_frame()
    assert len(frame) == 6 and frame["edge"].is_monotonic_decreasing
    for row in frame.itertuples():
        assert row.edge == model.posterior_.edge_marginals().loc[row.cause, row.effect]
        assert row.path == model.posterior_.path_marginals().loc[row.cause, row.effect]
    frame.to_parquet(tmp_path / "pairs.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "pairs.parquet"), frame)
    frame.to_csv(tmp_path / "pairs.csv", index=False)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "pairs.csv"), frame)
    marginals = model.posterior_.edge_marginals()
    marginals.to_parquet(tmp_path / "marginals.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "marginals.parquet"), marginals)


def test_arviz_keeps_names(measurements):
    tree = exact().fit(measurements).posterior_.to_arviz(num_draws=10, random_state=0)
    assert tree["posterior"]["edge"].coords["cause"].to_numpy().tolist() == NAMES
