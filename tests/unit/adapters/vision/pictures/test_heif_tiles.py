"""How many pixels are decoded for a HEIF or AVIF, told from its boxes and the headers of AV1."""

import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adapters.vision.pictures.decoding import MOST_DECODED, decode
from adapters.vision.pictures.heif_tiles import MOST_ENTRIES, MOST_LEVELS, decoded_pixels
from application.ports.face_pipeline import ImageBudget
from domain.errors import ImageTooLargeError, UnreadableImageError
from tests.hostile.cases import FORMATS, noise, picture, sample
from tests.hostile.containers import with_frames_again
from tests.hostile.grids import grid
from tests.hostile.mutation import mutated
from tests.pictures import encoded

ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"
TYPE = struct.pack(">I", 16) + b"ftypheic" + bytes(4)


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box."""
    return struct.pack(">I", 8 + sum(map(len, content))) + kind + b"".join(content)


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return a box with version and flags."""
    return box(kind, bytes((version, 0, 0, flags)), *content)


def reference(kind: bytes, item: int, others: Sequence[int], size: str = "H") -> bytes:
    """Return a reference of one picture to others."""
    return box(kind, struct.pack(f">{size}H{len(others)}{size}", item, len(others), *others))


def pixels_of(side: int) -> bytes:
    """Return the property of a square picture."""
    return full(b"ispe", struct.pack(">II", side, side))


def properties(sides: dict[int, int], auxiliaries: dict[int, bytes]) -> bytes:
    """Return the properties of square pictures, and of those that are auxiliary."""
    known = [pixels_of(side) for side in sides.values()]
    known += [full(b"auxC", kind + b"\x00") for kind in auxiliaries.values()]
    pairs = enumerate([*sides, *auxiliaries], start=1)
    links = b"".join(struct.pack(">HBB", item, 1, 0x80 | index) for index, item in pairs)
    return box(b"iprp", box(b"ipco", *known), full(b"ipma", struct.pack(">I", len(sides) + len(auxiliaries)), links))


def heif(
    references: Sequence[bytes], sides: dict[int, int], auxiliaries: dict[int, bytes] | None = None, *more: bytes
) -> bytes:
    """Return a file whose primary picture is number 1."""
    primary = full(b"pitm", struct.pack(">H", 1))
    links = full(b"iref", *references)
    return TYPE + full(b"meta", primary, links, properties(sides, auxiliaries or {}), *more)


@pytest.mark.parametrize("form", FORMATS)
def test_a_picture_of_its_own_is_derived_from_nothing(form: str) -> None:
    """As most files are, of whatever format; the frames of an AVIF count all the same."""
    assert decoded_pixels(sample(form)) == (96 * 64 if form == "AVIF" else 0)


