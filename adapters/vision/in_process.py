"""A face pipeline in a thread of the caller's own process: for tools that read a few photographs of trusted origin."""

import asyncio

from adapters.vision.guard import load, read_with
from application.ports.face_pipeline import Embed, EmbedderInfo, FacePipeline, ImageBudget
from domain.faces import PhotoReading


class InProcessFaceReader:
    """Reads one photograph at a time; the models are loaded with the first one."""

    def __init__(self, embedder: str, info: EmbedderInfo, budget: ImageBudget) -> None:
        self._embedder = embedder
        self._info = info
        self._budget = budget
        self._pipeline: FacePipeline | None = None
        self._turn = asyncio.Lock()

    @property
    def info(self) -> EmbedderInfo:
        """Who makes the embeddings."""
        return self._info

    async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Do as the port says, without protection from crashes and without a time limit."""
        async with self._turn:
            return await asyncio.to_thread(self._read, image, embed)

    def _read(self, image: bytes, embed: Embed) -> PhotoReading:
        if self._pipeline is None:
            self._pipeline = load(self._embedder, self._budget, self._info.id)
        return read_with(self._pipeline, image, embed)
