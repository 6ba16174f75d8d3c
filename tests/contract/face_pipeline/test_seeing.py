"""What any pipeline sees that really looks at photographs: real ones, in every form in which they may come."""

from collections.abc import Callable
from functools import cache, partial
from itertools import combinations
from typing import Any

import dlib
import numpy as np
import pytest
from PIL import Image

from adapters.vision.assembly import AlignedFacePipeline
from adapters.vision.weights.provided import FIVE_POINTS, RECOGNISER, installed
from application.ports.face_pipeline import Embed, FacePipeline
from domain.errors import UnreadableImageError
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding
from infra.photographs import Photographs
from tests import pictures

FORMATS = ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF", "MPO"]
SAME_PIXELS = 1e-6
SAME_PHOTOGRAPH = 0.02
SAME_PERSON = 0.07
SEEN: dict[tuple[str, bytes], DetectedFace] = {}

of_each_detector = pytest.mark.parametrize("seeing", ["dlib", "mediapipe"], indirect=True)
"""For forms of files: every pipeline decodes alike, and ``custom`` finds faces as ``dlib`` does."""


def only_face(pipeline: FacePipeline, image: bytes) -> DetectedFace:
    """Return the only face on an image; looks at each but once."""
    key = pipeline.info.id, image
    if key not in SEEN:
        [SEEN[key]] = pipeline.read(image, embed=Embed.ONLY_FACE).faces
    return SEEN[key]


def distance(one: DetectedFace, other: DetectedFace) -> float:
    """Return the cosine distance of two embedded faces."""
    assert one.embedding is not None
    assert other.embedding is not None
    return one.embedding.cosine_distance(other.embedding)


def overlap(one: BoundingBox, other: BoundingBox) -> float:
    """Return what two boxes share of what they cover together: 0 to 1."""
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one.width * one.height + other.width * other.height - shared)


def moved(box: BoundingBox, left: float = 0, top: float = 0, scale: float = 1) -> BoundingBox:
    """Return where a box lies when its picture is scaled and then put at an offset."""
    return BoundingBox(box.x1 * scale + left, box.y1 * scale + top, box.x2 * scale + left, box.y2 * scale + top)


@pytest.fixture(scope="module")
def picture(photographs: Photographs) -> Image.Image:
    """Return a portrait of a megapixel."""
    return pictures.opened(photographs.path("obama"))


@pytest.fixture(scope="module")
def as_png(picture: Image.Image) -> bytes:
    """Return it as a file that loses nothing."""
    return pictures.encoded(picture, "PNG")


@pytest.fixture(scope="module")
def portrait(picture: Image.Image) -> Image.Image:
    """Return it with a quarter of a megapixel."""
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def portrait_as_png(portrait: Image.Image) -> bytes:
    """Return that as a file that loses nothing."""
    return pictures.encoded(portrait, "PNG")


@pytest.fixture(scope="module")
def portrait_as(portrait: Image.Image) -> Callable[[str], bytes]:
    """Return what gives that as a file of any format; encodes each but once."""
    return cache(lambda form: pictures.encoded(portrait, form, **({"save_all": True} if form == "MPO" else {})))


@pytest.fixture(scope="module")
def portrait_turned(portrait: Image.Image) -> Callable[..., bytes]:
    """Return what gives that as a camera stores it, as :func:`pictures.turned` does; encodes each but once."""
    return cache(partial(pictures.turned, portrait))


@pytest.fixture(scope="module")
def animated(portrait: Image.Image, photographs: Photographs) -> Callable[[str, str], bytes]:
    """Return what gives an animation of that and of scenery, by format and first frame; encodes each but once."""
    scenery = pictures.opened(photographs.path("coffee")).resize(portrait.size)

    @cache
    def animation(form: str, first: str) -> bytes:
        frames = [portrait, scenery] if first == "portrait" else [scenery, portrait]
        return pictures.encoded(frames[0], form, save_all=True, append_images=frames[1:])

    return animation


def test_every_pipeline_decodes_alike(seeing: FacePipeline) -> None:
    """One class reads every file, so that a form of file need not be tried with each pipeline."""
    assert type(seeing) is AlignedFacePipeline


def test_a_person_is_nearer_to_themselves_than_to_anybody(seeing: FacePipeline, photographs: Photographs) -> None:
    """Every two photographs of one person are nearer than any two of different people, with room between."""
    names = ["obama", "obama2", "obama3", "biden", "astronaut"]
    faces = {name: only_face(seeing, photographs.path(name).read_bytes()) for name in names}
    distances = {(one, other): distance(faces[one], faces[other]) for one, other in combinations(names, 2)}
    own = [value for pair, value in distances.items() if all(name.startswith("obama") for name in pair)]
    strange = [value for pair, value in distances.items() if not all(name.startswith("obama") for name in pair)]
    assert max(own) < SAME_PERSON
    assert min(strange) > 2 * SAME_PERSON


