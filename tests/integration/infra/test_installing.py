"""The way in which the image gets its packages refuses what the lock does not vouch for."""

import hashlib
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Final

import pytest

from infra.local_stack.process import program

_METADATA: Final = "Metadata-Version: 2.1\nName: {0}\nVersion: 1.0\n{1}"
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(folder: Path, name: str, needs: str = "") -> str:
    """Write an empty package, which may need another, and return its SHA-256."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{name}-1.0.dist-info/METADATA", _METADATA.format(name, f"Requires-Dist: {needs}\n" * bool(needs))
        )
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", _WHEEL)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def install(folder: Path, lock: str) -> subprocess.CompletedProcess[str]:
    """Install a project that needs ``direct``, as the Dockerfile does, from the folder instead of an index."""
    uv = program("uv")
    (folder / "requirements.lock").write_text(lock)
    (folder / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "1"\ndependencies = ["direct>=1"]\n')
    subprocess.run([uv, "venv", "--quiet", str(folder / "venv")], check=True, capture_output=True)
    dockerfile = Path("infra/container/Dockerfile").read_text().replace("\\\n", " ")
    [shipped] = re.findall(r"uv pip install \$\{.*?\}(.*?--requirement pyproject.toml)", dockerfile)
    return subprocess.run(
        [uv, "pip", "install", "--no-cache", "--no-index", f"--find-links={folder}", *shipped.split()],
        cwd=folder,
        env={"VIRTUAL_ENV": str(folder / "venv"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def hashes(tmp_path: Path) -> dict[str, str]:
    """Return the true hashes of a package and of what it needs."""
    return {"direct": wheel(tmp_path, "direct", "transitive"), "transitive": wheel(tmp_path, "transitive")}


def test_what_is_locked_is_installed(tmp_path: Path, hashes: dict[str, str]) -> None:
    """Packages with their true hashes are installed, with what they need and nothing else that is locked."""
    lock = "".join(f"{name}==1.0 --hash=sha256:{digest}\n" for name, digest in hashes.items())

    done = install(tmp_path, lock + f"other==2.0 --hash=sha256:{'0' * 64}\n")

    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("venv/lib/*/site-packages/*.dist-info")) == [
        "direct-1.0.dist-info",
        "transitive-1.0.dist-info",
    ]


@pytest.mark.parametrize("changed", ["direct", "transitive"])
def test_what_was_changed_is_refused(tmp_path: Path, hashes: dict[str, str], changed: str) -> None:
    """A file of another hash is not installed, be it needed directly or by another package."""
    hashes[changed] = "0" * 64

    done = install(tmp_path, "".join(f"{name}==1.0 --hash=sha256:{digest}\n" for name, digest in hashes.items()))

    assert done.returncode != 0
    assert "Hash mismatch" in done.stderr


@pytest.mark.parametrize("missing", ["direct", "transitive"])
def test_what_is_not_locked_is_refused(tmp_path: Path, hashes: dict[str, str], missing: str) -> None:
    """A package that the lock does not name is not installed."""
    del hashes[missing]

    done = install(tmp_path, "".join(f"{name}==1.0 --hash=sha256:{digest}\n" for name, digest in hashes.items()))

    assert done.returncode != 0
    assert "Hash" in done.stderr
