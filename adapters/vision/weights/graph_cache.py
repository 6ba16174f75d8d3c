"""What takes long to make of dlib's models, made once and kept in the user's cache folder.

Building the recogniser's graph takes another library and a fifth of a second; reading what was built takes a third of
that. Nothing depends on the cache: where it cannot be read or written, holds something else than what was put there, or
others may write to it, everything is made anew.

A file of the cache is the SHA-256 of its content, followed by the content. Its name is made of everything that the
content is made of, so it never goes out of date.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from adapters.vision.weights.provided import installed
from application.ports.face_pipeline import Weights

BUILDER_VERSION: Final = 1
"""To be counted up with every change of ``resnet``, which builds the graph, or of what it reads the weights with."""
_ADMINISTRATOR: Final = 0
_DIGEST_BYTES: Final = hashlib.sha256().digest_size


def cache_folder() -> Path | None:
    """Return where things that can be made again are kept for this user; None where no place is known."""
    if chosen := os.environ.get("FACEMATCH_CACHE"):
        return Path(chosen)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "facematch"
    if home := os.environ.get("HOME"):
        return Path(home) / ".cache" / "facematch"
    return None


def dlib_resnet(weights: Weights, folder: Path | None) -> bytes:
    """Return the serialized graph of the network with these weights, from ``folder`` where it holds one.

    Raises:
        EmbedderUnavailableError: the file that is installed is missing, or not the one that is stated.
        UnexpectedWeightsError: the weights are of another network.

    """
    file = installed(weights)
    return made_once(f"dlib-resnet-{BUILDER_VERSION}-{weights.sha256}.graph", lambda: _built(file), folder)


def made_once(name: str, make: Callable[[], bytes], folder: Path | None) -> bytes:
    """Return what ``make`` does, from the file of that name in ``folder`` where that holds it."""
    if folder is None:
        return make()
    file = folder / name
    content = _kept(file)
    if content is None:
        content = make()
        with contextlib.suppress(OSError):
            _keep(content, file)
    return content


def _built(weights: Path) -> bytes:
    from adapters.vision.weights.resnet import build  # noqa: PLC0415 - imports onnx, which nothing else needs

    graph: bytes = build(weights).SerializeToString()
    return graph


def _kept(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            if not _is_trusted(os.fstat(opened.fileno())):
                return None
            whole = opened.read()
    except OSError:
        return None
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def _is_trusted(file: os.stat_result) -> bool:
    """Whether nobody but this user and the administrator can have written it."""
    return file.st_uid in {os.geteuid(), _ADMINISTRATOR} and not file.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _keep(content: bytes, file: Path) -> None:
    """Put the content in the file's place at once and whole, however many processes do so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=file.name, delete=False) as part:
        try:
            part.write(hashlib.sha256(content).digest() + content)
            part.close()
            os.replace(part.name, file)  # noqa: PTH105 - both are names
        except OSError:
            Path(part.name).unlink()
            raise
