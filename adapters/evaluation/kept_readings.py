"""Readings in a folder, so that a measurement of hours can be taken up again.

They hold embeddings, which are biometric data: nobody but the owner may look into the folder, and what belongs to a
photograph is found, and deleted, by the SHA-256 of its file. Another state of facematch may find other faces with an
embedder of the same id, so that each has readings of its own::

    FOLDER/0.1.0-5d41402abc4b/dlib@2/all/8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4.json
"""

import asyncio
import hashlib
import json
import stat
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from adapters.whole_file import OWNERS, write_whole
from application.ports.face_pipeline import Embed
from domain.errors import FacematchError
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OWNER: Final = stat.S_IRWXU


class KeptReadingsError(FacematchError):
    """The folder cannot be used."""


class FolderOfReadings:
    """Keeps the readings of one embedder, a file for each; the folder is made where it is missing.

    ``state`` is that of facematch: a name that changes whenever the same embedder may read otherwise.

    Raises:
        KeptReadingsError: it cannot be made, or others than its owner may use it.

    """

    def __init__(self, folder: Path, embedder: str, state: str) -> None:
        self._embedder = embedder
        self._folder = folder / state / quote(embedder, safe="@")
        try:
            folder.mkdir(_OWNER, parents=True, exist_ok=True)
            if stat.S_IMODE(folder.stat().st_mode) & _OTHERS:
                raise KeptReadingsError(
                    f"{folder} is to hold embeddings, and others may look into it: chmod 700 it, or name another folder"
                )
        except OSError as error:
            raise KeptReadingsError(f"cannot keep readings in {folder}: {error.strerror}") from error

    async def find(self, image: bytes, *, embed: Embed) -> PhotoReading | None:
        """Return the reading of this content; None also where its file is damaged."""
        return await asyncio.to_thread(self._find, self._path(image, embed))

    async def keep(self, image: bytes, reading: PhotoReading, *, embed: Embed) -> None:
        """Write the reading's file as a whole, or not at all."""
        await asyncio.to_thread(self._keep, self._path(image, embed), reading)

    def _path(self, image: bytes, embed: Embed) -> Path:
        return self._folder / embed / f"{hashlib.sha256(image).hexdigest()}.json"

    def _find(self, path: Path) -> PhotoReading | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeptReadingsError(f"cannot read {path}: {error.strerror}") from error
        try:
            return self._reading(json.loads(content))
        except (ValueError, TypeError, KeyError, FacematchError):
            return None

    def _keep(self, path: Path, reading: PhotoReading) -> None:
        try:
            for folder in path.parents[2::-1]:
                folder.mkdir(_OWNER, exist_ok=True)
            write_whole(path, json.dumps(_document(reading)).encode(), mode=OWNERS)
        except OSError as error:
            raise KeptReadingsError(f"cannot write {path}: {error.strerror}") from error

    def _reading(self, document: dict[str, Any]) -> PhotoReading:
        faces = tuple(
            DetectedFace(
                BoundingBox(*face["box"]),
                face["score"],
                FaceEmbedding(self._embedder, tuple(face["embedding"])) if face["embedding"] else None,
                face["sharpness"],
            )
            for face in document["faces"]
        )
        return PhotoReading(document["width"], document["height"], faces)


def _document(reading: PhotoReading) -> dict[str, Any]:
    return {
        "width": reading.width,
        "height": reading.height,
        "faces": [
            {
                "box": [face.box.x1, face.box.y1, face.box.x2, face.box.y2],
                "score": face.score,
                "embedding": face.embedding and face.embedding.vector,
                "sharpness": face.sharpness,
            }
            for face in reading.faces
        ],
    }
