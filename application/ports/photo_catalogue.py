"""The application's photos, gone through in pieces: there may be millions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import attrs

from domain.outcomes import OutcomeKind, Reason


@attrs.frozen
class CataloguedPhoto:
    """A photo, and where the application says that its image is; None where it does not say."""

    id: UUID
    image_ref: str | None


@attrs.frozen
class CataloguePage:
    """A stretch of the catalogue, in the order of ids: the photos that were asked for, and how many there were in all.

    The next stretch comes after ``last``; None at the catalogue's end.
    """

    photos: Sequence[CataloguedPhoto]
    looked_at: int
    last: UUID | None


@attrs.frozen
class LastOutcome:
    """Which photos are meant, by the last outcome of each: any of these, for any of these reasons, or ``none`` at all.

    An outcome counts if it was recorded before ``before``, by the ledger's clock.
    """

    kinds: frozenset[OutcomeKind] = frozenset()
    reasons: frozenset[Reason] = frozenset()
    none: bool = False
    before: datetime | None = None


NO_OUTCOME = LastOutcome(none=True)
ANY_OR_NONE = LastOutcome(frozenset(OutcomeKind), none=True)


class PhotoCatalogue(Protocol):
    """Goes through the photos.

    Every method raises :class:`domain.errors.DatabaseUnavailableError` when the database does not answer, and
    another :class:`domain.errors.FacematchError` when it cannot be asked this.
    """

    async def estimate(self) -> int:
        """Return about how many photos there are, at once."""

    async def now(self) -> datetime:
        """Return the time by the clock of the ledger."""

    async def unmatched(self, last_outcome: LastOutcome, *, after: UUID | None, limit: int) -> CataloguePage:
        """Look at the next ``limit`` photos; return those without a match that are meant by their last outcome."""
