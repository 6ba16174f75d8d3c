"""Embeddings of as many people as wanted, spread as those of real faces are.

Measured on the `dlib` pipeline's unit vectors of 3,579 photographs of 1,639 people, half of Labeled Faces in the Wild.
Their mean has length 0.916; around it, people vary with a variance of 0.119 and the photographs of one person with
0.043; both variances along their principal axes, relative to the largest, are those below. Some photographs are better
than others. Half of the people have look-alikes, in tens that share half of what sets them apart, which brings nearest
neighbours as near as they really are.

What decides how hard a search is comes out right: among 1,639 people the intrinsic dimension (Levina and Bickel's
estimate from ten neighbours) is 21 for the real vectors and 22 for these. Vectors of more dimensions have the same
curves, stretched; real ones of 256 dimensions (face-reidentification-retail-0095) have an intrinsic dimension of 30.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

PEOPLE = 1_000
"""So many come at once."""
_MEAN = 0.916
_BETWEEN_PEOPLE = 0.119
_WITHIN_PERSON = 0.043
_AXES = (0, 1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 127)
_BETWEEN_CURVE = (1.0, 0.756, 0.558, 0.408, 0.235, 0.136, 0.0926, 0.0643, 0.033, 0.0132, 0.0, 0.0)
_WITHIN_CURVE = (1.0, 0.979, 0.942, 0.904, 0.8, 0.675, 0.57, 0.482, 0.327, 0.197, 0.0, 0.0)
_QUALITY = 0.2
"""Of how much a photograph deviates, the standard deviation of the logarithm."""
_ALIKE = 10
_SHARED = 0.5


def photographed_twice(dimension: int, part: int) -> tuple[Vectors, Vectors]:
    """Return two photographs' unit vectors of each of :data:`PEOPLE` people, float32, [people, dimension].

    Every ``part`` has people of its own, always the same.
    """
    random = np.random.default_rng([dimension, part])
    identities = _apart(random, dimension) * _scale(_BETWEEN_CURVE, _BETWEEN_PEOPLE, dimension)
    identities[:, -1] += _MEAN
    deviations = _scale(_WITHIN_CURVE, _WITHIN_PERSON, dimension)
    first, second = (_turned(identities + deviations * _deviations(random, dimension)) for _ in range(2))
    return first, second


def _deviations(random: np.random.Generator, dimension: int) -> Vectors:
    """Return how each photograph differs from its person's others, of variance 1 in all."""
    quality = np.exp(_QUALITY * random.standard_normal((PEOPLE, 1), dtype=np.float32) - _QUALITY**2)
    return np.asarray(quality * random.standard_normal((PEOPLE, dimension), dtype=np.float32))


def _apart(random: np.random.Generator, dimension: int) -> Vectors:
    """Return what sets people apart, of variance 1: the second half of them share some of it in tens."""
    own = random.standard_normal((PEOPLE, dimension), dtype=np.float32)
    shared = random.standard_normal((PEOPLE // _ALIKE, dimension), dtype=np.float32).repeat(_ALIKE, axis=0)
    alike = np.arange(PEOPLE)[:, None] >= PEOPLE // 2
    mixed = np.sqrt(_SHARED, dtype=np.float32) * shared + np.sqrt(1 - _SHARED, dtype=np.float32) * own
    return np.asarray(np.where(alike, mixed, own), dtype=np.float32)


def _scale(curve: tuple[float, ...], variance: float, dimension: int) -> Vectors:
    """Return the standard deviation along each axis."""
    axes = np.linspace(0, _AXES[-1], dimension)
    relative = np.interp(axes, _AXES, curve)
    return np.asarray(np.sqrt(variance * relative / relative.sum()), dtype=np.float32)


def _turned(vectors: Vectors) -> Vectors:
    """Return unit vectors whose principal axes are not those of the coordinates."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit @ _rotation(vectors.shape[1]), dtype=np.float32)


@cache
def _rotation(dimension: int) -> Vectors:
    square = np.random.default_rng(dimension).standard_normal((dimension, dimension))
    return np.asarray(np.linalg.qr(square).Q, dtype=np.float32)
