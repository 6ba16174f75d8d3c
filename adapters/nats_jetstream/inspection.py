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
    """What was found, and what that ``provision`` makes is ``missing``.

    ``consumer_problem`` is why a worker refuses the consumer as it is. ``dead_letters`` counts the messages on their
    subject, in whichever stream.
    """

    server_version: str
    missing: tuple[str, ...]
    backlog: Backlog | None
    consumer_problem: str | None
    dead_letters: int


async def inspect_broker(client: Client, names: Names, *, ack_wait_seconds: float) -> BrokerFacts:
    """Look at everything that ``provision`` makes.

    Raises:
        MessagingUnavailableError: no answer.

    """
    js = jetstream(client)
    missing = []

    async def stream_of(subject: str, what: str) -> str | None:
        try:
            return await js.find_stream_name_by_subject(subject)
        except nats.js.errors.NotFoundError:
            if what not in missing:
                missing.append(what)
            return None

    with translated("inspect"):
        backlog, refusal, dead_letters = None, None, 0
        jobs = await stream_of(names.subject, f"a stream for {names.subject}")
        try:
            if jobs is not None:
                info = await js.consumer_info(jobs, names.durable)
                backlog = Backlog(info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0)
                refusal = await problem(js, jobs, info.config, names, ack_wait_seconds)
        except nats.js.errors.NotFoundError:
            pass
        if backlog is None:
            missing.append(f"consumer {names.durable}")
        for subject in names.result_subjects:
            await stream_of(subject, f"stream {names.results_stream}")
        letters = await stream_of(names.dead_subject, f"stream {names.dead_stream}")
        if letters is not None:
            state = (await js.stream_info(letters, subjects_filter=names.dead_subject)).state
            dead_letters = sum((state.subjects or {}).values())
    version = client.connected_server_version
    return BrokerFacts(
        server_version=f"{version.major}.{version.minor}.{version.patch}",
        missing=tuple(missing),
        backlog=backlog,
        consumer_problem=refusal,
        dead_letters=dead_letters,
    )
