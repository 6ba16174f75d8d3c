"""Reading photographs without blocking the event loop."""

from typing import Protocol

from application.ports.face_pipeline import Embed, EmbedderInfo
from domain.faces import PhotoReading


class FaceReader(Protocol):
    """Runs a face pipeline somewhere where it can neither block nor take down the caller."""

    @property
    def info(self) -> EmbedderInfo:
        """Who makes the embeddings."""

    async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Do what :meth:`application.ports.face_pipeline.FacePipeline.read` does, elsewhere.

        Raises:
            UnreadableImageError, ImageTooLargeError: as the pipeline does.
            EmbedderCrashedError: the process died; others are not affected and it is replaced.
            EmbedderTimeoutError: the process exceeded its time limit and was stopped.
            EmbedderFailedError: the embedder raised an error of its own on the photograph.
            EmbedderUnavailableError: the embedder cannot be loaded, for this photograph or any other.
            AttemptFailedError: the reader was closed meanwhile.

        """
