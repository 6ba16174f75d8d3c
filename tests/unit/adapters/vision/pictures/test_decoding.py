"""From bytes to an upright picture, within the budget, whatever strangers send."""

import random
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin

from adapters.vision.pictures.decoding import DETAIL_SIDE, decode
from application.ports.face_pipeline import ImageBudget
from domain.errors import ImageTooLargeError, UnreadableImageError
from tests.pictures import encoded, turned

BUDGET = ImageBudget(max_bytes=1_000_000, max_pixels=6_000_000)
LOSSLESS = ["PNG", "TIFF", "BMP"]
FORMATS = [*LOSSLESS, "JPEG", "WEBP", "HEIF", "AVIF", "GIF", "MPO"]


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    """Return a picture in which no two corners are alike."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.dstack([across, down, 255 - across]).astype(np.uint8))


@cache
def sample(form: str) -> bytes:
    """Return a small picture in that format."""
    return encoded(gradient(), form, **({"save_all": True, "append_images": [gradient()]} if form == "MPO" else {}))


def with_size(form: str, width: int, height: int) -> bytes:
    """Return a small file whose header announces that size."""
    image = bytearray(sample(form))
    match form:
        case "PNG":
            image[16:24] = struct.pack(">II", width, height)
            image[29:33] = struct.pack(">I", zlib.crc32(image[12:29]))
        case "GIF":
            image[6:10] = struct.pack("<HH", width, height)
        case "BMP":
            image[18:26] = struct.pack("<ii", width, height)
        case "JPEG":
            frame = image.index(b"\xff\xc0")
            image[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
        case _:  # WEBP
            frame = image.index(b"\x9d\x01\x2a")
            image[frame + 3 : frame + 7] = struct.pack("<HH", width, height)
    return bytes(image)


@pytest.mark.parametrize("form", FORMATS)
def test_an_allowed_format_is_read(form: str) -> None:
    """Its size is told, and its pixels are about what was drawn."""
    picture = decode(sample(form), BUDGET)
    assert (picture.width, picture.height, picture.detail.mode) == (64, 48, "RGB")
    difference = np.asarray(picture.detail).astype(int) - np.asarray(gradient()).astype(int)
    assert np.abs(difference).mean() < (0.01 if form in LOSSLESS else 8)


@pytest.mark.parametrize("form", ["PPM", "ICO", "PCX", "TGA", "SGI", "PDF", "EPS", "JPEG2000", "ICNS", "DDS"])
def test_a_format_that_is_not_allowed_is_unreadable(form: str) -> None:
    """What Pillow could read, or make, beyond the list is not tried."""
    with pytest.raises(UnreadableImageError, match="allowed format"):
        decode(encoded(gradient(), form), BUDGET)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 1000,
        b"this is no picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"GIF89a",
    ],
)
def test_what_is_no_image_is_unreadable(content: bytes) -> None:
    """Nothing, zeros, text, vectors, documents, a beginning."""
    with pytest.raises(UnreadableImageError):
        decode(content, BUDGET)


def test_the_bytes_of_the_budget_are_allowed_and_not_one_more() -> None:
    """The limit itself passes."""
    image = sample("PNG")
    decode(image, ImageBudget(max_bytes=len(image), max_pixels=64 * 48))
    with pytest.raises(ImageTooLargeError, match="bytes"):
        decode(image, ImageBudget(max_bytes=len(image) - 1, max_pixels=64 * 48))


@pytest.mark.parametrize("form", FORMATS)
def test_the_pixels_of_the_budget_are_allowed_and_not_one_more(form: str) -> None:
    """The limit itself passes, in every format."""
    image = sample(form)
    decode(image, ImageBudget(max_pixels=64 * 48))
    with pytest.raises(ImageTooLargeError, match="pixels"):
        decode(image, ImageBudget(max_pixels=64 * 48 - 1))


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "JPEG", "WEBP"])
def test_a_header_is_judged_before_any_pixel(form: str) -> None:
    """A small file that announces a huge picture is too large, however few pixels there are in it."""
    with pytest.raises(ImageTooLargeError):
        decode(with_size(form, 16_000, 16_000), BUDGET)


@pytest.mark.parametrize("form", ["PNG", "BMP"])
def test_the_budget_decides_and_no_other_limit(form: str) -> None:
    """With a larger budget the same file is not too large, only short of pixels."""
    with pytest.raises(UnreadableImageError):
        decode(with_size(form, 16_000, 16_000), ImageBudget(max_pixels=300_000_000))


@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None)
@given(share=st.floats(0, 0.85))
def test_a_truncated_file_is_unreadable(form: str, share: float) -> None:
    """However much is missing of the first frame, what is there is not guessed at."""
    share /= 2 if form == "MPO" else 1
    image = sample(form)
    with pytest.raises(UnreadableImageError):
        decode(image[: int(len(image) * share)], BUDGET)


@pytest.mark.parametrize("form", FORMATS)
def test_flipped_bits_give_a_picture_or_one_of_two_errors(form: str) -> None:
    """A damaged file never raises anything else, and never a picture of another size than it says."""
    chance = random.Random(form)
    for _ in range(300):
        image = bytearray(sample(form))
        for _ in range(chance.randint(1, 6)):
            image[chance.randrange(len(image))] ^= 1 << chance.randrange(8)
        try:
            picture = decode(bytes(image), BUDGET)
        except (UnreadableImageError, ImageTooLargeError):
            continue
        assert picture.detail.mode == "RGB"
        assert picture.width * picture.height <= BUDGET.max_pixels


@pytest.mark.parametrize("form", LOSSLESS[:2])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_upright(form: str, orientation: int) -> None:
    """In each EXIF orientation the same pixels come out, exactly."""
    picture = decode(turned(gradient(), orientation, form), BUDGET)
    assert (picture.width, picture.height) == (64, 48)
    assert np.array_equal(np.asarray(picture.detail), np.asarray(gradient()))


@pytest.mark.parametrize("form", ["JPEG", "MPO", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_upright_however_the_format_says_it(form: str, orientation: int) -> None:
    """In EXIF, or as the rotation and the mirror of HEIF and AVIF: the picture is turned, and turned once."""
    picture = decode(turned(gradient(), orientation, form, quality=90), BUDGET)
    assert (picture.width, picture.height) == (64, 48)
    difference = np.asarray(picture.detail).astype(int) - np.asarray(gradient()).astype(int)
    assert np.abs(difference).mean() < 8


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_read_in_either_byte_order(order: str) -> None:
    """Cameras write EXIF in their processor's."""
    header = {"<": b"II*\x00", ">": b"MM\x00*"}[order]
    block = header + struct.pack(f"{order}IHHHIHHI", 8, 1, ExifTags.Base.Orientation, 3, 1, 6, 0, 0)
    stored = gradient().transpose(Image.Transpose.ROTATE_90)
    picture = decode(encoded(stored, "PNG", exif=b"Exif\x00\x00" + block), BUDGET)
    assert np.array_equal(np.asarray(picture.detail), np.asarray(gradient()))


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    """Nonsense in the metadata does not turn the picture, nor make it unreadable."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    picture = decode(encoded(gradient(), "PNG", exif=exif.tobytes()), BUDGET)
    assert np.array_equal(np.asarray(picture.detail), np.asarray(gradient()))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "MPO", "WEBP", "AVIF"])
@pytest.mark.parametrize("with_exif", [False, True])
def test_an_orientation_in_xmp_alone_does_not_turn_the_picture(form: str, *, with_exif: bool) -> None:
    """Editors that turn the pixels take the orientation out of EXIF, and leave it standing in XMP."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    options: dict[str, Any] = {"exif": exif.tobytes()} if with_exif else {}
    xmp = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    if form == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options["pnginfo"] = text
    elif form == "TIFF":
        options["tiffinfo"] = {700: xmp}
    else:
        options["xmp"] = xmp
    picture = decode(encoded(gradient(), form, **options), BUDGET)
    assert (picture.width, picture.height) == picture.detail.size == (64, 48)


