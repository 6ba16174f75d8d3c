"""The photographs that are measured with: real ones, brought to the sizes that cameras make."""

import os
import random
from io import BytesIO

import attrs
from PIL import Image

from infra.photographs import Photographs

_MEGAPIXELS = (0.3, 1.0, 3.0, 8.0, 12.0, 24.0)
_SMALL_MEGAPIXELS = 250 * 250 / 1e6
_PORTRAITS = ("obama", "obama2", "biden", "astronaut")
_OF_TWENTY = {0.3: 2, 1.0: 4, 3.0: 6, 8.0: 3, 12.0: 4, 24.0: 1}
"""How many of twenty photographs that people upload have how many megapixels: assumed, not measured."""


@attrs.frozen
class Sample:
    """One photograph as a JPEG; ``kind`` is ``baseline`` or ``progressive``."""

    name: str
    kind: str
    megapixels: float
    content: bytes = attrs.field(repr=False)


def samples() -> list[Sample]:
    """Return every portrait at every size, and at the largest size as a progressive JPEG, too."""
    photographs = Photographs.fetched()
    wanted = [("baseline", megapixels) for megapixels in _MEGAPIXELS] + [("progressive", max(_MEGAPIXELS))]
    return [
        Sample(name, kind, megapixels, _jpeg(Image.open(photographs.path(name)).convert("RGB"), kind, megapixels))
        for kind, megapixels in wanted
        for name in _PORTRAITS
    ]


def mix() -> list[Sample]:
    """Return baseline JPEGs of all sizes, as often as people upload them, in an order that is always the same.

    The astronaut is left out: at one of the sizes two faces are seen, which ends a job early.
    """
    mixed = [
        sample
        for sample in samples()
        if sample.kind == "baseline" and sample.name != "astronaut"
        for _ in range(_OF_TWENTY[sample.megapixels])
    ]
    random.Random(0).shuffle(mixed)
    return mixed


def small() -> list[bytes]:
    """Return the portraits of :func:`mix` with as many pixels as 250 x 250, as baseline JPEGs."""
    photographs = Photographs.fetched()
    pictures = [Image.open(photographs.path(name)).convert("RGB") for name in _PORTRAITS if name != "astronaut"]
    return [_jpeg(picture, "baseline", _SMALL_MEGAPIXELS) for picture in pictures]


def noise() -> bytes:
    """Return a JPEG of about 200 kB that nobody looks at."""
    stream = BytesIO()
    Image.frombytes("RGB", (300, 300), os.urandom(270_000)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def _jpeg(picture: Image.Image, kind: str, megapixels: float) -> bytes:
    factor = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
    size = (round(picture.width * factor), round(picture.height * factor))
    stream = BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(stream, "JPEG", quality=90, progressive=kind == "progressive")
    return stream.getvalue()
