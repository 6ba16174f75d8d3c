"""Small files that become huge pictures or endless work, and the largest pictures that are still allowed."""

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Final

from PIL import Image

from tests import pictures
from tests.hostile import containers, jpeg, tiff
from tests.hostile.cases import READ, TOO_LARGE, UNREADABLE, Case, sample
from tests.hostile.grids import grid
from tests.pictures import encoded

SIDE: Final = 7_700
"""A square of this side, 59 megapixels, is just within the budget."""
_BYTES = 20 * 1024 * 1024
_HUGE = 60_000
_ONE_PIXEL = b"\x44\x01"


def bombs() -> Iterator[Case]:
    """Return small files that announce, or become, more than is allowed."""
    yield Case("PNG of 400 megapixels", pictures.bomb, TOO_LARGE)
    yield Case("PNG of 900 megapixels of 16 bits", lambda: containers.png(30_000, 30_000, 16, 6, b""), TOO_LARGE)
    yield Case("PNG of 2^31 by 2^31", lambda: containers.png(2**31 - 1, 2**31 - 1, 8, 2, b""), TOO_LARGE)
    yield Case("PNG whose data goes on for 200 MB", _png_that_goes_on, READ)
    yield Case("JPEG of 3,600 megapixels", lambda: jpeg.with_size(sample("JPEG"), _HUGE, _HUGE), TOO_LARGE)
    yield Case("JPEG of 65,535 by 65,535", lambda: jpeg.with_size(sample("JPEG"), 65_535, 65_535), TOO_LARGE)
    yield Case("MPO of 3,600 megapixels", lambda: jpeg.with_size(sample("MPO"), _HUGE, _HUGE), TOO_LARGE)
    yield Case("WEBP of 268 megapixels", partial(_webp, 16_384, 16_384), TOO_LARGE)
    yield Case("WEBP with a canvas of 2^24 by 1", partial(_webp, 2**24, 1), UNREADABLE)
    yield Case("WEBP with a canvas of 2^24 by 200", partial(_webp, 2**24, 200), TOO_LARGE)
    yield Case("WEBP with a canvas of 2^24 by 2^24", partial(_webp, 2**24, 2**24), TOO_LARGE)
    yield Case("GIF of 65,535 by 65,535", lambda: containers.gif((65_535, 65_535), (1, 1), _ONE_PIXEL), TOO_LARGE)
    yield Case("GIF with a huge frame", lambda: containers.gif((1, 1), (65_535, 65_535), _ONE_PIXEL), TOO_LARGE)
    yield Case("BMP of 3,600 megapixels", lambda: containers.bmp_with_size(sample("BMP"), _HUGE, _HUGE), TOO_LARGE)
    yield Case("TIFF of 3,600 megapixels", lambda: tiff.strips(_HUGE, _HUGE, _HUGE, data=b"\x00"), TOO_LARGE)
    yield Case("TIFF of 2^32 by 2^32", lambda: tiff.strips(2**32 - 1, 2**32 - 1, 2**20, data=b"\x00"), TOO_LARGE)
    for form in ("HEIF", "AVIF"):
        announced = partial(grid, form, 64, 2, 2, announced=(_HUGE, _HUGE))
        yield Case(f"{form} of 3,600 megapixels", announced, TOO_LARGE)
        yield Case(f"{form} of 62 megapixels", partial(grid, form, 1_312, 6, 6), TOO_LARGE)
        yield Case(f"{form} of 10,000 tiles", partial(grid, form, 128, 100, 100), TOO_LARGE)
    yield Case("more bytes than allowed", lambda: bytes(_BYTES + 1), TOO_LARGE)
    yield Case("JPEG with more bytes than allowed behind it", lambda: sample("JPEG") + bytes(_BYTES), TOO_LARGE)


