"""JPEG files as nobody should write them."""

import struct
from collections.abc import Iterator

from PIL import Image

from tests.hostile.tiff import Directory
from tests.pictures import encoded

_MOST = 65_000
"""What fits into a segment, and some less."""
SOI, EOI, SOS = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"


def segment(marker: int, content: bytes) -> bytes:
    """Return one segment with its length."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def exif(block: bytes) -> tuple[bytes, ...]:
    """Return the segments with that TIFF structure."""
    pieces = [block[start : start + _MOST] for start in range(0, len(block), _MOST)]
    return tuple(segment(0xE1, b"Exif\x00\x00" + piece) for piece in pieces)


def with_segments(image: bytes, *segments: bytes) -> bytes:
    """Return the file with these segments before all others."""
    return image[:2] + b"".join(segments) + image[2:]


def with_size(image: bytes, width: int, height: int) -> bytes:
    """Return the file with a header that announces that size."""
    frame = next(place for place in (image.find(bytes((0xFF, kind))) for kind in (0xC0, 0xC2)) if place > 0)
    return image[: frame + 5] + struct.pack(">HH", height, width) + image[frame + 9 :]


def grey(width: int, height: int, *, progressive: bool) -> bytes:
    """Return an even grey, as few bytes as a JPEG can have."""
    return encoded(Image.new("L", (width, height), 128), "JPEG", progressive=progressive, quality=50)


def scans(image: bytes) -> Iterator[bytes]:
    """Return each scan from its marker to the next marker."""
    start = image.index(SOS)
    while start >= 0:
        end = start + 2
        while image[end] != 0xFF or image[end + 1] == 0 or 0xD0 <= image[end + 1] <= 0xD7:
            end += 1
        yield image[start:end]
        start = image.find(SOS, end)


def many_scans(width: int, height: int, count: int) -> bytes:
    """Return a progressive picture whose last scan comes again and again: few bytes, and each costs all pixels."""
    image = grey(width, height, progressive=True)
    return image[: -len(EOI)] + list(scans(image))[-1] * count + EOI


def empty_scans(width: int, height: int, count: int) -> bytes:
    """Return a picture that has scan after scan without any data, each to be filled up by the decoder."""
    image = grey(width, height, progressive=False)
    header = image[image.index(SOS) :][:10]
    return image[: -len(EOI)] + header * count + EOI


def with_filling(image: bytes, filling: bytes) -> bytes:
    """Return the file with these bytes where its second marker should be."""
    return image[:2] + filling + image[2:]


def profile(content: bytes) -> tuple[bytes, ...]:
    """Return the segments of an ICC profile."""
    pieces = [content[start : start + _MOST] for start in range(0, len(content), _MOST)]
    return tuple(
        segment(0xE2, b"ICC_PROFILE\x00" + bytes((number % 256, len(pieces) % 256)) + piece)
        for number, piece in enumerate(pieces, 1)
    )


def endless_directory() -> bytes:
    """Return an EXIF block whose directories point to each other, and to themselves."""
    first = Directory([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8)], following=8)
    return first.file()
