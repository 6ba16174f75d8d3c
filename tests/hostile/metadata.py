"""Good pictures whose metadata is broken, endless, huge or a bomb: what is not looked at does no harm."""

import struct
from collections.abc import Iterator
from functools import partial

from tests.hostile import containers, jpeg, tiff
from tests.hostile.cases import READ, UNREADABLE, Case, noise, picture, sample
from tests.hostile.tiff import Directory
from tests.pictures import encoded

_LARGE = 19_000_000
_BOMB = 200_000_000
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"


def metadata() -> Iterator[Case]:
    """Return pictures of every format that has room for them."""
    yield from _of_jpeg()
    yield from _of_png()
    yield Case("WEBP with chunks of noise", _webp_with_noise, READ)
    yield Case("WEBP with 19 MB of EXIF", partial(_webp_with_exif, b"II*\x00" + bytes(_LARGE)), READ)
    yield Case("WEBP with EXIF that overlaps", lambda: _webp_with_exif(_overlapping(_LARGE)), READ)
    for form in ("HEIF", "AVIF"):
        broken = b"II*\x00\x08\x00\x00\x00" + noise(5_000)
        yield Case(f"{form} with EXIF of noise", partial(_with_item, form, broken), READ)
        yield Case(f"{form} with EXIF that loops", partial(_with_item, form, jpeg.endless_directory()), READ)
    yield Case("TIFF whose orientation is 9,500,000 numbers", _tiff_with_numbers, READ)
    yield Case("TIFF with 65,535 entries of 19 MB each", lambda: _overlapping(_LARGE), UNREADABLE)
    yield Case("TIFF with 60,000 pages", lambda: tiff.chained(sample("TIFF"), 60_000), READ)
    yield Case("TIFF whose page follows itself", lambda: tiff.looped(sample("TIFF")), READ)


def _of_jpeg() -> Iterator[Case]:
    whole = partial(_overlapping, 9_000_000)
    counts = Directory([(0x010F, 2, 2**32 - 1, 26), (0x0110, 2, 1000, 2**32 - 1), (0x0112, 3, 1, 1)]).file()
    album = Directory([(0xB001, 4, 1, 60_000), (0xB002, 7, 960_000, 50)]).file()
    photoshop = b"Photoshop 3.0\x008BIM\x03\xed\x00\x00\xff\xff\xff\xff"
    for what, block in {
        "EXIF that loops": jpeg.endless_directory(),
        "EXIF of huge counts": counts,
        "EXIF that overlaps": Directory([(tag, 7, 60_000, 8) for tag in range(5_000)]).file(),
        "EXIF of nothing": b"",
        "EXIF of noise": b"II*\x00" + noise(60_000),
    }.items():
        yield Case(f"JPEG with {what}", partial(_jpeg_with, 0xE1, b"Exif\x00\x00" + block), READ)
    yield Case("JPEG with EXIF of 9 MB", lambda: jpeg.with_segments(sample("JPEG"), *jpeg.exif(whole())), READ)
    yield Case(
        "JPEG with a profile of noise", lambda: jpeg.with_segments(sample("JPEG"), *jpeg.profile(noise(99))), READ
    )
    yield Case(
        "JPEG with a profile of 16 MB",
        lambda: jpeg.with_segments(sample("JPEG"), *jpeg.profile(bytes(16_000_000))),
        READ,
    )
    yield Case("JPEG with XMP of noise", partial(_jpeg_with, 0xE1, _XMP + noise(60_000)), READ)
    yield Case("JPEG with XMP that expands", partial(_jpeg_with, 0xE1, _XMP + _laughs()), READ)
    yield Case("JPEG with Photoshop's blocks cut short", partial(_jpeg_with, 0xED, photoshop), READ)
    yield Case("JPEG that says it is 60,000 pictures", partial(_jpeg_with, 0xE2, b"MPF\x00" + album), READ)
    yield Case(
        "JPEG that says it is several pictures, in noise", partial(_jpeg_with, 0xE2, b"MPF\x00" + noise(64)), READ
    )
    yield Case("MPO without its second picture", lambda: sample("MPO")[: sample("MPO").rindex(jpeg.SOI)], READ)
    yield Case("MPO with a bomb as its second picture", _mpo_with_bomb, READ)


