"""What ``doctor`` learns of the broker."""

from nats.aio.client import Client
from nats.js import JetStreamContext

from adapters.nats_jetstream.consumer import Backlog
from adapters.nats_jetstream.inspection import inspect_broker
from adapters.nats_jetstream.names import Names
from tests.broker import ACK_WAIT, provisioned


async def test_what_is_missing_is_missing(client: Client, names: Names) -> None:
    """Nobody provisioned: all of it is named."""
    facts = await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)
    assert facts.server_version.count(".") == 2
    assert (facts.backlog, facts.dead_letters) == (None, 0)
    assert facts.missing == (
        f"a stream for {names.subject}",
        f"consumer {names.durable}",
        f"stream {names.results_stream}",
        f"stream {names.dead_stream}",
    )


async def test_what_is_there_is_counted(client: Client, names: Names) -> None:
    """Jobs that wait, and dead letters."""
    await provisioned(client, names)
    await client.jetstream().publish(names.subject, b"a job")
    await client.jetstream().publish(names.dead_subject, b"a letter")
    facts = await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)
    assert (facts.missing, facts.consumer_problem) == ((), None)
    assert (facts.backlog, facts.dead_letters) == (Backlog(1, 0, 0), 1)


async def test_a_consumer_that_a_worker_refuses_is_told(client: Client, names: Names) -> None:
    """A consumer that delivers again sooner than the setting says is a problem, in words."""
    await provisioned(client, names)
    facts = await inspect_broker(client, names, ack_wait_seconds=10 * ACK_WAIT)
    assert "FACEMATCH_NATS_ACK_WAIT" in (facts.consumer_problem or "")


async def test_a_foreign_stream_is_as_good(client: Client, js: JetStreamContext, names: Names) -> None:
    """Dead letters in somebody else's stream are found, and only they are counted."""
    await js.add_stream(name=f"X_{names.stream}", subjects=[names.dead_subject, f"x.{names.stream}"])
    await provisioned(client, names)
    await js.publish(f"x.{names.stream}", b"not ours")
    await js.publish(names.dead_subject, b"a letter")
    assert (await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)).dead_letters == 1
