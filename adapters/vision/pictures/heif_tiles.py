"""How many pixels a HEIF or AVIF has decoded before its picture is put together.

Such a picture may be derived from others: a grid of tiles, an overlay, a copy. The file names each source by number, as
often as it likes, and each source has a size of its own that need not suit the picture's. So a file of few bytes
and a small picture can ask for the same huge tile hundreds of times. The sizes are all announced in the file's boxes,
which are walked here without a decoder.

Sources: ISO/IEC 14496-12 (boxes; ``meta``, ``pitm``, ``iref``) and ISO/IEC 23008-12 (``dimg``, ``auxl``, ``iprp``,
``ipco``, ``ipma``, ``ispe``, ``auxC``).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Final

import attrs

from domain.errors import UnreadableImageError

MOST_LEVELS: Final = 8
"""Pictures derived from derived pictures; those of cameras are derived once or twice. A circle has no end."""
MOST_ENTRIES: Final = 250_000
"""Boxes, references and properties; a grid of 10,000 tiles has about 50,000."""

_HEADER: Final = 8
_LARGE_SIZE: Final = 1
_TO_THE_END: Final = 0
_FULL: Final = 4
"""The bytes of version and flags, with which most boxes begin."""
_LARGE_INDEX: Final = 1
"""The flag of ``ipma`` for property indices of two bytes."""
_LONGEST_TEXT: Final = 256
_ALPHA: Final = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
)
"""What ``auxC`` says of an auxiliary picture that is decoded with the picture that it belongs to."""


def derived_pixels(content: bytes) -> int:
    """Return the pixels of all that a HEIF's or AVIF's primary picture is made from, repeats included.

    The picture itself does not count, nor do thumbnails, depth maps and gain maps. Alpha does: it is decoded with the
    picture. 0 for a picture that is made from nothing else, for other files, and for boxes that are no HEIF.

    Raises:
        UnreadableImageError: the boxes are more, or nested deeper, than any picture needs, or one is there twice that
            must be alone, so that decoders could differ in which they take.

    """
    if content[4:8] != b"ftyp":
        return 0
    items = _Items()
    items.read(_Box(b"", content, 0, len(content)))
    pixels = 0
    level = items.decoded_with(items.primary)
    for _ in range(MOST_LEVELS):
        deeper: Counter[int] = Counter()
        for item, times in level.items():
            pixels += times * items.pixels[item]
            for source, repeats in items.decoded_with(item).items():
                deeper[source] += times * repeats
        if not deeper:
            return pixels
        level = deeper
    raise UnreadableImageError(f"the image is derived from others over more than {MOST_LEVELS} levels")


@attrs.define
class _Box:
    """What is in a box, read from its beginning to its end. Numbers beyond the end are 0."""

    kind: bytes
    _content: bytes = attrs.field(repr=False)
    _place: int
    _end: int

    @property
    def left(self) -> int:
        return self._end - self._place

    def number(self, size: int) -> int:
        start, self._place = self._place, min(self._place + size, self._end)
        return int.from_bytes(self._content[start : self._place])

    def full(self) -> tuple[int, int]:
        """Return version and flags."""
        return self.number(1), self.number(_FULL - 1)

    def text(self) -> bytes:
        return self._content[self._place : min(self._place + _LONGEST_TEXT, self._end)].partition(b"\0")[0]

    def boxes(self) -> Iterator["_Box"]:
        """Yield the boxes within this one, cut where it ends, up to the first that has no valid size."""
        while self.left >= _HEADER:
            start = self._place
            size, kind = self.number(4), self.number(4).to_bytes(4)
            if size == _LARGE_SIZE:
                size = self.number(8)
            elif size == _TO_THE_END:
                size = self._end - start
            end = min(start + size, self._end)
            if end < self._place:
                return
            yield _Box(kind, self._content, self._place, end)
            self._place = end


@attrs.define
class _Items:
    """The pictures of a file by number: how large they are, and how often each is made from which others."""

    primary: int = 0
    pixels: defaultdict[int, int] = attrs.Factory(lambda: defaultdict(int))
    _sources: defaultdict[int, Counter[int]] = attrs.Factory(lambda: defaultdict(Counter))
    _auxiliaries: defaultdict[int, set[int]] = attrs.Factory(lambda: defaultdict(set))
    _alpha: set[int] = attrs.Factory(set)
    _entries: int = 0

    def decoded_with(self, item: int) -> Counter[int]:
        """Return what is decoded for that picture besides itself, and how often."""
        return self._sources[item] + Counter(self._auxiliaries[item] & self._alpha)

    def read(self, file: _Box) -> None:
        for meta in self._only(file, b"meta"):
            meta.full()
            for box in self._only(meta, b"pitm", b"iref", b"iprp"):
                if box.kind == b"pitm":
                    version, _ = box.full()
                    self.primary = box.number(4 if version else 2)
                elif box.kind == b"iref":
                    self._read_references(box)
                else:
                    self._read_properties(box)

    def _only(self, parent: _Box, *kinds: bytes) -> Iterator[_Box]:
        seen = set()
        for box in self._counted(parent.boxes()):
            if box.kind in kinds:
                if box.kind in seen:
                    raise UnreadableImageError(f"the image has several boxes {box.kind.decode()}")
                seen.add(box.kind)
                yield box

    def _read_references(self, references: _Box) -> None:
        version, _ = references.full()
        size = 4 if version else 2
        for box in references.boxes():
            item, count = box.number(size), box.number(2)
            count = min(count, box.left // size)
            self._count(1 + count)
            others = [box.number(size) for _ in range(count)]
            if box.kind == b"dimg":
                self._sources[item].update(others)
            elif box.kind == b"auxl":
                for other in others:
                    self._auxiliaries[other].add(item)

    def _read_properties(self, properties: _Box) -> None:
        known: list[_Box] = []
        associations = []
        for box in self._counted(properties.boxes()):
            if box.kind == b"ipma":
                associations.append(box)
            elif box.kind == b"ipco":
                if known:
                    raise UnreadableImageError("the image has several boxes ipco")
                known = list(self._counted(box.boxes()))
        values = [_value(each) for each in known]
        for item, index in chain.from_iterable(map(self._associations, associations)):
            if 0 < index <= len(values):
                pixels, alpha = values[index - 1]
                self.pixels[item] = max(self.pixels[item], pixels)
                if alpha:
                    self._alpha.add(item)

    def _associations(self, box: _Box) -> Iterator[tuple[int, int]]:
        version, flags = box.full()
        size, essential = (2, 0x8000) if flags & _LARGE_INDEX else (1, 0x80)
        for _ in range(box.number(4)):
            if not box.left:
                return
            item = box.number(4 if version else 2)
            count = min(box.number(1), box.left // size)
            self._count(1 + count)
            for _ in range(count):
                yield item, box.number(size) & ~essential

    def _counted(self, boxes: Iterator[_Box]) -> Iterator[_Box]:
        for box in boxes:
            self._count()
            yield box

    def _count(self, entries: int = 1) -> None:
        self._entries += entries
        if self._entries > MOST_ENTRIES:
            raise UnreadableImageError(f"the image has more than {MOST_ENTRIES} boxes, references and properties")


def _value(prop: _Box) -> tuple[int, bool]:
    """Return the pixels that a property gives to a picture, and whether it makes it alpha."""
    if prop.kind == b"ispe":
        prop.full()
        return prop.number(4) * prop.number(4), False
    if prop.kind == b"auxC":
        prop.full()
        return 0, prop.text() in _ALPHA
    return 0, False
