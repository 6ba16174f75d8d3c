"""``provision``: what has to be on the broker before a worker starts."""

import asyncio
from typing import Annotated, Any

import attrs
import typer

from adapters.nats_jetstream import provisioning
from entrypoints.composition.base import build
from entrypoints.composition.broker import BrokerContainer, connected_to_nats
from entrypoints.settings import Settings
from entrypoints.terminal.console import explained, load_settings, out, print_document


def provision(
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Connect to nothing; print the configuration as JetStream's API takes it."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Create or update the streams and the consumer on NATS.

    It deletes nothing and is safe to run again. If another team creates streams, give it the output of --print-config.
    """
    settings = load_settings()
    if print_config:
        names = build(BrokerContainer, settings).names()
        print_document(provisioning.configuration(names, **_wanted(settings)))
        return
    with explained():
        done = asyncio.run(_provision(settings))
    if as_json:
        print_document([attrs.asdict(thing) for thing in done])
        return
    for thing in done:
        out.print(f"{thing.action:<9} {thing.kind} {thing.name}")


async def _provision(settings: Settings) -> list[provisioning.Provisioned]:
    container = build(BrokerContainer, settings)
    async with connected_to_nats(container) as client:
        return await provisioning.provision(client, container.names(), **_wanted(settings))


def _wanted(settings: Settings) -> dict[str, Any]:
    return {"ack_wait_seconds": settings.nats.ack_wait, "replicas": settings.nats.replicas}
