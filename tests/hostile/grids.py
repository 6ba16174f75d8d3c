"""HEIF and AVIF pictures that are grids of tiles, all of which are the same bytes."""

import struct

from PIL import Image

from tests.pictures import encoded

_KINDS = {"HEIF": (b"hvc1", b"hvcC", b"heic"), "AVIF": (b"av01", b"av1C", b"avif")}
_GRID_ID = 1


def grid(
    form: str,
    side: int,
    columns: int,
    rows: int,
    *,
    announced: tuple[int, int] | None = None,
    tile_announced: int | None = None,
    repeated: bool = False,
) -> bytes:
    """Return a grid of even tiles.

    ``announced`` is its size where it is not that of all tiles together, and ``tile_announced`` the side of each tile
    where that is not true; ``repeated`` makes it of one tile alone.
    """
    item, configuration, brand = _KINDS[form]
    tile = encoded(Image.new("RGB", (side, side), (120, 130, 140)), form, **({"speed": 10} if form == "AVIF" else {}))
    width, height = announced or (side * columns, side * rows)
    layout = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    data = layout + _boxed(tile, b"mdat")
    tiles = columns * rows
    ids = range(_GRID_ID + 1, _GRID_ID + 1 + (1 if repeated else tiles))
    references = [*ids] * tiles if repeated else [*ids]
    properties = [
        _box(configuration, _boxed(tile, configuration)),
        _full_box(b"ispe", struct.pack(">II", tile_announced or side, tile_announced or side)),
        _full_box(b"ispe", struct.pack(">II", width, height)),
        _full_box(b"pixi", bytes((3, 8, 8, 8))),
    ]

    def meta(start: int) -> bytes:
        places = [(_GRID_ID, start, len(layout))]
        places += [(number, start + len(layout), len(data) - len(layout)) for number in ids]
        return _full_box(
            b"meta",
            _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            _full_box(b"pitm", struct.pack(">H", _GRID_ID)),
            _full_box(
                b"iloc",
                struct.pack(">BBH", 0x44, 0, len(places)),
                *(struct.pack(">HHHII", number, 0, 1, offset, size) for number, offset, size in places),
            ),
            _full_box(
                b"iinf",
                struct.pack(">H", 1 + len(ids)),
                _entry(_GRID_ID, b"grid"),
                *(_entry(number, item) for number in ids),
            ),
            _full_box(b"iref", _box(b"dimg", struct.pack(f">HH{tiles}H", _GRID_ID, tiles, *references))),
            _box(
                b"iprp",
                _box(b"ipco", *properties),
                _full_box(
                    b"ipma",
                    struct.pack(">I", 1 + len(ids)),
                    struct.pack(">HBBB", _GRID_ID, 2, 3, 4),
                    *(struct.pack(">HBBBB", number, 3, 0x81, 2, 4) for number in ids),
                ),
            ),
        )

    kind = _box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")
    return kind + meta(len(kind) + len(meta(0)) + 8) + _box(b"mdat", data)


def _entry(number: int, kind: bytes) -> bytes:
    return _full_box(b"infe", struct.pack(">HH", number, 0) + kind + b"\x00", version=2)


def _box(kind: bytes, *content: bytes) -> bytes:
    return struct.pack(">I", 8 + sum(map(len, content))) + kind + b"".join(content)


def _full_box(kind: bytes, *content: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes((version, 0, 0, 0)), *content)


def _boxed(image: bytes, kind: bytes) -> bytes:
    """Return the content of the file's box of that kind."""
    start = image.index(kind)
    size = struct.unpack_from(">I", image, start - 4)[0]
    return image[start + 4 : start - 4 + size]
