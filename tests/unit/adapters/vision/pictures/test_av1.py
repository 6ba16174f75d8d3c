"""How many pixels AV1 has decoded, told from headers that are written here bit by bit."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.vision.pictures.av1 import LEAST_PIXELS, pixels_by_unit
from domain.errors import UnreadableImageError

SEQUENCE, DELIMITER, HEADER, TILES, FRAME, REDUNDANT, PADDING = 1, 2, 3, 4, 6, 7, 15
SIZES = "1111" + "1111" + f"{299:016b}" + f"{199:016b}"
"""A frame of 300 x 200, where a size has 16 bits."""
STILL = "000" + "11" + "00000" + SIZES
MOVING = "000" + "00" + "0" + "0" + "00000" + "0" * 12 + "00000" + SIZES
TIMING = "00000" + "1" + "0" * 64
"""Not a still picture, with the time that one tick takes."""
POINT = "00000" + "0" * 17
"""One operating point, to which more may follow."""
PLAIN_TOOLS = "0" + "0" * 7 + "0" + "0" + "0"
"""Without numbers of frames, order hints and tools for screen content."""
OWN_SIZE, USUAL_SIZE = "1", "0"
SHOWN_KEY = "0" + "00" + "1" + "0"
HIDDEN_KEY = "0" + "00" + "0" + "0" + "0" + "0"
LARGEST = 2**32


def packed(bits: str) -> bytes:
    """Return bits as bytes, with zeros at the end."""
    size = -(-len(bits) // 8)
    return int(bits.ljust(8 * size, "0"), 2).to_bytes(size)


def unit(kind: int, bits: str = "") -> bytes:
    """Return a unit with its size."""
    content = packed(bits) if bits else b""
    return bytes((kind << 3 | 2, len(content))) + content


def frames_of(sequence: str, *frames: str) -> list[int]:
    """Return the pixels of each frame after a sequence header."""
    payload = unit(SEQUENCE, sequence) + b"".join(unit(FRAME, frame) for frame in frames)
    return [*pixels_by_unit(payload)][1:]


def test_a_still_picture_has_the_size_of_its_sequence() -> None:
    """Its frame cannot say another, whatever is in its header."""
    assert frames_of(STILL, "1" * 20) == [300 * 200]


def test_every_frame_counts_and_nothing_else_does() -> None:
    """A header before its tiles is a frame as well, and so is a redundant one, which may be the first."""
    kinds = (DELIMITER, SEQUENCE, HEADER, TILES, FRAME, REDUNDANT, PADDING)
    payload = unit(SEQUENCE, STILL) + b"".join(unit(kind, STILL) for kind in kinds)
    assert [*pixels_by_unit(payload)] == [0, 0, 0, 60_000, 0, 60_000, 60_000, 0]


def test_the_smallest_frame_counts_as_a_superblock() -> None:
    """It costs its decoder no less."""
    assert frames_of("000" + "11" + "00000" + "0000" + "0000" + "00", "0") == [LEAST_PIXELS]


@pytest.mark.parametrize(
    ("frame", "pixels"),
    [
        (SHOWN_KEY + USUAL_SIZE, 60_000),
        (SHOWN_KEY + OWN_SIZE, LARGEST),
        (HIDDEN_KEY + USUAL_SIZE, 60_000),
        (HIDDEN_KEY + OWN_SIZE, LARGEST),
        ("0" + "01" + "1" + "1" + "0" + USUAL_SIZE, 60_000),
        ("0" + "01" + "1" + "0" + "0" + OWN_SIZE, LARGEST),
        ("0" + "11" + "1" + "0" + USUAL_SIZE, LARGEST),
        ("1" + "1" * 20, 60_000),
    ],
    ids=["key", "key, sized", "hidden", "hidden, sized", "inter", "inter, sized", "switch", "shown again"],
)
def test_a_frame_that_says_its_own_size_counts_as_the_largest(frame: str, pixels: int) -> None:
    """The sequence header bounds it by a number of bits alone, and a switch frame always says its size."""
    assert frames_of(MOVING + PLAIN_TOOLS, frame) == [pixels]


@pytest.mark.parametrize(
    ("sequence", "before_size"),
    [
        (MOVING + "1" + "0010" + "001" + "0" * 7 + "000", SHOWN_KEY + "1" * 6),
        (MOVING + "0" + "0" * 7 + "111" + "00", SHOWN_KEY),
        (MOVING + "0" + "0" * 7 + "0" + "1" + "1", SHOWN_KEY + "1" + "1"),
        (MOVING + "0" + "0" * 7 + "0" + "1" + "1", SHOWN_KEY + "0"),
        (MOVING + "0" + "0" * 7 + "0" + "01" + "01", SHOWN_KEY),
        (MOVING + "0" + "0" * 7 + "0" + "01" + "1", SHOWN_KEY + "1"),
        (TIMING + "1" + "001" + "10" + "0" + "0" + POINT + SIZES + PLAIN_TOOLS, SHOWN_KEY),
        (
            TIMING + "0" + "1" + "00001" + "0" * 37 + "00010" + "0" + POINT + "1" + "1" * 5
            + SIZES + PLAIN_TOOLS,
            "0001" + "111" + "0",
        ),
        (
            TIMING + "1" + "1" + "1" + "00001" + "0" * 37 + "00010" + "0" + POINT + "0"
            + SIZES + PLAIN_TOOLS,
            SHOWN_KEY,
        ),
        ("0000000" + "00001" + ("0" * 12 + "01000" + "1") + ("0" * 12 + "00111") + SIZES + PLAIN_TOOLS, SHOWN_KEY),
        ("000000" + "1" + POINT + "1" + "1111" + SIZES + PLAIN_TOOLS, SHOWN_KEY),
    ],
    ids=[
        "numbers of frames", "order hints", "tools and motion", "no tools", "tools and motion for all", "motion",
        "timing", "model", "model of equal intervals", "tiers", "delays",
    ],
)  # fmt: skip
def test_the_size_is_found_behind_whatever_comes_before_it(sequence: str, before_size: str) -> None:
    """In both headers, and there alone."""
    assert frames_of(sequence, before_size + USUAL_SIZE, before_size + OWN_SIZE) == [60_000, LARGEST]


def test_the_largest_size_outlives_its_sequence() -> None:
    """A frame may take the size of an earlier one."""
    small = MOVING[: -len(SIZES)] + "0000" + "0000" + "00" + PLAIN_TOOLS
    payload = unit(SEQUENCE, MOVING + PLAIN_TOOLS) + unit(SEQUENCE, small)
    frames = unit(FRAME, SHOWN_KEY + USUAL_SIZE) + unit(FRAME, SHOWN_KEY + OWN_SIZE)
    assert [*pixels_by_unit(payload + frames)] == [0, 0, LEAST_PIXELS, LARGEST]


def test_a_unit_without_a_size_goes_to_the_end() -> None:
    """And one with an extension has a byte more before it."""
    frame = bytes((FRAME << 3,)) + bytes(50)
    extended = bytes((SEQUENCE << 3 | 6, 0xFF, len(packed(STILL)))) + packed(STILL)
    assert [*pixels_by_unit(extended + frame)] == [0, 60_000]


def test_a_unit_beyond_the_end_is_the_last() -> None:
    """Its decoder stops there as well."""
    assert [*pixels_by_unit(unit(SEQUENCE, STILL) + bytes((FRAME << 3 | 2, 0xFF, 0x7F, 0)))] == [0, 60_000]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (unit(FRAME, SHOWN_KEY), "without a sequence header"),
        (unit(SEQUENCE, STILL[:24]), "truncated header"),
        (unit(SEQUENCE, TIMING + "1" + "0" * 9), "truncated header"),
        (unit(SEQUENCE, TIMING + "1" + "0" * 32 + "1" + "0" * 99), "number without end"),
        (unit(SEQUENCE, MOVING + PLAIN_TOOLS) + unit(FRAME), "truncated header"),
        (bytes((SEQUENCE << 3 | 2,)) + b"\xff" * 9, "without a size"),
        (bytes((SEQUENCE << 3 | 2,)), "without a size"),
    ],
)
def test_what_no_decoder_takes_is_refused(payload: bytes, message: str) -> None:
    """No size is guessed."""
    with pytest.raises(UnreadableImageError, match=message):
        [*pixels_by_unit(payload)]


@given(st.lists(st.tuples(st.sampled_from([SEQUENCE, FRAME, HEADER, PADDING]), st.binary(max_size=40)), max_size=20))
def test_any_headers_have_pixels_or_are_refused(units: list[tuple[int, bytes]]) -> None:
    """Nothing else is raised."""
    payload = b"".join(bytes((kind << 3 | 2, len(content))) + content for kind, content in units)
    with suppress(UnreadableImageError):
        assert all(pixels == 0 or LEAST_PIXELS <= pixels <= LARGEST for pixels in pixels_by_unit(payload))


@given(st.binary(max_size=200))
def test_any_bytes_have_pixels_or_are_refused(payload: bytes) -> None:
    """Even where they are no units."""
    with suppress(UnreadableImageError):
        assert len([*pixels_by_unit(payload)]) <= len(payload)


def test_a_huge_unit_takes_no_time() -> None:
    """Of 20 MB, only the header is looked at."""
    payload = unit(SEQUENCE, STILL) + bytes((FRAME << 3,)) + bytes(20_000_000)
    before = time.process_time()
    assert [*pixels_by_unit(payload)] == [0, 60_000]
    assert time.process_time() - before < 0.1
