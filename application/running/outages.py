"""Outages: while a system is down for everyone, jobs wait in hand instead of using up their deliveries.

What jobs need to be done is probed; the broker, which they need to be settled, is not:
:mod:`application.running.broker_watch` sees from its answers whether it does what it should.
"""

import asyncio
import math
from collections.abc import Mapping

from application import background
from application.ports.clock import Clock
from application.ports.dependency import Dependency
from application.ports.telemetry import Telemetry
from application.running.tasks import first_of
from application.single_flight import SingleFlight
from domain.errors import AttemptFailedError, FacematchError, Scope

_PROBE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 15.0
_STOPPING_SECONDS = 1.0


class StoppingError(FacematchError):
    """The worker stops: whoever waits gives its job back."""


class Outages:
    """Tells an outage from a single job's trouble, and lets everyone wait behind one probe.

    Give each kind of failure the dependency that it blames. One that has not answered a probe within
    ``patience_seconds``, or answers with an error of any kind, is down. One that answers but keeps failing everybody
    is left alone ever longer.
    """

    def __init__(
        self,
        blamed: Mapping[type[AttemptFailedError], Dependency],
        *,
        clock: Clock,
        telemetry: Telemetry,
        patience_seconds: float = 30.0,
    ) -> None:
        self._blamed = dict(blamed)
        self._clock = clock
        self._telemetry = telemetry
        self._patience_seconds = patience_seconds
        self._pauses: dict[str, float] = {}
        self._up_since: dict[str, float] = {}
        self._down: dict[str, str] = {}
        self._checks = SingleFlight[str, bool]()
        self._recoveries: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()

    @property
    def dependencies(self) -> frozenset[str]:
        """The names of all that may be down."""
        return frozenset(dependency.name for dependency in self._blamed.values())

    @property
    def down(self) -> Mapping[str, str]:
        """The dependencies that do not answer, each with the reason."""
        return dict(self._down)

    @property
    def last_recovery(self) -> float:
        """When a dependency last came back, by the clock's monotonic time; before all time where none ever did."""
        return max(self._up_since.values(), default=-math.inf)

    async def outage_behind(self, failure: AttemptFailedError) -> str | None:
        """Return the name of the dependency that this failure blames, where it is down; None where it is not.

        Raises:
            StoppingError: the failure is everyone's without a probe, and the worker stops.

        """
        dependency = self._blamed_by(type(failure))
        if dependency is not None and failure.scope is Scope.EVERYONE:
            if self._stopping.is_set():
                raise StoppingError
            self._begin(dependency, str(failure), self._growing_pause(dependency.name))
        return await self.look_at(type(failure))

    async def look_at(self, kind: type[AttemptFailedError]) -> str | None:
        """Return the name of the dependency that failures of this kind blame, where it is down; None where it is not.

        It is probed once for everyone who asks at the same time.
        """
        dependency = self._blamed_by(kind)
        if dependency is None:
            return None
        if dependency.name in self._down:
            return dependency.name
        is_down = await self._checks.do(dependency.name, lambda: self._check(dependency))
        return dependency.name if is_down else None

    async def recovery(self, dependency: str) -> None:
        """Return when the dependency of that name answers again.

        Raises:
            StoppingError: the worker stops first.

        """
        while dependency in self._recoveries and not self._stopping.is_set():
            await first_of([self._recoveries[dependency]], self._stopping)
        if self._stopping.is_set():
            raise StoppingError(f"the worker stops while the {dependency} is down")

    async def all_recoveries(self) -> None:
        """Return when nothing is down, or the worker stops."""
        while self._recoveries and not self._stopping.is_set():
            await first_of(self._recoveries.values(), self._stopping)

    async def stop(self) -> None:
        """Let go of everyone who waits, and stop probing; a probe that does not end at once is left to itself."""
        self._stopping.set()
        recoveries = list(self._recoveries.values())
        for recovery in recoveries:
            recovery.cancel()
        if recoveries:
            await asyncio.wait(recoveries, timeout=_STOPPING_SECONDS)

    def _blamed_by(self, kind: type[AttemptFailedError]) -> Dependency | None:
        return next((blamed for known, blamed in self._blamed.items() if issubclass(kind, known)), None)

    async def _check(self, dependency: Dependency) -> bool:
        why = await self._probe(dependency)
        if why is None:
            return False
        self._begin(dependency, why, _PROBE_SECONDS)
        return True

    def _begin(self, dependency: Dependency, why: str, pause: float) -> None:
        if dependency.name not in self._down and not self._stopping.is_set():
            self._down[dependency.name] = why
            self._telemetry.dependency_down(dependency.name, why)
            self._recoveries[dependency.name] = background.begin(self._recover(dependency, pause))

    def _growing_pause(self, name: str) -> float:
        """Return the seconds to leave alone what a probe finds up: twice the last ones where it failed again soon."""
        if name in self._down:
            return self._pauses.get(name, _PROBE_SECONDS)
        up_for = self._clock.monotonic() - self._up_since.get(name, -math.inf)
        relapsed = name in self._pauses and up_for < _LONGEST_PAUSE_SECONDS
        pause = 2 * self._pauses[name] if relapsed else _PROBE_SECONDS
        self._pauses[name] = min(pause, _LONGEST_PAUSE_SECONDS)
        return self._pauses[name]

    async def _recover(self, dependency: Dependency, pause: float) -> None:
        since = self._clock.monotonic()
        await self._clock.sleep(pause)
        while True:
            why = await self._probe(dependency)
            if why is None:
                break
            self._down[dependency.name] = why
            await self._clock.sleep(_PROBE_SECONDS)
        self._up_since[dependency.name] = self._clock.monotonic()
        del self._down[dependency.name]
        del self._recoveries[dependency.name]
        self._telemetry.dependency_up(dependency.name, after_seconds=self._clock.monotonic() - since)

    async def _probe(self, dependency: Dependency) -> str | None:
        try:
            async with asyncio.timeout(self._patience_seconds):
                await dependency.check()
        except FacematchError as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {self._patience_seconds:g} s"
        except Exception as error:  # noqa: BLE001 - a probe that ended in a defect must not end the probing
            return f"unexpected {type(error).__name__}"
        return None
