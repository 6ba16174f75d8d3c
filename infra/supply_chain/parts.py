"""The parts that run: every package that the product needs, directly or not, and the weights of its embedders."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import attrs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from adapters.vision import registry
from application.ports.face_pipeline import Weights
from domain.errors import FacematchError

PRODUCT: Final = "facematch"
_PIN: Final = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<files>.*(?:\n +--hash=.*)+)", re.MULTILINE)
_DIGEST: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_EXTRAS: Final[tuple[str, ...]] = ("", "openvino")
"""Extras that a worker may have; the others are for development."""


class UnlockedPartError(FacematchError):
    """What is installed is not what the lock says."""


@attrs.frozen
class Package:
    """An installed distribution; ``sha256`` holds the digests of all files that the lock allows for it."""

    name: str
    version: str
    needs: tuple[str, ...]
    sha256: tuple[str, ...]


def packages(lock: Path) -> list[Package]:
    """Return the packages that run, by name, without the product itself.

    Raises:
        UnlockedPartError: one is not in the lock, or in another version.

    """
    pins = _PIN.finditer(lock.read_text(encoding="utf-8"))
    locked = {(pin["name"], pin["version"]): tuple(_DIGEST.findall(pin["files"])) for pin in pins}
    found = []
    for name, needs in sorted(_closure().items()):
        version = metadata.version(name)
        if (name, version) not in locked:
            raise UnlockedPartError(f"{name} {version} is installed, which {lock.name} does not have: run make setup")
        found.append(Package(name, version, needs, locked[name, version]))
    return found


def _closure() -> dict[str, tuple[str, ...]]:
    """Return what each package that runs needs, for this interpreter and system."""
    needs: dict[str, set[str]] = {}
    seen = set()
    todo = [(PRODUCT, _EXTRAS)]
    while todo:
        name, extras = asked = todo.pop()
        if asked in seen:
            continue
        seen.add(asked)
        wanted = list(_needs(name, extras))
        needs.setdefault(name, set()).update(needed for needed, _ in wanted)
        todo += wanted
    return {name: tuple(sorted(needed)) for name, needed in needs.items() if name != PRODUCT}


def _needs(name: str, extras: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for text in metadata.requires(name) or ():
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
            yield canonicalize_name(need.name), ("", *sorted(need.extras))


def weights() -> dict[Weights, list[str]]:
    """Return the weights of the installed embedders, each with the ids of those that use it.

    An embedder that is not configured has none; one of somebody else's, which names none, is not looked into.
    """
    used: dict[Weights, list[str]] = {}
    for name in registry.known():
        try:
            info = registry.load(name).info
        except registry.UnconfiguredEmbedderError:
            continue
        for one in info.weights:
            used.setdefault(one, []).append(info.id)
    return used
