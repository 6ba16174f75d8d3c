"""How many pixels a HEIF or AVIF has decoded before its picture is put together.

Such a picture may be derived from others: a grid of tiles, an overlay, a copy. The file names each source by number, as
often as it likes, and each source has a size of its own that need not suit the picture's. So a file of few bytes
and a small picture can ask for the same huge tile hundreds of times. The sizes are announced in the file's boxes, which
are walked here without a decoder.

The decoder of HEIF refuses a picture of another size than its box announces. That of AVIF takes whatever size comes,
and decodes all frames that it is given: there the headers within the data count.

Sources: ISO/IEC 14496-12 (boxes; ``meta``, ``pitm``, ``iinf``, ``iloc``, ``idat``, ``iref``, ``moov`` to ``stco``),
ISO/IEC 23008-12 (``dimg``, ``auxl``, ``iprp``, ``ipco``, ``ipma``, ``ispe``, ``auxC``) and AV1 Image File Format
(``av01``).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Final

import attrs

from adapters.vision.pictures.av1 import pixels_by_unit
from domain.errors import UnreadableImageError

MOST_LEVELS: Final = 8
"""Pictures derived from derived pictures; those of cameras are derived once or twice. A circle has no end."""
MOST_ENTRIES: Final = 250_000
"""Boxes, references, properties, and parts of data; a grid of 10,000 tiles has about 120,000."""

_HEADER: Final = 8
_LARGE_SIZE: Final = 1
_TO_THE_END: Final = 0
_FULL: Final = 4
"""The bytes of version and flags, with which most boxes begin."""
_LARGE_INDEX: Final = 1
"""The flag of ``ipma`` for property indices of two bytes."""
_SMALL_NUMBERS: Final = 2
"""The last version of ``infe`` with two bytes for an item's number."""
_WITHIN_META: Final = 1
"""How ``iloc`` says that the data are in ``idat``, and not at a place in the file, which is 0."""
_LONGEST_TEXT: Final = 256
_ALPHA: Final = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
)
"""What ``auxC`` says of an auxiliary picture that is decoded with the picture that it belongs to."""


def decoded_pixels(content: bytes) -> int:
    """Return the pixels of all that a HEIF's or AVIF's primary picture is made from, repeats included.

    What it is put together on does not count, nor do thumbnails, depth maps and gain maps. Alpha does: it is decoded
    with the picture. So do all frames in the data of an AVIF, and those of the first picture of an animation, if they
    are more. 0 for a HEIF that is made from nothing else, for other files, and for boxes that are no HEIF.

    Raises:
        UnreadableImageError: the boxes are more, or nested deeper, than any picture needs; or one is there twice that
            must be alone, so that decoders could differ in which they take; or data of AV1 have no valid header.

    """
    if content[4:8] != b"ftyp":
        return 0
    items = _Items(content)
    items.read(_Box(b"", content, 0, len(content)))
    pixels = items.coded_pixels(items.primary)
    level = items.decoded_with(items.primary)
    for _ in range(MOST_LEVELS):
        deeper: Counter[int] = Counter()
        for item, times in level.items():
            pixels += times * max(items.pixels[item], items.coded_pixels(item))
            for source, repeats in items.decoded_with(item).items():
                deeper[source] += times * repeats
        if not deeper:
            return max(pixels, items.animated_pixels())
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
    def place(self) -> int:
        return self._place

    @property
    def left(self) -> int:
        return self._end - self._place

    def number(self, size: int) -> int:
        start, self._place = self._place, min(self._place + size, self._end)
        return int.from_bytes(self._content[start : self._place])

    def full(self) -> tuple[int, int]:
        """Return version and flags."""
        return self.number(1), self.number(_FULL - 1)

    def within(self, kind: bytes) -> bool:
        return self._content.find(kind, self._place, self._end) >= 0

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


_Data = tuple[tuple[int, int], ...]


