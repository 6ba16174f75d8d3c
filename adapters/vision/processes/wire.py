"""What the pool and its processes say to each other, over one socket for each.

A message is its length in four bytes, then its content. The pool asks with the wish for embeddings, a line's end and
the image; a process answers in JSON, with the components of an embedding as the hexadecimal digits of their doubles:
hundreds of decimal numbers would take the pool longer to read. A picture's pixels follow the JSON behind a line's end,
as they are, so that whoever gets them has nothing to decode. Nothing is pickled: a process that a hostile image has
taken over can answer nonsense, but it cannot make the pool run anything.

The process that makes the others says first whether it has loaded the pipeline, and whether it can be forked (1 or 0).
Then it is asked by a number of :data:`REQUEST_BYTES`: :data:`NEW_PROCESS` or :data:`ITSELF`, along with one end of a
socket, or the id of a process that it has made. It answers with a number: the id of who answers on the socket, or a
negative error number; or what that process ended with, nothing while it runs.
"""

import asyncio
import json
import socket
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import attrs
import cattrs

from adapters.vision.registry import MisdescribedEmbedderError
from application.ports.face_pipeline import Embed, ImageBudget
from domain.errors import (
    AttemptFailedError,
    EmbedderFailedError,
    EmbedderUnavailableError,
    FacematchError,
    ImageTooLargeError,
    UnreadableImageError,
)
from domain.faces import FaceEmbedding, PhotoReading

LENGTH_BYTES: Final = 4
REQUEST_BYTES: Final = 4
NEW_PROCESS: Final = 0
ITSELF: Final = 2**32 - 1
LONGEST_ANSWER: Final = 20 * 1024**2
_LONGEST_HEAD: Final = 4 * 1024**2
"""Of the JSON in an answer, which takes many times its size in memory."""
_TOO_LONG: Final = 2**31
"""For a side of any photograph."""
LONGEST_SIDE: Final = 10_240
"""Of a picture in an answer: no decoded photograph is longer, and what is drawn beside it grows with it."""
OUT_OF_MEMORY: Final = 12
"""The exit code of a process that has reached its memory limit."""
_converter: Final = cattrs.Converter(detailed_validation=False)
_converter.register_unstructure_hook(
    FaceEmbedding, lambda it: {"model": it.model, "vector": array("d", it.vector).tobytes().hex()}
)
_converter.register_structure_hook(
    FaceEmbedding, lambda said, _: FaceEmbedding(str(said["model"]), tuple(array("d", bytes.fromhex(said["vector"]))))
)
_KINDS: Final = {
    kind.__name__: kind
    for kind in (
        UnreadableImageError,
        ImageTooLargeError,
        AttemptFailedError,
        EmbedderFailedError,
        EmbedderUnavailableError,
        MisdescribedEmbedderError,
    )
}


class NonsenseError(Exception):
    """What came was no answer."""


@attrs.frozen
class ChildSettings:
    """What a process needs to know: whom it works for, what it loads, and its limit on memory in bytes.

    ``model`` is the embedder's id as the pool knows it. Without an embedder the process only decodes photographs.
    """

    parent: int
    embedder: str | None
    model: str
    budget: ImageBudget
    memory_limit: int

    @property
    def loaded(self) -> str:
        """What people call that which it loads."""
        return "the decoder" if self.embedder is None else f"embedder {self.embedder!r}"

    def to_text(self) -> str:
        """Return a form that can be passed as an argument."""
        return json.dumps(_converter.unstructure(self))

    @classmethod
    def from_text(cls, text: str) -> "ChildSettings":
        """Return the settings."""
        return _converter.structure(json.loads(text), cls)


@attrs.frozen
class Pixels:
    """A decoded photograph: its size, and so many columns and rows of it in bytes of red, green and blue."""

    width: int
    height: int
    columns: int
    rows: int
    rgb: bytes = attrs.field(repr=False)


def framed(*content: bytes) -> tuple[bytes, ...]:
    """Return the message with this content, in parts."""
    return sum(map(len, content)).to_bytes(LENGTH_BYTES), *content


@asynccontextmanager
async def messages(channel: socket.socket) -> AsyncIterator[tuple[AsyncIterator[bytes], asyncio.StreamWriter]]:
    """Yield what comes on a socket, until the other side closes or is no longer sane, and the way back."""
    try:
        reader, writer = await asyncio.open_connection(sock=channel)
    except BaseException:
        channel.close()
        raise
    try:
        yield _contents(reader), writer
    finally:
        writer.transport.abort()


async def _contents(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while (size := int.from_bytes(await reader.readexactly(LENGTH_BYTES))) <= LONGEST_ANSWER:
            yield await reader.readexactly(size)


def request(image: bytes, embed: Embed) -> tuple[bytes, ...]:
    """Return the message of a request, in parts, which spares copies of the image."""
    return framed(embed.encode() + b"\n", image)


def parse_request(content: bytes) -> tuple[bytes, Embed]:
    """Return the image and the wish for embeddings that the content of a request holds."""
    embed, _, image = content.partition(b"\n")
    return image, Embed(embed.decode())


def number(value: int | None) -> tuple[bytes, ...]:
    """Return the message of a number, or of none, in parts."""
    return framed(b"" if value is None else str(value).encode())


def parse_number(content: bytes) -> int | None:
    """Return the number that the content of an answer holds, None where it holds none."""
    return int(content) if content else None


def answer(result: PhotoReading | Pixels | FacematchError | None) -> tuple[bytes, ...]:
    """Return the message of an answer, in parts; None says that the pipeline is loaded."""
    said: dict[str, object] = {}
    rgb = b""
    match result:
        case Pixels():
            said["pixels"] = result.width, result.height, result.columns, result.rows
            rgb = result.rgb
        case PhotoReading():
            said["reading"] = _converter.unstructure(result)
        case FacematchError():
            kinds = [kind.__name__ for kind in type(result).__mro__ if kind.__name__ in _KINDS]
            said = {"error": kinds[0] if kinds else AttemptFailedError.__name__, "message": str(result)}
    return framed(json.dumps(said, default=float).encode(), b"\n", rgb)  # numbers of numpy are no numbers to it


def parse_answer(content: bytes) -> PhotoReading | Pixels | None:
    """Return the reading or the picture that the content of an answer holds; None when the pipeline is loaded.

    Raises:
        FacematchError: what the process answered, as one of the product's errors.
        NonsenseError: what the process answered is no answer.

    """
    try:
        head, _, rgb = content.partition(b"\n")
        said = json.loads(_short(head))
        if "error" in said:
            error = _KINDS[said["error"]](str(said["message"]))
        elif "pixels" in said:
            width, height, columns, rows = map(int, said["pixels"])
            return _checked(Pixels(width, height, columns, rows, rgb))
        else:
            return _converter.structure(said["reading"], PhotoReading) if said else None
    except Exception as cause:
        raise NonsenseError(f"{type(cause).__name__} in an answer of {len(content)} bytes") from cause
    raise error


def _short(head: bytes) -> bytes:
    if len(head) > _LONGEST_HEAD:
        raise ValueError("nobody has so much to say")
    return head


def _checked(picture: Pixels) -> Pixels:
    within = 1 <= picture.columns <= picture.width and 1 <= picture.rows <= picture.height
    if (
        not within
        or max(picture.width, picture.height) >= _TOO_LONG
        or max(picture.columns, picture.rows) > LONGEST_SIDE
    ):
        raise ValueError("no photograph has such a size")
    if len(picture.rgb) != 3 * picture.columns * picture.rows:
        raise ValueError("the pixels do not fill the picture")
    return picture
