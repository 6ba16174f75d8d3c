"""Faults at random, from a seed: workers and their processes in one stream, servers in another."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final

import attrs
import psycopg

from infra.local_stack.nats import NatsServer
from infra.local_stack.postgres import PostgresServer
from infra.local_stack.s3 import S3Server
from infra.local_stack.stack import LocalStack
from tests.e2e.world import WorkerProcess, World
from tests.faults.crew import Crew

_PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_OTHER_SESSIONS: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@attrs.frozen
class Fault:
    """One thing that was broken, until when, in seconds since the epoch, and the worker that came for it, if any."""

    name: str
    mended_at: float
    replacement: int | None = None


class Chaos:
    """Breaks things until told to stop; whatever it breaks it mends before it breaks the next of the kind.

    ``pause`` is the mean of the seconds between two faults of a stream, ``frozen`` those that a worker does not move,
    and ``outage`` the longest that a server is away. ``faults`` is what was done.
    """

    def __init__(
        self, stack: LocalStack, crew: Crew, world: World, *, pause: float, frozen: float, outage: float
    ) -> None:
        self._stack = stack
        self._crew = crew
        self._world = world
        self._pause = pause
        self._frozen = frozen
        self._outage = outage
        self.faults: list[Fault] = []

    async def rage(self, names: Sequence[str], seed: int, stop: asyncio.Event) -> None:
        """Inject these kinds of faults, those of workers and those of servers independently of each other."""
        streams = [[name for name in names if name in stream] for stream in (WORKER_FAULTS, SERVER_FAULTS)]
        async with asyncio.TaskGroup() as group:
            for stream in filter(None, streams):
                group.create_task(self._stream(stream, random.Random(f"{seed} {stream}"), stop))

    async def inject(self, name: str, chance: random.Random) -> None:
        """Break one thing, and mend it."""
        replacement = await {**WORKER_FAULTS, **SERVER_FAULTS}[name](self, chance)
        self.faults.append(Fault(name, time.time(), replacement))

    async def _stream(self, names: Sequence[str], chance: random.Random, stop: asyncio.Event) -> None:
        """Inject each in turn, in another order every time."""
        while True:
            for name in chance.sample(names, len(names)):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), chance.expovariate(1 / self._pause))
                if stop.is_set():
                    return
                await self.inject(name, chance)

    async def _kill_worker(self, chance: random.Random) -> int:
        place = chance.choice(self._crew.present)
        self._crew.kill(place)
        await asyncio.sleep(chance.uniform(0, 1))
        return self._crew.start(place).process.pid

    async def _stop_worker(self, chance: random.Random) -> int:
        """Once it lives: before that, a signal ends it as it ends any program."""
        place = chance.choice(self._crew.present)
        await asyncio.to_thread(_wait_for_life, self._crew.worker(place))
        worker = self._crew.ask_to_stop(place)
        if await asyncio.to_thread(worker.process.wait, _PATIENCE_SECONDS) != 0:
            self._crew.note_death(worker)
        return self._crew.start(place).process.pid

    async def _freeze_worker(self, chance: random.Random) -> None:
        """Beyond its time limits: others do its jobs, and when it wakes it holds them all the same."""
        pid = self._crew.worker(chance.choice(self._crew.present)).process.pid
        with _frozen(pid):
            await asyncio.sleep(self._frozen)

    async def _kill_vision(self, chance: random.Random) -> None:
        for pid in self._a_vision_process(chance):
            os.kill(pid, signal.SIGKILL)

    async def _freeze_vision(self, chance: random.Random) -> None:
        for pid in self._a_vision_process(chance):
            with _frozen(pid):
                await asyncio.sleep(chance.uniform(0.1, self._frozen))

    def _a_vision_process(self, chance: random.Random) -> Sequence[int]:
        pids = self._crew.worker(chance.choice(self._crew.present)).vision_processes()
        return [chance.choice(pids)] if pids else []

    async def _kill_nats(self, chance: random.Random) -> None:
        await self._away(self._stack.nats, chance)

    async def _kill_postgres(self, chance: random.Random) -> None:
        await self._away(self._stack.postgres, chance)

    async def _kill_s3(self, chance: random.Random) -> None:
        await self._away(self._stack.s3, chance)

    async def _away(self, server: NatsServer | PostgresServer | S3Server, chance: random.Random) -> None:
        server.kill()
        await asyncio.sleep(chance.uniform(0.1, self._outage))
        server.start()

    async def _end_sessions(self, _: random.Random) -> None:
        """As an administrator, a pooler or a fail-over does, also in the middle of a transaction."""
        with contextlib.suppress(psycopg.Error):
            self._world.sql(_OTHER_SESSIONS)


_Injection = Callable[[Chaos, random.Random], Awaitable[int | None]]
WORKER_FAULTS: Final[Mapping[str, _Injection]] = {
    "worker killed": Chaos._kill_worker,
    "worker stopped": Chaos._stop_worker,
    "worker frozen": Chaos._freeze_worker,
    "vision process killed": Chaos._kill_vision,
    "vision process frozen": Chaos._freeze_vision,
}
SERVER_FAULTS: Final[Mapping[str, _Injection]] = {
    "NATS killed": Chaos._kill_nats,
    "PostgreSQL killed": Chaos._kill_postgres,
    "S3 server killed": Chaos._kill_s3,
    "database sessions ended": Chaos._end_sessions,
}
ALL_FAULTS: Final = (*WORKER_FAULTS, *SERVER_FAULTS)


def _wait_for_life(worker: WorkerProcess) -> None:
    while worker.get("/livez")[0] == 0 and worker.process.poll() is None:
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def _frozen(pid: int) -> Iterator[None]:
    """Stop a process in its tracks; it may be killed meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