def _of_png() -> Iterator[Case]:
    bomb = partial(containers.zeros, _BOMB)
    yield Case("PNG with zTXt that becomes 200 MB", lambda: _png_with(b"zTXt", b"a\x00\x00" + bomb()), UNREADABLE)
    yield Case(
        "PNG with iTXt that becomes 200 MB",
        lambda: _png_with(b"iTXt", b"a\x00\x01\x00\x00\x00" + bomb()),
        UNREADABLE,
    )
    yield Case("PNG with a profile that becomes 200 MB", lambda: _png_with(b"iCCP", b"p\x00\x00" + bomb()), UNREADABLE)
    yield Case(
        "PNG with a profile of 9 MB", lambda: _png_with(b"iCCP", b"p\x00\x00" + containers.zeros(9_000_000)), READ
    )
    yield Case("PNG with a profile of noise", partial(_png_with, b"iCCP", b"p\x00\x00" + noise(2_000)), READ)
    yield Case("PNG with EXIF of noise", partial(_png_with, b"eXIf", b"MM\x00*" + noise(60_000)), READ)
    yield Case("PNG with EXIF that overlaps", lambda: _png_with(b"eXIf", _overlapping(_LARGE)), READ)
    yield Case("PNG with 19 MB of EXIF", lambda: _png_with(b"eXIf", b"II*\x00" + bytes(_LARGE)), READ)
    yield Case("PNG with 1,500 texts of 64 kB each", _png_with_texts, UNREADABLE)


def _overlapping(size: int) -> bytes:
    """Return a directory of as many entries as there can be, all of which are the same bytes."""
    return Directory([(tag, 7, size, 8) for tag in range(65_535)]).file(bytes(size))


def _jpeg_with(marker: int, content: bytes) -> bytes:
    return jpeg.with_segments(sample("JPEG"), jpeg.segment(marker, content))


def _png_with(kind: bytes, content: bytes) -> bytes:
    return containers.with_png_chunks(sample("PNG"), containers.png_chunk(kind, content))


def _png_with_texts() -> bytes:
    text = containers.png_chunk(b"zTXt", b"a\x00\x00" + containers.zeros(65_536))
    return containers.with_png_chunks(sample("PNG"), text * 1_500)


def _webp_with_noise() -> bytes:
    chunks = [containers.webp_canvas(96, 64, 0x2C), (b"ICCP", noise(3_000)), containers.webp_frame(sample("WEBP"))]
    return containers.riff(*chunks, (b"EXIF", noise(3_001)), (b"XMP ", noise(3_002)))


def _webp_with_exif(block: bytes) -> bytes:
    canvas, frame = containers.webp_canvas(96, 64, 0x08), containers.webp_frame(sample("WEBP"))
    return containers.riff(canvas, frame, (b"EXIF", block))


def _with_item(form: str, block: bytes) -> bytes:
    """Return a picture with that EXIF, exchanged for a good one of the same length behind the encoder's back."""
    placeholder = b"II*\x00\x08\x00\x00\x00" + bytes(max(len(block), 40))
    image = encoded(picture(), form, exif=b"Exif\x00\x00" * (form == "HEIF") + placeholder)
    return image.replace(placeholder, block.ljust(len(placeholder), b"\x00"))


def _mpo_with_bomb() -> bytes:
    image = sample("MPO")
    second = image.rindex(jpeg.SOI)
    return image[:second] + jpeg.with_size(image[second:], 60_000, 60_000)


def _tiff_with_numbers() -> bytes:
    pixels = bytes(96 * 64)
    layout = [(278, 4, 1, 64), (273, 4, 1, tiff.DATA), (279, 4, 1, len(pixels)), (0x0112, 3, _LARGE // 2, tiff.DATA)]
    return tiff.grey(96, 64, *layout, data=pixels) + struct.pack("<H", 6) * (_LARGE // 2)


def _laughs() -> bytes:
    """Return an XML document that would become gigabytes."""
    entities = [b'<!ENTITY %c "%s">' % (letter + 1, b"&%c;" % letter * 10) for letter in b"abcdefghi"]
    return b'<!DOCTYPE l [<!ENTITY a "ha">' + b"".join(entities) + b"]><x:xmpmeta>&j;</x:xmpmeta>"
