"""PNG, GIF, BMP, WebP, HEIF and AVIF files, chunk by chunk and box by box."""

import struct
import zlib
from functools import cache

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = len(PNG_SIGNATURE) + 25
_MILLION = 1_000_000
_ADLER_MODULUS = 65_521


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *, interlaced: bool = False) -> bytes:
    """Return a picture with compressed data as given."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return PNG_SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def with_png_chunks(image: bytes, *chunks: bytes) -> bytes:
    """Return the file with chunks after its header."""
    return image[:_HEADER_END] + b"".join(chunks) + image[_HEADER_END:]


def zeros(size: int) -> bytes:
    """Return that many zero bytes, compressed, without ever holding or compressing them: a million is all alike."""
    count, rest = divmod(size, _MILLION)
    packer = zlib.compressobj(9)
    end = packer.compress(bytes(rest)) + packer.flush()
    checksum = struct.pack(">HH", size % _ADLER_MODULUS, 1)
    return end[:2] + _million_zeros() * count + end[2:-4] + checksum


@cache
def _million_zeros() -> bytes:
    """Return what stands for a million zero bytes anywhere in compressed data."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return packer.compress(bytes(_MILLION)) + packer.flush(zlib.Z_FULL_FLUSH)


def gif(screen: tuple[int, int], frame: tuple[int, int], data: bytes, before: bytes = b"") -> bytes:
    """Return a picture of two colours; ``before`` comes before its only frame."""
    header = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    image = b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02"
    blocks = b"".join(bytes((len(data[i : i + 255]),)) + data[i : i + 255] for i in range(0, len(data), 255))
    return header + before + image + blocks + b"\x00;"


def bmp_with_size(image: bytes, width: int, height: int) -> bytes:
    """Return the file with a header that announces that size."""
    return image[:18] + struct.pack("<ii", width, height) + image[26:]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP file of these chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\x00" * (len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_canvas(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    """Return the chunk that announces a canvas."""
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"VP8X", bytes((flags, 0, 0, 0)) + sizes


def webp_frame(image: bytes) -> tuple[bytes, bytes]:
    """Return the first chunk of a simple WebP file."""
    size = struct.unpack_from("<I", image, 16)[0]
    return image[12:16], image[20 : 20 + size]


def with_announced_size(image: bytes, width: int, height: int) -> bytes:
    """Return the HEIF or AVIF file with another size in every box that announces one."""
    changed = bytearray(image)
    place = changed.find(b"ispe")
    while place >= 0:
        changed[place + 8 : place + 16] = struct.pack(">II", width, height)
        place = changed.find(b"ispe", place + 1)
    return bytes(changed)


def with_frames_again(image: bytes, times: int) -> bytes:
    """Return the AVIF file of one picture, or of several, with the frame of its first picture that often in its data.

    Of a picture with alpha, it is that of alpha. Of several pictures, the item that stands for them remains as it was.
    """
    place = image.index(b"iloc")
    size_place = place - 4 + struct.unpack_from(">I", image, place - 4)[0] - 4
    start, size = struct.unpack_from(">II", image, size_place - 4)
    changed = bytearray(image) + image[start : start + size] * times + image[start + size :]
    data_place = image.index(b"mdat") - 4
    struct.pack_into(">I", changed, data_place, len(changed) - data_place)
    place = image.find(b"stco")
    if place < 0:
        struct.pack_into(">II", changed, size_place - 4, len(image), size * times)
    else:
        struct.pack_into(">I", changed, place + 12, len(image))
        struct.pack_into(">I", changed, image.index(b"stsz") + 16, size * times)
    return bytes(changed)
