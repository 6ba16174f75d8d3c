"""What codes are made by: learnt once from some of a gallery's vectors, and the same for every worker.

For the short code, vectors are turned onto their principal axes, and the first of these are put into pairs, each with
one of 16 codes: product quantisation (Jégou, Douze and Schmid, IEEE TPAMI 33(1), 2011). Axes that vary much are paired
with axes that vary little, so that each pair has as much to tell (Ge, He, Ke and Sun, IEEE TPAMI 36(4), 2014). The
longer code has a byte for each dimension.

How many of the nearest by their short codes have to be put in order by the longer ones depends on the gallery. So the
codebook holds that number, too, as faiss does: as a multiple of what a search finds.
"""

from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

FOUND: Final = 64
"""So many codes a search finds: somebody whose template has changed many times has several of them."""
LEAST: Final = 1_024
"""So many users, nearest by their short codes, are put in order by the longer ones: also where nothing was measured."""
MOST: Final = 8_192
"""Not more than these: each 1,024 take a thread 0.4 ms."""
_LEARNS_FROM: Final = 4_000
"""With fewer examples nothing is learnt, and vectors are kept as they are."""
_PAIRS: Final = 32
"""Of axes; where vectors have fewer, each axis has a code of its own."""
_MORE_PAIRS: Final = 64
"""Of vectors with more than twice as many dimensions as there are axes in :data:`_PAIRS`."""
_BITS: Final = 4


def learn(sample: NDArray[np.float32]) -> bytes:
    """Return what codes are made by, from examples: float32, [examples, dimension].

    It tells of axes and steps, and holds no user's vector.
    """
    dimension = sample.shape[1]
    if len(sample) < _LEARNS_FROM:
        return bytes(faiss.serialize_index(faiss.IndexFlatL2(dimension)))
    pairs = _MORE_PAIRS if dimension > 4 * _PAIRS else _PAIRS
    axes = min(2 * pairs, dimension)
    parts = pairs if axes == 2 * pairs else axes
    turn = _turn(sample, axes, parts)
    short = faiss.IndexPreTransform(turn, faiss.IndexPQFastScan(axes, parts, _BITS, faiss.METRIC_L2))
    longer = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit)
    index = faiss.IndexRefine(short, longer)
    index.train(sample)
    return bytes(faiss.serialize_index(index))


def shortlist(index: Any) -> int:  # noqa: ANN401 - faiss has no types
    """Return how many users a search puts in order by their longer codes, by a codebook that is read."""
    return int(min(MOST, max(LEAST, index.k_factor * FOUND)))


def with_shortlist(learnt: bytes, users: int) -> bytes:
    """Return the codebook with so many users to put in order."""
    index: Any = faiss.deserialize_index(np.frombuffer(learnt, np.uint8))
    index.k_factor = users / FOUND
    return bytes(faiss.serialize_index(index))


def _turn(sample: NDArray[np.float32], axes: int, parts: int) -> faiss.LinearTransform:
    """Return the turn onto so many principal axes, put into parts; of the others, which may be thousands, nothing."""
    principal = faiss.PCAMatrix(sample.shape[1], axes)
    principal.balanced_bins = parts
    principal.train(sample)
    turn = faiss.LinearTransform(sample.shape[1], axes, principal.have_bias)
    turn.A, turn.b, turn.is_trained = principal.A, principal.b, True
    return turn
