"""A face pipeline that knows its photographs by heart."""

import asyncio
import os
from collections.abc import Mapping

import attrs

from application.ports.face_pipeline import Embed, EmbedderInfo
from domain.calibration import Calibration
from domain.errors import UnreadableImageError
from domain.faces import DetectedFace, PhotoReading, StageTiming

INFO = EmbedderInfo(
    id="scripted@1",
    dimension=3,
    licence="none",
    description="answers by image bytes",
    calibration=Calibration(((0.001, 0.05), (0.1, 0.25))),
    least_sharpness=2.0,
)


class ScriptedFacePipeline:
    """Answers by image bytes: ``readings`` holds what is seen, or the error that is raised.

    The readings' faces carry their embeddings; those that are not wanted are taken off. Bytes that are not in
    the script are no image.
    """

    def __init__(
        self, readings: Mapping[bytes, PhotoReading | Exception] | None = None, *, info: EmbedderInfo = INFO
    ) -> None:
        self.readings: dict[bytes, PhotoReading | Exception] = dict(readings or {})
        self._info = info

    @property
    def info(self) -> EmbedderInfo:
        """Who is said to have made the embeddings."""
        return self._info

    def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Look the image up."""
        answer = self.readings.get(image, UnreadableImageError("not an image of an allowed format"))
        if isinstance(answer, Exception):
            raise answer
        wanted = embed.is_wanted(len(answer.faces))
        faces = answer.faces if wanted else tuple(_without_embedding(face) for face in answer.faces)
        names = ("decode", "detect", "embed") if wanted and faces else ("decode", "detect")
        stages = tuple(
            StageTiming(name, turn * 1_000_000, (turn + 1) * 1_000_000, os.getpid())
            for turn, name in enumerate(names, start=1)
        )
        return attrs.evolve(answer, faces=faces, stages=stages)


class ScriptedFaceReader:
    """Asks a :class:`ScriptedFacePipeline`; ``read_images`` is what it was given to read."""

    def __init__(self, pipeline: ScriptedFacePipeline | None = None) -> None:
        self.pipeline = pipeline or ScriptedFacePipeline()
        self.read_images: list[bytes] = []

    @property
    def info(self) -> EmbedderInfo:
        """The pipeline's."""
        return self.pipeline.info

    async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Let other tasks have a turn, then ask the pipeline."""
        self.read_images.append(image)
        await asyncio.sleep(0)
        return self.pipeline.read(image, embed=embed)


def _without_embedding(face: DetectedFace) -> DetectedFace:
    return attrs.evolve(face, embedding=None)
