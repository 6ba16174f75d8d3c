"""Diagrams in Mermaid's language as pictures, so that a reader's browser need not draw them, nor fetch what does."""

from hashlib import sha256
from pathlib import Path

import mermaidx


def drawn(source: str, folder: Path) -> Path:
    """Draw a diagram into a folder and return the picture, an SVG file."""
    folder.mkdir(exist_ok=True)
    picture = folder / f"{sha256(source.encode()).hexdigest()[:16]}.svg"
    if not picture.exists():
        picture.write_text(mermaidx.render(source, theme="neutral").svg(), encoding="utf-8")
    return picture
