"""Whether photographs come, which is more than whether the server answers."""

import asyncio
from collections import OrderedDict

from adapters.object_store.errors import StorageRefusedError
from application.ports.clock import Clock
from application.ports.photo_store import PhotoStore
from domain.errors import JobRejectedError, StorageUnavailableError
from domain.images import ImageRef

_NEEDED = 2
_REMEMBERED = 100


class Witnesses:
    """The objects that can tell a store which gives nobody a photograph from one bad object.

    Two are asked: the last two that came, and where fewer did, those that did not. If neither comes nobody's would;
    where there is only one, nobody can tell. Witnesses that did not come for ``patience_seconds`` are forgotten, lest
    everybody wait for ever because of what is wrong with two.
    """

    def __init__(self, *, clock: Clock, patience_seconds: float = 900.0) -> None:
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._came: OrderedDict[ImageRef, int] = OrderedDict()
        self._failed: OrderedDict[ImageRef, int] = OrderedDict()
        self._silent_since: float | None = None

    def came(self, ref: ImageRef, max_bytes: int) -> None:
        """Remember that an object, which may have so many bytes, came."""
        self._remember(self._came, ref, max_bytes, _NEEDED)
        self._failed.clear()
        self._silent_since = None

    def failed(self, ref: ImageRef, max_bytes: int) -> None:
        """Remember that an object, which may have so many bytes, did not come."""
        self._remember(self._failed, ref, max_bytes, _REMEMBERED)

    async def hear(self, store: PhotoStore) -> None:
        """Return where one of them comes from the store, or nobody can tell.

        Raises:
            StorageUnavailableError: they were asked for, and none came.

        """
        witnesses = self._chosen()
        if len(witnesses) < _NEEDED:
            return
        asked = [store.fetch(ref, max_bytes=max_bytes) for ref, max_bytes in witnesses.items()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for ref, answer in zip(witnesses, answers, strict=True):
            if isinstance(answer, bytes):
                self.came(ref, witnesses[ref])
                return
            if isinstance(answer, JobRejectedError):
                self._forget(ref)  # it is not what it was: a store that says so is well, but this one tells no more
                return
            if not isinstance(answer, StorageUnavailableError):
                raise answer
        self._nobody_came()
        names = " and ".join(map(str, witnesses))
        raise StorageUnavailableError(f"the object store answers, but neither of {names} comes: {answers[0]!s}")

    def _chosen(self) -> dict[ImageRef, int]:
        chosen = dict(self._came)
        for ref in list(self._failed):
            if len(chosen) >= _NEEDED:
                break
            if ref not in chosen:
                chosen[ref] = self._failed[ref]
                self._failed.move_to_end(ref)  # the next time another one is asked
        return chosen

    def _nobody_came(self) -> None:
        now = self._clock.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since >= self._patience_seconds:
            self._came.clear()
            self._failed.clear()
            self._silent_since = None

    def _forget(self, ref: ImageRef) -> None:
        self._came.pop(ref, None)
        self._failed.pop(ref, None)

    @staticmethod
    def _remember(refs: OrderedDict[ImageRef, int], ref: ImageRef, max_bytes: int, limit: int) -> None:
        refs[ref] = max_bytes
        refs.move_to_end(ref)
        while len(refs) > limit:
            refs.popitem(last=False)


class WitnessedPhotoStore:
    """Fetches, and tells the witnesses what came of it; a refusal says nothing of other objects."""

    def __init__(self, inner: PhotoStore, witnesses: Witnesses) -> None:
        self._inner = inner
        self._witnesses = witnesses

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Fetch."""
        try:
            content = await self._inner.fetch(ref, max_bytes=max_bytes)
        except StorageRefusedError:
            raise
        except StorageUnavailableError:
            self._witnesses.failed(ref, max_bytes)
            raise
        self._witnesses.came(ref, max_bytes)
        return content
