"""Answers that may be a little old: asked for once, by whoever comes first, or renewed while nobody waits."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import attrs

from application.ports.clock import Clock
from application.single_flight import SingleFlight

_Key = TypeVar("_Key")
_Answer = TypeVar("_Answer")
_SHARE = 0.01
"""So much of the time may be spent on renewing an answer."""


@attrs.frozen
class _Dated(Generic[_Answer]):
    answer: _Answer
    at: float


@attrs.frozen
class Timed(Generic[_Answer]):
    """An answer, and how many seconds it took."""

    answer: _Answer
    seconds: float


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

    async def close(self) -> None:
        """Give up what is being asked."""
        await self._asking.close()

    async def _refresh(self, key: _Key) -> _Answer:
        at = self._clock.monotonic()
        answer = await self._ask(key)
        self._known[key] = _Dated(answer, at)
        return answer


class Renewed(Generic[_Key, _Answer]):
    """Answers that are served at once, and renewed in the background once they are so old that it costs little.

    One is renewed when it is a hundred times as old as it took, but not before ``least_seconds`` and not after
    ``most_seconds``. Only those wait who come first, when it is twice as old as that, or when renewing it has failed.
    """

    def __init__(
        self,
        ask: Callable[[_Key], Coroutine[Any, Any, Timed[_Answer]]],
        *,
        clock: Clock,
        least_seconds: float,
        most_seconds: float,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._least_seconds = least_seconds
        self._most_seconds = most_seconds
        self._known: dict[_Key, _Dated[Timed[_Answer]]] = {}
        self._asking = SingleFlight[_Key, _Answer]()

    async def get(self, key: _Key) -> _Answer:
        """Return the answer; what asking raises is raised to all who wait for it."""
        known = self._known.get(key)
        if known is None:
            return await self._asking.do(key, lambda: self._renew(key))
        age = self._clock.monotonic() - known.at
        kept = min(max(known.answer.seconds / _SHARE, self._least_seconds), self._most_seconds)
        if age > 2 * kept:
            return await self._asking.do(key, lambda: self._renew(key))
        if age > kept:
            self._asking.begin(key, lambda: self._renew(key))
        return known.answer.answer

    async def close(self) -> None:
        """Give up what is being renewed."""
        await self._asking.close()

    async def _renew(self, key: _Key) -> _Answer:
        at = self._clock.monotonic()
        try:
            answer = await self._ask(key)
        except Exception:
            self._known.pop(key, None)  # whoever asks next waits, and hears of it
            raise
        self._known[key] = _Dated(answer, at)
        return answer.answer
