"""Retries around any photo store: linear backoff for what passes, none for what does not."""

import asyncio
import math

import tenacity
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from adapters.object_store.errors import StorageRefusedError
from application.ports.clock import Clock
from application.ports.photo_store import PhotoStore
from domain.errors import JobRejectedError, StorageUnavailableError
from domain.images import ImageRef
from domain.retries import LinearBackoff

_TRACER = trace.get_tracer("facematch.object_store")


class RetryingPhotoStore:
    """Tries again after :class:`StorageUnavailableError`, as often as the backoff says; one span for each try.

    A :class:`StorageRefusedError` is not tried again here: the next delivery of the job will ask anew. All tries and
    waits together take ``deadline_seconds`` at most.
    """

    def __init__(
        self, inner: PhotoStore, backoff: LinearBackoff, *, clock: Clock, deadline_seconds: float = math.inf
    ) -> None:
        self._inner = inner
        self._backoff = backoff
        self._clock = clock
        self._deadline_seconds = deadline_seconds

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Fetch, with retries; the last error is raised as it is."""
        before: list[BaseException | None] = []
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._retrying(ref, max_bytes, before)
        except TimeoutError as error:
            message = f"{ref} did not come within {self._deadline_seconds:g} s, all tries together"
            raise StorageUnavailableError(f"{message}; before that: {before[-1]}" if before else message) from error

    async def _retrying(self, ref: ImageRef, max_bytes: int, errors: list[BaseException | None]) -> bytes:
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=lambda state: self._backoff.delay(state.attempt_number),
            stop=tenacity.stop_after_attempt(self._backoff.attempts),
            sleep=self._clock.sleep,
            before_sleep=lambda state: errors.append(state.outcome.exception() if state.outcome else None),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await self._try(ref, max_bytes, attempt.retry_state.attempt_number)
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    async def _try(self, ref: ImageRef, max_bytes: int, number: int) -> bytes:
        attributes: dict[str, str | int] = {
            "rpc.system.name": "aws-api",
            "rpc.method": "S3/GetObject",
            "aws.s3.bucket": ref.bucket,
            "aws.s3.key": ref.key,
            "facematch.attempt": number,
        }
        with _TRACER.start_as_current_span(
            "S3.GetObject",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                content = await self._inner.fetch(ref, max_bytes=max_bytes)
            except JobRejectedError as error:
                span.set_attribute("facematch.reason", error.reason.value)
                raise
            except StorageUnavailableError as error:
                span.set_status(Status(StatusCode.ERROR, str(error)))
                span.set_attribute("error.type", error.reason.value)
                raise
            span.set_attribute("facematch.image.bytes", len(content))
            return content


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, StorageUnavailableError) and not isinstance(error, StorageRefusedError)
