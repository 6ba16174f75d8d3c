"""Whether photographs come, which is more than whether the server answers."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Mapping

import attrs

from adapters.object_store.errors import ObjectForbiddenError, StorageRefusedError
from application.ports.clock import Clock
from application.ports.photo_store import PhotoStore
from domain.errors import JobRejectedError, StorageUnavailableError
from domain.images import ImageRef

_NEEDED = 2
_CAME = 20
_FAILED = 100
_TELLS_NOTHING = (JobRejectedError, StorageRefusedError)
"""Answers about an object that is not what it was: others have to be asked."""


@attrs.frozen
class Size:
    """How large an object is, in bytes, or 0 where that does not matter; and how large it may be."""

    bytes: int
    allowed: int

    def is_comparable(self, other: "Size") -> bool:
        """Tell whether one that comes with this size says something of one with the other: at least half of it."""
        return 2 * self.bytes >= other.bytes


class Witnesses:
    """Tells a store that serves nobody from one bad object, by fetching others: good ones, while any are known.

    Two are asked: the largest that came and are no less than half as large as what did not come, for a store may be
    too slow for large ones only; where there are fewer, those that did not come. If neither comes nobody's would;
    where there is only one, nobody can tell. One that came and may not be read any more may have been deleted, where
    nothing may be listed: all that came are asked before that is everybody's trouble. One that never came and may not
    be read tells nothing.

    What never came, or may not be read any more, proves little. So where only such are asked, work is let on every
    ``trial_seconds``, and the first good photograph ends it. Witnesses that do not come for ``patience_seconds`` are
    forgotten, lest everybody wait for ever because of what is wrong with two.

    Photographs that come then, while those that came before may still not be read, tell that these are missing: for
    ``patience_seconds`` what may not be read is its own job's trouble.
    """

    def __init__(self, *, clock: Clock, trial_seconds: float = 30.0, patience_seconds: float = 900.0) -> None:
        self._clock = clock
        self._trial_seconds = trial_seconds
        self._patience_seconds = patience_seconds
        self._came: dict[ImageRef, Size] = {}
        self._failed: OrderedDict[ImageRef, Size] = OrderedDict()
        self._silent_since: float | None = None
        self._tried_at = 0.0
        self._came_at = self._let_on_at = self._acquitted_at = -math.inf

    def came(self, ref: ImageRef, size: Size) -> None:
        """Remember that an object came; what it disproves is forgotten."""
        self._came_at = self._clock.monotonic()
        self._came[ref] = size
        if len(self._came) > _CAME:
            del self._came[min(self._came, key=lambda known: self._came[known].bytes)]
        self._failed.pop(ref, None)
        for other in [known for known, failed in self._failed.items() if size.is_comparable(failed)]:
            del self._failed[other]
        if not self._failed:
            self._silent_since = None

    def failed(self, ref: ImageRef, size: Size) -> None:
        """Remember that an object did not come; its size matters where it was too slow."""
        self._failed[ref] = size
        self._failed.move_to_end(ref)
        if len(self._failed) > _FAILED:
            self._failed.popitem(last=False)

    async def hear(self, store: PhotoStore) -> None:
        """Return where one of them comes from the store, or nobody can tell.

        Raises:
            StorageUnavailableError: they were asked for, and none came.

        """
        closed: dict[ImageRef, Size] = {}
        while (witnesses := self._chosen(closed)) and len(witnesses) + len(closed) >= _NEEDED:
            answers = await self._ask(store, witnesses)
            for ref, answer in answers.items():
                if isinstance(answer, bytes):
                    self.came(ref, attrs.evolve(witnesses[ref], bytes=len(answer)))
                    return
            gone = [ref for ref, answer in answers.items() if isinstance(answer, _TELLS_NOTHING)]
            for ref in gone:
                if ref in self._came and isinstance(answers[ref], ObjectForbiddenError):
                    closed[ref] = witnesses[ref]
                else:
                    self._forget(ref)
            if not gone:
                self._let_on_or_raise(
                    "neither of two photographs comes that it should have",
                    proven=not self._came.keys().isdisjoint(witnesses),
                )
                return
        for ref in list(closed)[:-_NEEDED]:
            self._forget(ref)
        if len(closed) >= _NEEDED and not self._are_missing():
            self._let_on_or_raise(
                "no photograph may be read with these credentials; without s3:ListBucket missing ones look the same",
                proven=False,
            )

    @staticmethod
    async def _ask(
        store: PhotoStore, witnesses: Mapping[ImageRef, Size]
    ) -> dict[ImageRef, bytes | JobRejectedError | StorageUnavailableError]:
        asked = [store.fetch(ref, max_bytes=size.allowed) for ref, size in witnesses.items()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        told: dict[ImageRef, bytes | JobRejectedError | StorageUnavailableError] = {}
        for ref, answer in zip(witnesses, answers, strict=True):
            if not isinstance(answer, bytes | JobRejectedError | StorageUnavailableError):
                raise answer
            told[ref] = answer
        return told

    def _chosen(self, closed: Mapping[ImageRef, Size]) -> dict[ImageRef, Size]:
        """Return who is asked next, when these may not be read."""
        least = min((size.bytes for size in self._failed.values()), default=0)
        suited = [
            (ref, size)
            for ref, size in self._came.items()
            if ref not in closed and size.is_comparable(Size(least, least))
        ]
        chosen = dict(sorted(suited, key=lambda known: known[1].bytes)[-_NEEDED:])
        for ref in list(self._failed):
            if len(chosen) + len(closed) >= _NEEDED:
                break
            if ref not in chosen and ref not in closed:
                chosen[ref] = self._failed[ref]
                self._failed.move_to_end(ref)  # the next time another one is asked
        return chosen

    def _are_missing(self) -> bool:
        """Tell whether those that may not be read are missing: others came when work was let on."""
        now = self._clock.monotonic()
        if self._came_at > self._let_on_at > now - self._trial_seconds:
            self._acquitted_at = now
        return now - self._acquitted_at < self._patience_seconds

    def _let_on_or_raise(self, why: str, *, proven: bool) -> None:
        """Raise that nobody gets a photograph, unless it is time to let work on although no witness came."""
        now = self._clock.monotonic()
        if self._silent_since is None:
            self._silent_since = self._tried_at = now
        if now - self._silent_since >= self._patience_seconds:
            self._came.clear()
            self._failed.clear()
            self._silent_since = None
        elif proven or now - self._tried_at < self._trial_seconds:
            raise StorageUnavailableError(f"the object store answers, but {why}")
        else:
            self._tried_at = self._let_on_at = now

    def _forget(self, ref: ImageRef) -> None:
        self._came.pop(ref, None)
        self._failed.pop(ref, None)
