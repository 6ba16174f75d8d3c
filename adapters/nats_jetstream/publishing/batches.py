"""Atomic batches: many messages that the stream stores all together or not at all (ADR-50 of NATS).

The server writes a batch to its disk in one go, where it would write each single message by itself before it confirms.
"""

from collections.abc import Sequence
from uuid import uuid4

import attrs
from nats.aio.client import Client
from nats.js import JetStreamContext

from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.connection.finding import stream_of
from adapters.nats_jetstream.headers import MESSAGE_ID

MOST_MESSAGES = 500
"""Of one batch; servers allow 1,000 unless they are told otherwise."""
_BATCH_ID = "Nats-Batch-Id"
_BATCH_SEQUENCE = "Nats-Batch-Sequence"
_BATCH_COMMIT = "Nats-Batch-Commit"
_COMMIT_SECONDS = 10.0


@attrs.frozen
class Message:
    """What is published, and the id by which the stream knows whether it has it already."""

    id: str
    body: bytes


async def takes_batches(js: JetStreamContext, subject: str) -> bool:
    """Tell whether the stream that holds the subject takes batches; servers before 2.12 know none.

    Raises:
        MessagingUnavailableError: no answer, or no such stream.

    """
    stream = await stream_of(js, subject)
    with translated("stream info"):
        return bool((await js.stream_info(stream)).config.allow_atomic)


async def publish_batch(client: Client, js: JetStreamContext, subject: str, messages: Sequence[Message]) -> None:
    """Publish at most :data:`MOST_MESSAGES` and return when all are stored.

    Raises:
        MessagingUnavailableError: none is stored, because the server refuses one of them, such as one whose id it
            knows; or nobody knows, because it does not answer.

    """
    batch = uuid4().hex
    *others, last = (
        (message.body, {MESSAGE_ID: message.id, _BATCH_ID: batch, _BATCH_SEQUENCE: str(number)})
        for number, message in enumerate(messages, start=1)
    )
    with translated(f"publish {len(messages)} messages to {subject}"):
        for body, headers in others:
            await client.publish(subject, body, headers=headers)
        body, headers = last
        await js.publish(subject, body, _COMMIT_SECONDS, headers={**headers, _BATCH_COMMIT: "1"})
