"""Outages: while a system is down for everyone, jobs wait in hand instead of using up their deliveries."""

import asyncio
from collections.abc import Mapping

from application.ports.clock import Clock
from application.ports.dependency import Dependency
from application.ports.telemetry import Telemetry
from domain.errors import FacematchError
from domain.outcomes import Reason


class StoppingError(FacematchError):
    """The worker stops: whoever waits gives its job back."""


class Outages:
    """Tells an outage from a single job's trouble, and lets everyone wait behind one probe.

    Give each failure reason the dependency that it blames. ``probe_seconds`` is the pause between two probes.
    """

    def __init__(
        self, blamed: Mapping[Reason, Dependency], *, clock: Clock, telemetry: Telemetry, probe_seconds: float = 1.0
    ) -> None:
        self._blamed = dict(blamed)
        self._clock = clock
        self._telemetry = telemetry
        self._probe_seconds = probe_seconds
        self._down: dict[str, str] = {}
        self._checks: dict[str, asyncio.Task[bool]] = {}
        self._recoveries: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()

    @property
    def down(self) -> Mapping[str, str]:
        """The dependencies that do not answer, each with the reason."""
        return dict(self._down)

    def blamed_for(self, reason: Reason) -> str | None:
        """Return the name of the dependency that this failure blames, where it is down."""
        dependency = self._blamed.get(reason)
        return dependency.name if dependency is not None and dependency.name in self._down else None

    async def is_outage(self, reason: Reason) -> bool:
        """Probe the dependency that this failure blames, together with everyone who asks at the same time."""
        dependency = self._blamed.get(reason)
        if dependency is None:
            return False
        if dependency.name in self._down:
            return True
        check = self._checks.get(dependency.name)
        if check is None:
            check = self._checks[dependency.name] = asyncio.create_task(self._check(dependency))
            check.add_done_callback(lambda _: self._checks.pop(dependency.name, None))
        return await asyncio.shield(check)

    async def recovery(self, reason: Reason) -> None:
        """Return when the dependency that this failure blames answers again.

        Raises:
            StoppingError: the worker stops first.

        """
        dependency = self._blamed[reason]
        recovery = self._recoveries.get(dependency.name)
        if recovery is None and not self._stopping.is_set():
            return
        if recovery is None:
            raise StoppingError(f"the worker stops while the {dependency.name} is down")
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({recovery, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if dependency.name in self._down:
            raise StoppingError(f"the worker stops while the {dependency.name} is down")

    async def any_recovery(self) -> None:
        """Return when nothing is down, or the worker stops."""
        while self._recoveries and not self._stopping.is_set():
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({*self._recoveries.values(), stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()

    async def stop(self) -> None:
        """Let go of everyone who waits, and stop probing."""
        self._stopping.set()
        for recovery in list(self._recoveries.values()):
            recovery.cancel()
        await asyncio.gather(*self._recoveries.values(), return_exceptions=True)

    async def _check(self, dependency: Dependency) -> bool:
        why = await self._probe(dependency)
        if why is None:
            return False
        if dependency.name not in self._down and not self._stopping.is_set():
            self._down[dependency.name] = why
            self._telemetry.dependency_down(dependency.name, why)
            self._recoveries[dependency.name] = asyncio.create_task(self._recover(dependency))
        return True

    async def _recover(self, dependency: Dependency) -> None:
        since = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._probe_seconds)
            why = await self._probe(dependency)
            if why is None:
                break
            self._down[dependency.name] = why
        del self._down[dependency.name]
        del self._recoveries[dependency.name]
        self._telemetry.dependency_up(dependency.name, after_seconds=self._clock.monotonic() - since)

    @staticmethod
    async def _probe(dependency: Dependency) -> str | None:
        try:
            await dependency.check()
        except FacematchError as error:
            return str(error)
        return None
