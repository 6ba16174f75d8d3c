"""Imports that wait until they are wanted, so that what does not need them starts at once."""

import gc
import pkgutil
from typing import Any


def imported(path: str) -> Any:  # noqa: ANN401 - whatever the module has there
    """Import ``module:name`` with garbage collection off: modules are never garbage, and scanning them is slow."""
    gc.disable()
    try:
        return pkgutil.resolve_name(path)
    finally:
        gc.enable()
