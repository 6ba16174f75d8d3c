"""A set of photo ids that grows to tens of millions: sixteen bytes for each, and as many again while it grows."""

from collections.abc import Collection
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

_BYTES = 16
_ID = np.dtype(f"S{_BYTES}")


class PhotoIds:
    """Sorted arrays, each at least twice as long as the next, so that adding stays cheap and looking up, too."""

    def __init__(self) -> None:
        self._new = bytearray()
        self._sorted: list[NDArray[np.bytes_]] = []

    def add(self, photo: bytes) -> None:
        """Add the sixteen bytes of an id."""
        self._new += photo

    def among(self, photos: Collection[UUID]) -> frozenset[UUID]:
        """Return those of the photos that are in the set."""
        self._absorb()
        if not photos or not self._sorted:
            return frozenset()
        wanted = np.frombuffer(b"".join(photo.bytes for photo in photos), _ID)
        found = np.zeros(len(wanted), dtype=bool)
        for ids in self._sorted:
            places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
            found |= ids[places] == wanted
        return frozenset(photo for photo, here in zip(photos, found, strict=True) if here)

    def _absorb(self) -> None:
        if not self._new:
            return
        ids = np.unique(np.frombuffer(bytes(self._new), _ID))
        self._new = bytearray()
        while self._sorted and len(self._sorted[-1]) < 2 * len(ids):
            ids = np.union1d(self._sorted.pop(), ids)
        self._sorted.append(ids)
