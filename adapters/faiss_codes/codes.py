"""The codes of a gallery's users, and who is near a probe by them.

A search compares with everybody: nearest neighbours of a face are in too many parts of the space for one that leaves
parts out. Those that are nearest by their short codes, of which processors compare 32 at once (André, Kermarrec and
Le Scouarnec, PVLDB 9(4), 2015), are put in order by the longer ones. Who is nearest by that is only proposed: who is
nearest indeed, whoever has the vectors decides.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from typing import Any, Final
from uuid import UUID

import faiss
import numpy as np
from numpy.typing import NDArray

from adapters.faiss_codes.codebook import FOUND, LEAST, shortlist

Users = NDArray[np.uint8]
"""Ids of users, 16 bytes each: [users, 16]."""

PROPOSED: Final = 16
"""So many users a search proposes."""
_MOST_THREADS: Final = 4
_BRIEF_BYTES: Final = 10 * 1024**2
"""One thread reads so many bytes of codes in about a millisecond."""
_BYTES_OF_ONE_MORE: Final = 4 * 1024
"""In the time that it takes to put one more user in order by the longer codes."""
_ID_BYTES: Final = 16
_Near = tuple[NDArray[np.float32], Users]
"""Squared distances, and users at these."""


class Codes:
    """Users and their codes, for several threads at once.

    A user who is added again has several codes, and is proposed once. A long search takes as many threads as there are
    cores, up to four; what the codes are made by is learnt once, and the same for all.
    """

    def __init__(self, learnt: bytes, *, cores: int = 1) -> None:
        threads = min(_MOST_THREADS, cores)
        self._parts = [_Part(learnt, threads) for _ in range(threads)]
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="search")
        self._in_use = threading.Lock()

    def __len__(self) -> int:
        """Return how many codes there are."""
        return sum(map(len, self._parts))

    def add(self, users: Users, vectors: NDArray[np.floating[Any]]) -> None:
        """Add users, uint8, [users, 16], with their unit vectors, of any precision, [users, dimension]."""
        with self._in_use:
            # users who are added together may be alike, and each part has a share of the shortlist: they are spread
            parts = sorted(self._parts, key=len)
            shares = [slice(first, None, len(parts)) for first in range(len(parts))]
            additions = [
                self._threads.submit(part.add, users[share], vectors[share])
                for part, share in zip(parts, shares, strict=True)
            ]
            wait(additions)  # also where one has failed: none may go on while somebody searches
            for addition in additions:
                addition.result()

    def near(self, probe: Sequence[float]) -> list[UUID]:
        """Return up to :data:`PROPOSED` users whose codes are nearest to a unit vector, the nearest first."""
        vector = np.asarray([probe], np.float32)
        with self._in_use:
            searches = [self._threads.submit(part.near, vector) for part in self._parts]
            wait(searches)  # also where one has failed: none may go on while users are added
            return _nearest([search.result() for search in searches])

    def near_at_once(self, probe: Sequence[float]) -> list[UUID] | None:
        """Return the same within a millisecond or two; None where it takes longer, or somebody searches or adds."""
        is_brief = sum(part.cost for part in self._parts) <= _BRIEF_BYTES
        if not is_brief or not self._in_use.acquire(blocking=False):
            return None
        try:
            vector = np.asarray([probe], np.float32)
            return _nearest([part.near(vector) for part in self._parts])
        finally:
            self._in_use.release()


def can_be_made(learnt: bytes, dimension: int) -> bool:
    """Tell whether there can be codes of vectors of that dimension by what was learnt, which may be damaged."""
    try:
        _Part(learnt).add(np.zeros((1, _ID_BYTES), np.uint8), np.zeros((1, dimension), np.float32))
    except (RuntimeError, ValueError, AssertionError, MemoryError):
        return False
    return True


class _Part:
    """Some of the users, for one thread at a time."""

    def __init__(self, learnt: bytes, parts: int = 1) -> None:
        self._index: Any = faiss.deserialize_index(np.frombuffer(learnt, np.uint8))
        self._read: Any = self._index
        self._more_shortlisted = 0
        if isinstance(self._index, faiss.IndexRefine):
            shortlisted = shortlist(self._index)
            self._more_shortlisted = (shortlisted - LEAST) // parts
            self._index.k_factor = shortlisted // parts / FOUND
            self._read = self._index.base_index
        self._users: Users = np.empty((0, _ID_BYTES), np.uint8)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def cost(self) -> int:
        """How many bytes of codes could be read in the time that a search takes."""
        return int(self._read.sa_code_size()) * len(self) + _BYTES_OF_ONE_MORE * self._more_shortlisted

    def add(self, users: Users, vectors: NDArray[np.floating[Any]]) -> None:
        if not len(users):
            return  # faiss crashes when nothing is added to an empty index of short codes
        faiss.omp_set_num_threads(1)  # of this very thread: each part has one
        count = len(self) + len(users)
        if count > len(self._users):
            grown = np.empty((max(count, len(self._users) * 5 // 4), _ID_BYTES), np.uint8)
            grown[: len(self)] = self._users[: len(self)]
            self._users = grown
        self._users[len(self) : count] = users
        self._index.add(np.ascontiguousarray(vectors, np.float32))

    def near(self, probe: NDArray[np.float32]) -> _Near:
        """Return up to :data:`~.codebook.FOUND` that are nearest to a probe, [1, dimension]."""
        faiss.omp_set_num_threads(1)
        [distances], [places] = self._index.search(probe, FOUND)
        is_there = places >= 0
        return distances[is_there], self._users[places[is_there]]


def _nearest(of_parts: Sequence[_Near]) -> list[UUID]:
    distances, users = (np.concatenate(each) for each in zip(*of_parts, strict=True))
    nearest = users[np.argsort(distances, kind="stable")]
    different = dict.fromkeys(row.tobytes() for row in nearest)
    return [UUID(bytes=user) for user in islice(different, PROPOSED)]