@attrs.define
class _Items:
    """The pictures of a file by number: how large they are, where, and how often each is made from which others.

    Data are one or more parts of the file, each told by its start and its size.
    """

    _content: bytes = attrs.field(repr=False)
    primary: int = 0
    pixels: defaultdict[int, int] = attrs.Factory(lambda: defaultdict(int))
    _sources: defaultdict[int, Counter[int]] = attrs.Factory(lambda: defaultdict(Counter))
    _auxiliaries: defaultdict[int, set[int]] = attrs.Factory(lambda: defaultdict(set))
    _alpha: set[int] = attrs.Factory(set)
    _av1: set[int] = attrs.Factory(set)
    _data: dict[int, _Data] = attrs.Factory(dict)
    _data_within_meta: dict[int, _Data] = attrs.Factory(dict)
    _first_samples: list[_Data] = attrs.Factory(list)
    _coded: dict[_Data, int] = attrs.Factory(dict)
    _bytes: int = 0
    _entries: int = 0

    def decoded_with(self, item: int) -> Counter[int]:
        """Return what is decoded for that picture besides itself, and how often."""
        return self._sources[item] + Counter(self._auxiliaries[item] & self._alpha)

    def coded_pixels(self, item: int) -> int:
        """Return the pixels of all frames of AV1 in that picture's data."""
        return self._pixels_in(self._data.get(item, ())) if item in self._av1 else 0

    def animated_pixels(self) -> int:
        """Return the same for the first pictures of all tracks: of an animation, and of its alpha."""
        return sum(map(self._pixels_in, self._first_samples))

    def _pixels_in(self, data: _Data) -> int:
        if data not in self._coded:
            self._bytes += sum(size for _, size in data)
            if self._bytes > len(self._content):
                raise UnreadableImageError("the image has pictures whose data overlap, or are beyond its end")
            pixels = 0
            for unit in pixels_by_unit(b"".join(self._content[start : start + size] for start, size in data)):
                self._count()
                pixels += unit
            self._coded[data] = pixels
        return self._coded[data]

    def read(self, file: _Box) -> None:
        for box in self._only(file, b"meta", b"moov"):
            if box.kind == b"meta":
                box.full()
                self._read_items(box)
            else:
                for track in self._counted(box.boxes()):
                    self._read_track(track)

    def _read_items(self, meta: _Box) -> None:
        start_within_meta = 0
        for box in self._only(meta, b"pitm", b"iinf", b"iloc", b"idat", b"iref", b"iprp"):
            if box.kind == b"pitm":
                version, _ = box.full()
                self.primary = box.number(4 if version else 2)
            elif box.kind == b"iinf":
                self._read_kinds(box)
            elif box.kind == b"iloc":
                self._read_places(box)
            elif box.kind == b"idat":
                start_within_meta = box.place
            elif box.kind == b"iref":
                self._read_references(box)
            else:
                self._read_properties(box)
        for item, data in self._data_within_meta.items():
            self._data[item] = tuple((start_within_meta + start, size) for start, size in data)

    def _read_kinds(self, entries: _Box) -> None:
        version, _ = entries.full()
        entries.number(4 if version else 2)
        for box in self._counted(entries.boxes()):
            version, _ = box.full()
            item, _ = box.number(4 if version > _SMALL_NUMBERS else 2), box.number(2)
            if box.number(4).to_bytes(4) == b"av01":
                self._av1.add(item)

    def _read_places(self, places: _Box) -> None:
        version, _ = places.full()
        sizes = places.number(2)
        start_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_size = sizes & 15 if version else 0
        number_size = 4 if version > 1 else 2
        for _ in range(places.number(number_size)):
            item = places.number(number_size)
            method = places.number(2) if version else 0
            places.number(2)  # whether in this file
            base, count = places.number(base_size), places.number(2)
            self._count(1 + count)
            data = []
            for _ in range(count):
                places.number(index_size)
                data.append((base + places.number(start_size), places.number(length_size)))
            if item in self._data or item in self._data_within_meta:
                raise UnreadableImageError("the image has a picture with data at several places")
            (self._data_within_meta if method & 15 == _WITHIN_META else self._data)[item] = tuple(data)

    def _read_track(self, track: _Box) -> None:
        """Read where the first sample of an AV1 track is: in its first chunk, of the size of its first sample."""
        boxes = [track] if track.kind == b"trak" else []
        for kind in (b"mdia", b"minf", b"stbl"):
            boxes = [box for parent in boxes for box in self._only(parent, kind)]
        for tables in boxes:
            by_kind = {box.kind: box for box in self._only(tables, b"stsd", b"stsz", b"stco", b"co64")}
            if b"stsd" not in by_kind or not by_kind[b"stsd"].within(b"av01") or b"stsz" not in by_kind:
                continue
            sizes = by_kind[b"stsz"]
            sizes.full()
            size = sizes.number(4) or (sizes.number(4) and sizes.number(4))
            for kind, start_size in ((b"stco", 4), (b"co64", 8)):
                if kind in by_kind:
                    by_kind[kind].full()
                    by_kind[kind].number(4)
                    self._first_samples.append(((by_kind[kind].number(start_size), size),))

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
