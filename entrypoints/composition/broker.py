"""The container of the message broker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from dependency_injector import providers
from nats.aio.client import Client

from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from adapters.nats_jetstream.dead_letters.box import JetStreamDeadLetterBox
from adapters.nats_jetstream.jobs.queue_statistics import JetStreamQueueStatistics
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.publishing.publisher import JetStreamJobPublisher
from application.operating.repair_dead_letters import RepairDeadLetters
from entrypoints.composition.base import BaseContainer
from entrypoints.settings import NatsSettings
from entrypoints.terminal.console import err, visible


def _connection_options(nats: NatsSettings) -> ConnectionOptions:
    return ConnectionOptions(
        urls=nats.urls,
        user=nats.user,
        password=nats.password,
        token=nats.token,
        creds=nats.creds,
        tls_ca=nats.tls_ca,
        tls_cert=nats.tls_cert,
        tls_key=nats.tls_key,
    )


def _names(nats: NatsSettings) -> BrokerNames:
    return BrokerNames(
        stream=nats.stream,
        subject=nats.subject,
        durable=nats.durable,
        results_stream=nats.results_stream,
        dead_stream=nats.dead_stream,
    )


class BrokerContainer(BaseContainer):
    """What talks to the broker; :func:`connected_to_nats` gives it its client."""

    settings = BaseContainer.settings

    nats_client: providers.Dependency[Client] = providers.Dependency(instance_of=Client)
    connection_options = providers.Singleton(_connection_options, settings.provided.nats)
    names = providers.Singleton(_names, settings.provided.nats)

    jobs = providers.Singleton(JetStreamJobPublisher, nats_client, names)
    queue_statistics = providers.Singleton(JetStreamQueueStatistics, nats_client, names)
    dead_letter_box = providers.Singleton(JetStreamDeadLetterBox, nats_client, names)
    repair_dead_letters = providers.Singleton(RepairDeadLetters, dead_letter_box)


def complain(what: str) -> None:
    """Tell people what the broker has against it: a right that is missing is no answer otherwise."""
    err.print(f"NATS: {visible(what)}")


@asynccontextmanager
async def connected_to_nats(
    container: BrokerContainer, *, report: Callable[[str], None] = complain
) -> AsyncIterator[Client]:
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
