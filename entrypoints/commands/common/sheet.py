"""The picture that ``show --image`` writes: a photo, the face on it, and what came of it."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from adapters.vision.pictures.pixels import Picture
from adapters.whole_file import OWNERS, write_whole
from domain.faces import BoundingBox
from domain.outcomes import OutcomeKind
from domain.records import JobRecord, Matched
from entrypoints.commands.common.photo_jobs import brief
from entrypoints.composition.base import build
from entrypoints.composition.broker import connected_to_nats
from entrypoints.composition.pictures import picture_reader
from entrypoints.composition.retrieving import RetrievingContainer
from entrypoints.settings import Settings
from entrypoints.terminal.console import err, fail, visible

_LABEL_WIDTH: Final = 70
_LEAST_WIDTH: Final = 480
_PAPER: Final = "white"
_INK: Final = "#222222"
_MARGIN: Final = 12
_COLOURS: Final = {OutcomeKind.MATCHED: "#1a7f37", OutcomeKind.SKIPPED: "#9a6700", OutcomeKind.FAILED: "#cf222e"}


async def write_sheet(settings: Settings, records: list[JobRecord], path: Path) -> None:
    """Fetch the photo of the newest of these jobs whose image can be had, and write the picture."""
    container = build(RetrievingContainer, settings)
    async with connected_to_nats(container), container.photo_store():
        retrieved = await container.retrieve_image()(records)
    record = retrieved.record
    face = record.outcome.face
    colour = _COLOURS[record.outcome.kind]
    async with picture_reader(settings.vision) as pictures:
        picture = await pictures.read(retrieved.content)
    sheet = _annotated(picture, face.box if face else None, label(record), colour)
    try:
        write_whole(path, _encoded(sheet, path), mode=OWNERS)
    except OSError as error:
        fail(f"the picture cannot be written: {error}")
    err.print(f"The photo of job {record.key} is in {path}.")


def _encoded(sheet: Image.Image, path: Path) -> bytes:
    content = BytesIO()
    sheet.save(content, Image.registered_extensions()[path.suffix.lower()])
    return content.getvalue()


def label(record: JobRecord) -> list[str]:
    """Return the lines below the picture: what came of it first and why, then what it is and of which job."""
    outcome = record.outcome
    comparison = outcome.comparison
    head = f"matched: user {outcome.user_id}" if isinstance(outcome, Matched) else f"{outcome.kind}: {outcome.reason}"
    lines = [head, *wrap(visible(outcome.detail), _LABEL_WIDTH)]
    if comparison is not None:
        threshold = "none" if comparison.threshold is None else brief(comparison.threshold)
        lines.append(f"distance {brief(comparison.distance)}, threshold {threshold}")
    return [
        *lines,
        f"{record.embedder}, {record.occurred_at:%Y-%m-%d %H:%M:%S} UTC",
        f"photo {record.photo_id}, job {record.key}",
    ]


def _annotated(picture: Picture, box: BoundingBox | None, lines: Sequence[str], colour: str) -> Image.Image:
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
