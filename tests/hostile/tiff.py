"""TIFF files, and the blocks of that structure in other files, entry by entry."""

import struct

import attrs

_SHORT, _LONG = 3, 4
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_SIZES = 273, 277, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 322, 323, 324, 325
_RAW = 1
_HEADER = 8

Entry = tuple[int, int, int, int]
"""Tag, type, count, value or offset."""


@attrs.frozen
class Directory:
    """A little-endian directory: its entries, and where the following one is."""

    entries: list[Entry]
    following: int = 0

    def file(self, data: bytes = b"") -> bytes:
        """Return a file that begins with this directory; ``data`` follows it, at :meth:`data_offset`."""
        packed = b"".join(struct.pack("<HHII", *entry) for entry in self.entries)
        body = struct.pack("<H", len(self.entries)) + packed + struct.pack("<I", self.following)
        return b"II*\x00" + struct.pack("<I", _HEADER) + body + data

    @property
    def data_offset(self) -> int:
        """Where the data is, in bytes from the start of the file."""
        return _HEADER + 2 + 12 * len(self.entries) + 4


def grey(width: int, height: int, *layout: Entry, compression: int = _RAW, data: bytes = b"") -> bytes:
    """Return a grey picture of that size with the rest of its entries as given; values above 2**31 mean the data."""
    entries = [
        (_WIDTH, _LONG, 1, width),
        (_HEIGHT, _LONG, 1, height),
        (_BITS, _SHORT, 1, 8),
        (_COMPRESSION, _SHORT, 1, compression),
        (_PHOTOMETRIC, _SHORT, 1, 1),
        (_SAMPLES, _SHORT, 1, 1),
        *layout,
    ]
    directory = Directory(sorted(entries))
    start = directory.data_offset
    placed = [
        (tag, kind, count, start + value - DATA if value >= DATA else value) for tag, kind, count, value in entries
    ]
    return Directory(sorted(placed)).file(data)


DATA = 2**31
"""The offset of a picture's data, in an entry."""


def strips(width: int, height: int, rows: int, *, compression: int = _RAW, data: bytes) -> bytes:
    """Return a picture in strips of that many rows, all of which are the same data."""
    count = -(-height // rows)
    offset_table, size_table = DATA + len(data), DATA + len(data) + 4 * count
    image = grey(
        width,
        height,
        (_ROWS_PER_STRIP, _LONG, 1, rows),
        (_STRIP_OFFSETS, _LONG, count, DATA if count == 1 else offset_table),
        (_STRIP_SIZES, _LONG, count, len(data) if count == 1 else size_table),
        compression=compression,
        data=data,
    )
    if count == 1:
        return image
    start = len(image) - len(data)
    return image + struct.pack("<I", start) * count + struct.pack("<I", len(data)) * count


def tiles(width: int, height: int, side: tuple[int, int], count: int, *, compression: int = _RAW, data: bytes) -> bytes:
    """Return a picture in tiles of that size, all of which are the same data."""
    image = grey(
        width,
        height,
        (_TILE_WIDTH, _LONG, 1, side[0]),
        (_TILE_HEIGHT, _LONG, 1, side[1]),
        (_TILE_OFFSETS, _LONG, count, DATA if count == 1 else DATA + len(data)),
        (_TILE_SIZES, _LONG, count, len(data) if count == 1 else DATA + len(data) + 4 * count),
        compression=compression,
        data=data,
    )
    if count == 1:
        return image
    start = len(image) - len(data)
    return image + struct.pack("<I", start) * count + struct.pack("<I", len(data)) * count


def chained(image: bytes, count: int) -> bytes:
    """Return a little-endian file whose only directory is followed by that many others, each of one entry."""
    first = struct.unpack_from("<I", image, 4)[0]
    entries = struct.unpack_from("<H", image, first)[0]
    link = first + 2 + 12 * entries
    single = 2 + 12 + 4
    start = len(image)
    pages = b"".join(
        struct.pack("<HHHIII", 1, _WIDTH, _LONG, 1, 8, start + single * (number + 1) if number + 1 < count else 0)
        for number in range(count)
    )
    return image[:link] + struct.pack("<I", start) + image[link + 4 :] + pages


def looped(image: bytes) -> bytes:
    """Return a little-endian file whose directory is followed by itself."""
    first = struct.unpack_from("<I", image, 4)[0]
    entries = struct.unpack_from("<H", image, first)[0]
    link = first + 2 + 12 * entries
    return image[:link] + struct.pack("<I", first) + image[link + 4 :]
