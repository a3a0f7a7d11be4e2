from __future__ import annotations

import gzip
import itertools
import socket

import numpy as np
import pandas as pd
import pytest

from dag_gfn import datasets, graphs
from dag_gfn.datasets import CategoricalNetwork, GaussianNetwork, library

# Monte Carlo limits are this many standard errors; with a normal tail, one test in 10^8 would fail
# by chance if seeds were not fixed.
STANDARD_ERRORS = 6


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a data set must not be downloaded")

    monkeypatch.setattr(socket, "socket", refuse)


def joint_distribution(network: CategoricalNetwork) -> np.ndarray:
    """Probability of each configuration of all the variables, [states of 0, states of 1, ...]."""
    sizes = [len(states) for states in network.states]
    joint = np.empty(sizes)
    for configuration in np.ndindex(*sizes):
        joint[configuration] = np.prod(
            [
                table[tuple(np.array(configuration)[network.adjacency[:, j] == 1])][
                    configuration[j]
                ]
                for j, table in enumerate(network.probabilities)
            ]
        )
    return joint


def covariance(network: GaussianNetwork) -> np.ndarray:
    total_effects = np.linalg.inv(np.eye(len(network.names)) - network.coefficients)
    return total_effects.T @ np.diag(network.noise_sd**2) @ total_effects


# --- Sachs


def test_sachs_observational_cells_are_the_first_condition():
    table = datasets.load_sachs()
    everything, targets = datasets.load_sachs(interventions=True)
    assert table.shape == (853, 11)
    assert everything.shape == (7466, 11)
    pd.testing.assert_frame_equal(table, everything.head(853))
    assert (everything > 0).all(axis=None)
    assert set(everything.dtypes) == {np.dtype("float64")}
    assert targets.map(type).isin([str, type(None)]).all()
    assert targets.iloc[:1755].isna().all()
    assert targets.value_counts().to_dict() == {
        "PKC": 723 + 913,
        "Akt": 911,
        "PIP3": 848,
        "PIP2": 810,
        "Mek": 799,
        "PKA": 707,
    }


def test_sachs_truth_has_the_names_of_the_table_in_another_order():
    table = datasets.load_sachs()
    truth = datasets.true_graph("sachs")
    assert set(truth.columns) == set(table.columns)
    assert list(truth.index) == list(truth.columns)
    assert list(truth.columns) != list(table.columns)
    assert truth.loc["PKC", "PKA"] == 1
    assert truth.loc["PKA", "PKC"] == 0


def test_sachs_conditions_are_nine_and_have_one_target_each():
    table, targets, conditions = datasets.load_sachs(interventions=True, conditions=True)
    without = datasets.load_sachs(interventions=True)
    pd.testing.assert_frame_equal(table, without[0])
    pd.testing.assert_series_equal(targets, without[1])
    assert conditions.notna().all() and conditions.nunique() == 9
    assert (targets.fillna("none").groupby(conditions).nunique() == 1).all()
    assert set(conditions[targets == "PKC"]) == {"pma", "cd3cd28+g0076"}
    assert set(conditions[targets.isna()]) == {"cd3cd28", "cd3cd28+icam2"}
    with pytest.raises(ValueError, match="goes with interventions=True"):
        datasets.load_sachs(conditions=True)


def test_sachs_targets_are_accepted_as_interventions():
    from dag_gfn.scores.constraints import intervention_targets

    table, targets = datasets.load_sachs(interventions=True)
    numbers = intervention_targets(targets, tuple(table.columns), len(table))
    assert (numbers >= 0).sum() == targets.notna().sum()


# --- Networks of the literature


@pytest.mark.parametrize(
    ("name", "num_variables", "num_edges"),
    [
        ("asia", 8, 8),
        ("sachs", 11, 17),
        ("child", 20, 25),
        ("alarm", 37, 46),
        ("ecoli70", 46, 70),
        ("magic-niab", 44, 66),
        ("magic-irri", 64, 102),
        ("arth150", 107, 150),
    ],
)
def test_networks_have_their_published_sizes(name, num_variables, num_edges):
    truth = datasets.true_graph(name)
    assert truth.shape == (num_variables, num_variables)
    assert truth.to_numpy().sum() == num_edges
    assert graphs.is_acyclic(truth.to_numpy())


def test_networks_are_listed_by_kind():
    categorical = datasets.list_networks("categorical")
    gaussian = datasets.list_networks("gaussian")
    assert {"asia", "sachs", "child", "insurance", "alarm", "hailfinder"} <= set(categorical)
    assert gaussian == ["arth150", "ecoli70", "magic-irri", "magic-niab"]
    assert datasets.list_networks() == sorted(categorical + gaussian)


