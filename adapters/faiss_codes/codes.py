"""Vectors as codes, a short and a longer one for each, and the search for those that are near a probe.

For the short code, vectors are turned onto their principal axes and cut off after the first :data:`_AXES` or more,
sorted into cells around centroids, and each axis is rounded to one of 16 values: an inverted file with product
quantisation (Jégou, Douze and Schmid, IEEE TPAMI 33(1), 2011) in the layout that processors compare 32 of at once
(André, Kermarrec and Le Scouarnec, PVLDB 9(4), 2015). The longer one has a byte for each dimension; those that are
nearest by their short codes are put in order by it. Who is nearest by that is only proposed: who is nearest indeed,
whoever has the vectors decides.

A search looks into few cells first. That finds whoever the probe is of, mostly much nearer than all others. Strangers'
nearest are about as far as the next ones, and in many cells: where nobody stands out, a second look goes into more.
"""

import math
import threading
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import faiss
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Users = NDArray[np.uint8]
"""Ids of users, 16 bytes each: [users, 16]."""

EXAMPLES: Final = 165_000
"""So many vectors are enough to learn from: 4,096 cells."""
PROPOSED: Final = 16
"""So many users a search proposes."""
_ORDERED: Final = 256
"""So many, nearest by their short codes, are put in order by the longer ones."""
_LEARNS_FROM: Final = 4_000
"""With fewer examples nothing is learnt, and vectors are kept as they are."""
_AXES: Final = 64
_MORE_AXES: Final = 96
"""Of vectors with more than twice as many dimensions as :data:`_AXES`."""
_EXAMPLES_OF_A_CELL: Final = 39
"""With fewer, faiss warns."""
_FEW_CELLS: Final = 12
"""Axes times the share of the cells that a search looks into: it takes the same time whatever the number of axes."""
_FEW_AT_LEAST: Final = 256
"""So many cells are looked into where that is more."""
_STANDS_OUT: Final = 0.9
"""The nearest user stands out at up to this share of the squared distance of the last proposed one."""
_STANDS_OUT_ALONG_MORE_AXES: Final = 0.8
"""The share along :data:`_MORE_AXES`: there a person's photographs are much nearer to each other than to anybody's."""
_MORE_CELLS: Final = 3 / 8
"""The share of the cells that is looked into where nobody stands out."""
_MORE_AT_LEAST: Final = 1_024
"""So many cells, where that is more."""
_MORE_ORDERED: Final = 1_024
"""So many are put in order by the longer codes then."""
_ONE_BY_ONE: Final = 11
"""The faiss implementation of such searches that is made for one probe at a time: a quarter faster than the default."""
_BRIEF_BYTES: Final = 10 * 1024**2
"""Reading so many bytes of codes takes about three milliseconds, of more than a million users' codes."""
_ID_BYTES: Final = 16


def learn(sample: Vectors, users: int) -> bytes:
    """Return what codes are made by, for a gallery of so many users, from examples: float32, [examples, dimension].

    It tells of axes, centroids and steps, and holds no user's vector.
    """
    dimension = sample.shape[1]
    if len(sample) < _LEARNS_FROM:
        return bytes(faiss.serialize_index(faiss.IndexFlatL2(dimension)))
    axes = min(_MORE_AXES if dimension > 2 * _AXES else _AXES, dimension)
    cells = 2 ** min(round(math.log2(4 * math.sqrt(users))), int(math.log2(len(sample) / _EXAMPLES_OF_A_CELL)))
    index: Any = faiss.index_factory(dimension, f"PCA{axes},IVF{cells},PQ{axes}x4fs,Refine(SQ8)", faiss.METRIC_L2)
    index.k_factor = _ORDERED / PROPOSED
    index.train(sample)
    inverted = faiss.extract_index_ivf(index)
    inverted.nprobe = min(cells, max(_FEW_AT_LEAST, round(_FEW_CELLS / axes * cells)))
    return bytes(faiss.serialize_index(index))


