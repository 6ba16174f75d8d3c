"""Files of every kind: odd shapes, all kinds of pixels, damaged ones, and those that are something else."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial

import numpy as np
from PIL import Image

from tests import pictures
from tests.hostile import containers, jpeg, tiff
from tests.hostile.cases import FORMATS, READ, UNREADABLE, Case, noise, picture, sample
from tests.pictures import encoded

_FOREIGN = ("EPS", "PPM", "ICO", "PCX", "TGA", "SGI", "JPEG2000", "ICNS", "DDS", "QOI", "DIB", "PDF")
_TIFF_COMPRESSIONS = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd", "jpeg")
_ONE_PIXEL = b"\x44\x01"


def shapes() -> Iterator[Case]:
    """Return pictures of next to no size, or of next to no height."""
    yield Case("no bytes", bytes, UNREADABLE)
    yield Case("one byte", lambda: b"\xff", UNREADABLE)
    for form in FORMATS:
        if form != "MPO":
            yield Case(f"1 x 1 {form}", partial(encoded, picture(1, 1), form), READ)
    for size in ((1, 60_000), (60_000, 1)):
        for form in ("JPEG", "PNG", "TIFF", "BMP", "GIF"):
            yield Case(f"{size[0]} x {size[1]} {form}", partial(encoded, Image.new("L", size), form), READ)
    yield Case("16383 x 1 WEBP", lambda: encoded(Image.new("RGB", (16_383, 1)), "WEBP"), READ)
    yield Case("1 x 32000 AVIF", lambda: encoded(Image.new("RGB", (1, 32_000)), "AVIF", speed=10), READ)
    yield Case("1 x 60000 AVIF", lambda: encoded(Image.new("RGB", (1, 60_000)), "AVIF", speed=10), UNREADABLE)
    yield Case("64 x 16000 HEIF", lambda: encoded(Image.new("RGB", (64, 16_000)), "HEIF"), READ)
    yield Case("PNG of no width", lambda: containers.png(0, 64, 8, 0, b""), UNREADABLE)
    yield Case("BMP of negative height", lambda: containers.bmp_with_size(sample("BMP"), 96, -64), READ)
    yield Case("BMP of no height", lambda: containers.bmp_with_size(sample("BMP"), 96, 0), UNREADABLE)
    yield Case("GIF of no size", lambda: containers.gif((0, 0), (0, 0), _ONE_PIXEL), UNREADABLE)
    yield Case("GIF whose frame is empty", lambda: containers.gif((96, 64), (0, 0), _ONE_PIXEL), UNREADABLE)
    yield Case("GIF without a frame", lambda: sample("GIF")[:13] + bytes(768) + b";", UNREADABLE)


def pixels() -> Iterator[Case]:
    """Return every kind of pixels, animations, and each way to hold the camera."""
    grey = Image.fromarray(np.linspace(0, 65_535, 96 * 64).reshape(64, 96).astype(np.uint16))
    animated = {"save_all": True, "append_images": [picture(), picture()]}
    yield Case("CMYK JPEG", lambda: encoded(picture().convert("CMYK"), "JPEG"), READ)
    yield Case("CMYK TIFF", lambda: encoded(picture().convert("CMYK"), "TIFF"), READ)
    yield Case("L*a*b* TIFF", lambda: encoded(Image.new("LAB", (96, 64)), "TIFF"), READ)
    yield Case("YCbCr TIFF", lambda: encoded(picture().convert("YCbCr"), "TIFF", compression="jpeg"), READ)
    yield Case("TIFF of fax group 4", lambda: encoded(picture().convert("1"), "TIFF", compression="group4"), READ)
    yield Case("16-bit grey PNG", partial(encoded, grey, "PNG"), READ)
    yield Case("16-bit grey TIFF", partial(encoded, grey, "TIFF"), READ)
    yield Case("16-bit colour PNG", lambda: containers.png(96, 64, 16, 6, containers.zeros(64 * 769)), READ)
    yield Case("floating-point TIFF", lambda: encoded(Image.new("F", (96, 64)), "TIFF"), UNREADABLE)
    yield Case("PNG without its palette", lambda: containers.png(96, 64, 8, 3, containers.zeros(97 * 64)), UNREADABLE)
    for mode in ("1", "L", "LA", "P", "RGBA"):
        yield Case(f"{mode} PNG", partial(encoded, picture().convert(mode), "PNG"), READ)
    for form in ("GIF", "WEBP", "PNG", "AVIF", "HEIF", "TIFF"):
        yield Case(f"animated {form}", partial(encoded, picture(), form, **animated), READ)
    for name in _TIFF_COMPRESSIONS:
        yield Case(f"TIFF of {name}", partial(encoded, picture(), "TIFF", compression=name), READ)
    for number in (0, 6, 34_712, 34_676, 50_001, 65_535):
        odd = partial(tiff.strips, 96, 64, 64, compression=number, data=bytes(6_144))
        yield Case(f"TIFF of compression {number}", odd, UNREADABLE)
    for orientation in range(1, 9):
        yield Case(f"JPEG of orientation {orientation}", partial(pictures.turned, picture(), orientation), READ)


def damaged() -> Iterator[Case]:
    """Return each format without its end, and without anything behind its beginning."""
    for form in FORMATS:
        content = sample(form)
        half = len(content) // (4 if form == "MPO" else 2)
        yield Case(f"half a {form}", partial(_cut, content, half), UNREADABLE)
        yield Case(f"a {form} without its last fifth", partial(_cut, content, half * 8 // 5), UNREADABLE)
        yield Case(f"the first 20 bytes of a {form}", partial(_cut, content, 20), UNREADABLE)
        if form != "GIF":  # whose size would be noise
            yield Case(f"noise behind a {form}'s beginning", partial(_cut, content, 12, noise(5_000)), UNREADABLE)
    yield Case("zeros behind a GIF's beginning", lambda: sample("GIF")[:13] + bytes(5_000), UNREADABLE)


def disguised() -> Iterator[Case]:
    """Return files of two formats at once, pictures of formats that are not allowed, and no pictures."""
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    script = b"*/=1;alert(1)/*"
    comment = b"!\xfe" + bytes((len(script),)) + script + b"\x00"
    yield Case("JPEG and ZIP", lambda: sample("JPEG") + _zip(), READ)
    yield Case("PNG and ZIP", lambda: sample("PNG") + _zip(), READ)
    yield Case("GIF and JavaScript", lambda: sample("GIF")[:-1] + comment + b";", READ)
    yield Case("JPEG and PDF", lambda: jpeg.with_segments(sample("JPEG"), jpeg.segment(0xFE, b"%PDF-1.7\n")), READ)
    yield Case("JPEG and PHP", lambda: encoded(picture(), "JPEG", comment=b"<?php system($_GET[0]); ?>"), READ)
    yield Case("JPEG and HTML", lambda: sample("JPEG") + b"<html><script>alert(1)</script></html>", READ)
    yield Case("PDF and JPEG", lambda: b"%PDF-1.7\n1 0 obj <<>> stream\n" + sample("JPEG"), UNREADABLE)
    yield Case("HTML and JPEG", lambda: b"<html><script>1</script></html>" + sample("JPEG"), UNREADABLE)
    yield Case("ZIP and JPEG", _zip, UNREADABLE)
    yield Case("BMP and PNG", lambda: b"BM" + sample("PNG"), UNREADABLE)
    yield Case("JPEG in gzip", lambda: zlib.compress(sample("JPEG"), wbits=31), UNREADABLE)
    yield Case("JPEG as text", lambda: sample("JPEG").hex().encode(), UNREADABLE)
    yield Case("SVG", lambda: svg, UNREADABLE)
    for form in _FOREIGN:
        yield Case(form, partial(encoded, picture(), form), UNREADABLE)
    yield Case(
        "PSD", lambda: b"8BPS\x00\x01" + bytes(6) + struct.pack(">HIIHH", 3, 64, 96, 8, 3) + bytes(18_500), UNREADABLE
    )
    yield Case("MP4", lambda: b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + noise(5_000), UNREADABLE)
    yield Case("ELF", lambda: b"\x7fELF\x02\x01\x01" + noise(5_000), UNREADABLE)
    yield Case("noise", lambda: noise(100_000), UNREADABLE)
    yield Case("zeros", lambda: bytes(100_000), UNREADABLE)
    yield Case("text", lambda: b"this is no picture\n" * 1_000, UNREADABLE)


def _cut(content: bytes, size: int, end: bytes = b"") -> bytes:
    return content[:size] + end


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("photo.jpg", sample("JPEG"))
    return stream.getvalue()