@pytest.mark.parametrize("name", ["asia", "alarm", "sachs"])
def test_probabilities_agree_with_pgmpy(name):
    from pgmpy.readwrite.BIF import BIFReader

    with gzip.open(library._folder() / f"{name}.bif.gz", "rt") as stream:
        model = BIFReader(string=stream.read()).get_model()
    network = datasets.load_network(name)
    assert set(network.names) == set(model.nodes())
    for j, variable in enumerate(network.names):
        family = [*np.flatnonzero(network.adjacency[:, j]), j]
        conditional = model.get_cpds(variable)
        assert {network.names[i] for i in family[:-1]} == set(model.get_parents(variable))
        for codes in itertools.product(*(range(len(network.states[i])) for i in family)):
            states = {
                network.names[i]: network.states[i][k] for i, k in zip(family, codes, strict=True)
            }
            # The files round their probabilities to about seven decimals; ours sum to one.
            assert network.probabilities[j][codes] == pytest.approx(
                conditional.get_value(**states), abs=2e-7
            )
        np.testing.assert_allclose(network.probabilities[j].sum(axis=-1), 1.0, rtol=1e-14)


def test_some_network_lists_parents_out_of_order():
    # Otherwise the test above would not see a wrong order of the axes.
    from pgmpy.readwrite.BIF import BIFReader

    with gzip.open(library._folder() / "alarm.bif.gz", "rt") as stream:
        reader = BIFReader(string=stream.read())
    position = {name: i for i, name in enumerate(reader.variable_names)}
    parents = [[position[p] for p in listed] for listed in reader.variable_parents.values()]
    assert any(listed != sorted(listed) for listed in parents)


@pytest.mark.parametrize("name", datasets.list_networks("gaussian"))
def test_gaussian_networks_have_a_coefficient_for_each_edge(name):
    network = datasets.load_network(name)
    np.testing.assert_array_equal(network.coefficients != 0, network.adjacency == 1)
    assert (network.noise_sd > 0).all()


def test_loaded_networks_cannot_be_changed_but_true_graphs_can():
    with pytest.raises(ValueError, match="read-only"):
        datasets.load_network("ecoli70").adjacency[0, 1] = 1
    graph = datasets.true_graph("ecoli70")
    graph.iloc[0, 1] = 1
    assert datasets.true_graph("ecoli70").iloc[0, 1] == 0


def test_variables_select_columns_of_the_same_draw():
    names = ["dysp", "smoke", "lung", "bronc", "xray"]
    whole = datasets.sample_network("asia", 300, random_state=3)
    part = datasets.sample_network("asia", 300, variables=names, random_state=3)
    pd.testing.assert_frame_equal(part, whole[names])
    assert all(column.dtype == "category" for _, column in part.items())


def test_asia_rows_follow_the_joint_distribution():
    network = datasets.load_network("asia")
    n = 20_000
    table = datasets.sample_network("asia", n, random_state=0)
    joint = joint_distribution(network)
    assert joint.sum() == pytest.approx(1.0, abs=1e-12)
    # "either" is the disjunction of "lung" and "tub", so impossible configurations must not occur.
    codes = np.stack([table[name].cat.codes for name in network.names])
    assert (joint[tuple(codes)] > 0).all()
    for first, second in itertools.combinations(range(len(network.names)), 2):
        others = tuple(k for k in range(len(network.names)) if k not in (first, second))
        expected = joint.sum(axis=others)
        counts = np.zeros_like(expected)
        np.add.at(counts, (codes[first], codes[second]), 1)
        limit = STANDARD_ERRORS * np.sqrt(expected * (1 - expected) / n) + 1e-12
        assert (abs(counts / n - expected) <= limit).all()


def test_ecoli70_rows_have_the_mean_and_covariance_of_the_network():
    network = datasets.load_network("ecoli70")
    n = 20_000
    values = datasets.sample_network("ecoli70", n, random_state=0).to_numpy()
    sigma = covariance(network)
    mean = network.intercepts @ np.linalg.inv(np.eye(len(sigma)) - network.coefficients)
    assert (
        abs(values.mean(axis=0) - mean) <= STANDARD_ERRORS * np.sqrt(sigma.diagonal() / n)
    ).all()
    # Var(s_ij) = (sigma_ii sigma_jj + sigma_ij^2) / n for Gaussian rows.
    limit = STANDARD_ERRORS * np.sqrt((np.outer(sigma.diagonal(), sigma.diagonal()) + sigma**2) / n)
    assert (abs(np.cov(values.T) - sigma) <= limit).all()


