"""From an image's bytes to an upright picture, within a budget that is checked before any pixel is decoded.

Photographs come from strangers, so this module trusts nothing: only the listed formats are tried, the header's
size is judged before the pixels are touched, and the file's structure before any decoder sees it; only the first
frame of a file is ever looked at, and whatever the decoders raise becomes one of two errors. A file whose EXIF block
is damaged but whose pixels are whole is read as if it had no EXIF.
"""

import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import pillow_heif
from PIL import AvifImagePlugin, ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from adapters.vision.pictures.cpu_limit import cpu_limited_to
from adapters.vision.pictures.heif_tiles import decoded_pixels
from adapters.vision.pictures.pixels import Picture, extent
from adapters.vision.pictures.screening import ReadLimitedBytesIO, announced_pixels, screen
from application.ports.face_pipeline import ImageBudget
from domain.errors import ImageTooLargeError, JobRejectedError, UnreadableImageError

FORMATS: Final = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF")
DETAIL_SIDE: Final = 1280
"""A larger picture is shrunk by a whole factor, its extent staying at or above about this many pixels."""

MOST_DECODED: Final = 2
"""How many times the allowed pixels a HEIF or AVIF may have decoded for its picture.

Once is all that the picture needs. The tiles of a camera's grid reach somewhat beyond its right and lower edge, and
alpha may be as large again, so twice refuses no photograph; it bounds what the same huge tile, or frame, over and over
can cost.
"""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""
_SIDEWAYS: Final = 5
"""From this EXIF orientation on, the stored width is the upright height."""
_EXIF_AS_TOLD: Final = "exif", "Raw profile type exif"
"""Where Pillow keeps a file's EXIF: some programs write that of a PNG as text."""
_SCALED_BY_DECODER: Final = {"JPEG", "MPO"}
_WHITE_16_BIT: Final = 65_535
_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    struct.error,
    zlib.error,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
)

pillow_heif.register_heif_opener()
pillow_heif.options.DECODE_THREADS = 1
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
PngImagePlugin.MAX_TEXT_CHUNK = (
    16 * 1024**2
)  # printers' profiles, and the history of an edited picture, exceed the usual


def decode(content: bytes, budget: ImageBudget) -> Picture:
    """Return the upright picture of an image's first frame; where its CPU time exceeds the budget, end this process.

    Raises:
        ImageTooLargeError: the bytes, or the pixels that the header announces, exceed the budget.
        UnreadableImageError: not an image of an allowed format, truncated or corrupt.

    """
    if len(content) > budget.max_bytes:
        raise ImageTooLargeError(f"the image has more than the allowed {budget.max_bytes} bytes")
    with cpu_limited_to(budget.decoding_seconds):
        return _decoded(content, budget)


def _decoded(content: bytes, budget: ImageBudget) -> Picture:
    screen(content)
    if decoded_pixels(content) > MOST_DECODED * budget.max_pixels:
        raise ImageTooLargeError(f"the image is made from far more than the allowed {budget.max_pixels} pixels")
    try:
        with _pillow_limited_to(budget.max_pixels), Image.open(ReadLimitedBytesIO(content), formats=FORMATS) as image:
            return _read(image, budget)
    except (Image.DecompressionBombError, *_DECODER_ERRORS) as error:
        raise _verdict(error, content, budget) from error


def _verdict(error: Exception, content: bytes, budget: ImageBudget) -> JobRejectedError:
    if isinstance(error, Image.DecompressionBombError) or announced_pixels(content) > budget.max_pixels:
        return ImageTooLargeError(f"the image has more than the allowed {budget.max_pixels} pixels")
    if isinstance(error, UnidentifiedImageError):
        return UnreadableImageError(f"not an image of an allowed format ({', '.join(FORMATS)})")
    return UnreadableImageError(f"the image is truncated or corrupt ({type(error).__name__})")


@contextmanager
def _pillow_limited_to(pixels: int) -> Iterator[None]:
    """Have Pillow itself refuse larger images: some of its decoders reserve memory for all pixels of a file at once.

    It refuses at twice its limit, and warns from there on.
    """
    usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, math.ceil(pixels / 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def _read(image: Image.Image, budget: ImageBudget) -> Picture:
    announced = image.size
    width, height = announced
    if width * height > budget.max_pixels:
        raise ImageTooLargeError(f"the image has {width} x {height} pixels, more than the allowed {budget.max_pixels}")
    factor = extent(announced) // DETAIL_SIDE
    scalable = image.format in _SCALED_BY_DECODER
    if factor > 1 and scalable:
        image.draft(None, (max(1, width // factor), max(1, height // factor)))
    image.info.pop("xmp", None)  # TIFF's decoder would turn the picture by it
    image.load()
    if not scalable:
        width, height = image.size  # TIFF is turned upright by its decoder
        if sorted(image.size) != sorted(announced):
            raise UnreadableImageError("the image's pixels are not of the size that its header announces")
    detail = _eight_bit(image)
    factor = extent(detail.size) // DETAIL_SIDE
    if factor > 1:
        detail = detail.reduce(factor)
    orientation = _orientation(image)
    if orientation in _UPRIGHT:
        detail = detail.transpose(_UPRIGHT[orientation])
    if orientation >= _SIDEWAYS:
        width, height = height, width
    return Picture(width, height, _on_white(detail))


def _orientation(image: Image.Image) -> int:
    exif_alone = Image.Image()  # where EXIF says nothing, Pillow asks XMP, and editors that turn the pixels leave that
    exif_alone.info = {key: image.info[key] for key in _EXIF_AS_TOLD if key in image.info}
    try:
        orientation = exif_alone.getexif().get(ExifTags.Base.Orientation, 1)
    except _DECODER_ERRORS:
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return the picture in mode L, RGB or RGBA, with 16-bit grey scaled to 8 bits."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > _WHITE_16_BIT:
            raise UnreadableImageError("the image has grey values beyond 16 bits, for which no white is defined")
        return Image.fromarray((values // (_WHITE_16_BIT // 255)).astype(np.uint8))
    if image.mode == "F":
        raise UnreadableImageError("the image has floating-point pixels, for which no white is defined")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode == "1" else "RGB")


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGBA":
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")
