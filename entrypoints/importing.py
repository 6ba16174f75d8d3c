"""Imports that wait until they are wanted, so that what does not need them starts at once."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Have large imports in the block done with garbage collection off: modules stay, and scanning them is slow."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
