"""Valid files made invalid by chance, with some knowledge of their structure; the same seed makes the same file."""

import random
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from PIL import ExifTags, Image

from tests.hostile.cases import picture
from tests.hostile.grids import grid
from tests.pictures import encoded, turned

_SIZE: Final = (24, 16)
_MOST_MUTATIONS: Final = 6
_INTERESTING: Final = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1)
_LANDMARKS: Final = re.compile(
    rb"\xff[\xc0-\xfe]|IHDR|IDAT|PLTE|tRNS|eXIf|acTL|fcTL|fdAT|iCCP|zTXt|IEND"
    rb"|II\*\x00|MM\x00\*|Exif\x00\x00|MPF\x00|GIF8|NETSCAPE|[,!]|BM|RIFF|WEBP|VP8[ LX]|ANIM|ANMF|ALPH|EXIF"
    rb"|ftyp|meta|hdlr|pitm|iloc|iinf|infe|iref|dimg|iprp|ipco|ipma|ispe|pixi|irot|imir|hvcC|av1C|colr|auxC|mdat|moov|stsz"
)
"""Where the structure of a file shows: most of what matters follows such a place, or comes before it."""
_NEAR: Final = (-8, 24)
_PNG_CHUNK: Final = struct.Struct(">I4s")

Mutation = Callable[[bytearray, random.Random], None]


@cache
def seeds() -> tuple[bytes, ...]:
    """Return valid small files: every format, and every kind of it."""
    small = picture(*_SIZE)
    frames = {"save_all": True, "append_images": [picture(*_SIZE), small]}
    grey = Image.fromarray((np.arange(24 * 16).reshape(16, 24) * 170).astype(np.uint16))
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera of some name"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.01
    block = exif.tobytes()
    files = [encoded(small, "JPEG", quality=q, progressive=p, exif=block) for q in (30, 95) for p in (False, True)]
    files += [encoded(small.convert("CMYK"), "JPEG"), encoded(small, "MPO", **frames)]
    files += [encoded(small, "JPEG", restart_marker_blocks=1, icc_profile=bytes(range(256)), comment=b"a comment")]
    files += [encoded(small.convert(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    files += [encoded(grey, form) for form in ("PNG", "TIFF")]
    files += [encoded(small, "PNG", exif=block, icc_profile=bytes(300), **frames)]
    files += [
        encoded(small, "WEBP", exif=block),
        encoded(small, "WEBP", lossless=True),
        encoded(small, "WEBP", **frames),
    ]
    files += [encoded(small.convert("RGBA"), "WEBP"), encoded(small, "BMP"), encoded(small.convert("P"), "BMP")]
    files += [encoded(small.convert(mode), "GIF") for mode in ("L", "P")] + [encoded(small, "GIF", **frames)]
    compressions = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
    files += [encoded(small, "TIFF", compression=name) for name in compressions]
    files += [encoded(small.convert("1"), "TIFF", compression=name) for name in ("group3", "group4", "tiff_ccitt")]
    files += [encoded(small.convert("CMYK"), "TIFF"), encoded(small, "TIFF", big_tiff=True), turned(small, 5, "TIFF")]
    files += [
        encoded(small, "HEIF", exif=block),
        encoded(small.convert("RGBA"), "HEIF"),
        encoded(small, "HEIF", **frames),
    ]
    files += [
        encoded(small, "AVIF", exif=block),
        encoded(small.convert("RGBA"), "AVIF"),
        encoded(small, "AVIF", **frames),
    ]
    files += [turned(small, 6, form) for form in ("HEIF", "AVIF")]
    files += [grid(form, 64, 2, 2) for form in ("HEIF", "AVIF")]
    return tuple(files)


def mutated(seed: int) -> bytes:
    """Return the file of that number."""
    chance = random.Random(seed)
    originals = seeds()
    content = bytearray(originals[seed % len(originals)])
    for _ in range(chance.randint(1, _MOST_MUTATIONS)):
        chance.choice(_MUTATIONS)(content, chance)
        if not content:
            return b""
    if chance.random() < 0.8:  # else the wrong checksums are what is tested
        _repair(content)
    return bytes(content)


def _place(content: bytearray, chance: random.Random) -> int:
    """Return somewhere, more often than not near the structure."""
    landmarks = [match.start() for match in _LANDMARKS.finditer(content)] if chance.random() < 0.8 else []
    if not landmarks:
        return chance.randrange(len(content))
    return min(max(chance.choice(landmarks) + chance.randint(*_NEAR), 0), len(content) - 1)


def _flip(content: bytearray, chance: random.Random) -> None:
    content[_place(content, chance)] ^= 1 << chance.randrange(8)


def _set(content: bytearray, chance: random.Random) -> None:
    content[_place(content, chance)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _number(content: bytearray, chance: random.Random) -> None:
    size, order = chance.choice((1, 2, 4, 8)), chance.choice(("big", "little"))
    value = chance.choice((*_INTERESTING, len(content), chance.randrange(64)))
    start = _place(content, chance)
    content[start : start + size] = (value % 256**size).to_bytes(size, order)


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[_place(content, chance) :]


def _drop(content: bytearray, chance: random.Random) -> None:
    start = _place(content, chance)
    del content[start : start + chance.choice((1, 2, 4, 12, 64))]


def _repeat(content: bytearray, chance: random.Random) -> None:
    start = _place(content, chance)
    content[start:start] = content[start : start + chance.choice((1, 4, 12, 64, 500))] * chance.choice((1, 2, 50))


def _insert(content: bytearray, chance: random.Random) -> None:
    start = _place(content, chance)
    content[start:start] = chance.choice((bytes(16), b"\xff" * 16, chance.randbytes(chance.randint(1, 64))))


def _move(content: bytearray, chance: random.Random) -> None:
    start, size = _place(content, chance), chance.choice((4, 12, 64))
    piece = content[start : start + size]
    del content[start : start + size]
    target = chance.randint(0, len(content))
    content[target:target] = piece


def _splice(content: bytearray, chance: random.Random) -> None:
    other = chance.choice(seeds())
    content[_place(content, chance) :] = other[chance.randrange(len(other)) :]


_MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip, _flip, _set, _set, _number, _number, _number, _cut, _drop, _repeat, _insert, _move, _splice,
)  # fmt: skip


def _repair(content: bytearray) -> None:
    """Give a PNG's chunks the checksums of what they hold now, as far as its chunks can be followed."""
    if not content.startswith(b"\x89PNG"):
        return
    start = 8
    while start + 12 <= len(content):
        size, _ = _PNG_CHUNK.unpack_from(content, start)
        end = start + 8 + size
        if end + 4 > len(content):
            return
        content[end : end + 4] = struct.pack(">I", zlib.crc32(content[start + 4 : end]))
        start = end + 4
