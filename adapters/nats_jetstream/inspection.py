"""What an operator wants to know of the broker: its version, the streams, the consumer."""

import attrs
import nats.js.errors
from nats.aio.client import Client

from adapters.nats_jetstream.connection import jetstream, translated
from adapters.nats_jetstream.consumer import Backlog
from adapters.nats_jetstream.consumer_config import problem
from adapters.nats_jetstream.names import Names


@attrs.frozen
class BrokerFacts:
    """What was found; None where the stream or the consumer is missing.

    ``consumer_problem`` is why a worker refuses the consumer as it is. ``results`` and ``dead_letters`` count the
    messages on their subjects, in whichever stream.
    """

    server_version: str
    jobs_stream: str | None
    backlog: Backlog | None
    consumer_problem: str | None
    results: int | None
    dead_letters: int | None


async def inspect_broker(client: Client, names: Names, *, ack_wait_seconds: float) -> BrokerFacts:
    """Look at everything that ``provision`` makes.

    Raises:
        MessagingUnavailableError: no answer.

    """
    js = jetstream(client)

    async def messages(*subjects: str) -> int | None:
        count = 0
        for subject in subjects:
            try:
                stream = await js.find_stream_name_by_subject(subject)
                state = (await js.stream_info(stream, subjects_filter=subject)).state
            except nats.js.errors.NotFoundError:
                return None
            count += sum((state.subjects or {}).values())
        return count

    with translated("inspect"):
        backlog = refusal = stream = None
        try:
            stream = await js.find_stream_name_by_subject(names.subject)
            info = await js.consumer_info(stream, names.durable)
            backlog = Backlog(info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0)
            refusal = await problem(js, stream, info.config, names, ack_wait_seconds)
        except nats.js.errors.NotFoundError:
            pass
        version = client.connected_server_version
        return BrokerFacts(
            server_version=f"{version.major}.{version.minor}.{version.patch}",
            jobs_stream=stream,
            backlog=backlog,
            consumer_problem=refusal,
            results=await messages(*names.result_subjects),
            dead_letters=await messages(names.dead_subject),
        )