class Codes:
    """The codes of a gallery's users, for several threads at once.

    A user who is added again has several codes, and is proposed once.
    """

    def __init__(self, learnt: bytes) -> None:
        self._index: Any = faiss.deserialize_index(np.frombuffer(learnt, np.uint8))
        self._second: Any = None
        self._stands_out = _STANDS_OUT
        self._read_of_each: float = self._index.d * np.dtype(np.float32).itemsize
        found = faiss.try_extract_index_ivf(self._index)
        if found is not None:
            inverted: Any = faiss.downcast_index(found)
            inverted.implem = _ONE_BY_ONE
            self._read_of_each = inverted.code_size * inverted.nprobe / inverted.nlist
            if isinstance(self._index, faiss.IndexRefine):
                self._second = _second_look(inverted)
                if inverted.d > _AXES:
                    self._stands_out = _STANDS_OUT_ALONG_MORE_AXES
        self._users: Users = np.empty((0, _ID_BYTES), np.uint8)
        self._in_use = threading.Lock()

    def __len__(self) -> int:
        """Return how many codes there are."""
        return int(self._index.ntotal)

    def add(self, users: Users, vectors: NDArray[np.floating[Any]]) -> None:
        """Add users, uint8, [users, 16], with their unit vectors, of any precision, [users, dimension]."""
        with self._in_use:
            faiss.omp_set_num_threads(1)
            count = len(self) + len(users)
            if count > len(self._users):
                grown = np.empty((max(count, len(self._users) * 5 // 4), _ID_BYTES), np.uint8)
                grown[: len(self)] = self._users[: len(self)]
                self._users = grown
            self._users[len(self) : count] = users
            self._index.add(np.ascontiguousarray(vectors, np.float32))

    def near(self, probe: Sequence[float]) -> list[UUID]:
        """Return up to :data:`PROPOSED` users whose codes are nearest to a unit vector, the nearest first."""
        with self._in_use:
            users, stands_out = self._first_look(probe)
            return users if stands_out else self._second_look(probe)

    def near_at_once(self, probe: Sequence[float]) -> tuple[list[UUID], bool] | None:
        """Return whom a first look finds within some milliseconds, and whether that is enough.

        None where it takes longer, or somebody else searches or adds users.
        """
        is_brief = len(self) * self._read_of_each <= _BRIEF_BYTES
        if not is_brief or not self._in_use.acquire(blocking=False):
            return None
        try:
            return self._first_look(probe)
        finally:
            self._in_use.release()

    def near_at_second_look(self, probe: Sequence[float]) -> list[UUID]:
        """Return the same as :meth:`near`, of a probe for which a first look was not enough."""
        with self._in_use:
            return self._second_look(probe)

    def _first_look(self, probe: Sequence[float]) -> tuple[list[UUID], bool]:
        """Return whom few cells hold, and whether the nearest stands out or everybody was compared with."""
        distances, places = self._search(probe, None)
        if self._second is None:
            return self._users_at(places), True
        return self._users_at(places), bool(places[-1] >= 0 and distances[0] <= self._stands_out * distances[-1])

    def _second_look(self, probe: Sequence[float]) -> list[UUID]:
        return self._users_at(self._search(probe, self._second)[1])

    def _search(self, probe: Sequence[float], how: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:  # noqa: ANN401
        """Return :data:`PROPOSED` squared distances and places, ascending; -1 for the place of nobody."""
        faiss.omp_set_num_threads(1)  # of this very thread: the other cores look at photographs
        [distances], [places] = self._index.search(np.asarray([probe], np.float32), PROPOSED, params=how)
        return distances, places

    def _users_at(self, places: NDArray[np.int64]) -> list[UUID]:
        ids = dict.fromkeys(self._users[place].tobytes() for place in places if place >= 0)
        return [UUID(bytes=user) for user in ids]


def _second_look(inverted: Any) -> Any:  # noqa: ANN401 - faiss's own types lack these arguments
    """Return what tells a search to look into more cells, and to put more users in order."""
    swig: Any = faiss
    cells = min(inverted.nlist, max(inverted.nprobe, _MORE_AT_LEAST, round(_MORE_CELLS * inverted.nlist)))
    in_cells = swig.SearchParametersPreTransform(index_params=swig.SearchParametersIVF(nprobe=cells))
    return swig.IndexRefineSearchParameters(k_factor=_MORE_ORDERED / PROPOSED, base_index_params=in_cells)
