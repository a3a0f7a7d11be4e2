"""Partially directed graphs and the DAGs they stand for, against all DAGs there are."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest

from dag_gfn.graphs import (
    all_dags,
    consistent_extension,
    cpdag,
    num_members,
    random_member,
    skeleton,
)


def classes(num_variables):
    """The patterns of all classes and how many DAGs each has."""
    patterns, counts = np.unique(cpdag(all_dags(num_variables)), axis=0, return_counts=True)
    return patterns, counts


@pytest.mark.parametrize(("num_variables", "num_classes"), [(3, 11), (4, 185)])
def test_members_are_counted_as_enumeration_counts_them(num_variables, num_classes):
    patterns, counts = classes(num_variables)
    assert len(patterns) == num_classes
    assert [num_members(pattern) for pattern in patterns] == counts.tolist()


def test_classes_beyond_enumeration():
    complete = 1 - np.eye(30, dtype=int)
    assert num_members(complete) == factorial(30)
    path = np.eye(40, k=1, dtype=int) + np.eye(40, k=-1, dtype=int)
    assert num_members(path) == 40
    both = np.zeros((12, 12), dtype=int)
    both[:5, :5] = complete[:5, :5]
    both[5:, 5:] = path[:7, :7]
    assert num_members(both) == factorial(5) * 7
    # Two triangles that share an edge, the smallest case that is neither a tree nor complete.
    diamond = 1 - np.eye(4, dtype=int)
    diamond[0, 3] = diamond[3, 0] = 0
    assert num_members(diamond) == 10


def test_every_draw_is_a_member():
    rng = np.random.default_rng(0)
    for pattern in classes(4)[0]:
        assert np.array_equal(cpdag(random_member(pattern, rng)), pattern)


def test_members_are_drawn_with_equal_probability():
    diamond = 1 - np.eye(4, dtype=int)
    diamond[0, 3] = diamond[3, 0] = 0
    rng = np.random.default_rng(0)
    draws = np.stack([random_member(diamond, rng) for _ in range(5000)])
    _, counts = np.unique(draws, axis=0, return_counts=True)
    assert len(counts) == 10
    standard_error = np.sqrt(5000 * 0.1 * 0.9)
    assert np.abs(counts - 500).max() < 4.5 * standard_error


def test_the_extension_of_a_class_is_a_member():
    for pattern in classes(4)[0]:
        assert np.array_equal(cpdag(consistent_extension(pattern)), pattern)


def test_extensions_exist_exactly_where_some_dag_fits():
    rng = np.random.default_rng(1)
    dags = all_dags(4)
    bones = skeleton(dags)
    triples = [_triples(dag) for dag in dags]
    found = 0
    for _ in range(200):
        pattern = np.zeros((4, 4), dtype=int)
        for i in range(4):
            for j in range(i):
                pattern[i, j], pattern[j, i] = [(0, 0), (1, 0), (0, 1), (1, 1)][rng.integers(4)]
        joined = (pattern | pattern.T).astype(bool)
        directed = (pattern == 1) & (pattern.T == 0)
        own = _triples(directed, joined)
        fits = (bones == joined).all(axis=(1, 2)) & (dags >= directed).all(axis=(1, 2))
        fits &= np.array([np.array_equal(triple, own) for triple in triples])
        extension = consistent_extension(pattern)
        assert (extension is not None) == fits.any()
        if extension is not None:
            found += 1
            assert any(np.array_equal(extension, dag) for dag in dags[fits])
    assert 20 < found < 180


def _triples(directed, joined=None):
    """Entry [i, j, k] says that i -> k <- j and that i and j are not joined."""
    into = directed.astype(bool)
    joined = into | into.T if joined is None else joined
    found = into[:, None, :] & into[None, :, :] & ~joined[:, :, None]
    found[np.eye(len(into), dtype=bool)] = False
    return found
