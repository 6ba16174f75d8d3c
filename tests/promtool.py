"""Prometheus' own tool for rules: the system's or, kept in the project's cache, a known build from a Debian package."""

import hashlib
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Final

from infra.photographs import cache_folder
from tests.debian import NotToBeHadError, content

_PACKAGE: Final = "prometheus"
_VERSION: Final = "2.42.0+ds-5+deb12u1"
_SHA256: Final = {
    "x86_64": "14d9c8acdc5d1321dc2092400111c586f09ac350f23f2383d1679b2bf256e583",
    "aarch64": "46299126bfb9cc5d6d42de9f42c3d6ed02c106890c3efd6bf447fe66dac47a1f",
}
"""Of the program, by machine."""


class AnotherProgramError(Exception):
    """What was fetched is not the known build."""


def promtool() -> str:
    """Return where it is; it is fetched once.

    Raises:
        NotToBeHadError: it is not installed, and the known build cannot be fetched.
        AnotherProgramError: what was fetched is something else; it is not kept.

    """
    installed = shutil.which("promtool")
    if installed is not None:
        return installed
    machine = platform.machine()
    if machine not in _SHA256:
        raise NotToBeHadError(f"promtool is not installed, and no build of it is known for {machine}")
    kept = cache_folder() / f"promtool-{_VERSION}-{machine}"
    if not kept.exists() or _sha256(kept.read_bytes()) != _SHA256[machine]:
        _fetch(kept, _SHA256[machine])
    return str(kept)


def _fetch(kept: Path, sha256: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = content(_PACKAGE, _VERSION, "usr/bin/promtool", Path(folder))
    if _sha256(program) != sha256:
        raise AnotherProgramError(f"promtool of {_PACKAGE}={_VERSION} is not the expected file: {_sha256(program)}")
    with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as part:
        part.write(program)
    Path(part.name).chmod(0o755)
    Path(part.name).replace(kept)


def _sha256(program: bytes) -> str:
    return hashlib.sha256(program).hexdigest()
