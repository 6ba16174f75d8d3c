"""What is refused for its structure alone, and what is not."""

import struct

import pytest

from adapters.vision.pictures import screening
from adapters.vision.pictures.screening import MOST_PIECES, MOST_SCANS, ReadLimitedBytesIO, announced_pixels, screen
from domain.errors import UnreadableImageError
from tests.hostile import jpeg, tiff
from tests.hostile.cases import FORMATS, noise, sample
from tests.hostile.grids import grid


@pytest.mark.parametrize("form", FORMATS)
def test_ordinary_files_pass(form: str) -> None:
    """Nothing is wrong with them."""
    screen(sample(form))


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"II*\x00\x08\x00\x00\x00\x00\x00", noise(1_000)])
def test_what_is_no_image_passes(content: bytes) -> None:
    """The decoder has better words for it."""
    screen(content)


def test_the_allowed_scans_pass_and_not_one_more() -> None:
    """A progressive picture comes in about ten; each costs all pixels."""
    own = sum(1 for _ in jpeg.scans(jpeg.grey(64, 48, progressive=True)))
    screen(jpeg.many_scans(64, 48, MOST_SCANS - own))
    with pytest.raises(UnreadableImageError, match="100 scans"):
        screen(jpeg.many_scans(64, 48, MOST_SCANS - own + 1))


def test_scans_elsewhere_do_not_count() -> None:
    """A thumbnail, or a film, or another picture behind the end may have any number of them."""
    many = jpeg.many_scans(64, 48, 2 * MOST_SCANS)
    screen(sample("JPEG") + many)
    screen(jpeg.with_segments(sample("JPEG"), jpeg.segment(0xE1, many[:60_000])))


def directory(order: str, count: int, *, large: bool) -> bytes:
    """Return a TIFF of which nothing is there but how many strips it has."""
    mark = {"<": b"II", ">": b"MM"}[order]
    if large:
        return mark + struct.pack(f"{order}HHHQQHHQQ", 43, 8, 0, 16, 1, 273, 4, count, 0)
    return mark + struct.pack(f"{order}HIHHHII", 42, 8, 1, 273, 4, count, 0)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_strips_of_a_tiff_are_counted(order: str, *, large: bool) -> None:
    """They are in either byte order, and in large files."""
    screen(directory(order, MOST_PIECES, large=large))
    with pytest.raises(UnreadableImageError, match="pieces"):
        screen(directory(order, MOST_PIECES + 1, large=large))


@pytest.mark.parametrize("start", [b"\xff" * 8, b"\xff\xff\xff\x7f" + bytes(4)])
@pytest.mark.parametrize("mark", [b"II*\x00", b"II+\x00\x08\x00\x00\x00"])
def test_a_directory_beyond_the_end_is_none(mark: bytes, start: bytes) -> None:
    """However far beyond."""
    with pytest.raises(UnreadableImageError, match="no directory"):
        screen(mark + start)


@pytest.mark.parametrize(("mark", "odd"), [(b"II*\x00", b"II\x00*"), (b"MM\x00*", b"MM*\x00")])
def test_a_tiff_with_a_swapped_mark_is_one(mark: bytes, odd: bytes) -> None:
    """Decoders take it for a TIFF, so it is looked at as one."""
    content = directory("<" if mark.startswith(b"II") else ">", MOST_PIECES + 1, large=False)
    assert content.startswith(mark)
    with pytest.raises(UnreadableImageError, match="pieces"):
        screen(odd + content[4:])


def test_a_bmp_may_be_read_run_by_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bytes are a run, and a photograph of noise has one for nearly each pixel."""
    monkeypatch.setattr(screening, "MOST_READS", 1)
    file = ReadLimitedBytesIO(b"BM" + bytes(100))
    assert len([file.read(1) for _ in range(102)]) == 102


def test_the_tiles_of_a_tiff_are_counted() -> None:
    """As its strips are."""
    with pytest.raises(UnreadableImageError, match="pieces"):
        screen(tiff.tiles(1_000, 1_000, (1, 1), MOST_PIECES + 1, data=b"\x00"))


def test_a_file_is_not_read_in_crumbs_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somewhere it ends."""
    monkeypatch.setattr(screening, "MOST_READS", 3)
    file = ReadLimitedBytesIO(b"abcdef")
    assert [file.read(1) for _ in range(3)] == [b"a", b"b", b"c"]
    with pytest.raises(UnreadableImageError, match="pieces"):
        file.read(1)


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_the_largest_announced_picture_is_what_counts(form: str) -> None:
    """Not its tiles, which are smaller."""
    assert announced_pixels(grid(form, 64, 2, 2, announced=(60_000, 50_000))) == 3_000_000_000


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_other_formats_announce_nothing_here(form: str) -> None:
    """Their decoders say themselves what is too large."""
    assert announced_pixels(sample(form) + b"ispe\x00\x00\x00\x00" + b"\xff" * 8) == 0
