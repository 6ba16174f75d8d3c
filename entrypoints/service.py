"""The worker process from its first second to its last: health, dependencies, work, the end."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import structlog
from aiohttp import web

from adapters.postgres.tables.schema import DimensionMismatchError
from adapters.telemetry import providers as telemetry
from adapters.telemetry.gauges import observe, observe_events, observe_readiness
from adapters.telemetry.job import of_the_worker
from adapters.telemetry.providers import TelemetrySettingsError
from adapters.vision.registry import BrokenEmbedderError
from application.ports.telemetry import Telemetry
from application.running.tasks import ended, first_of
from application.running.worker import Worker
from domain.errors import DatabaseUnavailableError, FacematchError, MessagingUnavailableError
from entrypoints.composition.base import build
from entrypoints.composition.broker import connected_to_nats
from entrypoints.composition.vision import VisionContainer
from entrypoints.composition.worker import WorkerContainer
from entrypoints.environment.defaults import naming_defaults
from entrypoints.health import health_application
from entrypoints.settings import Settings, secrets_of
from entrypoints.versions import VERSION

_LOG = structlog.get_logger("facematch")
_PATIENCE_SECONDS = 1.0
_CLOSING_SECONDS = 5.0
_IDLE_SECONDS = 20.0
"""How long a connection to the health address may stay without a request, or with one that has not come whole."""


class HealthAddressError(FacematchError):
    """Nothing can be served at the configured address."""


@attrs.define
class Starting:
    """What is told of a worker that does not work yet: it lives, and what it waits for."""

    waits_for: dict[str, str] = attrs.field(factory=lambda: {"worker": "starting"})

    alive = True

    @property
    def not_ready(self) -> Mapping[str, str]:
        """What it waits for, by dependency."""
        return self.waits_for


@attrs.define
class _Signals:
    """The first SIGTERM or SIGINT asks to settle and end, the second to end at once."""

    stop: asyncio.Event = attrs.field(factory=asyncio.Event)
    abort: asyncio.Event = attrs.field(factory=asyncio.Event)

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received, number)

    def _received(self, number: signal.Signals) -> None:
        again = self.stop.is_set()
        told = (
            "stopping at once: jobs in hand are given back"
            if again
            else "stopping: jobs in hand are finished first; a second signal gives them back"
        )
        _LOG.info(told, action="stopping", signal=number.name, again=again)
        (self.abort if again else self.stop).set()


WRONG_SETTINGS = (BrokenEmbedderError, DimensionMismatchError, HealthAddressError, TelemetrySettingsError)
"""The errors of :func:`serve` that another setting puts right."""


async def serve(settings: Settings, vision: VisionContainer) -> None:
    """Run a worker until it is told to stop; return after everything is settled and closed, ``vision`` too.

    A dependency that is away at the start is waited for, with the reason on ``/readyz``.

    Raises:
        FacematchError: it can never work like this: the schema, the embedder or the health address is wrong.

    """
    signals = _Signals()
    signals.listen()
    starting = Starting()
    state: Starting | Worker = starting
    async with _closed_in_time() as stack:
        stack.push_async_callback(vision.face_reader().close)
        providers = telemetry.set_up(
            os.environ, version=VERSION, instance=settings.worker.identity, secrets=secrets_of(settings)
        )
        stack.callback(providers.shutdown)
        container = build(WorkerContainer, settings)
        container.override_providers(
            factory=vision.factory,
            face_reader=vision.face_reader,
            credentials_report=_report_credentials,
        )
        observe_readiness(container.instruments(), lambda: state.not_ready)
        await _serve_health(stack, settings, lambda: state, providers.render_metrics)
        opening = asyncio.create_task(_open(stack, container, starting.waits_for))
        await first_of([opening], signals.stop)
        if not opening.done():
            opening.cancel()
        try:
            await opening
        except asyncio.CancelledError:
            if not signals.stop.is_set():
                raise
        else:
            state = worker = container.worker()
            await _work(stack, settings, container, worker, signals)
    _LOG.info("stopped", action="stopped")


async def _work(
    stack: AsyncExitStack, settings: Settings, container: WorkerContainer, worker: Worker, signals: _Signals
) -> None:
    """Take jobs, and be measured, until a signal comes; return when all jobs are settled."""
    container.instruments().start_from_zero(worker.dependencies)
    relay = container.relay()
    observe(container.instruments(), container.gauge_watch())
    observe_events(container.instruments(), lambda: relay.oldest_age)
    watch = asyncio.create_task(container.gauge_watch().run())
    stack.push_async_callback(ended, watch)
    _LOG.info(
        "started",
        action="started",
        version=VERSION,
        embedder=container.factory().info.id,
        processes=settings.worker.processes,
        concurrency=worker.concurrency,
    )
    await worker.run(signals.stop, signals.abort)


@asynccontextmanager
async def _closed_in_time() -> AsyncIterator[AsyncExitStack]:
    """Yield a stack whose contents have a few seconds to close: the end must not wait for what does not answer."""
    stack = AsyncExitStack()
    try:
        yield stack
    finally:
        closing = asyncio.create_task(stack.aclose())
        await asyncio.wait({closing}, timeout=_CLOSING_SECONDS)
        if closing.done():
            closing.result()


async def _serve_health(
    stack: AsyncExitStack,
    settings: Settings,
    state: Callable[[], Starting | Worker],
    metrics: Callable[[], tuple[str, bytes]],
) -> None:
    application = health_application(state, metrics)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1, keepalive_timeout=_IDLE_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    host, port = settings.worker.health_address
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        message = f"health cannot be served at {host}:{port} ({error.strerror}): set FACEMATCH_HEALTH_ADDRESS"
        raise HealthAddressError(message) from error


async def _open(stack: AsyncExitStack, container: WorkerContainer, waits_for: dict[str, str]) -> None:
    """Open everything that a worker needs, in the order in which it is closed again, reversed."""
    loading = asyncio.create_task(container.face_reader().start())
    stack.push_async_callback(ended, loading)
    stack.push_async_callback(container.photo_store().close)
    stack.push_async_callback(container.objects().close)
    database = container.database()
    stack.push_async_callback(database.close)

    gallery, info = container.gallery(), container.factory().info
    stack.push_async_callback(gallery.close)

    async def patiently(name: str, open_it: Callable[[], Awaitable[object]]) -> None:
        await _patiently(name, open_it, waits_for, container.telemetry())

    async def open_servers() -> None:
        await patiently("database", lambda: database.open(info, to_work=True))
        await patiently("gallery", container.active_model().check)
        await patiently("database", lambda: gallery.load(info.id, info.dimension))
        await patiently(
            "message broker", lambda: stack.enter_async_context(connected_to_nats(container, report=_report_nats))
        )

    await _all_or_first_failure(loading, asyncio.create_task(open_servers()))


async def _all_or_first_failure(*tasks: asyncio.Task[None]) -> None:
    """Return when all are done; raise the first failure at once.

    What is wrong with an embedder is not to be told only after a server that is away has come back.
    """
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done() and task.exception()]
    finally:
        await ended(*tasks)
    for task in failed or tasks:
        task.result()


async def _patiently(
    name: str, open_it: Callable[[], Awaitable[object]], waits_for: dict[str, str], telemetry: Telemetry
) -> None:
    """Open, again and again while it is away; say so once."""
    began = time.monotonic()
    while True:
        try:
            await open_it()
        except (DatabaseUnavailableError, MessagingUnavailableError) as error:
            why = naming_defaults(str(error))
            if name not in waits_for:
                telemetry.dependency_down(name, why)
            waits_for[name] = why
            await asyncio.sleep(_PATIENCE_SECONDS)
        else:
            if waits_for.pop(name, None) is not None:
                telemetry.dependency_up(name, after_seconds=time.monotonic() - began)
            return


def _report_nats(what: str) -> None:
    _LOG.warning("message broker", action="broker_connection", detail=what)


def _report_credentials(what: str) -> None:
    told = "credentials of an AWS role not renewed"
    of_the_worker(_LOG.warning, told, action="credentials_not_renewed", detail=what)
