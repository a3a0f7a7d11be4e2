"""A file that was damaged is read as it was written, or refused; nothing else happens."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as arrays

import dag_gfn as dg
from dag_gfn.checkpoint import CheckpointError, read_file, write_file
from dag_gfn.checkpoint.files import Stored
from dag_gfn.posterior import Posterior

KINDS = ("plain", "linear_gaussian", "categorical")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a saved posterior of each kind, and a checkpoint."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.normal(size=(20, 3)), columns=list("abc"))
    words = pd.DataFrame(rng.integers(2, size=(20, 3)), columns=list("abc"))
    fits = {"linear_gaussian": (numbers, "bge"), "categorical": (words, "bde")}
    for kind, (table, score) in fits.items():
        dg.ExactPosterior(score=score).fit(table).posterior_.save(folder / f"{kind}.npz")
    plain = Posterior(
        [np.zeros((2, 2), int)] * 3, [0, -np.inf, 1], ["a", "é"], method="none", metadata={"k": [1]}
    )
    plain.save(folder / "plain.npz")
    write_file(folder / "checkpoint.npz", {"step": 3}, {"a": np.arange(5.0), "b": np.zeros(0)})
    return folder


def same(first: Posterior, second: Posterior) -> bool:
    """Return whether two posteriors are equal in all that is saved."""
    facts = [
        (one.names, one.exact, one.method, one.metadata, repr(one.log_evidence))
        for one in (first, second)
    ]
    if facts[0] != facts[1] or (first.mechanisms is None) != (second.mechanisms is None):
        return False
    pairs = [(first.adjacency, second.adjacency), (first.log_weights, second.log_weights)]
    if first.mechanisms is not None:
        (saved, about), (other, other_about) = (one.mechanisms.arrays() for one in (first, second))
        if about != other_about or saved.keys() != other.keys():
            return False
        pairs += [(saved[name], other[name]) for name in saved]
    return all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)


def loaded(path: Path) -> Posterior | None:
    """Return what a file holds, None if it is refused."""
    try:
        return Posterior.load(path)
    except ValueError as error:
        assert str(error).endswith("."), error
        return None


def damaged(content: bytes, flips: list[tuple[float, int]], cut: float) -> bytes:
    """Return a file with some bits turned over, and cut short."""
    changed = bytearray(content)
    for place, mask in flips:
        changed[int(place * len(changed))] ^= mask
    return bytes(changed[: round(cut * len(changed))])


PLACES = st.floats(0, 1, exclude_max=True)
FLIPS = st.lists(st.tuples(PLACES, st.integers(1, 255)), max_size=3)
CUTS = st.just(1.0) | PLACES


@pytest.mark.parametrize("kind", KINDS)
@given(flips=FLIPS, cut=CUTS)
def test_a_damaged_posterior(folder: Path, kind: str, flips, cut: float) -> None:
    whole = folder / f"{kind}.npz"
    path = folder / "damaged.npz"
    path.write_bytes(damaged(whole.read_bytes(), flips, cut))
    posterior = loaded(path)
    assert posterior is None or same(posterior, Posterior.load(whole))


@pytest.mark.parametrize("kind", KINDS)
def test_a_posterior_whose_list_of_entries_is_damaged(folder: Path, kind: str) -> None:
    """A name that changed, or entries that became a comment or more of the one before."""
    saved = Posterior.load(folder / f"{kind}.npz")
    whole, path = (folder / f"{kind}.npz").read_bytes(), folder / "damaged.npz"
    start = whole.index(b"PK\x01\x02")
    while start >= 0:
        for place in (29, 31, 33, 46):  # lengths of name, extra field and comment; the name
            changed = bytearray(whole)
            changed[start + place] ^= 0x40
            path.write_bytes(changed)
            posterior = loaded(path)
            assert posterior is None or same(posterior, saved)
        start = whole.find(b"PK\x01\x02", start + 1)


@given(flips=FLIPS, cut=CUTS)
def test_a_damaged_checkpoint(folder: Path, flips, cut: float) -> None:
    whole = folder / "checkpoint.npz"
    path = folder / "damaged.npz"
    path.write_bytes(damaged(whole.read_bytes(), flips, cut))
    try:
        stored: Stored = read_file(path)
    except CheckpointError:
        return
    assert stored.header == read_file(whole).header
    assert {name: array.tolist() for name, array in stored.arrays.items()} == {
        "a": [0.0, 1.0, 2.0, 3.0, 4.0],
        "b": [],
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
ARRAYS = st.one_of(
    arrays.arrays(
        st.sampled_from([np.uint8, np.int64, np.float64, bool, np.complex128, "U2", "S2"]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        fill=st.nothing(),
    ),
    JSON.map(lambda value: np.array(json.dumps(value))),
    st.sampled_from(["", "{", "[" * 3000, "NaN"]).map(np.array),
)


@st.composite
def changes(draw, kind: str) -> dict[str, np.ndarray | None]:
    """Draw other values of some entries; None takes an entry away."""
    names = {
        "plain": ["format", "names", "edges", "log_weights", "about", "mechanisms", "extra"],
        "linear_gaussian": ["about", "mechanisms", "mechanisms.scale", "mechanisms.version"],
        "categorical": ["about", "mechanisms", "mechanisms.codes", "mechanisms.counts"],
    }[kind]
    return draw(st.dictionaries(st.sampled_from(names), st.none() | ARRAYS, min_size=1, max_size=2))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_posterior_with_other_entries(folder: Path, kind: str, data) -> None:
    """A file that somebody else has made: what is loaded is whole, or it is refused."""
    with np.load(folder / f"{kind}.npz") as stored:
        entries = dict(stored)
    for name, array in data.draw(changes(kind)).items():
        entries.pop(name, None)
        if array is not None:
            entries[name] = array
    check_whole(folder, entries)


def check_whole(folder: Path, entries: dict[str, np.ndarray]) -> None:
    path = folder / "changed.npz"
    np.savez(path, **entries)
    posterior = loaded(path)
    if posterior is None:
        return
    edges = posterior.edge_marginals().to_numpy()
    assert ((edges >= 0) & (edges <= 1 + 1e-12)).all()
    assert isinstance(posterior.method, str) and isinstance(posterior.metadata, dict)
    repr(posterior)
    posterior.save(path)
    assert same(Posterior.load(path), posterior)


ABOUT = {"log_evidence": None, "exact": False, "method": "", "metadata": {}}


@given(
    about=st.dictionaries(
        st.sampled_from([*ABOUT, "names", "mechanisms", "adjacency", "else"]), JSON
    )
)
@example(about={"else": 1})
@example(about={"log_evidence": []})
@example(about={"mechanisms": 3})
@example(about={"log_evidence": "x"})
@example(about={"metadata": [1]})
@example(about={"exact": True, "log_evidence": 10**400})
def test_a_posterior_with_other_facts(folder: Path, about) -> None:
    with np.load(folder / "plain.npz") as stored:
        entries = dict(stored)
    entries["about"] = np.array(json.dumps(ABOUT | about))
    check_whole(folder, entries)


@given(content=st.binary(max_size=200), magic=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY"]))
def test_any_bytes_are_no_posterior(folder: Path, content: bytes, magic: bytes) -> None:
    path = folder / "bytes.npz"
    path.write_bytes(magic + content)
    assert loaded(path) is None


def test_a_plain_array_is_no_posterior(folder: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    path = folder / "array.npz"
    path.write_bytes(buffer.getvalue())
    assert loaded(path) is None
