"""Photographs that are decoded for people to look at, in processes that are given no secrets."""

import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from adapters.vision.pictures.decoding import decode
from adapters.vision.processes.pictures import PictureReader
from adapters.vision.processes.pool import PoolLimits
from application.ports.face_pipeline import ImageBudget
from domain.errors import EmbedderCrashedError, EmbedderTimeoutError, EmbedderUnavailableError, FacematchError
from domain.faces import BoundingBox
from entrypoints.demo.contact_sheet import Tile, draw
from tests import pictures
from tests.hostile import cases
from tests.hostile.bombs import bombs, largest
from tests.pictures import encoded, turned
from tests.readers import BUDGET, makers, processes_of

StartReader = Callable[..., PictureReader]


@pytest_asyncio.fixture
async def start_reader() -> AsyncIterator[StartReader]:
    """Return a function that makes a reader of pictures; every reader is closed in the end."""
    async with AsyncExitStack() as stack:

        def start(budget: ImageBudget = BUDGET, **limits: float) -> PictureReader:
            reader = PictureReader(budget, PoolLimits(**limits))  # type: ignore[arg-type]  # each test gives what the class wants
            stack.push_async_callback(reader.close)
            return reader

        yield start


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(turned(cases.picture(), 6), id="sideways"),
        pytest.param(encoded(cases.picture().convert("RGBA"), "PNG"), id="transparent"),
        pytest.param(encoded(cases.picture(5_000, 3_100), "JPEG"), id="large"),
        pytest.param(encoded(cases.picture(2_559, 2_559), "WEBP"), id="the largest that is not shrunk"),
        pytest.param(encoded(cases.picture(10_236, 1), "PNG"), id="the longest that is not shrunk"),
        pytest.param(encoded(cases.picture(16_000, 400), "WEBP"), id="long"),
        pytest.param(encoded(cases.picture(1, 1), "HEIF"), id="a pixel"),
    ],
)
async def test_a_picture_is_what_the_decoder_makes_of_it(start_reader: StartReader, image: bytes) -> None:
    """Size and every pixel come over as they are."""
    picture, expected = await start_reader().read(image), decode(image, BUDGET)
    assert (picture.width, picture.height, picture.scale) == (expected.width, expected.height, expected.scale)
    assert (picture.detail.size, picture.detail.mode) == (expected.detail.size, "RGB")
    assert picture.detail.tobytes() == expected.detail.tobytes()


@pytest.mark.parametrize("case", [*bombs(), cases.Case("nothing", bytes, cases.UNREADABLE)], ids=lambda case: case.name)
async def test_a_bomb_is_refused(start_reader: StartReader, case: cases.Case) -> None:
    """With the error that a worker's process has for it, or read where that reads it."""
    reader = start_reader()
    if case.error is None:
        await reader.read(case.make())
    else:
        with pytest.raises(case.error):
            await reader.read(case.make())


@pytest.mark.parametrize(
    ("limits", "error", "words"),
    [
        ({"memory": 256 * 1024**2}, EmbedderCrashedError, "reached its memory limit"),
        ({"seconds": 0.2}, EmbedderTimeoutError, r"not read within 0\.2 s"),
    ],
)
async def test_a_picture_that_costs_too_much_is_given_up(
    start_reader: StartReader, limits: dict[str, float], error: type[FacematchError], words: str
) -> None:
    """Its process ends at the limit of memory or of time, and the next picture has another one."""
    [costly] = [case for case in largest() if case.name == "PNG of 59 megapixels, interlaced"]
    image = costly.make()
    reader = start_reader(**limits)
    await reader.read(cases.sample("JPEG"))
    with pytest.raises(error, match=words):
        await reader.read(image)
    [maker] = makers()
    assert not processes_of(maker)
    await reader.read(cases.sample("JPEG"))


async def test_the_process_is_confined_and_ends(start_reader: StartReader) -> None:
    """As those of the pool are: in memory, without core dumps; none is left behind."""
    reader = start_reader()
    await reader.read(cases.sample("JPEG"))
    [maker] = makers()
    assert resource.prlimit(maker, resource.RLIMIT_DATA) == (2 * 1024**3, 2 * 1024**3)
    assert resource.prlimit(maker, resource.RLIMIT_CORE) == (0, 0)
    assert not processes_of(maker)
    await reader.close()
    assert not makers()


async def test_a_decoder_that_cannot_be_loaded_is_told(
    start_reader: StartReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken installation is not blamed on the photograph."""
    (tmp_path / "pillow_heif.py").write_text("raise ImportError('no libheif here')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EmbedderUnavailableError, match="the decoder cannot be loaded: no libheif here"):
        await start_reader().read(cases.sample("JPEG"))


async def test_a_contact_sheet_shows_what_can_be_decoded(start_reader: StartReader, tmp_path: Path) -> None:
    """A photograph in its own colours with its box, also of a format that few programs know; a bomb not at all."""
    photograph, bomb = tmp_path / "photograph.heic", tmp_path / "bomb.png"
    photograph.write_bytes(encoded(Image.new("RGB", (520, 260), "blue"), "HEIF"))
    bomb.write_bytes(pictures.bomb())
    box = BoundingBox(100, 50, 300, 150)
    tiles = [Tile(image, box, ("head",), "#ff0000") for image in (photograph, bomb, None)]
    await draw(tiles, tmp_path / "sheet.png", start_reader())
    with Image.open(tmp_path / "sheet.png") as sheet:
        shown = sheet.convert("RGB").getpixel((150, 170))
        assert shown == decode(photograph.read_bytes(), BUDGET).detail.getpixel((0, 0))
        assert sheet.getpixel((12 + 50, 12 + 65 + 50)) == (255, 0, 0)
        assert [sheet.getpixel((left + 20, 20)) for left in (284, 556)] == [(0xEE, 0xEE, 0xEE)] * 2
