"""What an operator wants to know of the broker: its version, the streams, the consumer."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import attrs
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, StreamInfo

from adapters.nats_jetstream.connection.asking import jetstream
from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.jobs.consumer_config import problem
from adapters.nats_jetstream.names import BrokerNames

OLDEST_SERVER: Final = (2, 10, 26)
"""An older one can skip jobs: an acknowledgement of what a new leader, or a new consumer, has not delivered yet
counts as if all jobs before it had been delivered."""
_SHORTEST_AGE_SECONDS = 7 * 24 * 3600
"""What a job may wait for somebody to come back from a few days off and mend an outage."""
_NEARLY_FULL = 0.9


@attrs.frozen
class Backlog:
    """What the consumer has before it: jobs waiting, delivered but not acknowledged, and delivered again."""

    pending: int
    ack_pending: int
    redelivered: int


@attrs.frozen
class BrokerFacts:
    """What was found, and what that ``provision`` makes is ``missing``.

    ``consumer_problem`` is why a worker refuses the consumer as it is. ``dead_letters`` counts the messages on their
    subject, in whichever stream. ``risks`` says which streams drop messages in silence, have little room left, or have
    one copy although there are several servers, and what to do.
    """

    server_version: tuple[int, int, int]
    missing: tuple[str, ...]
    backlog: Backlog | None
    consumer_problem: str | None
    dead_letters: int
    risks: tuple[str, ...]


async def inspect_broker(client: Client, names: BrokerNames, *, ack_wait_seconds: float) -> BrokerFacts:
    """Look at everything that ``provision`` makes.

    Raises:
        MessagingUnavailableError: no answer.

    """
    js = jetstream(client)
    missing = []

    async def found(subject: str, what: str) -> str | None:
        try:
            return await js.find_stream_name_by_subject(subject)
        except nats.js.errors.NotFoundError:
            if what not in missing:
                missing.append(what)
            return None

    with translated("inspect"):
        backlog, refusal, dead_letters = None, None, 0
        jobs = await found(names.subject, f"a stream for {names.subject}")
        if jobs is not None:
            with suppress(nats.js.errors.NotFoundError):
                info = await js.consumer_info(jobs, names.durable)
                backlog = Backlog(info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0)
                refusal = await problem(js, jobs, info.config, names, ack_wait_seconds)
        if backlog is None:
            missing.append(f"consumer {names.durable}")
        results = [await found(subject, f"stream {names.results_stream}") for subject in names.result_subjects]
        letters = await found(names.dead_subject, f"stream {names.dead_stream}")
        streams = [stream for stream in dict.fromkeys((jobs, *results, letters)) if stream is not None]
        risks = [risk for stream in streams for risk in _risks(await js.stream_info(stream))]
        if letters is not None:
            state = (await js.stream_info(letters, subjects_filter=names.dead_subject)).state
            dead_letters = sum((state.subjects or {}).values())
    version = client.connected_server_version
    return BrokerFacts(
        server_version=(version.major, version.minor, version.patch),
        missing=tuple(missing),
        backlog=backlog,
        consumer_problem=refusal,
        dead_letters=dead_letters,
        risks=tuple(risks),
    )


def _risks(stream: StreamInfo) -> Iterator[str]:
    yield from _limits(stream)
    yield from _single_copy(stream)


def _limits(stream: StreamInfo) -> Iterator[str]:
    """Give each limit by which the stream drops its oldest messages, or soon refuses new ones, done or not."""
    config, state, name = stream.config, stream.state, stream.config.name
    for limit, value, used in (
        ("max_msgs", config.max_msgs or 0, state.messages),
        ("max_bytes", config.max_bytes or 0, state.bytes),
    ):
        if value > 0 and config.discard == DiscardPolicy.OLD:
            yield (
                f"{name} has {limit} {value} and then drops the oldest, done or not: take the limit away, "
                f"or let publishers hear of it with `nats stream edit {name} --discard new`"
            )
        elif value > 0 and used >= _NEARLY_FULL * value:
            yield (
                f"{name} holds {used} of {limit} {value}, done or not, and refuses what does not fit: "
                f"take the limit away with `nats stream edit {name} --{limit.replace('_', '-')} -1`"
            )
    if config.max_msgs_per_subject > 0 and not config.discard_new_per_subject:
        limit = f"max_msgs_per_subject {config.max_msgs_per_subject}"
        yield f"{name} has {limit} and then drops the oldest, done or not: take the limit away"
    if 0 < (config.max_age or 0) < _SHORTEST_AGE_SECONDS:
        yield (
            f"{name} has max_age {config.max_age:g} s and drops what is older, done or not: "
            f"give it more time with `nats stream edit {name} --max-age 30d`"
        )


def _single_copy(stream: StreamInfo) -> Iterator[str]:
    """Tell of a stream that is gone with one of several servers; a server on its own names no cluster."""
    name = stream.config.name
    if stream.cluster is not None and stream.cluster.name and (stream.config.num_replicas or 1) == 1:
        yield (
            f"{name} has one copy, although NATS is a cluster, and can be lost with one server: give it more with "
            f"`nats stream edit {name} --replicas 3`, and set FACEMATCH_NATS_REPLICAS=3 for `facematch provision`"
        )
