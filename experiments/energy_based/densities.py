"""Densities in the plane, as 32 bits: 16 for each coordinate, in Gray code."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

BITS = 16  # of a coordinate
Generator = np.random.Generator
Points = NDArray[np.float64]  # [n, 2]


def _seed(rng: Generator) -> int:
    return int(rng.integers(2**31))


def eight_gaussians(n: int, rng: Generator) -> Points:
    """Eight normals of standard deviation 0.5 on a circle of radius 4, all over sqrt(2)."""
    angle = np.pi / 4 * rng.integers(8, size=n)
    centres = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centres + 0.5 * rng.normal(size=(n, 2))) / np.sqrt(2)


def two_spirals(n: int, rng: Generator) -> Points:
    """Two arms of one and a half turns, point reflections of each other."""
    angle = 3 * np.pi * np.sqrt(rng.random(n))
    arm = np.stack([-np.cos(angle), np.sin(angle)], axis=1) * angle[:, None]
    arm = (arm + 0.5 * rng.random((n, 2))) * rng.choice([-1, 1], size=(n, 1))
    return arm / 3 + 0.1 * rng.normal(size=(n, 2))


def circles(n: int, rng: Generator) -> Points:
    """Circles of radius 3 and 1.5, with noise of standard deviation 0.24."""
    return 3 * datasets.make_circles(n, factor=0.5, noise=0.08, random_state=_seed(rng))[0]


def moons(n: int, rng: Generator) -> Points:
    """Two half circles of radius 2 that interlock, with noise of standard deviation 0.2."""
    return 2 * datasets.make_moons(n, noise=0.1, random_state=_seed(rng))[0] - [1.0, 0.2]


def pinwheel(n: int, rng: Generator) -> Points:
    """Five normals, stretched along the radius and turned the more, the farther out."""
    radius, offset = 1 + 0.3 * rng.normal(size=n), 0.1 * rng.normal(size=n)
    angle = 2 * np.pi / 5 * rng.integers(5, size=n) + 0.25 * np.exp(radius)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    return 2 * (radius[:, None] * along + offset[:, None] * across)


def swissroll(n: int, rng: Generator) -> Points:
    """Roll up a band of one and a half turns, with noise of standard deviation 0.2."""
    return datasets.make_swiss_roll(n, noise=1.0, random_state=_seed(rng))[0][:, [0, 2]] / 5


def checkerboard(n: int, rng: Generator) -> Points:
    """Every other one of 16 squares with sides of 2."""
    x = 4 * rng.random(n) - 2
    y = rng.random(n) - 2 * rng.integers(2, size=n) + np.floor(x) % 2
    return 2 * np.stack([x, y], axis=1)


DENSITIES: dict[str, Callable[[int, Generator], Points]] = {
    "2spirals": two_spirals,
    "8gaussians": eight_gaussians,
    "circles": circles,
    "moons": moons,
    "pinwheel": pinwheel,
    "swissroll": swissroll,
    "checkerboard": checkerboard,
}


class Grid(NamedTuple):
    """The square [-limit, limit]^2 in 2^16 by 2^16 cells."""

    limit: float

    @property
    def cell(self) -> float:
        """Width of a cell."""
        return self.limit / 2 ** (BITS - 1)

    def encode(self, points: Points) -> NDArray[np.int64]:
        """Return the bits of the cells of points, [n, 32], the most significant first."""
        cells = np.clip(np.floor((points + self.limit) / self.cell), 0, 2**BITS - 1).astype(int)
        gray = cells ^ (cells >> 1)
        bits = (gray[:, :, None] >> np.arange(BITS - 1, -1, -1)) & 1
        return bits.reshape(len(points), -1)

    def decode(self, bits: NDArray[np.integer]) -> Points:
        """Return the centres of cells, [n, 2]."""
        bits = np.asarray(bits, np.int64).reshape(len(bits), 2, BITS)
        # A bit of the number is the parity of those of its Gray code up to there.
        number = np.bitwise_xor.accumulate(bits, axis=2)
        return (number @ 2 ** np.arange(BITS - 1, -1, -1) + 0.5) * self.cell - self.limit


def grid_of(name: str) -> Grid:
    """Return the square of a density: two more than the farthest coordinate of 5 000 points."""
    points = DENSITIES[name](5000, np.random.default_rng(1))
    return Grid(float(np.abs(points).max()) + 2.0)


def entropy(name: str, *, num_points: int = 4_000_000, width: float = 0.02) -> float:
    """Estimate the differential entropy in nats, from a histogram.

    With cells of a fifth of the finest detail (noise of 0.1) the entropy is at most a few
    thousandths too high; Miller and Madow's correction takes account of the counts' noise.
    """
    points = DENSITIES[name](num_points, np.random.default_rng(2))
    cells = np.floor((points - points.min(axis=0)) / width).astype(np.int64)
    counts = np.bincount(cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1])
    counts = counts[counts > 0]
    share = counts / num_points
    plug_in = -float((share * np.log(share)).sum()) + (len(counts) - 1) / (2 * num_points)
    return plug_in + 2 * float(np.log(width))
