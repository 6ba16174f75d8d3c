"""Embedders of tests, installed beside the product."""

from pathlib import Path
from typing import Final

_REMEMBERING: Final = Path(__file__).parent / "remembering"


def remembering(folder: Path) -> dict[str, str]:
    """Return settings of workers that look at each photograph once, and remember it in a folder in this one."""
    memory = folder / "memory"
    memory.mkdir(exist_ok=True)
    return {
        "FACEMATCH_EMBEDDER": "remembering",
        "PYTHONPATH": str(_REMEMBERING),
        "REMEMBERING_FOLDER": str(memory),
    }
