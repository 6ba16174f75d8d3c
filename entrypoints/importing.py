"""Imports that wait until they are wanted, so that what does not need them starts at once."""

import gc
import pkgutil
from typing import Any


def imported(path: str) -> Any:  # noqa: ANN401 - whatever the module has there
    """Return what ``module:name`` names; it stays, so the garbage collector need not look at it meanwhile."""
    gc.disable()
    try:
        return pkgutil.resolve_name(path)
    finally:
        gc.enable()