def endless() -> Iterator[Case]:
    """Return files within the budget of bytes and pixels that would cost their decoder far more than these."""
    yield Case("JPEG of 10,000 scans", lambda: jpeg.many_scans(SIDE, SIDE, 10_000), UNREADABLE)
    yield Case("JPEG of 10,000 empty scans", lambda: jpeg.empty_scans(SIDE, SIDE, 10_000), UNREADABLE)
    yield Case("JPEG of 90 scans", lambda: jpeg.many_scans(3_000, 3_000, 80), READ)
    yield Case(
        "JPEG with 19 MB of fill bytes", lambda: jpeg.with_filling(sample("JPEG"), b"\xff" * 19_000_000), UNREADABLE
    )
    yield Case("JPEG with 19 MB of junk", lambda: jpeg.with_filling(sample("JPEG"), bytes(19_000_000)), UNREADABLE)
    yield Case("JPEG with 4,000,000 comments", _jpeg_of_comments, UNREADABLE)
    yield Case("PNG with 1,500,000 chunks", partial(_png_of_chunks, b"vpAg"), UNREADABLE)
    yield Case("PNG with 1,500,000 chunks of no data", partial(_png_of_chunks, b"IDAT"), UNREADABLE)
    yield Case("GIF with 4,000,000 comments", partial(_gif_after, b"!\xfe\x01x\x00" * 4_000_000), UNREADABLE)
    yield Case(
        "GIF with a comment of 9,000,000 crumbs",
        partial(_gif_after, b"!\xfe" + b"\x01x" * 9_000_000 + b"\x00"),
        UNREADABLE,
    )
    yield Case("GIF of 5,000 frames", _gif_of_frames, READ)
    yield Case("TIFF with places for 2,400,000 strips", _tiff_overbooked, UNREADABLE)
    yield Case("TIFF of 2,000,000 tiles", lambda: tiff.tiles(2_000, 1_000, (1, 1), 2_000_000, data=b"\x00"), UNREADABLE)
    yield Case("TIFF of 191,844 tiles", lambda: tiff.tiles(7_000, 7_000, (16, 16), 438 * 438, data=bytes(256)), READ)
    yield Case("TIFF of one huge tile", lambda: tiff.tiles(96, 64, (65_520, 65_520), 1, data=bytes(96)), UNREADABLE)
    yield Case("TIFF of one huge tile, deflated", _tiff_of_huge_tile, UNREADABLE)
    yield Case("TIFF of one endless strip", lambda: tiff.strips(96, 64, 2**32 - 1, data=bytes(96 * 64)), READ)
    yield Case("TIFF around a JPEG of 5,000 scans", _tiff_around_jpeg, UNREADABLE)
    yield Case("AVIF with more pixels than it says", partial(_understated, "AVIF"), READ)
    yield Case("HEIF with more pixels than it says", partial(_understated, "HEIF"), UNREADABLE)
    for form in ("HEIF", "AVIF"):
        huge = partial(grid, form, 7_680, 16, 16, announced=(1_024, 1_024))
        yield Case(f"{form} of one huge tile, 256 times", partial(huge, repeated=True), TOO_LARGE)
        yield Case(f"{form} of 256 huge tiles of the same bytes", huge, TOO_LARGE)
    for form, error in (("AVIF", TOO_LARGE), ("HEIF", UNREADABLE)):
        understated = partial(grid, form, 2_048, 8, 8, announced=(512, 512), tile_announced=64)
        yield Case(f"{form} of 64 tiles with more pixels than they say", understated, error)
    yield Case("AVIF with the same frame 1,000 times", partial(_again, "RGB"), TOO_LARGE)
    yield Case("AVIF with the same frame 1,000 times as alpha", partial(_again, "RGBA"), TOO_LARGE)
    yield Case("AVIF of two frames, with the first 1,000 times", _again_animated, TOO_LARGE)
    yield Case("AVIF of 14,400 tiles", partial(grid, "AVIF", 64, 120, 120), READ)
    yield Case("HEIF of 14,400 tiles", partial(grid, "HEIF", 64, 120, 120), UNREADABLE)


def slow_tiff() -> bytes:
    """Return a picture of 48 megapixels in 3 MB for which native code computes for minutes.

    It has 240,000 strips of one row, all of which are the same data: 200,000 deflated blocks of nothing, then the row.
    """
    width, rows, nothing = 200, 240_000, b"\x00\x00\x00\xff\xff"
    row = zlib.compress(bytes(width))
    return tiff.strips(width, rows, 1, compression=8, data=row[:2] + nothing * 200_000 + row[2:])


