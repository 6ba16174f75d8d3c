"""Programs of Debian packages that are not installed: downloaded by apt and unpacked into a folder, without root."""

import io
import os
import shutil
import subprocess
import tarfile
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
    _demand_tools(package)
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


def content(package: str, version: str, member: str, folder: Path) -> bytes:
    """Return one file of that version of the package, which is downloaded into the folder without what it needs.

    Raises:
        NotToBeHadError: there is no apt-get or no dpkg-deb, or no such version can be fetched.

    """
    _demand_tools(package)
    wanted = f"{package}={version}"
    try:
        _download_alone(package, wanted, folder)
        [archive] = folder.glob("*.deb")
        unpacked = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(archive)], capture_output=True, timeout=_SECONDS, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotToBeHadError(f"apt-get cannot fetch {wanted} ({error})") from error
    with tarfile.open(fileobj=io.BytesIO(unpacked.stdout)) as files:
        file = files.extractfile(f"./{member}")
        if file is None:
            raise NotToBeHadError(f"{wanted} holds no file {member}")
        return file.read()


def _download_alone(package: str, wanted: str, folder: Path) -> None:
    """Use the system's lists of packages, or own ones where it has none that tell of the package."""
    if _run(folder, "apt-cache", "madison", package):
        _run(folder, "apt-get", "-o", "APT::Sandbox::User=", "download", wanted)
        return
    own = _own_lists(folder)
    _run(folder, "apt-get", *own, "update")
    _run(folder, "apt-get", *own, "download", wanted)


def _demand_tools(package: str) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NotToBeHadError(f"{package} is not installed, and there is no {tool} to fetch it with")


def _own_lists(folder: Path) -> list[str]:
    """Make room for lists of packages, and return the options by which apt uses them instead of the system's."""
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    own = ["-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
    return [*own, "-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=true"]


def _unpack(package: str, folder: Path) -> None:
    """Download the package, and those that it needs and that are missing, with lists of packages of its own."""
    own = _own_lists(folder)
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
