"""Tables, small settings, and a policy that is a table, for the tests of flows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln, logsumexp

from dag_gfn.gflownet import POLICIES, Flow, Settings
from dag_gfn.gflownet.policy import Observation, PolicyOutput
from dag_gfn.gflownet.training import init, make_problem
from dag_gfn.graphs import all_dags
from dag_gfn.scores import LocalScores, local_scores

# The tests compile many small programs and run each for a moment only.
jax.config.update("jax_disable_most_optimizations", True)


def gaussian_table(num_variables: int, num_rows: int = 30, seed: int = 0) -> np.ndarray:
    """Correlated measurements with unit variance."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(num_rows, num_variables))
    values = noise @ np.triu(rng.uniform(-1, 1, size=(num_variables, num_variables)), 1) + noise
    return values / values.std(axis=0)


def categorical_table(num_variables: int, num_rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """Dependent columns with two or three states."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, size=(num_rows, num_variables))
    for j in range(1, num_variables):
        copied = rng.random(num_rows) < 0.5
        codes[copied, j] = codes[copied, j - 1] + j % 2
    return pd.DataFrame(codes, columns=[f"v{j}" for j in range(num_variables)]).astype("category")


def code_of(adjacency: Any) -> Any:
    """Number each graph, [..., d, d] -> [...], for numpy and jax alike."""
    flat = adjacency.reshape(*adjacency.shape[:-2], -1)
    return (flat * 2 ** np.arange(flat.shape[-1])).sum(axis=-1)


def _tabular() -> hk.Transformed:

    def init_params(key: jax.Array, observation: Observation) -> dict[str, jax.Array]:
        d = observation.adjacency.shape[1]
        return {
            "log_stop": jnp.zeros(2 ** (d * d)),
            "log_edges": jnp.full((2 ** (d * d), d * d), -jnp.inf),
        }

    def apply(params: dict[str, jax.Array], observation: Observation) -> PolicyOutput:
        code = code_of(observation.adjacency)
        return PolicyOutput(params["log_stop"][code], params["log_edges"][code])

    return hk.Transformed(init_params, apply)


class Tabular:
    """Log-probabilities of a policy, written down for every graph; ``d <= 4``."""

    settings = Settings(
        policy="tabular",
        window=6,
        num_environments=16,
        batch_size=16,
        replay_rows=64,
        num_parent_sets=8,
    )

    def __init__(self, scores: LocalScores) -> None:
        d = scores.num_variables
        self.scores = scores
        self.graphs = all_dags(d)
        self.log_r = scores.log_score(self.graphs)
        self.allowed = np.isfinite(self.log_r)
        self.graphs, self.log_r = self.graphs[self.allowed], self.log_r[self.allowed]
        self.num_added = self.graphs.sum(axis=(1, 2)) - scores.required.sum()
        code = code_of(self.graphs.astype(np.int64))
        self.place = {int(c): row for row, c in enumerate(code)}
        # The transitions: rows of the graphs before and after, and the edge that is added.
        steps = [
            (source, action, self.place[int(c) + 2**action])
            for source, c in enumerate(code)
            for action in range(d * d)
            if not int(c) >> action & 1 and int(c) + 2**action in self.place
        ]
        self.source, self.action, self.target = np.array(steps).T

    def exact(self) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of the exact flow, of stopping [N] and of each edge [N, d * d].

        F(s) = sum over G that contain s of R(G) / C(|G|, |s|), with edges counted from the
        initial graph.
        """
        inside = np.all(self.graphs[:, None] <= self.graphs[None], axis=(2, 3))  # [s, G]
        few, many = (
            self.num_added[:, None],
            np.maximum(self.num_added[None], self.num_added[:, None]),
        )
        log_choices = gammaln(many + 1) - gammaln(few + 1) - gammaln(many - few + 1)
        log_flow = logsumexp(np.where(inside, self.log_r[None] - log_choices, -np.inf), axis=1)
        log_edges = self._no_edges()
        log_edges[self.source, self.action] = (
            log_flow[self.target] - np.log(self.num_added[self.target]) - log_flow[self.source]
        )
        return self.log_r - log_flow, log_edges

    def uniform(self) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of the policy to which all legal actions are alike."""
        num_legal = np.bincount(self.source, minlength=len(self.graphs))
        log_edges = self._no_edges()
        log_edges[self.source, self.action] = -np.log1p(num_legal)[self.source]
        return -np.log1p(num_legal), log_edges

    def flow(self, log_stop: np.ndarray, log_edges: np.ndarray) -> Flow:
        """A flow whose policy is this table."""
        d = self.scores.num_variables
        code = code_of(self.graphs.astype(np.int64))
        stop = np.zeros(2 ** (d * d))
        edges = np.full((2 ** (d * d), d * d), -np.inf)
        stop[code], edges[code] = log_stop, log_edges
        params = {
            "log_stop": jnp.asarray(stop, jnp.float32),
            "log_edges": jnp.asarray(edges, jnp.float32),
        }
        problem, gains_function = make_problem(self.scores, self.settings)
        return Flow(problem, gains_function, self.settings, params, pd.DataFrame())

    def _no_edges(self) -> np.ndarray:
        return np.full((len(self.graphs), self.graphs.shape[1] ** 2), -np.inf)


@pytest.fixture
def tabular(monkeypatch: pytest.MonkeyPatch) -> type[Tabular]:
    """A policy of its own name, registered for the time of one test."""
    monkeypatch.setitem(POLICIES, "tabular", _tabular)
    return Tabular


@pytest.fixture(scope="session")
def small_of() -> Iterator[Callable[[str], Settings]]:
    """A function from the name of a policy to settings that train a narrow one of its kind.

    One set of sizes for all tests, since each other one is compiled anew.
    """
    narrow = {name: f"narrow_{name}" for name in POLICIES}
    for name in narrow:
        POLICIES[narrow[name]] = partial(POLICIES[name], 16, 1)
    yield lambda policy: Settings(
        policy=narrow[policy],
        window=4,
        batch_size=32,
        num_environments=8,
        replay_rows=256,
        num_parent_sets=16,
    )
    for name in narrow.values():
        del POLICIES[name]


@pytest.fixture(scope="session")
def small(small_of: Callable[[str], Settings]) -> Settings:
    """The settings of the default policy."""
    return small_of("node")


@pytest.fixture(scope="session")
def gaussian_scores() -> Any:
    """A function from a number of variables and the words of `local_scores` to BGe scores."""

    def make(num_variables: int, *, seed: int = 0, num_rows: int = 30, **words: Any) -> LocalScores:
        return local_scores(gaussian_table(num_variables, num_rows, seed), **words)

    return make


@pytest.fixture(scope="session")
def categorical_scores() -> Any:
    """The same for BDeu."""

    def make(num_variables: int, *, seed: int = 0, num_rows: int = 60, **words: Any) -> LocalScores:
        return local_scores(categorical_table(num_variables, num_rows, seed), "bde", **words)

    return make


@pytest.fixture(scope="session")
def untrained() -> Any:
    """A function that makes a flow of random parameters, the last layers' included."""

    def make(scores: LocalScores, settings: Settings, *, noise: float = 0.2, seed: int = 0) -> Flow:
        problem, gains_function = make_problem(scores, settings)
        params = init(problem, settings, jax.random.key(seed)).params
        leaves, structure = jax.tree.flatten(params)
        keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
        noisy = [
            leaf + noise * jax.random.normal(key, leaf.shape)
            for leaf, key in zip(leaves, keys, strict=True)
        ]
        params = jax.tree.unflatten(structure, noisy)
        return Flow(problem, gains_function, settings, params, pd.DataFrame())

    return make


@pytest.fixture(scope="session")
def names_in_the_guide() -> dict[str, Any]:
    """Return what the Python in CONTRIBUTING.md defines."""
    guide = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec("".join(re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)), names)
    return names
