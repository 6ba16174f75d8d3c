"""What ``doctor`` learns of the broker."""

from typing import Any

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy

from adapters.nats_jetstream.inspection import OLDEST_SERVER, Backlog, inspect_broker
from adapters.nats_jetstream.names import BrokerNames
from tests.broker import ACK_WAIT, provisioned

_FRAME = 30
"""Bytes that a stored message takes besides its subject and its body."""


async def test_what_is_missing_is_missing(client: Client, names: BrokerNames) -> None:
    """Nobody provisioned: all of it is named."""
    facts = await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)
    assert facts.server_version >= OLDEST_SERVER
    assert (facts.backlog, facts.dead_letters) == (None, 0)
    assert facts.missing == (
        f"a stream for {names.subject}",
        f"consumer {names.durable}",
        f"stream {names.results_stream}",
        f"stream {names.dead_stream}",
    )


async def test_what_is_there_is_counted(client: Client, names: BrokerNames) -> None:
    """Jobs that wait, and dead letters."""
    await provisioned(client, names)
    await client.jetstream().publish(names.subject, b"a job")
    await client.jetstream().publish(names.dead_subject, b"a letter")
    facts = await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)
    assert (facts.missing, facts.consumer_problem) == ((), None)
    assert (facts.backlog, facts.dead_letters) == (Backlog(1, 0, 0), 1)


async def test_a_consumer_that_a_worker_refuses_is_told(client: Client, names: BrokerNames) -> None:
    """A consumer that delivers again sooner than the setting says is a problem, in words."""
    await provisioned(client, names)
    facts = await inspect_broker(client, names, ack_wait_seconds=10 * ACK_WAIT)
    assert "FACEMATCH_NATS_ACK_WAIT" in (facts.consumer_problem or "")


async def test_a_foreign_stream_is_as_good(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """Dead letters in somebody else's stream are found, and only they are counted."""
    await js.add_stream(name=f"X_{names.stream}", subjects=[names.dead_subject, f"x.{names.stream}"])
    await provisioned(client, names)
    await js.publish(f"x.{names.stream}", b"not ours")
    await js.publish(names.dead_subject, b"a letter")
    assert (await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)).dead_letters == 1


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_msgs": 10}, "max_msgs 10"),
        ({"max_bytes": 4096}, "max_bytes 4096"),
        ({"max_msgs_per_subject": 10, "discard": DiscardPolicy.NEW}, "max_msgs_per_subject 10"),
        ({"max_age": 86400.0, "discard": DiscardPolicy.NEW}, "max_age 86400 s"),
    ],
)
@pytest.mark.parametrize("which", ["stream", "results_stream", "dead_stream"])
async def test_a_stream_that_drops_in_silence_is_told(
    client: Client, js: JetStreamContext, names: BrokerNames, limits: dict[str, Any], expected: str, which: str
) -> None:
    """Whichever it is, with its limit; as it is provisioned, none does."""
    await provisioned(client, names)
    facts = await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)
    assert facts.risks == ()
    stream = getattr(names, which)
    config = (await js.stream_info(stream)).config
    await js.update_stream(config.evolve(**{"discard": DiscardPolicy.OLD, **limits}))
    [loss] = (await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)).risks
    assert loss.startswith(f"{stream} has {expected} and ")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [({"max_msgs": 10}, "10 of max_msgs 10"), ({"max_bytes": 1000}, "900 of max_bytes 1000")],
)
async def test_a_stream_that_refuses_what_does_not_fit_is_told_once_it_is_nearly_full(
    client: Client, js: JetStreamContext, names: BrokerNames, limits: dict[str, Any], expected: str
) -> None:
    """Publishers hear of it, and with room it loses nothing; what is done takes room, too."""
    await provisioned(client, names)
    config = (await js.stream_info(names.stream)).config
    await js.update_stream(config.evolve(**limits))
    assert (await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)).risks == ()
    size = 90 - len(names.subject) - _FRAME
    for _ in range(10):
        await js.publish(names.subject, bytes(size))
    [limit] = (await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)).risks
    assert limit.startswith(f"{names.stream} holds {expected}, done or not, and refuses what does not fit: ")
