"""The index of a large gallery, in the database: a copy of its vectors, what keeps that in step, and a codebook."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol, TypeVar
from uuid import UUID

import attrs

from domain.errors import FacematchError

VectorsT_co = TypeVar("VectorsT_co", covariant=True)
"""Many vectors, as whoever stores them and whoever makes codes of them agree upon."""
EXACT_BELOW: Final = 5_000
"""Among fewer users, comparing with all of them is as quick: measured in ``docs/how-to/search-a-large-gallery.md``."""


class IndexRefusedError(FacematchError):
    """An index cannot be made here, or not now; the message says why and what to do."""


@attrs.frozen
class Model:
    """A model that ``users`` are enrolled with, or that has an index, or both.

    ``dimension`` is that of most of their vectors, None where there are none.
    """

    name: str
    dimension: int | None
    users: int
    is_indexed: bool


@attrs.frozen
class Space:
    """The vectors that an index can be of: those of one model, and of one dimension."""

    model: str
    dimension: int


@attrs.frozen
class IndexState:
    """What the catalogue says; ``dimension`` is None without a codebook, ``users`` is the server's own estimate.

    ``version`` is another one whenever the table or the codebook, learnt from so many users, has been made anew.
    """

    dimension: int | None
    is_kept: bool
    users: int
    version: str
    learnt_from: int

    def serves(self, dimension: int) -> bool:
        """Tell whether vectors of that dimension can be searched for: a part that is missing would hide users."""
        return self.dimension == dimension and self.is_kept


@attrs.frozen
class Difference:
    """What a comparison of all rows found.

    ``users`` belong into the index and ``indexed`` are in it: ``missing`` are not, ``left_over`` should not be,
    ``different`` have another vector there; ``examples`` are ids of such users.
    """

    users: int
    indexed: int
    missing: int
    left_over: int
    different: int
    examples: tuple[UUID, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows are not as they should be."""
        return self.missing + self.left_over + self.different


class IndexTables(Protocol[VectorsT_co]):
    """What indexes consist of, for the one who works on them.

    Where there is no answer, or the database refuses, the work is at its end: whoever opened them then raises
    :class:`domain.errors.DatabaseUnavailableError` or :class:`IndexRefusedError`.
    """

    async def models(self) -> Sequence[Model]:
        """Return every model that is in use or has an index, finished or not."""

    async def look(self, model: str) -> IndexState | None:
        """Return the state of a model's index, None where there is none."""

    async def follow(self, space: Space, state: IndexState | None) -> None:
        """Make what is missing of the index: from then on, what anybody writes of a user is in it, too.

        Raises:
            IndexRefusedError: vectors of too many dimensions, or somebody keeps the users locked.

        """

    async def fill(self, space: Space, on_copied: Callable[[int], None]) -> None:
        """Bring the index in step with the users, but for rows that are locked; ``on_copied`` hears of rows."""

    async def compare(self, space: Space) -> Difference:
        """Compare every row of the index with the users, as of one moment."""

    async def settle(self, space: Space) -> None:
        """Let searches rely on the rows that are there now."""

    async def size(self, space: Space) -> int:
        """Return how many bytes the index takes."""

    async def sample(self, space: Space, count: int, *, of: int, seed: int) -> VectorsT_co:
        """Return about so many of the index's vectors, ``of`` all, others for each seed; fewer where these are long."""

    def pages(self, space: Space, on_page: Callable[[int, int], None]) -> AsyncIterator[VectorsT_co]:
        """Yield all vectors of the index, page by page; ``on_page`` hears how far that is before each."""

    async def codebook(self, model: str) -> bytes | None:
        """Return what codes are made by, None where nothing was learnt; it may be damaged."""

    async def keep_codebook(self, space: Space, codebook: bytes, *, learnt_from: int) -> None:
        """Let codes be made by this codebook, learnt when there were so many users."""

    async def drop(self, model: str) -> None:
        """Take a model's index away with all its parts: searches are exact from then on.

        Raises:
            IndexRefusedError: somebody keeps the users locked.

        """
