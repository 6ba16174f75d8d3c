"""What ``facematch --version`` prints: the product, each embedder's id, and the terms of what it learnt from others."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from adapters.vision import registry

VERSION: Final = version("facematch")
_DIGITS = 12
"""How much of a file's SHA-256 tells two versions of it apart for people."""


def versions() -> Iterator[str]:
    """Yield lines; no model is loaded. An embedder that cannot be used is left to ``facematch embedders``."""
    yield f"facematch {VERSION}"
    for name in registry.known():
        try:
            info = registry.load(name).info
        except registry.BrokenEmbedderError:
            continue
        yield info.id if info.weights else f"{info.id}: {info.licence}"
        for weights in info.weights:
            digest = f", SHA-256 {weights.sha256[:_DIGITS]}…" if weights.sha256 else ""
            yield f"  {weights.name}: {weights.licence}, from {weights.origin}{digest}"