# --- Random graphs


@pytest.mark.parametrize("num_variables", [1, 2, 3, 5, 12])
def test_random_dags_are_acyclic(num_variables):
    rng = np.random.default_rng(0)
    dags = np.array([datasets.random_dag(num_variables, random_state=rng) for _ in range(50)])
    assert dags.dtype == np.int8
    assert graphs.is_acyclic(dags).all()


def test_random_dag_has_the_expected_number_of_edges():
    rng = np.random.default_rng(1)
    counts = [
        datasets.random_dag(10, edges_per_node=2.0, random_state=rng).sum() for _ in range(500)
    ]
    probability = 20 / 45
    assert np.mean(counts) == pytest.approx(
        20, abs=STANDARD_ERRORS * np.sqrt(45 * probability * (1 - probability) / 500)
    )


def test_random_dag_with_one_edge_is_uniform_over_directed_pairs():
    rng = np.random.default_rng(2)
    draws = 3000
    dags = [datasets.random_dag(3, num_edges=1, random_state=rng) for _ in range(draws)]
    total = np.sum(dags, axis=0, dtype=int)
    off_diagonal = total[~np.eye(3, dtype=bool)]
    assert total.trace() == 0
    limit = STANDARD_ERRORS * np.sqrt(draws * (1 / 6) * (5 / 6))
    assert (abs(off_diagonal - draws / 6) <= limit).all()


@pytest.mark.parametrize(("max_parents", "num_edges"), [(0, 0), (1, 7), (2, 13), (2, 4), (7, 28)])
def test_random_dag_honours_its_limits(max_parents, num_edges):
    dag = datasets.random_dag(8, num_edges=num_edges, max_parents=max_parents, random_state=0)
    assert dag.sum() == num_edges
    assert dag.sum(axis=0).max() <= max_parents


def test_random_dag_drops_edges_that_parents_leave_no_room_for():
    dag = datasets.random_dag(8, edges_per_node=3.5, max_parents=1, random_state=0)
    assert dag.sum() == 7


# --- Simulators


def test_simulated_measurements_have_the_covariance_of_their_network():
    n = 20_000
    simulation = datasets.simulate_linear_gaussian(
        datasets.random_dag(5, num_edges=5, random_state=0),
        n,
        noise_sd=[0.5, 1.0, 2.0, 1.0, 0.1],
        random_state=1,
    )
    sigma = covariance(simulation.network)
    limit = STANDARD_ERRORS * np.sqrt((np.outer(sigma.diagonal(), sigma.diagonal()) + sigma**2) / n)
    assert (abs(np.cov(simulation.table.to_numpy().T) - sigma) <= limit).all()
    magnitudes = abs(simulation.network.coefficients[simulation.adjacency == 1])
    assert magnitudes.min() >= 0.5
    assert magnitudes.max() <= 2.0


