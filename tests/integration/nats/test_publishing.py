"""Publishing on a real server: identities, traces, and what is told when nothing can be stored."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.publishing.publisher import JetStreamJobPublisher, JetStreamResultPublisher
from domain.errors import MessagingUnavailableError
from domain.jobs import MatchJob
from domain.outcomes import OutcomeKind
from tests.broker import connected, own_names, provisioned, running, stored
from tests.contract.announcements.records import OUTCOMES, TRACEPARENT, delivery, malformed, record

TRACE = TRACEPARENT.split("-")[1]
CURRENT = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


@pytest.mark.parametrize("name", OUTCOMES)
async def test_an_event_has_the_jobs_identity(client: Client, names: BrokerNames, name: str) -> None:
    """On the subject of its outcome, with an id made of sequence and stored time."""
    await provisioned(client, names)
    await JetStreamResultPublisher(client, names).publish(record(OUTCOMES[name]))
    [message] = await stored(client, names.results_stream)
    assert message.subject == f"{names.results_prefix}.{OUTCOMES[name].kind.value}"
    assert (message.headers or {})["Nats-Msg-Id"] == "facematch-7-1767323045678901"


async def test_the_default_subjects_are_the_published_ones() -> None:
    """Other systems listen there."""
    assert [BrokerNames().result_subject(kind) for kind in OutcomeKind] == [
        "photo_faces.single.matched",
        "photo_faces.single.skipped",
        "photo_faces.single.failed",
    ]
    assert BrokerNames().dead_subject == "photo_faces.single.dead"


async def test_an_event_belongs_to_the_trace_of_its_job(client: Client, names: BrokerNames) -> None:
    """Within the job's trace it continues that; published later, by another worker, the recorded one."""
    await provisioned(client, names)
    publisher = JetStreamResultPublisher(client, names)
    await publisher.publish(record(sequence=1))
    with use_span(NonRecordingSpan(CURRENT)):
        await publisher.publish(record(sequence=2))
    events = await stored(client, names.results_stream)
    traces = [(event.headers or {})["traceparent"].split("-")[1] for event in events]
    assert traces == [TRACE, f"{CURRENT.trace_id:032x}"]


async def test_a_submitted_job_carries_the_trace(client: Client, names: BrokerNames) -> None:
    """So that one trace leads from whoever asked to the answer."""
    await provisioned(client, names)
    with use_span(NonRecordingSpan(CURRENT)):
        await JetStreamJobPublisher(client, names).submit(MatchJob(UUID(int=1)))
    [message] = await stored(client, names.stream)
    assert (message.headers or {})["traceparent"].split("-")[1] == f"{CURRENT.trace_id:032x}"


async def test_what_is_not_provisioned_is_told(client: Client, names: BrokerNames) -> None:
    """No stream takes it: the message says what to do."""
    with pytest.raises(MessagingUnavailableError, match="run `facematch provision`"):
        await JetStreamResultPublisher(client, names).publish(record())
    with pytest.raises(MessagingUnavailableError, match="run `facematch provision`"):
        await JetStreamDeadLetters(client, names).publish(await delivery(b"{}"), malformed())
    with pytest.raises(MessagingUnavailableError, match="run `facematch provision`"):
        await JetStreamJobPublisher(client, names).submit(MatchJob(UUID(int=1)))


async def test_a_full_stream_is_told(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """A stream that takes no more refuses, with its own reason, and takes more once there is room."""
    await js.add_stream(
        name=names.results_stream, subjects=names.result_subjects, max_bytes=1500, discard=DiscardPolicy.NEW
    )
    publisher = JetStreamResultPublisher(client, names)
    published = (publisher.publish(record(sequence=sequence)) for sequence in range(10))
    refused = [result for result in await asyncio.gather(*published, return_exceptions=True) if result is not None]
    assert {type(error) for error in refused} == {MessagingUnavailableError}
    assert all("maximum bytes exceeded" in str(error) for error in refused)
    await js.purge_stream(names.results_stream)
    await publisher.publish(record(sequence=99))
    assert len(await stored(client, names.results_stream)) == 1


async def test_a_connection_that_breaks_does_not_lose_or_double_an_event(tmp_path: Path) -> None:
    """A server that crashes under a publication has the event once when it is back."""
    async with running(tmp_path) as server, connected(server) as client:
        names = await provisioned(client, own_names())
        server.kill()
        server.start()
        await JetStreamResultPublisher(client, names).publish(record())
        await JetStreamJobPublisher(client, names).submit(MatchJob(UUID(int=1)))
        assert len(await stored(client, names.results_stream)) == 1
        assert len(await stored(client, names.stream)) == 1