@pytest.mark.parametrize("subsampling", ["4:0:0", "4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_an_avif_is_as_large_as_its_picture(mode: str, subsampling: str) -> None:
    """Whether still or the first of several, and with alpha as large again."""
    frames = [picture(130, 97).convert(mode) for _ in range(3)]
    if mode == "RGBA":
        frames[0].putalpha(100)
    pixels = 130 * 97 * (2 if mode == "RGBA" else 1)
    assert decoded_pixels(encoded(frames[0], "AVIF", subsampling=subsampling)) == pixels
    animated = encoded(frames[0], "AVIF", subsampling=subsampling, save_all=True, append_images=frames[1:])
    assert decoded_pixels(animated) == pixels


def test_what_the_data_of_an_avif_say_counts_if_it_is_more() -> None:
    """Its decoder heeds nothing else."""
    assert decoded_pixels(grid("AVIF", 256, 5, 3, tile_announced=64)) == 15 * 256 * 256
    assert decoded_pixels(grid("AVIF", 64, 5, 3, tile_announced=256)) == 15 * 256 * 256


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_frame_of_an_avif_counts(mode: str, *, several: bool) -> None:
    """In its data as in the first picture of an animation, and with alpha."""
    frames = [Image.new(mode, (100, 80), shade) for shade in ("#00000064", "#ffffff64")]
    options = {"save_all": True, "append_images": frames[1:]} if several else {}
    image = encoded(frames[0], "AVIF", **options)
    times = 50 + (mode == "RGBA")
    assert decoded_pixels(with_frames_again(image, 50)) == times * 100 * 80


def places(version: int, method: int, *parts: tuple[int, int]) -> bytes:
    """Return where the data of picture 1 are, in numbers as wide as each version allows."""
    item = struct.pack(">I" if version == 2 else ">H", 1)
    how = struct.pack(">H", method) if version else b""
    if version == 2:
        numbers = b"".join(struct.pack(">QQQ", 7, start - 5, size) for start, size in parts)
        return full(
            b"iloc",
            b"\x88\x88",
            struct.pack(">I", 1),
            item,
            how,
            struct.pack(">HQH", 0, 5, len(parts)),
            numbers,
            version=2,
        )
    numbers = b"".join(struct.pack(">II", start, size) for start, size in parts)
    return full(
        b"iloc",
        b"\x44\x00",
        struct.pack(">H", 1),
        item,
        how,
        struct.pack(">HH", 0, len(parts)),
        numbers,
        version=version,
    )


def coded(payload: bytes, where: Callable[[int], bytes], *more: bytes) -> bytes:
    """Return a file of one picture in AV1, whose data are in ``idat``; it is told where these start."""
    entry = full(b"infe", struct.pack(">HH", 1, 0) + b"av01\x00", version=2)
    kinds = full(b"iinf", struct.pack(">H", 1), entry)
    primary = full(b"pitm", struct.pack(">H", 1))
    start = len(TYPE) + len(full(b"meta", box(b"idat"), kinds, primary))
    return TYPE + full(b"meta", box(b"idat", payload), kinds, primary, where(start - len(kinds + primary)), *more)


PAYLOAD = bytes.fromhex("12000a0a181dffffda2021a0d080") + bytes((0x32, 1, 0)) * 3
"""Three frames of 256 x 256, up to where their own headers would begin."""


@pytest.mark.parametrize(
    "where",
    [
        lambda start: places(0, 0, (start, len(PAYLOAD))),
        lambda start: places(1, 0, (start, 5), (start + 5, 7), (start + 12, len(PAYLOAD) - 12)),
        lambda _: places(1, 1, (0, len(PAYLOAD))),
        lambda start: places(2, 0, (start, 9), (start + 9, len(PAYLOAD) - 9)),
    ],
    ids=["in the file", "in parts", "in the boxes", "in wide numbers"],
)
def test_data_are_found_wherever_they_are(where: Callable[[int], bytes]) -> None:
    """In the file or among the boxes, at once or in parts, with numbers of any width."""
    assert decoded_pixels(coded(PAYLOAD, where)) == 3 * 256 * 256


def test_no_data_count_where_none_are() -> None:
    """Nor do those of a picture of another kind."""
    assert decoded_pixels(coded(PAYLOAD, lambda _: places(0, 0))) == 0
    content = coded(PAYLOAD, lambda start: places(0, 0, (start, len(PAYLOAD))))
    assert decoded_pixels(content.replace(b"av01", b"hvc1")) == 0


def test_data_that_no_decoder_takes_are_refused() -> None:
    """More than the file has, however often the same is said to be needed, and at more than one place."""
    for parts in ([(0, 10**6)], [(0, 50)] * 10):
        content = coded(PAYLOAD, partial(_whatever, places(0, 0, *parts)))
        with pytest.raises(UnreadableImageError, match="overlap, or are beyond"):
            decoded_pixels(content)
    twice = full(b"iloc", b"\x44\x00", struct.pack(">H", 2), struct.pack(">HHHII", 1, 0, 1, 0, 1) * 2)
    with pytest.raises(UnreadableImageError, match="several places"):
        decoded_pixels(coded(PAYLOAD, lambda _: twice))


def test_the_walk_through_the_data_ends() -> None:
    """However many units there are, and soon."""
    payload = PAYLOAD + bytes((0x32, 0)) * MOST_ENTRIES
    before = time.process_time()
    with pytest.raises(UnreadableImageError, match="more than 250000"):
        decoded_pixels(coded(payload, lambda start: places(0, 0, (start, len(payload)))))
    assert time.process_time() - before < 2.0


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_the_tiles_of_a_real_grid_are_summed(form: str) -> None:
    """Whether each is a picture of its own or all are the same one."""
    assert decoded_pixels(grid(form, 64, 5, 3)) == 15 * 64 * 64
    assert decoded_pixels(grid(form, 64, 5, 3, repeated=True)) == 15 * 64 * 64


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_a_grid_that_reaches_beyond_its_picture_is_read(form: str) -> None:
    """As a camera's does, even if the budget is just the picture."""
    picture = decode(grid(form, 512, 4, 3, announced=(2_016, 1_512)), ImageBudget(max_pixels=2_016 * 1_512))
    assert (picture.width, picture.height) == (2_016, 1_512)


def test_a_photograph_of_a_telephone_is_not_too_large() -> None:
    """A grid with thumbnail, depth map and gain map, within a budget of just its own pixels."""
    tiles = range(10, 10 + 48)
    gain = range(100, 100 + 12)
    references = [
        reference(b"dimg", 1, tiles),
        reference(b"dimg", 4, gain),
        reference(b"thmb", 2, [1]),
        reference(b"auxl", 3, [1]),
        reference(b"auxl", 4, [1]),
        reference(b"dimg", 5, [1, 4]),
    ]
    sides = {1: 3_492, 2: 320, 3: 768, 4: 1_746} | dict.fromkeys([*tiles, *gain], 512)
    content = heif(references, sides, {3: b"urn:mpeg:hevc:2015:auxid:2", 4: GAIN_MAP})
    assert decoded_pixels(content) == 48 * 512 * 512
    assert decoded_pixels(content) < MOST_DECODED * 3_492 * 3_492


def test_alpha_counts_and_its_tiles_do() -> None:
    """It is decoded with the picture that it belongs to, wherever that is used."""
    references = [
        reference(b"dimg", 1, [2, 2, 2]),
        reference(b"auxl", 3, [1]),
        reference(b"dimg", 3, [4, 4]),
        reference(b"auxl", 5, [2]),
    ]
    sides = {1: 1_000, 2: 10, 3: 100, 4: 20, 5: 30}
    assert decoded_pixels(heif(references, sides, {3: ALPHA, 5: ALPHA})) == 3 * 100 + 10_000 + 2 * 400 + 3 * 900


def test_repeats_multiply_over_levels() -> None:
    """A grid of grids has the tiles of each, and the canvases between."""
    references = [reference(b"dimg", 1, [2] * 256), reference(b"dimg", 2, [3] * 256)]
    assert decoded_pixels(heif(references, {1: 64, 2: 8, 3: 16})) == 256 * 64 + 256 * 256 * 256


def test_more_levels_than_any_picture_needs_are_refused() -> None:
    """And so is a circle."""
    chain = [reference(b"dimg", item, [item + 1]) for item in range(1, MOST_LEVELS + 2)]
    assert decoded_pixels(heif(chain[:MOST_LEVELS], dict.fromkeys(range(1, 20), 2))) == 4 * MOST_LEVELS
    for references in (chain, [reference(b"dimg", 1, [2]), reference(b"dimg", 2, [1])]):
        with pytest.raises(UnreadableImageError, match="levels"):
            decoded_pixels(heif(references, {2: 1}))


def test_wide_numbers_are_read() -> None:
    """Items of four bytes, properties of two, and boxes of 64-bit size or without an end."""
    references = full(b"iref", reference(b"dimg", 70_000, [70_001] * 3, "I"), version=1)
    links = full(b"ipma", struct.pack(">IIBH", 1, 70_001, 1, 0x8000 | 200), version=1, flags=1)
    known = box(b"ipco", box(b"free") * 199, pixels_of(8))
    primary = full(b"pitm", struct.pack(">I", 70_000), version=1)
    content = b"".join([bytes(4), primary, references, box(b"iprp", known, links)])
    large = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
    assert decoded_pixels(TYPE + large + bytes(4) + b"meta" + content) == 3 * 64


@pytest.mark.parametrize("kind", ["meta", "pitm", "iref", "iprp", "ipco"])
def test_what_must_be_alone_is_not_there_twice(kind: str) -> None:
    """A decoder might take the one, and this module the other."""
    content = heif([reference(b"dimg", 1, [2])], {2: 8})
    twice = {
        "meta": content + full(b"meta"),
        "pitm": heif([], {}, {}, full(b"pitm", bytes(2))),
        "iref": heif([], {}, {}, full(b"iref")),
        "iprp": heif([], {}, {}, box(b"iprp")),
        "ipco": TYPE + full(b"meta", box(b"iprp", box(b"ipco", pixels_of(8)), box(b"ipco", pixels_of(8)))),
    }
    with pytest.raises(UnreadableImageError, match=f"several boxes {kind}"):
        decoded_pixels(twice[kind])


@pytest.mark.parametrize(
    "content",
    [
        TYPE + box(b"free") * (MOST_ENTRIES + 1),
        heif([reference(b"dimg", item, [1] * 60_000) for item in range(2, 8)], {}),
        TYPE + full(b"meta", box(b"iprp", full(b"ipma", b"\xff" * 4 + bytes(3) * MOST_ENTRIES))),
        TYPE + full(b"meta", box(b"iprp", full(b"ipma", b"\xff" * 4 + b"\x00\x01\xff" + bytes(255) * MOST_ENTRIES))),
    ],
    ids=["boxes", "references", "items", "properties"],
)
def test_the_walk_ends(content: bytes) -> None:
    """However much there is to walk."""
    with pytest.raises(UnreadableImageError, match="more than 250000"):
        decoded_pixels(content)


def test_the_costliest_walk_takes_little_time() -> None:
    """Every entry that is allowed, looked at on every level."""
    width = MOST_ENTRIES // MOST_LEVELS - 200
    references = [
        reference(b"dimg", level + 1, [level + 2] + [1_000 + place for place in range(width)])
        for level in range(MOST_LEVELS - 1)
    ]
    content = heif(references, {2: 4, 1_000: 4})
    before = time.process_time()
    assert decoded_pixels(content) == 16 * MOST_LEVELS
    assert time.process_time() - before < 2.0


def test_a_box_that_ends_too_early_ends_the_walk() -> None:
    """What cannot be walked is the decoder's to refuse."""
    assert decoded_pixels(TYPE + struct.pack(">I", 7) + b"free" + heif([reference(b"dimg", 1, [2])], {2: 8})) == 0


def test_a_box_beyond_the_end_of_its_parent_is_cut() -> None:
    """It hides nothing: what is there counts."""
    content = heif([reference(b"dimg", 1, [2, 2])], {2: 8})
    assert decoded_pixels(content.replace(struct.pack(">I", len(content) - 16) + b"meta", b"\xff" * 4 + b"meta")) == 128


def test_the_same_tile_over_and_over_is_refused_at_once() -> None:
    """A few bytes that would cost a decoder half a minute cost next to nothing."""
    content = heif([reference(b"dimg", 1, [2] * 256)], {1: 1_024, 2: 7_680})
    before = time.process_time()
    with pytest.raises(ImageTooLargeError, match="made from far more"):
        decode(content, ImageBudget())
    assert time.process_time() - before < 0.1


def test_twice_the_allowed_pixels_pass_and_not_one_tile_more() -> None:
    """The bound is where it is said to be."""
    budget = ImageBudget(max_pixels=64 * 64 * 4)
    assert decode(grid("HEIF", 64, 4, 2, announced=(128, 128)), budget).width == 128
    with pytest.raises(ImageTooLargeError):
        decode(grid("HEIF", 64, 3, 3, announced=(128, 128)), budget)


@given(content=st.binary(max_size=400), start=st.sampled_from([TYPE, TYPE + full(b"meta")[:4] + b"meta", b""]))
def test_any_bytes_have_a_number_or_are_refused(content: bytes, start: bytes) -> None:
    """Nothing else is raised, and the walk comes to its end."""
    _ends(start + content)


@given(
    place=st.integers(16, 200),
    change=st.binary(min_size=1, max_size=8),
    repeats=st.lists(st.integers(0, 9), max_size=9),
)
def test_any_change_of_boxes_has_a_number_or_is_refused(place: int, change: bytes, repeats: list[int]) -> None:
    """Of sizes, kinds, counts and numbers, in a file of references that may go in circles."""
    links = [reference(kind, item, repeats) for item in (1, 2, 3) for kind in (b"dimg", b"auxl")]
    content = heif(links, {1: 8, 2: 8, 3: 8}, {3: ALPHA})
    _ends(content[:place] + change + content[place + len(change) :])
    _ends(content[:place])


def test_mutated_files_have_a_number_or_are_refused() -> None:
    """Of every format, and as in the hunt for crashes."""
    for number in range(2_000):
        _ends(mutated(number))
    _ends(TYPE + noise(100_000))


def _whatever(where: bytes, _: int) -> bytes:
    return where


def _ends(content: bytes) -> None:
    before = time.process_time()
    with suppress(UnreadableImageError):
        assert decoded_pixels(content) >= 0
    assert time.process_time() - before < 2.0
