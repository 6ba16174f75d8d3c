"""What a file would cost its decoder beyond its bytes and its pixels, judged before the decoder sees it.

Decoders bound neither how often a file may return to the same pixels, nor into how many crumbs it may be cut: a JPEG
of one megabyte can ask for hours.
"""

import io
import re
import struct
from typing import Final

from domain.errors import UnreadableImageError

MOST_SCANS: Final = 100
"""Scans in a JPEG, each of which costs its decoder all pixels; progressive photographs have about ten."""
MOST_SEGMENTS: Final = 100_000
"""Segments in a JPEG."""
MOST_PIECES: Final = 250_000
"""Strips or tiles in a TIFF."""
MOST_READS: Final = 1_000_000
"""How often a decoder may ask for the next bytes."""
MOST_READS_OF_BMP: Final = 10_000_000
"""The same for BMP, whose decoder asks twice for each run of equal pixels."""

_BMP: Final = b"BM"
_JPEG: Final = b"\xff\xd8\xff"
_JPEG_MARKER: Final = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""Neither data, in which 0xFF is followed by 0, nor a restart within it."""
_SCAN: Final = 0xDA
_END: Final = 0xD9
_WITHOUT_CONTENT: Final = (0x01, 0xD8)

_TIFF: Final = {
    b"II*\x00": ("<", False),
    b"MM\x00*": (">", False),
    b"II+\x00": ("<", True),
    b"MM\x00+": (">", True),
    b"MM*\x00": (">", False),
    b"II\x00*": ("<", False),
}
"""What a TIFF begins with, the last two by mistake: its byte order, and whether it is of the large kind."""
_PIECES: Final = (273, 324)
"""The entries of a TIFF's directory that say where its strips, or its tiles, are."""

_SIZE_BOX: Final = re.compile(rb"ispe\x00{4}(.{4})(.{4})", re.DOTALL)


class ReadLimitedBytesIO(io.BytesIO):
    """A file in memory that is not read in more crumbs than its format needs."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._reads = 0
        self._most_reads = MOST_READS_OF_BMP if content.startswith(_BMP) else MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes.

        Raises:
            UnreadableImageError: this was asked for too often.

        """
        self._reads += 1
        if self._reads > self._most_reads:
            raise UnreadableImageError(f"the image is in more than {self._most_reads} pieces")
        return super().read(size)


def screen(content: bytes) -> None:
    """Return when the file's structure costs its decoder no more than its bytes and pixels do.

    Raises:
        UnreadableImageError: it is made to cost more.

    """
    if content.startswith(_JPEG):
        _screen_jpeg(content)
    elif content[:4] in _TIFF:
        try:
            _screen_tiff(content)
        except (struct.error, OverflowError) as error:
            raise UnreadableImageError("the image has no directory") from error


def announced_pixels(content: bytes) -> int:
    """Return how many pixels a HEIF or AVIF says that its largest picture has; 0 for other files.

    Their decoders refuse what is too large for them in the same words as what is broken.
    """
    if content[4:8] != b"ftyp":
        return 0
    sizes = (map(int.from_bytes, match.groups()) for match in _SIZE_BOX.finditer(content))
    return max((width * height for width, height in sizes), default=0)


def _screen_jpeg(content: bytes) -> None:
    scans = segments = place = 0
    while marker := _JPEG_MARKER.search(content, place):
        kind, place = marker[1][0], marker.end()
        scans += kind == _SCAN
        segments += 1
        if scans > MOST_SCANS or segments > MOST_SEGMENTS:
            raise UnreadableImageError(f"the image has more than {MOST_SCANS} scans or {MOST_SEGMENTS} segments")
        if kind == _END:
            return
        if kind not in _WITHOUT_CONTENT:
            place += int.from_bytes(content[place : place + 2])


def _screen_tiff(content: bytes) -> None:
    order, large = _TIFF[content[:4]]
    (start,) = struct.unpack_from(f"{order}{'Q' if large else 'I'}", content, 8 if large else 4)
    (entries,) = struct.unpack_from(f"{order}{'Q' if large else 'H'}", content, start)
    first, size, form = (start + 8, 20, "HHQ") if large else (start + 2, 12, "HHI")
    for number in range(min(entries, (len(content) - first) // size)):
        tag, _, count = struct.unpack_from(f"{order}{form}", content, first + number * size)
        if tag in _PIECES and count > MOST_PIECES:
            raise UnreadableImageError(f"the image is in more than {MOST_PIECES} pieces")