def test_an_orientation_in_the_text_of_a_png_counts() -> None:
    """Some programs write EXIF as hexadecimal text."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    content = exif.tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(content):8}\n{content.hex()}\n", zip=True)
    stored = gradient().transpose(Image.Transpose.ROTATE_180)
    picture = decode(encoded(stored, "PNG", pnginfo=text), BUDGET)
    assert np.array_equal(np.asarray(picture.detail), np.asarray(gradient()))


@pytest.mark.parametrize(
    "exif", [b"Exif\x00\x00", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00" + b"\xff" * 40]
)
def test_broken_metadata_does_not_matter(exif: bytes) -> None:
    """Where the pixels are whole, the picture is read as if it had no EXIF."""
    assert decode(encoded(gradient(), "JPEG", exif=exif), BUDGET).width == 64


@pytest.mark.parametrize(
    ("size", "detail"),
    [
        ((DETAIL_SIDE, 3), (DETAIL_SIDE, 3)),
        ((2 * DETAIL_SIDE - 1, DETAIL_SIDE), (2 * DETAIL_SIDE - 1, DETAIL_SIDE)),
        ((2 * DETAIL_SIDE, DETAIL_SIDE), (DETAIL_SIDE, DETAIL_SIDE // 2)),
        ((1950, 3 * DETAIL_SIDE), (650, DETAIL_SIDE)),
        ((1, 1), (1, 1)),
    ],
)
def test_a_large_picture_is_shrunk_by_a_whole_factor(size: tuple[int, int], detail: tuple[int, int]) -> None:
    """The longer side stays at or above the limit; the original's size is kept beside it."""
    picture = decode(encoded(Image.new("RGB", size), "PNG"), ImageBudget())
    assert (picture.width, picture.height) == size
    assert picture.detail.size == detail
    assert picture.scale == pytest.approx(max(size) / max(detail))


