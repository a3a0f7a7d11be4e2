"""Fingerprints: equal for the same scores, and different by what differs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dag_gfn.scores import local_scores
from dag_gfn.scores.fingerprint import fingerprint


def table() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=list("abc"))


def of(frame: pd.DataFrame, **words) -> dict[str, str | int]:
    scores = local_scores(frame, **words)
    return fingerprint(scores, [scores.table(), np.float64(0.5), np.zeros((0, 2))])


def test_the_same_table_has_the_same_fingerprint():
    assert of(table()) == of(table())
    assert all(value == 2 or str(value).startswith("sha256:") for value in of(table()).values())


@pytest.mark.parametrize(
    ("frame", "words", "differing"),
    [
        (table().rename(columns={"b": "z"}), {}, {"columns"}),
        (table() + np.eye(30, 3, -1) * 1e-9, {}, {"local scores"}),
        (table(), {"score_params": {"alpha_mu": 2.0}}, {"local scores"}),
        (table(), {"prior": "fair"}, {"prior", "local scores"}),
        (table(), {"edge_probabilities": {("a", "b"): 0.6}}, {"prior", "local scores"}),
        (table(), {"max_parents": 1}, {"max_parents", "local scores"}),
        (table(), {"required_edges": [("a", "b")]}, {"required edges", "local scores"}),
        (table(), {"forbidden_edges": [("a", "b")]}, {"forbidden edges", "local scores"}),
    ],
)
def test_what_differs_is_told(frame, words, differing):
    one, other = of(table()), of(frame, **words)
    assert {name for name in one if one[name] != other[name]} == differing


def test_shapes_and_types_count_as_well_as_bytes():
    scores = local_scores(table())
    read = [np.arange(6), np.arange(6).reshape(2, 3), np.arange(6).view(np.uint64)]
    digests = {fingerprint(scores, [array])["local scores"] for array in read}
    assert len(digests) == 3
