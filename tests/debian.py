"""Programs of Debian packages that are not installed: downloaded by apt and unpacked into a folder, without root."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import attrs

_SECONDS: Final = 60


class NotToBeHadError(Exception):
    """A package is neither installed nor to be downloaded here; the message says what was tried."""


@attrs.frozen
class Program:
    """Where it is, and the environment with which it finds its libraries."""

    path: str
    environment: dict[str, str]


def program(package: str, folder: Path) -> Program:
    """Return the program of that name, from the system or from its package, unpacked into the folder.

    Raises:
        NotToBeHadError: neither is possible.

    """
    places = os.pathsep.join([os.defpath, "/usr/sbin", os.environ.get("PATH", "")])
    installed = shutil.which(package, path=places)
    if installed is not None:
        return Program(installed, {"PATH": places})
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NotToBeHadError(f"{package} is not installed, and there is no {tool} to fetch it with")
    try:
        _unpack(package, folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotToBeHadError(
            f"{package} is not installed, and apt-get cannot fetch it ({error}): apt-get install {package}"
        ) from error
    unpacked = shutil.which(package, path=os.pathsep.join(f"{folder}/usr/{name}" for name in ("sbin", "bin")))
    if unpacked is None:
        raise NotToBeHadError(f"the package {package} holds no program of that name")
    libraries = [str(path) for path in (folder / "usr" / "lib").glob("*-linux-gnu*")]
    return Program(unpacked, {"PATH": places, "LD_LIBRARY_PATH": os.pathsep.join(libraries)})


def _unpack(package: str, folder: Path) -> None:
    """Download the package, and those that it needs and that are missing, with lists of packages of its own."""
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    own = ["-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
    own += ["-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=true"]
    try:
        wanted = _wanted(package, [])
    except subprocess.CalledProcessError:
        _run(folder, "apt-get", *own, "update")
        wanted = _wanted(package, own)
        _run(folder, "apt-get", *own, "download", *wanted)
    else:
        _run(folder, "apt-get", "-o", "APT::Sandbox::User=", "download", *wanted)
    for archive in folder.glob("*.deb"):
        _run(folder, "dpkg-deb", "--extract", str(archive), str(folder))


def _wanted(package: str, options: list[str]) -> list[str]:
    said = _run(Path(), "apt-get", *options, "--simulate", "--no-install-recommends", "install", package)
    return [line.split()[1] for line in said.splitlines() if line.startswith("Inst ")]


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=True)
    return done.stdout
