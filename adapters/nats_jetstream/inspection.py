"""What an operator wants to know of the broker: its version, the streams, the consumer."""

import attrs
import nats.js.errors
from nats.aio.client import Client

from adapters.nats_jetstream.connection import translated
from adapters.nats_jetstream.consumer import Backlog
from adapters.nats_jetstream.names import Names


@attrs.frozen
class BrokerFacts:
    """What was found; None where the stream or the consumer is missing."""

    server_version: str
    jobs_stream: str | None
    backlog: Backlog | None
    ack_wait_seconds: float | None
    results: int | None
    dead_letters: int | None


async def inspect_broker(client: Client, names: Names) -> BrokerFacts:
    """Look at everything that ``provision`` makes.

    Raises:
        MessagingUnavailableError: no answer.

    """
    js = client.jetstream(timeout=5)

    async def messages(subject: str) -> int | None:
        try:
            stream = await js.find_stream_name_by_subject(subject)
            return (await js.stream_info(stream, subjects_filter=subject)).state.messages
        except nats.js.errors.NotFoundError:
            return None

    with translated("inspect"):
        backlog = ack_wait = stream = None
        try:
            stream = await js.find_stream_name_by_subject(names.subject)
            info = await js.consumer_info(stream, names.durable)
            backlog = Backlog(info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0)
            ack_wait = info.config.ack_wait
        except nats.js.errors.NotFoundError:
            pass
        version = client.connected_server_version
        return BrokerFacts(
            server_version=f"{version.major}.{version.minor}.{version.patch}",
            jobs_stream=stream,
            backlog=backlog,
            ack_wait_seconds=ack_wait,
            results=await messages(names.result_subjects[0]),
            dead_letters=await messages(names.dead_subject),
        )
