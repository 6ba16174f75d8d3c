"""A third party's embedder, installed beside the product, that photographs can poison in every way that there is."""

import ctypes
import os
import re
import resource
import signal
import time
from typing import Final

from application.ports.face_pipeline import Embed, EmbedderInfo, ImageBudget
from domain.calibration import Calibration
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading

MEMORY: Final = 256 * 1024**2
"""What a process may have here: less than the product allows, so that tests need not fill two gigabytes."""
_PIECE: Final = 16 * 1024**2


class Poisonable:
    """Sees one face on every photograph, unless the photograph says otherwise, or an earlier one did."""

    def __init__(self, info: EmbedderInfo) -> None:
        self.info = info
        self._kept: list[bytes] = []
        self._undermined = False

    def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Do what the photograph says."""
        if self._undermined:
            os.kill(os.getpid(), signal.SIGSEGV)
        getattr(self, f"do_{image.decode('ascii', 'replace').split(' ')[0]}", lambda: None)()
        vector = FaceEmbedding(self.info.id, (1.0, 0.5, 0.5)) if embed is not Embed.NONE else None
        return PhotoReading(100, 100, (DetectedFace(BoundingBox(0, 0, 90, 90), 1.0, vector),))

    def do_segfault(self) -> None:
        """Read where nothing is."""
        ctypes.string_at(0)

    def do_abort(self) -> None:
        """End as an assertion of native code does."""
        os.abort()

    def do_sleep(self) -> None:
        """Wait for what never comes."""
        time.sleep(600)

    def do_spin(self) -> None:
        """Hold the interpreter's lock for ever."""
        while True:
            pass

    def do_backtrack(self) -> None:
        """Be for ever in native code, which holds the interpreter's lock and hears no signal."""
        re.match(r"(a|aa)+$", "a" * 200 + "b")

    def do_grow(self) -> None:
        """Take memory until Python says that there is none."""
        while True:
            self._kept.append(b"x" * _PIECE)

    def do_malloc(self) -> None:
        """Take memory as native code does, and end as it does when there is none."""
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        while place := libc.malloc(ctypes.c_size_t(_PIECE)):
            ctypes.memset(place, 1, _PIECE)
        os.abort()

    def do_leak(self) -> None:
        """Keep some memory, and be none the worse for it."""
        self._kept.append(b"x" * 3 * _PIECE)

    def do_undermine(self) -> None:
        """Leave memory in disorder, so that whoever comes next dies of it."""
        self._undermined = True

    def do_slow(self) -> None:
        """Take a while."""
        time.sleep(0.05)


class Factory:
    """What the entry point names."""

    info = EmbedderInfo(
        id="poison@1",
        dimension=3,
        licence="none",
        description="for tests",
        calibration=Calibration(((0.01, 0.1),)),
    )

    def __call__(self, _budget: ImageBudget) -> Poisonable:
        """Load nothing, and have less memory."""
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (min(MEMORY, hard), hard))
        return Poisonable(self.info)


pipeline = Factory()
