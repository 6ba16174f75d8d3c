"""Opening and closing what the container builds: one ``async with`` for each thing that has a life of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from dependency_injector import providers
from nats.aio.client import Client

from adapters.nats_jetstream.connection.connecting import connect, disconnect
from adapters.postgres.connection.database import Database
from application.ports.face_pipeline import EmbedderInfo
from entrypoints.container import Container
from entrypoints.settings import Settings
from entrypoints.terminal.console import err, visible
from entrypoints.vision_container import Vision


def build(settings: Settings, vision: Vision | None = None) -> Container:
    """Return the composition root for these settings; nothing is opened yet, but what ``vision`` has begun."""
    container = Container(settings=providers.Object(settings))
    if vision is not None:
        container.override_providers(factory=vision.factory, face_reader=vision.face_reader)
    return container


@asynccontextmanager
async def opened_database(
    container: Container, embedder: EmbedderInfo | None = None, *, to_work: bool = False
) -> AsyncIterator[Database]:
    """Open the pool, after checking the schema; close it at the end.

    The vectors of an ``embedder`` have to fit. ``to_work`` asks for all that a worker needs.

    Raises:
        DatabaseUnavailableError: no answer.
        SchemaError: not migrated, not allowed to work, or a column of another dimension.

    """
    database = container.database()
    await database.open(embedder, to_work=to_work)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def started_reader(container: Container) -> AsyncIterator[None]:
    """Have the vision processes started, and stop them at the end.

    Raises:
        EmbedderUnavailableError: none starts.

    """
    pool = container.face_reader()
    await pool.start()
    try:
        yield
    finally:
        await pool.close()


def complain(what: str) -> None:
    """Tell people what the broker has against it: a right that is missing is no answer otherwise."""
    err.print(f"NATS: {visible(what)}")


@asynccontextmanager
async def connected_to_nats(container: Container, *, report: Callable[[str], None] = complain) -> AsyncIterator[Client]:
    """Connect, and let the container build whatever talks to the broker; disconnect at the end.

    ``report`` hears of every trouble meanwhile.

    Raises:
        MessagingUnavailableError: no server answers.

    """
    client = await connect(container.connection_options(), report=report)
    container.nats_client.override(providers.Object(client))
    try:
        yield client
    finally:
        await disconnect(client)
