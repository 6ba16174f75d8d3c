"""What vision processes answer: embeddings come over unchanged, and nonsense is told as such."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.vision.processes import wire
from domain.faces import LONGEST, SHORTEST, BoundingBox, DetectedFace, FaceEmbedding, PhotoReading

VECTORS = st.lists(st.floats(-LONGEST / 8, LONGEST / 8), min_size=1, max_size=8).filter(
    lambda vector: math.hypot(*vector) >= SHORTEST
)


def reading(*vector: float) -> PhotoReading:
    """Return a reading of one face."""
    face = DetectedFace(BoundingBox(1, 2, 30, 40), 0.9, embedding=FaceEmbedding("m@1", vector))
    return PhotoReading(100, 80, (face,))


def content(answer: tuple[bytes, ...]) -> bytes:
    """Return an answer without its length."""
    return b"".join(answer)[wire.LENGTH_BYTES :]


@given(VECTORS)
def test_embeddings_come_over_bit_by_bit(vector: list[float]) -> None:
    """Whatever the numbers: they go as digits of doubles, not as decimal ones."""
    given_reading = reading(*vector)
    assert wire.parse_answer(content(wire.answer(given_reading))) == given_reading


def test_numbers_of_numpy_come_over() -> None:
    """A third party's pipeline may take boxes and scores from an array as they are."""
    left, top, right, bottom = np.array([1, 2, 30, 40], np.float32)
    face = DetectedFace(
        BoundingBox(left, top, right, bottom),
        np.float32(0.5),  # type: ignore[arg-type]  # as third parties do
        FaceEmbedding("m@1", tuple(np.ones(2, np.float32))),
    )
    given_reading = PhotoReading(np.int64(100), 80, (face,))  # type: ignore[arg-type]  # likewise
    assert wire.parse_answer(content(wire.answer(given_reading))) == given_reading


@pytest.mark.parametrize("vector", ["", "0" * 16, "12", "xyz", "000000000000f87f", [1.0], None])
def test_a_vector_that_is_none_is_nonsense(vector: object) -> None:
    """No numbers, zeros only, half a number, no digits, one that is not finite, or not even a text."""
    said = json.loads(content(wire.answer(reading(1.0))))
    said["reading"]["faces"][0]["embedding"]["vector"] = vector
    with pytest.raises(wire.NonsenseError):
        wire.parse_answer(json.dumps(said).encode())


def test_a_picture_comes_over_as_it_is() -> None:
    """With line ends and all else that pixels may happen to look like."""
    picture = wire.Pixels(200, 100, 2, 1, b"\n{}\n\x00\xff")
    assert wire.parse_answer(content(wire.answer(picture))) == picture


@pytest.mark.parametrize(
    "picture",
    [
        wire.Pixels(2, 1, 2, 1, b"12345"),
        wire.Pixels(2, 1, 2, 1, b"1234567"),
        wire.Pixels(2, 1, -2, -1, b"123456"),
        wire.Pixels(0, 0, 0, 0, b""),
        wire.Pixels(2, 0, 2, 1, b"123456"),
        wire.Pixels(60_000, 1, 60_000, 1, bytes(180_000)),
        wire.Pixels(10**400, 1, 2, 1, b"123456"),
    ],
)
def test_pixels_that_are_no_picture_are_nonsense(picture: wire.Pixels) -> None:
    """Too few or too many, a side that is none, or one so long that to draw it would take all memory."""
    with pytest.raises(wire.NonsenseError):
        wire.parse_answer(content(wire.answer(picture)))


def test_a_head_of_many_megabytes_is_nonsense() -> None:
    """However well it is formed: what it says would take many times as much memory."""
    with pytest.raises(wire.NonsenseError, match="ValueError in an answer of"):
        wire.parse_answer(b'{"reading": [' + b"[]," * 2**21 + b"[]]}")
