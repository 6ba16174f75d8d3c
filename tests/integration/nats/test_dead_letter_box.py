"""Dead letters on a real server: headers of what is sent again, foreign messages, and streams that refuse."""

from datetime import timedelta

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from adapters.nats_jetstream.dead_letters.box import JetStreamDeadLetterBox
from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.names import BrokerNames
from application.ports.dead_letter_box import DeadLetter, Extent
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey
from tests.broker import ACK_WAIT, provisioned
from tests.contract.announcements.records import OUTCOMES, TRACEPARENT, delivery, malformed, record

_PUBLISHERS = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"


async def sent_again(client: Client, names: BrokerNames, box: JetStreamDeadLetterBox, sequence: int) -> dict[str, str]:
    """Send the letter again and return the new job's headers as a worker gets them."""
    letter = await box.find(sequence)
    assert letter is not None
    assert await box.send_again(letter)
    [job] = await JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT).fetch(1, timeout_seconds=5)
    await job.ack()
    return dict(job.headers)


async def test_what_is_sent_again_has_the_originals_headers(client: Client, names: BrokerNames) -> None:
    """None of the letter's own, a new id; what the broker would obey stays renamed, and the trace is only told."""
    await provisioned(client, names)
    box = JetStreamDeadLetterBox(client, names)
    original = {"X-Own": "\N{LATIN SMALL LETTER E WITH ACUTE}", "traceparent": _PUBLISHERS, "tracestate": "v=1"}
    original |= {"Nats-Msg-Id": "of the publisher", "Nats-Expected-Last-Sequence": "17", "Nats-Rollup": "all"}
    await JetStreamDeadLetters(client, names).publish(await delivery(b"x", original), record(OUTCOMES["failed"]))
    [letter] = [letter async for letter in box.letters(up_to=1)]
    assert letter.traceparent == TRACEPARENT
    assert await sent_again(client, names, box, 1) == {
        "X-Own": "\N{LATIN SMALL LETTER E WITH ACUTE}",
        "Facematch-Original-Nats-Msg-Id": "of the publisher",
        "Facematch-Original-Nats-Expected-Last-Sequence": "17",
        "Facematch-Original-Nats-Rollup": "all",
        "Facematch-Original-Traceparent": TRACEPARENT,
        "Facematch-Original-Tracestate": "v=1",
        "Facematch-Replay-Of": "1",
        "Nats-Msg-Id": f"facematch-replay-{JobKey(1, letter.stored_at)}",
    }


async def test_a_job_that_dies_again_can_be_sent_again(client: Client, names: BrokerNames) -> None:
    """Its second letter is another one; the publisher's headers are still there, and the link is to the last trace."""
    await provisioned(client, names)
    box, letters = JetStreamDeadLetterBox(client, names), JetStreamDeadLetters(client, names)
    original = {"Traceparent": _PUBLISHERS, "Nats-Msg-Id": "of the publisher"}
    await letters.publish(await delivery(b"x", original), malformed(sequence=1))
    buried = await box.find(1)
    assert buried is not None
    assert buried.traceparent == _PUBLISHERS
    first = await sent_again(client, names, box, 1)
    assert first["Facematch-Original-Traceparent"] == _PUBLISHERS
    await letters.publish(await delivery(b"x", first), record(OUTCOMES["failed"], sequence=2))
    second = await sent_again(client, names, box, 2)
    assert second["Facematch-Original-Traceparent"] == TRACEPARENT
    assert second["Facematch-Original-Nats-Msg-Id"] == "of the publisher"
    assert second["Nats-Msg-Id"] != first["Nats-Msg-Id"]
    assert "traceparent" not in {name.lower() for name in (*first, *second)}


async def test_a_letter_cannot_say_what_the_broker_does_with_its_replay(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Whoever else may publish letters could make one that is refused for good each time that it is sent again."""
    await provisioned(client, names)
    planted = {"Nats-Expected-Stream": names.dead_stream, "X-Own": "x"}
    await js.publish(names.dead_subject, b"x", headers=planted)
    headers = await sent_again(client, names, JetStreamDeadLetterBox(client, names), 1)
    assert set(headers) == {"X-Own", "Facematch-Replay-Of", "Nats-Msg-Id"}


async def test_other_messages_of_the_stream_are_none_of_ours(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Where somebody else's stream captures the subject, only its dead letters are counted, found and gone through."""
    foreign = f"{names.results_prefix}.foreign"
    await js.add_stream(StreamConfig(name=names.dead_stream, subjects=[names.dead_subject, foreign]))
    for number in range(1, 41):
        await js.publish(names.dead_subject if number % 10 == 0 else foreign, str(number).encode())
    box = JetStreamDeadLetterBox(client, names)
    assert [letter.sequence async for letter in box.letters(up_to=(await box.extent()).newest)] == [10, 20, 30, 40]
    assert ((await box.extent()).count, await box.find(11)) == (4, None)
    tenth = await box.find(10)
    assert tenth is not None
    assert tenth == DeadLetter(10, tenth.stored_at, "", "", None, None, b"10")
    since = tenth.stored_at + timedelta(microseconds=1)
    assert [letter.sequence async for letter in box.letters(up_to=35, since=since)] == [20, 30]


async def test_a_stream_that_takes_the_place_of_another_is_found(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """An operator may delete the stream and let another one capture the subject while a worker counts the letters."""
    await provisioned(client, names)
    box = JetStreamDeadLetterBox(client, names)
    assert await box.extent() == Extent(0, 0)
    await js.delete_stream(names.dead_stream)
    await js.add_stream(StreamConfig(name=f"X_{names.dead_stream}", subjects=[names.dead_subject]))
    await js.publish(names.dead_subject, b"x")
    assert await box.extent() == Extent(1, 1)
    assert await box.discard(1)


async def test_no_stream_is_a_clear_failure(client: Client, names: BrokerNames) -> None:
    """It says what to run."""
    with pytest.raises(MessagingUnavailableError, match="facematch provision"):
        await JetStreamDeadLetterBox(client, names).extent()


async def test_a_stream_that_lets_nothing_be_deleted_says_so(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """A letter that is still there was not discarded."""
    await js.add_stream(StreamConfig(name=names.dead_stream, subjects=[names.dead_subject], deny_delete=True))
    await js.publish(names.dead_subject, b"x")
    with pytest.raises(MessagingUnavailableError, match="delete"):
        await JetStreamDeadLetterBox(client, names).discard(1)