def largest() -> Iterator[Case]:
    """Return pictures as large as may be, of the neediest kinds of each format."""
    yield Case("JPEG of 59 megapixels", partial(_even, "JPEG"), READ)
    yield Case("JPEG of 59 megapixels, CMYK", partial(_even, "JPEG", "CMYK", progressive=True), READ)
    yield Case("PNG of 59 megapixels, interlaced", _interlaced_png, READ)
    yield Case(
        "PNG of 59 megapixels of 16-bit grey",
        lambda: containers.png(SIDE, SIDE, 16, 0, containers.zeros((2 * SIDE + 1) * SIDE)),
        READ,
    )
    yield Case("GIF of 59 megapixels", partial(_even, "GIF", "P"), READ)
    yield Case("WEBP of 59 megapixels", partial(_even, "WEBP", "RGBA", quality=1, method=0), READ)
    yield Case(
        "TIFF of 59 megapixels, deflated",
        lambda: tiff.strips(SIDE, SIDE, SIDE, compression=8, data=containers.zeros(SIDE * SIDE)),
        READ,
    )
    yield Case("TIFF of 59 megapixels, CMYK", partial(_even, "TIFF", "CMYK", compression="tiff_lzw"), READ)
    yield Case("TIFF of 59 megapixels, strip by strip", lambda: tiff.strips(SIDE, SIDE, 1, data=bytes(SIDE)), READ)
    yield Case("HEIF of 59 megapixels", partial(grid, "HEIF", 512, 15, 15), READ)
    yield Case("AVIF of 59 megapixels", partial(grid, "AVIF", 512, 15, 15), READ)


def _even(form: str, mode: str = "RGB", **options: object) -> bytes:
    return encoded(Image.new(mode, (SIDE, SIDE)), form, **options)


def _webp(width: int, height: int) -> bytes:
    return containers.riff(containers.webp_canvas(width, height), containers.webp_frame(sample("WEBP")))


def _png_that_goes_on() -> bytes:
    return containers.png(96, 64, 8, 0, containers.zeros(200_000_000))


def _png_of_chunks(kind: bytes) -> bytes:
    return containers.with_png_chunks(sample("PNG"), containers.png_chunk(kind, b"") * 1_500_000)


def _interlaced_png() -> bytes:
    size = 0
    for left, top, across, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        size += -(-(SIDE - top) // down) * (1 + -(-(SIDE - left) // across) * 8)
    return containers.png(SIDE, SIDE, 16, 6, containers.zeros(size), interlaced=True)


def _jpeg_of_comments() -> bytes:
    return jpeg.with_segments(sample("JPEG"), jpeg.segment(0xFE, b"") * 4_000_000)


def _gif_after(blocks: bytes) -> bytes:
    return containers.gif((96, 64), (1, 1), _ONE_PIXEL, blocks)


def _gif_of_frames() -> bytes:
    frames = [Image.new("L", (8, 8), shade % 256) for shade in range(5_000)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def _tiff_overbooked() -> bytes:
    """Return a picture with far more places of strips than it has strips."""
    count, pixels = 2_400_000, bytes(2 * SIDE)
    places = tiff.DATA + len(pixels)
    layout = [(278, 4, 1, 2), (273, 4, count, places), (279, 4, count, places + 4 * count)]
    image = tiff.grey(SIDE, SIDE, *layout, data=pixels)
    start = len(image) - len(pixels)
    return image + struct.pack("<I", start) * count + struct.pack("<I", len(pixels)) * count


def _tiff_of_huge_tile() -> bytes:
    return tiff.tiles(96, 64, (65_520, 65_520), 1, compression=8, data=zlib.compress(bytes(96)))


def _tiff_around_jpeg() -> bytes:
    side = 3_000
    return tiff.strips(side, side, side, compression=7, data=jpeg.many_scans(side, side, 5_000))


def _understated(form: str) -> bytes:
    return containers.with_announced_size(encoded(Image.new("L", (2_048, 2_048)), form), 512, 512)


def _again(mode: str) -> bytes:
    return containers.with_frames_again(encoded(Image.new(mode, (2_048, 2_048)), "AVIF"), 1_000)


def _again_animated() -> bytes:
    frames = [Image.new("RGB", (2_048, 2_048), shade) for shade in ("black", "white")]
    return containers.with_frames_again(encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:]), 1_000)
