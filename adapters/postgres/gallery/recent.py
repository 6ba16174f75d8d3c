"""Answers that may be a little old: asked for once, by whoever comes first."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import attrs

from application.ports.clock import Clock
from application.single_flight import SingleFlight

_Key = TypeVar("_Key")
_Answer = TypeVar("_Answer")


@attrs.frozen
class _Dated(Generic[_Answer]):
    answer: _Answer
    at: float


class Recent(Generic[_Key, _Answer]):
    """Answers that are at most ``seconds`` old; one question serves everyone who asks meanwhile."""

    def __init__(self, ask: Callable[[_Key], Coroutine[Any, Any, _Answer]], *, clock: Clock, seconds: float) -> None:
        self._ask = ask
        self._clock = clock
        self._seconds = seconds
        self._known: dict[_Key, _Dated[_Answer]] = {}
        self._asking = SingleFlight[_Key, _Answer]()

    async def get(self, key: _Key) -> _Answer:
        """Return the answer; what asking raises is raised to all who wait for it."""
        known = self._known.get(key)
        if known is not None and self._clock.monotonic() - known.at <= self._seconds:
            return known.answer
        return await self._asking.do(key, lambda: self._refresh(key))

    async def _refresh(self, key: _Key) -> _Answer:
        at = self._clock.monotonic()
        answer = await self._ask(key)
        self._known[key] = _Dated(answer, at)
        return answer
