"""The contact sheet: every photograph with its box, and in words what came of it."""

from collections.abc import Sequence
from pathlib import Path

import attrs
from PIL import Image, ImageDraw, ImageFont

from adapters.vision.processes.pictures import PictureReader
from domain.errors import FacematchError
from domain.faces import BoundingBox

_TILE = 260
_CAPTION = 74
_GAP = 12
_COLUMNS = 5
_LARGEST = 1000
_PAPER, _INK, _FAINT = "white", "#222222", "#777777"


@attrs.frozen
class Tile:
    """One photograph; ``box`` in pixels of the upright original, ``colour`` that of box and first line."""

    image: Path | None
    box: BoundingBox | None
    lines: tuple[str, ...]
    colour: str


async def draw(tiles: Sequence[Tile], target: Path, pictures: PictureReader) -> None:
    """Write the sheet as PNG; of very many photographs, the first 1,000."""
    shown = tiles[:_LARGEST]
    columns = min(_COLUMNS, max(1, len(shown)))
    rows = -(-len(shown) // columns)
    step_x, step_y = _TILE + _GAP, _TILE + _CAPTION + _GAP
    sheet = Image.new("RGB", (columns * step_x + _GAP, rows * step_y + _GAP), _PAPER)
    for number, tile in enumerate(shown):
        left, top = _GAP + number % columns * step_x, _GAP + number // columns * step_y
        sheet.paste(await _picture(tile, pictures), (left, top))
        _caption(sheet, tile, left, top + _TILE + 6)
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)


async def _picture(tile: Tile, pictures: PictureReader) -> Image.Image:
    """Return the photograph, upright, on a square; a grey square where there is none to see."""
    square = Image.new("RGB", (_TILE, _TILE), "#eeeeee")
    try:
        picture = await pictures.read((tile.image or Path()).read_bytes())
    except (OSError, FacematchError):
        ImageDraw.Draw(square).text((_TILE / 2, _TILE / 2), "no picture", _FAINT, ImageFont.load_default(16), "mm")
        return square
    scale = _TILE / max(picture.width, picture.height)
    small = picture.detail.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    if tile.box is not None:
        corners = [value * scale for value in (tile.box.x1, tile.box.y1, tile.box.x2, tile.box.y2)]
        ImageDraw.Draw(small).rectangle(corners, outline=tile.colour, width=3)
    square.paste(small, ((_TILE - small.width) // 2, (_TILE - small.height) // 2))
    return square


def _caption(sheet: Image.Image, tile: Tile, left: int, top: int) -> None:
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(tile.lines):
        font = ImageFont.load_default(17 if number == 0 else 14)
        while len(line) > 1 and font.getlength(line) > _TILE:
            line = line.removesuffix("…")[:-1] + "…"  # noqa: PLW2901 - shortened until it fits
        pen.text((left, top), line, (tile.colour, _INK, _FAINT)[min(number, 2)], font)
        top += 24 if number == 0 else 19
