"""Retries around any photo store: linear backoff for what passes, none for what does not."""

import asyncio

import tenacity

from adapters.object_store.errors import StorageRefusedError
from adapters.object_store.spans import fetch_in_span
from application.ports.clock import Clock
from application.ports.photo_store import PhotoStore
from domain.errors import StorageUnavailableError
from domain.images import ImageRef
from domain.retries import LinearBackoff


class RetryingPhotoStore:
    """Tries again after :class:`StorageUnavailableError`, as often as the backoff says; one span for each try.

    A :class:`StorageRefusedError` is not tried again here: the next delivery of the job will ask anew. All tries and
    waits together take ``deadline_seconds`` at most.
    """

    def __init__(self, inner: PhotoStore, backoff: LinearBackoff, *, clock: Clock, deadline_seconds: float) -> None:
        self._inner = inner
        self._backoff = backoff
        self._clock = clock
        self._deadline_seconds = deadline_seconds

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Fetch, with retries; the last error is raised as it is."""
        before: list[BaseException | None] = []
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=lambda state: self._backoff.delay(state.attempt_number),
            stop=tenacity.stop_after_attempt(self._backoff.attempts),
            sleep=self._clock.sleep,
            before_sleep=lambda state: before.append(state.outcome.exception() if state.outcome else None),
            reraise=True,
        )

        async def once() -> bytes:
            return await fetch_in_span(self._inner, ref, max_bytes=max_bytes, attempt=len(before) + 1)

        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await retrying(once)
        except TimeoutError as error:
            message = f"{ref} did not come within {self._deadline_seconds:g} s, all tries together"
            raise StorageUnavailableError(f"{message}; before that: {before[-1]}" if before else message) from error


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, StorageUnavailableError) and not isinstance(error, StorageRefusedError)
