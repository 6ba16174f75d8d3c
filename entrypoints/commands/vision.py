"""``embedders`` and ``inspect``: what can be used to see, and what it sees."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer
from rich.table import Table

from adapters.system.files import read_at_most
from adapters.vision import registry
from application.ports.face_pipeline import Embed, EmbedderInfo
from application.ports.face_reader import FaceReader
from domain.decision import (
    COHORT_EXPONENT,
    COHORT_SIZE,
    SMALLEST_GALLERY_WITH_COHORT,
    Search,
    TargetFpir,
)
from domain.errors import AttemptFailedError, EmbedderUnavailableError, FacematchError, JobRejectedError
from domain.faces import DetectedFace, PhotoReading
from domain.outcomes import Reason
from entrypoints.console import ExitCode, err, explained, load_settings, out, visible
from entrypoints.container import calibration
from entrypoints.resources import build
from entrypoints.settings import Settings

_STAGES = ("decode", "detect", "embed")
_GALLERIES = (20, 50, 1_000, 100_000)


def embedders(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False) -> None:
    """List the face pipelines that FACEMATCH_EMBEDDER can name.

    These are ours and installed plugins. A plugin that cannot be used is told on standard error; what only lacks a
    configuration is listed with how to configure it.
    """
    settings = load_settings()
    known = {}
    unconfigured = {}
    for name in registry.known():
        try:
            info = registry.load(name).info
            active = name == settings.vision.embedder
            known[name] = attrs.evolve(info, calibration=calibration(settings.vision, info)) if active else info
        except registry.UnconfiguredEmbedderError as error:
            unconfigured[name] = str(error)
        except registry.BrokenEmbedderError as error:
            err.print(str(error))
    fpir = settings.vision.target_fpir
    if as_json:
        rows = [_row(name, info, fpir) | {"active": name == settings.vision.embedder} for name, info in known.items()]
        out.print_json(json.dumps(rows))
        return
    for name, info in known.items():
        grid = Table.grid(padding=(0, 2))
        grid.add_row("  id", f"{info.id}: {info.dimension} dimensions, {info.metric}")
        grid.add_row("  parts", info.description)
        grid.add_row("  licence", info.licence)
        grid.add_row("  threshold", f"{_in_words(info, fpir)}, for a false positive identification rate of {fpir:g}")
        out.print(name + (" (active)" if name == settings.vision.embedder else ""), style="bold")
        out.print(grid)
    for name, how in unconfigured.items():
        out.print(name, style="bold")
        out.print(f"  {how}")


def _row(name: str, info: EmbedderInfo, fpir: float) -> dict[str, Any]:
    return {
        "name": name,
        "id": info.id,
        "dimension": info.dimension,
        "metric": info.metric,
        "licence": info.licence,
        "description": info.description,
        "weights": [attrs.asdict(weights) for weights in info.weights],
        "thresholds": _thresholds(info, fpir),
        "cohort_factor": info.calibration.cohort_factor_at(fpir),
    }


def _thresholds(info: EmbedderInfo, fpir: float) -> dict[int, float]:
    """Return the thresholds for templates of one photograph, by the size of the gallery alone."""
    policy = TargetFpir(fpir, info.calibration)
    return {users: round(policy.threshold(Search(users)), 4) for users in _GALLERIES}


def _in_words(info: EmbedderInfo, fpir: float) -> str:
    factor = info.calibration.cohort_factor_at(fpir)
    by_size = {
        users: distance
        for users, distance in _thresholds(info, fpir).items()
        if factor is None or users <= SMALLEST_GALLERY_WITH_COHORT
    }
    words = ", ".join(f"{distance:.3f} of {users:,}" for users, distance in by_size.items()) + " users"
    if factor is None:
        return words
    by_cohort = f"{factor:.3f} x m^{COHORT_EXPONENT:g}, m being the mean distance of the next {COHORT_SIZE}"
    return f"{words}, from {SMALLEST_GALLERY_WITH_COHORT} on {by_cohort}"


def inspect(
    images: Annotated[list[str], typer.Argument(help="Image files.", show_default=False, metavar="IMAGE")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per image and line.")] = False,
    with_embedding: Annotated[
        bool, typer.Option("--with-embedding", help="Embed every face; with --json, print the vectors.")
    ] = False,
) -> None:
    """Show what the active embedder sees on images.

    Prints faces, boxes and milliseconds. Needs no server.
    """
    settings = load_settings()
    with explained():
        unreadable = asyncio.run(_inspect(settings, images, as_json=as_json, with_embedding=with_embedding))
    if unreadable:
        raise typer.Exit(ExitCode.FAILED)


async def _inspect(settings: Settings, images: list[str], *, as_json: bool, with_embedding: bool) -> int:
    container = build(settings)
    reader = container.in_process_reader()
    unreadable = 0
    for path in images:
        seen = await _look(reader, path, container.budget().max_bytes, Embed.ALL if with_embedding else Embed.NONE)
        unreadable += isinstance(seen, Reason)
        document = _document(path, reader.info.id, seen, with_embedding=with_embedding)
        if as_json:
            sys.stdout.write(json.dumps(document) + "\n")
            sys.stdout.flush()
        else:
            out.print(visible(_sentence(document)))
    return unreadable


async def _look(reader: FaceReader, path: str, max_bytes: int, embed: Embed) -> PhotoReading | Reason:
    try:
        content = await asyncio.to_thread(read_at_most, Path(path), max_bytes)
    except FileNotFoundError:
        return Reason.IMAGE_NOT_FOUND
    except OSError:
        return Reason.UNREADABLE_IMAGE
    try:
        return await reader.read(content, embed=embed)
    except EmbedderUnavailableError:  # no image's fault: none would be read
        raise
    except (JobRejectedError, AttemptFailedError) as error:
        return error.reason


def _document(path: str, embedder: str, seen: PhotoReading | Reason, *, with_embedding: bool) -> dict[str, Any]:
    reading = seen if isinstance(seen, PhotoReading) else None
    took = {stage.name: round(stage.milliseconds, 3) for stage in reading.stages} if reading else {}
    return {
        "file": path,
        "width": reading.width if reading else None,
        "height": reading.height if reading else None,
        "embedder": embedder,
        "faces": [_face(face, with_embedding=with_embedding) for face in reading.faces] if reading else [],
        "ms": {stage: took.get(stage, 0) for stage in _STAGES},
        "error": None if reading else str(seen),
    }


def _face(face: DetectedFace, *, with_embedding: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"bbox": attrs.asdict(face.box), "score": face.score}
    if with_embedding:
        if face.embedding is None:
            raise FacematchError("a face came back without the embedding that was asked for")
        document["embedding"] = list(face.embedding.vector)
    return document


def _sentence(document: dict[str, Any]) -> str:
    if document["error"]:
        return f"{document['file']}: {document['error']}"
    took = ", ".join(f"{name} {ms:.0f} ms" for name, ms in document["ms"].items() if ms)
    faces = document["faces"]
    head = f"{document['file']}: {document['width']} x {document['height']}, {len(faces)} face(s), {took}"
    boxes = [
        "  box ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f})".format(**face["bbox"]) + f", score {face['score']:.2f}"
        for face in faces
    ]
    return "\n".join([head, *boxes])
