"""How many pixels an AV1 bitstream has decoded, told from its headers alone.

Nothing outside the bitstream binds its decoder. A still picture needs one frame, but the bitstream may hold any number
of them, shown or hidden, and all are decoded. Each is as large as the sequence header says, or as its own header says,
up to a size for which the sequence header gives only the number of bits.

Source: AV1 Bitstream & Decoding Process Specification, 5.3 to 5.5 (OBUs, sequence header) and 5.9.2 (frame header).
"""

from collections.abc import Iterator
from typing import Final

import attrs

from domain.errors import UnreadableImageError

LEAST_PIXELS: Final = 64 * 64
"""What the smallest frame counts: a superblock, since no frame costs its decoder less."""

_SEQUENCE: Final = 1
_FRAMES: Final = (3, 6, 7)
"""A frame's header, a frame, and a header that is redundant unless it is the first."""
_SIZED, _EXTENDED = 2, 4
_MORE: Final = 0x80
_LONGEST_SIZE: Final = 8
_LONGEST_HEADER: Final = 512
"""The bytes of a sequence header, of which 32 operating points need the most."""
_LONGEST_NUMBER: Final = 32
"""The bits of a number of variable length."""
_KEY, _SWITCH = 0, 3
_TOLD_BY_FRAME: Final = 2
_MANY_LEVELS: Final = 7
"""The highest level that has one tier alone."""


def pixels_by_unit(payload: bytes) -> Iterator[int]:
    """Yield, for each of a bitstream's units (OBUs), the pixels that it has decoded: 0 where it is no frame.

    Raises:
        UnreadableImageError: a header is truncated, or a frame comes before any sequence header.

    """
    sequence, most, place = None, 0, 0
    while place < len(payload):
        head = payload[place]
        place += 2 if head & _EXTENDED else 1
        size = len(payload) - place
        if head & _SIZED:
            size, place = _size(payload, place)
        kind, header = head >> 3 & 15, _Bits(payload[place : place + min(size, _LONGEST_HEADER)])
        place += size
        pixels = 0
        if kind == _SEQUENCE:
            sequence = _Sequence.of(header)
            most = max(most, sequence.most_pixels)
        elif kind in _FRAMES:
            if sequence is None:
                raise UnreadableImageError("the image has a frame of AV1 without a sequence header")
            pixels = max(most if sequence.sized_by_frame(header) else sequence.pixels, LEAST_PIXELS)
        yield pixels


def _size(payload: bytes, place: int) -> tuple[int, int]:
    """Return the number there (LEB128), and where it ends."""
    size = 0
    for index, byte in enumerate(payload[place : place + _LONGEST_SIZE]):
        size |= (byte & ~_MORE) << 7 * index
        if not byte & _MORE:
            return size, place + index + 1
    raise UnreadableImageError("the image has a unit of AV1 without a size")


@attrs.define
class _Bits:
    """Bytes, read bit by bit."""

    _content: bytes = attrs.field(repr=False)
    _number: int = attrs.field(init=False, repr=False)
    _left: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._number, self._left = int.from_bytes(self._content), 8 * len(self._content)

    def __call__(self, size: int = 1) -> int:
        self._left -= size
        if self._left < 0:
            raise UnreadableImageError("the image has a truncated header of AV1")
        return self._number >> self._left & ((1 << size) - 1)

    def skip_variable_length(self) -> None:
        zeros = 0
        while not self():
            zeros += 1
            if zeros == _LONGEST_NUMBER:
                raise UnreadableImageError("the image has a header of AV1 with a number without end")
        self(zeros)


@attrs.frozen
class _Sequence:
    """What a sequence header says of its frames: how large they are, and what their headers have before their size.

    ``pixels`` has a frame that says nothing of its size, ``most_pixels`` one that says the largest possible. Of a still
    picture no frame says anything. ``screen_content`` and ``integer_motion`` are the value for all frames, or 2 where
    each says its own.
    """

    pixels: int
    most_pixels: int
    still: bool = True
    time_bits: int = 0
    screen_content: int = 0
    integer_motion: int = 0
    id_bits: int = 0

    @classmethod
    def of(cls, bits: _Bits) -> "_Sequence":
        bits(4)  # profile, still picture
        still = bool(bits())
        time_bits = 0
        if still:
            bits(5)  # level
        else:
            time_bits = _skip_operating_points(bits)
        width_bits, height_bits = bits(4) + 1, bits(4) + 1
        pixels = (bits(width_bits) + 1) * (bits(height_bits) + 1)
        if still:
            return cls(pixels, pixels)
        id_bits = bits(4) + bits(3) + 3 if bits() else 0
        bits(7)  # size of superblocks, six tools
        if bits():  # order hints
            bits(2)
        screen_content = _TOLD_BY_FRAME if bits() else bits()
        integer_motion = 0
        if screen_content:
            integer_motion = _TOLD_BY_FRAME if bits() else bits()
        most_pixels = 1 << width_bits + height_bits
        return cls(pixels, most_pixels, False, time_bits, screen_content, integer_motion, id_bits)

    def sized_by_frame(self, bits: _Bits) -> bool:
        """Return whether a frame with this header says its own size."""
        if self.still or bits():  # a frame that is shown again
            return False
        kind, shown = bits(2), bits()
        if shown:
            bits(self.time_bits)
        else:
            bits()  # showable
        if kind != _SWITCH and not (kind == _KEY and shown):
            bits()  # resilient to errors
        bits()  # no update of probabilities
        screen_content = bits() if self.screen_content == _TOLD_BY_FRAME else self.screen_content
        if screen_content and self.integer_motion == _TOLD_BY_FRAME:
            bits()
        bits(self.id_bits)
        return kind == _SWITCH or bool(bits())


def _skip_operating_points(bits: _Bits) -> int:
    """Read on to where the sizes are, and return how many bits the time of a frame has."""
    delay_bits = time_bits = 0
    if bits():  # timing
        bits(64)
        equal_intervals = bits()
        if equal_intervals:
            bits.skip_variable_length()
        if bits():  # model of a decoder
            delay_bits = bits(5) + 1
            bits(37)
            time_bits = bits(5) + 1
            if equal_intervals:
                time_bits = 0
    delayed_display = bits()
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > _MANY_LEVELS:
            bits()
        if delay_bits and bits():
            bits(2 * delay_bits + 1)
        if delayed_display and bits():
            bits(4)
    return time_bits