def test_simulated_categories_follow_the_joint_distribution():
    n = 20_000
    dag = [[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    simulation = datasets.simulate_categorical(dag, n, num_states=[2, 3, 2, 4], random_state=0)
    joint = joint_distribution(simulation.network)
    counts = np.zeros_like(joint)
    np.add.at(counts, tuple(column.cat.codes for _, column in simulation.table.items()), 1)
    limit = STANDARD_ERRORS * np.sqrt(joint * (1 - joint) / n) + 1 / n
    assert (abs(counts / n - joint) <= limit).all()


def test_standardising_changes_the_scale_alone():
    dag = datasets.random_dag(5, random_state=0)
    raw = datasets.simulate_linear_gaussian(dag, 100, random_state=1).table
    scaled = datasets.simulate_linear_gaussian(dag, 100, standardize=True, random_state=1).table
    np.testing.assert_allclose(scaled.mean(), 0, atol=1e-12)
    assert (scaled.std(ddof=0) / scaled.std(ddof=0).iloc[0]).to_numpy() == pytest.approx(1.0)
    np.testing.assert_allclose(scaled.corr(), raw.corr(), atol=1e-12)


def test_interventions_cut_the_edges_into_their_target():
    n = 4000
    targets = ["effect"] * n + [None] * n
    names = ["cause", "effect"]
    dag = pd.DataFrame([[0, 1], [0, 0]], index=names, columns=names)
    table = datasets.simulate_linear_gaussian(
        dag, 2 * n, interventions=targets, random_state=0
    ).table
    # The null standard error of a correlation is 1 / sqrt(n).
    assert abs(table.head(n).corr().loc["cause", "effect"]) <= STANDARD_ERRORS / np.sqrt(n)
    assert abs(table.tail(n).corr().loc["cause", "effect"]) >= 0.4
    assert table.head(n)["effect"].std() == pytest.approx(1.0, abs=STANDARD_ERRORS / np.sqrt(2 * n))

    copy = CategoricalNetwork(
        names=("cause", "effect"),
        adjacency=np.array([[0, 1], [0, 0]], dtype=np.int8),
        states=(("a", "b"), ("a", "b")),
        probabilities=(np.array([0.1, 0.9]), np.eye(2)),
    )
    table = datasets.sample_categorical(copy, 2 * n, interventions=targets, random_state=0)
    agree = (table["cause"] == table["effect"]).to_numpy()
    limit = STANDARD_ERRORS * 0.5 / np.sqrt(n)
    assert agree[n:].all()
    assert agree[:n].mean() == pytest.approx(0.5, abs=limit)
    assert (table["effect"].head(n) == "a").mean() == pytest.approx(0.5, abs=limit)
    assert (table["cause"] == "a").mean() == pytest.approx(0.1, abs=limit)


def test_names_come_from_the_graph():
    names = ["rain", "wet"]
    dag = pd.DataFrame([[0, 1], [0, 0]], index=names, columns=names)
    simulation = datasets.simulate_categorical(dag, 20, random_state=0)
    assert list(simulation.table.columns) == names
    pd.testing.assert_frame_equal(simulation.graph, dag.astype("int8"))
    assert list(datasets.simulate_linear_gaussian(3, 20, random_state=0).graph) == [
        "X0",
        "X1",
        "X2",
    ]


@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: datasets.random_dag(8, random_state=seed),
        lambda seed: datasets.simulate_linear_gaussian(4, 20, random_state=seed).table,
        lambda seed: datasets.simulate_categorical(4, 20, num_states=5, random_state=seed).table,
        lambda seed: datasets.sample_network("ecoli70", 20, random_state=seed),
        lambda seed: datasets.sample_network("asia", 20, random_state=seed),
    ],
)
def test_seeds_repeat_and_generators_move_on(draw):
    np.testing.assert_array_equal(draw(5), draw(5))
    np.testing.assert_array_equal(draw(5), draw(np.random.default_rng(5)))
    rng = np.random.default_rng(5)
    assert not np.array_equal(draw(rng), draw(rng))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.load_network("asla"), "no network 'asla'; .* asia"),
        (lambda: datasets.load_network("../asia"), "no network"),
        (lambda: datasets.list_networks("normal"), "kind is 'normal'"),
        (lambda: datasets.sample_network("ecoli70", 0), "num_rows is 0"),
        (lambda: datasets.sample_network("ecoli70", 9, variables=["x"]), "no variable 'x'"),
        (
            lambda: datasets.sample_network("ecoli70", 9, variables=["lacA", "lacA"]),
            "'lacA' twice",
        ),
        (
            lambda: datasets.sample_network("ecoli70", 2, interventions=["lac", None]),
            "'lac'",
        ),
        (lambda: datasets.random_dag(0), "num_variables is 0"),
        (lambda: datasets.random_dag(4, num_edges=7), "between 0 and 6"),
        (lambda: datasets.random_dag(4, num_edges=4, max_parents=1), "between 0 and 3"),
        (lambda: datasets.random_dag(4, edges_per_node=1.6), "between 0 and 1.5"),
        (lambda: datasets.random_dag(4, max_parents=-1), "max_parents is -1"),
        (lambda: datasets.simulate_linear_gaussian([[0, 1], [1, 0]], 9), "cycle"),
        (lambda: datasets.simulate_linear_gaussian([0, 1], 9), "shape"),
        (lambda: datasets.simulate_linear_gaussian(3, 9, noise_sd=[1.0, 1.0]), "noise_sd"),
        (lambda: datasets.simulate_linear_gaussian(3, 9, noise_sd=[1, 0, 1]), "'X1'"),
        (lambda: datasets.simulate_linear_gaussian(3, 9, weight_range=(2, 1)), "weight_range"),
        (lambda: datasets.simulate_linear_gaussian(3, 9, interventions=["X0"]), "1 targets for 9"),
        (lambda: datasets.simulate_categorical(3, 9, num_states=[2, 1, 2]), "'X1'"),
        (lambda: datasets.simulate_categorical(3, 9, num_states=[2, 2]), "num_states"),
        (lambda: datasets.simulate_categorical(3, 9, concentration=0.0), "concentration is 0"),
        (
            lambda: datasets.simulate_categorical(
                pd.DataFrame(np.zeros((2, 2), int), index=["a", "b"], columns=["b", "a"]), 9
            ),
            "one order",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
