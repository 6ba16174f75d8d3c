"""``inspect``: what the active embedder sees on images."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from adapters.system.files import read_at_most
from application.concurrency import in_order
from application.ports.face_pipeline import Embed
from application.ports.face_reader import FaceReader
from domain.errors import AttemptFailedError, EmbedderUnavailableError, JobRejectedError
from domain.faces import DetectedFace, PhotoReading
from domain.outcomes import Reason
from entrypoints.composition.base import build
from entrypoints.composition.vision import VisionContainer, started_reader
from entrypoints.settings import Settings
from entrypoints.terminal.console import ExitCode, explained, load_settings, out, print_line, visible
from entrypoints.terminal.quantities import quantity

_STAGES = ("decode", "detect", "embed")
_IN_HAND_PER_PROCESS = 2
"""One that is looked at, and one that is read ahead, or is done and waits for an earlier one."""


def inspect(
    images: Annotated[list[str], typer.Argument(help="Image files.", show_default=False, metavar="IMAGE")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per image and line.")] = False,
    with_embedding: Annotated[
        bool, typer.Option("--with-embedding", help="Embed every face: print its sharpness, with --json its vector.")
    ] = False,
) -> None:
    """Show what the active embedder sees on images.

    Prints each face with its box, and how long each stage took. It looks for every face, as closely as the detector
    can; where one face is large, a worker takes less time to detect. Needs no server.
    """
    settings = load_settings()
    with explained():
        unreadable = asyncio.run(_inspect(settings, images, as_json=as_json, with_embedding=with_embedding))
    if unreadable:
        raise typer.Exit(ExitCode.FAILED)


async def _inspect(settings: Settings, images: list[str], *, as_json: bool, with_embedding: bool) -> int:
    container = build(VisionContainer, settings)
    reader = container.face_reader()
    embed = Embed.ALL if with_embedding else Embed.NONE

    async def look(path: str) -> tuple[str, PhotoReading | _Unread]:
        return path, await _look(reader, path, container.budget().max_bytes, embed)

    unreadable = 0
    async with (
        started_reader(container),
        aclosing(in_order(images, look, concurrency=_IN_HAND_PER_PROCESS * settings.worker.processes)) as looks,
    ):
        async for path, seen in looks:
            unreadable += isinstance(seen, _Unread)
            if as_json:
                print_line(_document(path, reader.info.id, seen, with_embedding=with_embedding))
            else:
                out.print(visible(_sentences(path, seen)))
    return unreadable


@attrs.frozen
class _Unread:
    """Of which kind the trouble with a file is, and in words what it is."""

    reason: Reason
    why: str


async def _look(reader: FaceReader, path: str, max_bytes: int, embed: Embed) -> PhotoReading | _Unread:
    try:
        content = await asyncio.to_thread(read_at_most, Path(path), max_bytes)
    except FileNotFoundError:
        return _Unread(Reason.IMAGE_NOT_FOUND, "no such file; only local files are inspected")
    except OSError as error:
        return _Unread(Reason.UNREADABLE_IMAGE, error.strerror or str(error))
    try:
        return await reader.read(content, embed=embed)
    except EmbedderUnavailableError:  # no image's fault: none would be read
        raise
    except (JobRejectedError, AttemptFailedError) as error:
        return _Unread(error.reason, str(error))


def _document(path: str, embedder: str, seen: PhotoReading | _Unread, *, with_embedding: bool) -> dict[str, Any]:
    reading = seen if isinstance(seen, PhotoReading) else None
    took = {stage.name: round(stage.milliseconds, 3) for stage in reading.stages} if reading else {}
    return {
        "file": path,
        "width": reading.width if reading else None,
        "height": reading.height if reading else None,
        "embedder": embedder,
        "faces": [_face(face, with_embedding=with_embedding) for face in reading.faces] if reading else [],
        "ms": {stage: took.get(stage, 0) for stage in _STAGES},
        "error": seen.reason.value if isinstance(seen, _Unread) else None,
    }


def _face(face: DetectedFace, *, with_embedding: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"bbox": attrs.asdict(face.box), "score": face.score}
    if with_embedding:
        document["embedding"] = list(face.wanted_embedding.vector)
    return document


def _sentences(path: str, seen: PhotoReading | _Unread) -> str:
    if isinstance(seen, _Unread):
        return f"{path}: {seen.reason.value}: {seen.why}"
    took = ", ".join(f"{stage.name} {stage.milliseconds:.0f} ms" for stage in seen.stages)
    head = f"{path}: {seen.width} x {seen.height}, {quantity(len(seen.faces), 'face')}, {took}"
    return "\n".join([head, *map(_line, seen.faces)])


def _line(face: DetectedFace) -> str:
    box = face.box
    found = f"  box ({box.x1:.0f}, {box.y1:.0f}) to ({box.x2:.0f}, {box.y2:.0f}), score {face.score:.2f}"
    return found if face.sharpness is None else f"{found}, sharpness {face.sharpness:.1f}"
