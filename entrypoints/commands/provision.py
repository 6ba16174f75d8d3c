"""``provision``: what has to be on the broker before a worker starts."""

import asyncio

from adapters.nats_jetstream import provisioning
from entrypoints.resources import build, connected_to_nats
from entrypoints.settings import Settings
from entrypoints.terminal.console import explained, load_settings, out


def provision() -> None:
    """Make the streams and the consumer on NATS, or mend them.

    Deletes nothing. Safe to run again.
    """
    settings = load_settings()
    with explained():
        done = asyncio.run(_provision(settings))
    for thing in done:
        out.print(f"{thing.action:<9} {thing.kind} {thing.name}")


async def _provision(settings: Settings) -> list[provisioning.Provisioned]:
    container = build(settings)
    async with connected_to_nats(container) as client:
        return await provisioning.provision(
            client,
            container.names(),
            ack_wait_seconds=settings.nats.ack_wait,
            replicas=settings.nats.replicas,
        )
