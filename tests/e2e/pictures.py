"""Pictures that the end-to-end tests make of real photographs."""

from io import BytesIO
from pathlib import Path

from PIL import Image


def _jpeg(picture: Image.Image) -> bytes:
    stream = BytesIO()
    picture.convert("RGB").save(stream, "JPEG", quality=92)
    return stream.getvalue()


def group(*photographs: Path) -> bytes:
    """Return one picture with the given photographs side by side."""
    pictures = [Image.open(path).convert("RGB") for path in photographs]
    height = 400
    scaled = [picture.resize((picture.width * height // picture.height, height)) for picture in pictures]
    canvas = Image.new("RGB", (sum(picture.width for picture in scaled), height))
    left = 0
    for picture in scaled:
        canvas.paste(picture, (left, 0))
        left += picture.width
    return _jpeg(canvas)


def shrunk_on_canvas(photograph: Path, factor: float) -> bytes:
    """Return the photograph made smaller, in the middle of a grey canvas of its old size."""
    picture = Image.open(photograph).convert("RGB")
    small = picture.resize((int(picture.width * factor), int(picture.height * factor)))
    canvas = Image.new("RGB", picture.size, (127, 127, 127))
    canvas.paste(small, ((picture.width - small.width) // 2, (picture.height - small.height) // 2))
    return _jpeg(canvas)


def noise(size: int) -> bytes:
    """Return an uncompressed picture of at least ``size`` bytes."""
    side = int((size / 3) ** 0.5) + 1
    stream = BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(stream, "BMP")
    return stream.getvalue()