@pytest.mark.parametrize(
    ("size", "detail"),
    [
        ((2 * DETAIL_SIDE, 600), (2 * DETAIL_SIDE, 600)),
        ((600, 15_000), (200, 5_000)),
        ((1, 60_000), (1, 5_455)),
    ],
)
def test_a_long_picture_is_shrunk_less(size: tuple[int, int], detail: tuple[int, int]) -> None:
    """It keeps as many pixels as one of 2:1, but not more than four times its longer side."""
    assert decode(encoded(Image.new("RGB", size), "PNG"), ImageBudget()).detail.size == detail


@pytest.mark.parametrize(
    ("size", "detail"),
    [
        ((2 * DETAIL_SIDE, DETAIL_SIDE), (1280, 640)),
        ((3 * DETAIL_SIDE, 2000), (1920, 1000)),
        ((4 * DETAIL_SIDE, 3000), (1280, 750)),
        ((600, 15_000), (300, 7_500)),
    ],
)
def test_a_large_jpeg_is_never_decoded_whole(size: tuple[int, int], detail: tuple[int, int]) -> None:
    """Its decoder shrinks by a half, a quarter or an eighth as it goes, and never below the limit."""
    picture = decode(encoded(Image.new("RGB", size), "JPEG"), ImageBudget())
    assert (picture.width, picture.height) == size
    assert picture.detail.size == detail


def test_sixteen_bits_of_grey_are_scaled() -> None:
    """They are not cut off at white."""
    values = np.linspace(0, 65_535, 64 * 48).reshape(48, 64).astype(np.uint16)
    picture = decode(encoded(Image.fromarray(values), "PNG"), BUDGET)
    grey = np.asarray(picture.detail)[:, :, 0].astype(int)
    assert np.abs(grey - values // 257).max() <= 1


@pytest.mark.parametrize("values", [np.float32(0.5), np.int32(70_000), np.int32(-1)])
def test_pixels_without_a_white_are_unreadable(values: np.generic) -> None:
    """Floating-point and 32-bit grey do not say what white is: a guess would be a wrong picture."""
    with pytest.raises(UnreadableImageError, match="white"):
        decode(encoded(Image.fromarray(np.full((4, 4), values)), "TIFF"), BUDGET)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    """Colours that nobody sees are not looked at."""
    hidden = Image.new("RGBA", (4, 4), (200, 0, 0, 0)).convert(mode)
    assert decode(encoded(hidden, "PNG"), BUDGET).detail.getpixel((0, 0)) == (255, 255, 255)


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    """The same for a palette with a transparent entry."""
    hidden = Image.new("P", (4, 4), 3)
    hidden.putpalette([0, 0, 0, 9, 9, 9, 50, 50, 50, 200, 0, 0])
    assert decode(encoded(hidden, "PNG", transparency=3), BUDGET).detail.getpixel((0, 0)) == (255, 255, 255)


def test_a_printers_colours_are_colours() -> None:
    """CMYK comes out as the colours that were put in."""
    picture = decode(encoded(gradient().convert("CMYK"), "JPEG", quality=95), BUDGET)
    assert np.abs(np.asarray(picture.detail).astype(int) - np.asarray(gradient()).astype(int)).mean() < 8
