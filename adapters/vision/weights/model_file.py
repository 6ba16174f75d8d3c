"""Files of models, read with integrity: the bytes that are used are those whose SHA-256 was promised."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

ONNX: Final = ".onnx"
OPENVINO: Final = ".xml"
_WEIGHTS: Final = ".bin"
_NAMES: Final = {ONNX: "ONNX", OPENVINO: "OpenVINO"}


class ModelFileError(Exception):
    """A file of a model cannot be read, or is not the one that was meant; the message begins with its key."""


@attrs.frozen
class ModelFile:
    """A model's file and its promised SHA-256; that of OpenVINO has its weights beside it, with a SHA-256 of theirs.

    ``formats`` are those that will do, by the end of the file's name.
    """

    path: Path
    sha256: str
    weights_sha256: str | None = None
    formats: tuple[str, ...] = (ONNX, OPENVINO)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the files, as far as this can be told without loading the model."""
        if self.path.suffix not in self.formats:
            endings = " or ".join(f"{ending} ({_NAMES[ending]})" for ending in self.formats)
            yield f"file: expected a name that ends with {endings}"
            return
        if self.path.suffix == OPENVINO and self.weights_sha256 is None:
            yield f"weights_sha256: missing; it is that of the file {_WEIGHTS} beside the file {OPENVINO}"
        if self.path.suffix == ONNX and self.weights_sha256 is not None:
            yield f"weights_sha256: only a model of OpenVINO has a second file; one in ONNX has to be in one ({ONNX})"
        for key, path, promised in self._files():
            try:
                with path.open("rb") as file:
                    _check(key, path, hashlib.file_digest(file, "sha256").hexdigest(), promised)
            except OSError as error:
                yield _unreadable(path, error)
            except ModelFileError as error:
                yield str(error)

    def read(self) -> list[bytes]:
        """Return the contents: the model's, and the weights' where they have a file of their own.

        Raises:
            ModelFileError: a file cannot be read, or its SHA-256 is not the promised one.

        """
        contents = []
        for key, path, promised in self._files():
            try:
                content = path.read_bytes()
            except OSError as error:
                raise ModelFileError(_unreadable(path, error)) from error
            _check(key, path, hashlib.sha256(content).hexdigest(), promised)
            contents.append(content)
        return contents

    def _files(self) -> Iterator[tuple[str, Path, str]]:
        yield "sha256", self.path, self.sha256
        if self.weights_sha256 is not None:
            yield "weights_sha256", self.path.with_suffix(_WEIGHTS), self.weights_sha256


def _check(key: str, path: Path, found: str, promised: str) -> None:
    if found != promised:
        raise ModelFileError(f"{key}: {path} has {found}, not {promised}")


def _unreadable(path: Path, error: OSError) -> str:
    return f"file: cannot read {path} ({error.strerror})"
