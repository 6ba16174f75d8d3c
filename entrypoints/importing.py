"""Imports that wait until they are wanted, so that what does not need them starts at once."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Keep large imports in the block from garbage collection, then and later: modules stay, and scanning them is slow.

    It takes more than 60 ms to look at a worker's, in which no job of its goes on.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
