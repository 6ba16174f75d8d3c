"""A photograph with what was found on it: the face's box, and lines of text below."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from adapters.vision.pictures.decoding import Picture
from domain.faces import BoundingBox

_LEAST_WIDTH = 480
_PAPER, _INK = "white", "#222222"
_MARGIN = 12


def annotated(picture: Picture, box: BoundingBox | None, lines: Sequence[str], colour: str) -> Image.Image:
    """Return the upright picture, shrunk where it is very large, with the box; below it the lines, the first in colour.

    ``box`` is in pixels of the original.
    """
    photo = picture.detail
    if box is not None:
        corners = [value / picture.scale for value in (box.x1, box.y1, box.x2, box.y2)]
        photo = photo.copy()
        ImageDraw.Draw(photo).rectangle(corners, outline=colour, width=max(2, max(photo.size) // 250))
    width = max(_LEAST_WIDTH, photo.width)
    size = max(14, width // 45)
    step = round(size * 1.4)
    sheet = Image.new("RGB", (width, photo.height + 2 * _MARGIN + step * len(lines)), _PAPER)
    sheet.paste(photo, ((width - photo.width) // 2, 0))
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        font = _fitting(line, size, width - 2 * _MARGIN)
        top = photo.height + _MARGIN + number * step
        pen.text((_MARGIN, top), line, _INK if number else colour, font)
    return sheet


def _fitting(line: str, size: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the default font, as large as asked for or as large as the line has room for."""
    font = ImageFont.load_default(size)
    return ImageFont.load_default(max(8, size * width / font.getlength(line))) if font.getlength(line) > width else font
