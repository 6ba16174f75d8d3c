"""One model's gallery as codes in this process's memory, in step with the database.

Every search names the moment that the codes are of: whatever transactions have changed from then on, the database
adds by itself. So nothing has to be announced, and nobody is missed in between.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol
from uuid import UUID

import attrs
import numpy as np
from numpy.typing import NDArray

from adapters.postgres.search_index.feed import GalleryFeed, Moment, Rows
from adapters.postgres.tables.catalogue import SchemaError
from application import background
from application.ports.clock import Clock
from application.ports.search_index import IndexState
from domain.errors import DatabaseUnavailableError

_REFRESH_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 300.0
_DIGEST_BYTES: Final = 16
_SPARE: Final = 10_000
"""So many codes more than twice as many as at first, or as users, are no reason to load anew."""


class Codes(Protocol):
    """Users' unit vectors in little space; for several threads at once."""

    def __len__(self) -> int:
        """Return how many there are."""

    def add(self, users: NDArray[np.uint8], vectors: NDArray[np.floating[Any]]) -> None:
        """Add users, [users, 16], with their vectors, [users, dimension]."""

    def near(self, probe: Sequence[float]) -> list[UUID]:
        """Return the users that seem to be nearest to a vector."""

    def near_at_once(self, probe: Sequence[float]) -> list[UUID] | None:
        """Return the same within a millisecond or two; None where it takes longer than that."""


Report = Callable[[Exception], None]
MakeCodes = Callable[[bytes], Codes]
"""Makes codes, of nobody yet, by what was learnt: in a thread, because it may take most of a second."""


@attrs.frozen
class Proposal:
    """Whom to compare with: these, and whoever has changed since the moment."""

    users: list[UUID]
    since: Moment


@attrs.frozen
class _Loaded:
    """Codes of a state of the index, of so many users at first; ``index.users`` was the server's estimate of them."""

    index: IndexState
    codes: Codes
    at_first: int
    at: float


class Follower:
    """Loads the codes of one model once they are asked for, and keeps them in step while they are."""

    def __init__(self, feed: GalleryFeed, make_codes: MakeCodes, *, clock: Clock, report: Report) -> None:
        self._feed = feed
        self._report = report
        self._told_of = ""
        self._not_before = -math.inf
        self._make_codes = make_codes
        self._clock = clock
        self._loaded: _Loaded | None = None
        self._moment = Moment("", "")
        self._recent: dict[bytes, bytes] = {}
        self._looked_at = -math.inf
        self._work: asyncio.Task[None] | None = None

    async def propose(self, probe: Sequence[float], index: IndexState) -> Proposal | None:
        """Return whom to compare with, None while nothing is loaded; another version is loaded meanwhile."""
        self._see_to(index)
        loaded, moment = self._loaded, self._moment
        if loaded is None:
            return None
        # To hand a search to a thread and its result back takes a millisecond where the event loop is busy.
        users = loaded.codes.near_at_once(probe)
        if users is None:
            users = await asyncio.to_thread(loaded.codes.near, probe)
        return Proposal(users, moment)

    async def load(self, index: IndexState) -> None:
        """Return when that version is loaded, or was told to be of no use: everybody is compared with, then.

        Raises:
            DatabaseUnavailableError: no answer.

        """
        await self._told(index.version, self._load(index))

    async def _load(self, index: IndexState) -> None:
        learnt, moment = await self._feed.codebook(), await self._feed.moment()
        if learnt is None:
            return
        try:
            codes = await asyncio.to_thread(self._make_codes, learnt)
        except RuntimeError as error:
            raise SchemaError(
                f"what `facematch index` has learnt for {self._feed.model} is damaged, or of a newer release: run "
                "`facematch index`, with the oldest release that is in use"
            ) from error
        adding: asyncio.Task[None] | None = None
        try:
            async for rows in self._feed.rows():
                if adding is not None:
                    await adding
                adding = asyncio.create_task(asyncio.to_thread(codes.add, rows.users, rows.vectors))
        finally:
            if adding is not None:
                await adding
        self._looked_at = now = self._clock.monotonic()
        self._loaded, self._moment, self._recent = _Loaded(index, codes, len(codes), now), moment, {}

    async def close(self) -> None:
        """Give up what is going on."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    def _see_to(self, index: IndexState) -> None:
        now, loaded = self._clock.monotonic(), self._loaded
        if (self._work is not None and not self._work.done()) or now - self._looked_at < _REFRESH_SECONDS:
            return
        self._looked_at = now
        version = index.version
        current = loaded if loaded is not None and loaded.index.version == version else None
        if now >= self._not_before and (current is None or self._holds_too_many(current, index.users)):
            self._work = background.begin(self._attempt(version, self._load(index)))
        elif current is not None:
            self._work = background.begin(self._attempt(version, self._refresh(current)))

    def _holds_too_many(self, loaded: _Loaded, users: int) -> bool:
        """Tell whether most of the codes are of users who have changed or gone.

        The server's estimate of the users may be wrong: codes that were loaded by it are not loaded by it again, and by
        another one not before a while has passed.
        """
        enough = loaded.at_first
        if users != loaded.index.users and self._clock.monotonic() - loaded.at >= _PAUSE_SECONDS:
            enough = min(enough, users)
        return len(loaded.codes) > 2 * enough + _SPARE

    async def _attempt(self, version: str, work: Coroutine[None, None, None]) -> None:
        """Do it; what the database does not answer, the next search tries again."""
        with suppress(DatabaseUnavailableError):
            await self._told(version, work)

    async def _told(self, version: str, work: Coroutine[None, None, None]) -> None:
        """Do it; what is wrong, but for no answer, is told once until that is over.

        Then nothing is loaded for a while, for that may be hundreds of megabytes; and until then it is not over, though
        changes may be taken in.
        """
        try:
            await work
            if self._clock.monotonic() >= self._not_before:
                self._told_of = ""
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, searches find everybody without codes
            self._not_before = self._clock.monotonic() + _PAUSE_SECONDS
            if version != self._told_of:
                self._told_of = version
                self._report(error)

    async def _refresh(self, loaded: _Loaded) -> None:
        """Take in what has changed. What transactions that go on have written comes again, and is known by then.

        Codes of another server's users are given up, to be loaded anew.
        """
        moment = await self._feed.moment()
        if moment.server != self._moment.server:
            self._loaded = None
            return
        recent: dict[bytes, bytes] = {}
        async for rows in self._feed.rows(since=self._moment.horizon):
            keys = await asyncio.to_thread(_keys, rows)
            fresh = [place for place, (user, vector) in enumerate(keys) if self._recent.get(user) != vector]
            recent.update(keys)
            try:
                await asyncio.to_thread(loaded.codes.add, rows.users[fresh], rows.vectors[fresh])
            except Exception:
                self._loaded = None  # what was added by half is no one's
                raise
            self._recent.update(keys)
        self._moment, self._recent = moment, recent


def _keys(rows: Rows) -> list[tuple[bytes, bytes]]:
    """Return each user's id with a digest of the vector."""
    digests = (hashlib.blake2b(vector.tobytes(), digest_size=_DIGEST_BYTES).digest() for vector in rows.vectors)
    return [(user.tobytes(), digest) for user, digest in zip(rows.users, digests, strict=True)]