@pytest.mark.parametrize("scenery", ["coffee", "chelsea"])
def test_nobody_is_seen_where_nobody_is(seeing: FacePipeline, photographs: Photographs, scenery: str) -> None:
    """A cup of coffee and a cat have no human face."""
    assert seeing.read(photographs.path(scenery).read_bytes(), embed=Embed.ALL).faces == ()


def test_everybody_of_a_group_is_seen_where_they_are(seeing: FacePipeline, photographs: Photographs) -> None:
    """Two portraits side by side are two faces, each where its portrait is, embedded as its portrait is."""
    people = [photographs.path("obama"), photographs.path("biden")]
    faces = seeing.read(pictures.group(*people), embed=Embed.ALL).faces
    left, right = sorted(faces, key=lambda face: face.box.x1)
    assert distance(left, only_face(seeing, people[0].read_bytes())) < SAME_PHOTOGRAPH
    assert distance(right, only_face(seeing, people[1].read_bytes())) < SAME_PHOTOGRAPH


@pytest.mark.parametrize("is_wide", [False, True])
def test_a_large_face_on_a_long_picture_is_seen(seeing: FacePipeline, picture: Image.Image, *, is_wide: bool) -> None:
    """A screenshot of many pages, or a panorama, is not shrunk until nobody is to be seen."""
    side, length = picture.width, 16 * picture.width
    canvas = Image.new("RGB", (length, picture.height) if is_wide else (side, length), (120, 130, 140))
    canvas.paste(picture, (length // 3, 0) if is_wide else (0, length // 3))
    face = only_face(seeing, pictures.jpeg(canvas))
    usual = only_face(seeing, pictures.jpeg(picture))
    assert distance(face, usual) < SAME_PHOTOGRAPH
    assert overlap(face.box, moved(usual.box, *((length // 3, 0) if is_wide else (0, length // 3)))) > 0.6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "tolerance"), [("PNG", SAME_PIXELS), ("JPEG", 1e-3)])
@of_each_detector
def test_orientation_changes_nothing(
    seeing: FacePipeline,
    portrait: Image.Image,
    portrait_turned: Callable[..., bytes],
    orientation: int,
    form: str,
    tolerance: float,
) -> None:
    """However the camera was held, the upright photograph is seen: its size, its box, its embedding.

    Where turning and encoding again changes no pixel, nothing changes at all.
    """
    options = {"quality": 95} if form == "JPEG" else {"compress_level": 1}
    upright = only_face(seeing, portrait_turned(1, form, **options))
    reading = seeing.read(portrait_turned(orientation, form, **options), embed=Embed.ONLY_FACE)
    assert (reading.width, reading.height) == portrait.size
    assert distance(reading.faces[0], upright) < tolerance
    assert overlap(reading.faces[0].box, upright.box) > (0.999 if form == "PNG" else 0.6)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
@of_each_detector
def test_orientation_is_read_in_every_format_that_has_it(
    seeing: FacePipeline,
    portrait: Image.Image,
    portrait_turned: Callable[..., bytes],
    portrait_as_png: bytes,
    form: str,
) -> None:
    """A photograph that lies on its side is turned, once."""
    reading = seeing.read(portrait_turned(6, form), embed=Embed.ONLY_FACE)
    assert (reading.width, reading.height) == portrait.size
    assert distance(reading.faces[0], only_face(seeing, portrait_as_png)) < SAME_PHOTOGRAPH


@pytest.mark.parametrize("scale", [0.35, 0.5, 2, 4])
def test_scale_hardly_matters(seeing: FacePipeline, picture: Image.Image, scale: float) -> None:
    """From a thumbnail to 16 megapixels: the same face, its box in pixels of the image that was given."""
    size = round(picture.width * scale), round(picture.height * scale)
    before = only_face(seeing, pictures.jpeg(picture))
    reading = seeing.read(pictures.jpeg(picture.resize(size, Image.Resampling.LANCZOS)), embed=Embed.ONLY_FACE)
    assert (reading.width, reading.height) == size
    assert distance(reading.faces[0], before) < SAME_PHOTOGRAPH
    assert overlap(reading.faces[0].box, moved(before.box, scale=scale)) > 0.6


@pytest.mark.parametrize(("left", "top"), [(100, 0), (37, 53), (0, 300), (300, 211)])
def test_place_hardly_matters(seeing: FacePipeline, picture: Image.Image, left: int, top: int) -> None:
    """A face elsewhere on a larger picture is the same face, and its box moves with it."""
    canvas = Image.new("RGB", (picture.width + 300, picture.height + 300), (100, 110, 120))
    canvas.paste(picture, (left, top))
    before, after = only_face(seeing, pictures.jpeg(picture)), only_face(seeing, pictures.jpeg(canvas))
    assert distance(before, after) < SAME_PHOTOGRAPH
    assert overlap(after.box, moved(before.box, left, top)) > 0.6


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_a_face_at_the_very_edge(seeing: FacePipeline, picture: Image.Image, as_png: bytes, side: str) -> None:
    """A face that touches the edge is found, its box ends there, and it is still the same person."""
    whole = only_face(seeing, as_png)
    inwards = 0.06 * whole.box.width
    x1, y1, x2, y2 = 0.0, 0.0, float(picture.width), float(picture.height)
    match side:
        case "left":
            x1 = whole.box.x1 + inwards
        case "top":
            y1 = whole.box.y1 + inwards
        case "right":
            x2 = whole.box.x2 - inwards
        case _:
            y2 = whole.box.y2 - inwards
    cut = picture.crop((round(x1), round(y1), round(x2), round(y2)))
    reading = seeing.read(pictures.encoded(cut, "PNG"), embed=Embed.ONLY_FACE)
    [face] = reading.faces
    assert distance(face, whole) < SAME_PERSON
    assert 0 <= face.box.x1 < face.box.x2 <= reading.width
    assert 0 <= face.box.y1 < face.box.y2 <= reading.height
    assert overlap(moved(face.box, round(x1), round(y1)), whole.box) > 0.6


@pytest.mark.parametrize("form", FORMATS)
@of_each_detector
def test_every_allowed_format_is_read(
    seeing: FacePipeline,
    portrait: Image.Image,
    portrait_as: Callable[[str], bytes],
    portrait_as_png: bytes,
    form: str,
) -> None:
    """The format changes hardly anything, lossy or not."""
    reading = seeing.read(portrait_as(form), embed=Embed.ONLY_FACE)
    assert (reading.width, reading.height) == portrait.size
    assert distance(reading.faces[0], only_face(seeing, portrait_as_png)) < SAME_PHOTOGRAPH


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG", "MPO", "AVIF"])
@pytest.mark.parametrize("first", ["portrait", "scenery"])
@of_each_detector
def test_only_the_first_frame_is_looked_at(
    seeing: FacePipeline, animated: Callable[[str, str], bytes], form: str, first: str
) -> None:
    """What an animation, or a file with several pages, shows later does not exist."""
    reading = seeing.read(animated(form, first), embed=Embed.ONLY_FACE)
    assert len(reading.faces) == (1 if first == "portrait" else 0)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "16 bit"])
@of_each_detector
def test_every_kind_of_pixels_is_read(seeing: FacePipeline, picture: Image.Image, as_png: bytes, mode: str) -> None:
    """Grey, transparent, palette, printer's colours, 16 bits: it is the same person."""
    if mode == "16 bit":
        image = pictures.encoded(Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257), "PNG")
    else:
        image = pictures.encoded(picture.convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    assert distance(only_face(seeing, image), only_face(seeing, as_png)) < SAME_PHOTOGRAPH


@cache
def _dlib() -> tuple[Any, Any, Any]:
    predictor = dlib.shape_predictor(str(installed(FIVE_POINTS)))
    network = dlib.face_recognition_model_v1(str(installed(RECOGNISER)))
    return dlib.get_frontal_face_detector(), predictor, network


def _vector_by_dlib(rgb: Image.Image) -> tuple[float, ...]:
    detector, predictor, network = _dlib()
    pixels = np.asarray(rgb)
    [square] = detector(pixels)
    return tuple(network.compute_face_descriptor(pixels, predictor(pixels, square)))


def test_the_order_of_colours_is_right(seeing: FacePipeline, picture: Image.Image, as_png: bytes) -> None:
    """The vector is near the one that dlib's own functions make of the red, green and blue that are there.

    With red and blue exchanged it would be farther away.
    """
    red, green, blue = picture.split()
    exchanged = Image.merge("RGB", (blue, green, red))

    ours = only_face(seeing, as_png).embedding
    assert ours is not None
    by_dlib = [FaceEmbedding(seeing.info.id, _vector_by_dlib(rgb)) for rgb in (picture, exchanged)]
    assert ours.cosine_distance(by_dlib[0]) < 0.005
    assert ours.cosine_distance(by_dlib[1]) > 0.01


@pytest.mark.parametrize("form", FORMATS)
def test_half_a_file_is_unreadable(seeing: FacePipeline, portrait_as: Callable[[str], bytes], form: str) -> None:
    """A truncated file is refused, never guessed at."""
    image = portrait_as(form)
    with pytest.raises(UnreadableImageError):
        seeing.read(image[: len(image) // 2], embed=Embed.ALL)
