"""A third party's embedders, installed beside the product, that do what the image, or a file, tells them."""

import ctypes
import errno
import mmap
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import NoReturn

import attrs

from application.ports.face_pipeline import Embed, EmbedderInfo, FacePipeline, ImageBudget
from domain.calibration import Calibration
from domain.errors import FacematchError, UnreadableImageError
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading

INFO = EmbedderInfo(
    id="hostile@7",
    dimension=3,
    licence="none",
    description="obeys the image",
    calibration=Calibration(((0.01, 0.1),)),
)
START_FILE = "HOSTILE_START"
"""Environment variable: the file that tells the embedder ``hostile-start`` what to do when it is loaded."""


class Hostile:
    """Does what the image's first word says; sees one face on any other image."""

    info = INFO

    def __init__(self) -> None:
        self.model = b""
        self._kept: list[bytes] = []
        self._undermined = False

    def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Obey."""
        word = image.split(b" ", 1)[0].decode("ascii", "replace")
        if word in {"wait", "hang", "spin"} and b" " in image:
            self.begin(Path(image.split(b" ", 1)[1].decode()))
        getattr(self, f"do_{word.replace('-', '_')}", lambda: None)()
        if word == "wait":
            self.wait_for(Path(image.split(b" ", 1)[1].decode()))
        if word == "grow":
            self.grow(Path(image.split(b" ", 1)[1].decode()))
        if word in {"leak", "need"}:
            taken = b"x" * int(image.split(b" ", 1)[1]) * 1024**2
            self._kept += [taken] if word == "leak" else []
        if self._undermined:
            self.do_segfault()
        self._undermined = word == "undermine"
        model = "other@1" if word == "other-model" else INFO.id
        vector = (1.0,) * 4 if word == "other-dimension" else (1.0, float(len(image)), 0.5)
        embedding = FaceEmbedding(model, vector) if embed is not Embed.NONE and word != "forget" else None
        face = DetectedFace(BoundingBox(0, 0, 9, 9), 1.0, embedding)
        if word == "not-a-reading":
            return "a reading, honestly"  # type: ignore[return-value]  # what a careless third party might do
        return PhotoReading(os.getpid(), len(image), (face,))

    def begin(self, file: Path) -> None:
        """Say by a file beside it that this has begun."""
        file.with_suffix(".begun").write_text(str(os.getpid()))

    def wait_for(self, file: Path) -> None:
        """Wait for the file."""
        while not file.exists():
            time.sleep(0.005)

    def grow(self, file: Path) -> None:
        """Take memory until there is none, and note down how much it was, in MiB."""
        while True:
            self._kept.append(b"x" * 32 * 1024**2)
            file.write_text(str(32 * len(self._kept)))

    def do_share(self) -> None:
        """Take memory that could be shared with others, which no limit of the kernel's is on, and do not return."""
        shared = mmap.mmap(-1, 4 * 1024**3)
        for start in range(0, len(shared), 1024**2):
            shared[start : start + 1024**2] = b"x" * 1024**2
            time.sleep(0.002)
        time.sleep(600)

    def do_backtrack(self) -> None:
        """Never return from native code, which holds the interpreter's lock and hears no signal."""
        re.match(r"(a|aa)+$", "a" * 200 + "b")

    def do_segfault(self) -> None:
        """Read where nothing is."""
        ctypes.string_at(0)

    def do_abort(self) -> None:
        """End as C's assertions do."""
        os.abort()

    def do_exit_0(self) -> None:
        """End as if all were well."""
        os._exit(0)

    def do_exit_3(self) -> None:
        """End."""
        os._exit(3)

    def do_hang(self) -> None:
        """Never return."""
        while True:
            time.sleep(60)

    def do_spin(self) -> None:
        """Never return, and hold the interpreter's lock."""
        while True:
            pass

    def do_raise(self) -> NoReturn:
        """Fail with words that nobody may repeat."""
        raise RuntimeError("the words of a third party")

    def do_exhaust(self) -> NoReturn:
        """Fail as Python does without memory."""
        raise MemoryError

    def do_quit(self) -> NoReturn:
        """Fail in a way that ends programs."""
        raise SystemExit(0)

    def do_unreadable(self) -> NoReturn:
        """Say that the image is at fault."""
        raise UnreadableImageError("not a picture of anybody")

    def do_other_error(self) -> NoReturn:
        """Fail with an error that the product foresaw elsewhere."""
        raise FacematchError("something foreseen")

    def do_print(self) -> None:
        """Say something where others may listen."""
        print("standard output is mine")  # noqa: T201 - that is what it is for
        os.write(1, b"and here, too\n")
        os.write(2, b"words of a decoder about the image\n")

    def do_babble(self) -> None:
        """Write nonsense into every socket there is."""
        for number in _sockets():
            os.write(number, b"\x00\x00\x00\x04nope")

    def do_boast(self) -> None:
        """Announce an answer that would never end."""
        for number in _sockets():
            os.write(number, b"\xff\xff\xff\xff")

    def do_fork(self) -> None:
        """Leave a child behind that keeps everything open, and die."""
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)


def _sockets() -> list[int]:
    links = Path("/proc/self/fd").iterdir()
    return [int(link.name) for link in links if link.is_symlink() and str(link.readlink()).startswith("socket:")]


class _Factory:
    info = INFO

    def __call__(self, _budget: ImageBudget) -> FacePipeline:
        return Hostile()


class _StartFactory:
    info = INFO

    def __call__(self, _budget: ImageBudget) -> FacePipeline:
        match Path(os.environ[START_FILE]).read_text():
            case "raise":
                raise RuntimeError("no model here")
            case "slowly":
                with Path(os.environ[START_FILE]).with_suffix(".loads").open("a") as loads:
                    loads.write("x")
                time.sleep(1)
                raise RuntimeError("no model here")
            case "die":
                os._exit(9)
            case "hang":
                time.sleep(600)
            case "no-room":
                os.fork = _no_room
        pipeline = Hostile()
        pipeline.model = b"x" * 64 * 1024**2
        return pipeline


def _no_room() -> NoReturn:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class _ThreadsFactory(_StartFactory):
    def __call__(self, budget: ImageBudget) -> FacePipeline:
        pipeline = super().__call__(budget)
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return pipeline


class _EuclideanFactory(_Factory):
    info = attrs.evolve(INFO, metric="euclidean")


def without_info(_budget: ImageBudget) -> FacePipeline:
    """Be a factory that nobody can identify."""
    return Hostile()


pipeline = _Factory()
start = _StartFactory()
threads = _ThreadsFactory()
euclidean = _EuclideanFactory()
