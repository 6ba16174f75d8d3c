"""Pictures that tests make of real photographs."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pillow_heif
from PIL import ExifTags, Image

from tests.hostile import containers

pillow_heif.register_heif_opener()

_STORED_FOR = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored by a camera that was held in this EXIF orientation."""


def opened(photograph: Path) -> Image.Image:
    """Return a photograph's pixels in RGB."""
    with Image.open(photograph) as picture:
        return picture.convert("RGB")


_QUICK: Final[Mapping[str, dict[str, Any]]] = {"AVIF": {"speed": 10}, "PNG": {"compress_level": 1}}
"""How to have files soon, where nothing else is asked for; they are larger."""


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    """Return a picture as a file of that format; Pillow leaves traces of a format on what it saves, so on copies."""
    options = _QUICK.get(form, {}) | options
    stream = BytesIO()
    if "append_images" in options:
        options["append_images"] = [frame.copy() for frame in options["append_images"]]
    picture.copy().save(stream, form, **options)
    return stream.getvalue()


def jpeg(picture: Image.Image, quality: int = 92) -> bytes:
    """Return a picture as JPEG."""
    return encoded(picture.convert("RGB"), "JPEG", quality=quality)


def turned(picture: Image.Image, orientation: int, form: str = "JPEG", **options: Any) -> bytes:
    """Return an upright picture as a camera stores it that was held in this EXIF orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    how = _STORED_FOR[orientation]
    stored = picture if how is None else picture.transpose(how)
    return encoded(stored, form, exif=exif.tobytes(), **options)


def group(*photographs: Path) -> bytes:
    """Return one picture with the given photographs side by side."""
    height = 400
    pictures = [opened(path) for path in photographs]
    scaled = [picture.resize((picture.width * height // picture.height, height)) for picture in pictures]
    canvas = Image.new("RGB", (sum(picture.width for picture in scaled), height))
    left = 0
    for picture in scaled:
        canvas.paste(picture, (left, 0))
        left += picture.width
    return jpeg(canvas)


def shrunk_on_canvas(photograph: Path, factor: float) -> bytes:
    """Return the photograph made smaller, in the middle of a grey canvas of its old size."""
    picture = opened(photograph)
    small = picture.resize((int(picture.width * factor), int(picture.height * factor)))
    canvas = Image.new("RGB", picture.size, (127, 127, 127))
    canvas.paste(small, ((picture.width - small.width) // 2, (picture.height - small.height) // 2))
    return jpeg(canvas)


def noise(size: int) -> bytes:
    """Return an uncompressed picture of at least ``size`` bytes."""
    side = int((size / 3) ** 0.5) + 1
    return encoded(Image.new("RGB", (side, side), (90, 120, 30)), "BMP")


def bomb() -> bytes:
    """Return a file of 49 kB that becomes 400 megapixels."""
    side = 20_000
    return containers.png(side, side, 1, 0, containers.zeros((1 + side // 8) * side))
