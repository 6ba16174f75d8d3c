"""What is sent to settle a delivery, and that nothing is while it is unknown which job that would end."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import nats.errors
import pytest
from nats.aio.msg import Msg

from adapters.nats_jetstream.connection import asking
from adapters.nats_jetstream.jobs.delivery import JetStreamDelivery
from adapters.nats_jetstream.jobs.stream_incarnation import StreamIncarnation
from domain.errors import MessagingUnavailableError

_MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_RECEIPT = "$JS.ACK.JOBS.worker.1.1.1.1795552369878045999.0"


class Silent:
    """A client that hears no answer to what it sends; ``made`` is when the stream was, each time that it is asked."""

    def __init__(self, *, is_connected: bool = True, made: Sequence[datetime] = ()) -> None:
        self.is_connected = is_connected
        self.stats = {"reconnects": 0}
        self.sent: list[bytes] = []
        self._made = iter(made)

    async def publish(self, _subject: str, payload: bytes) -> None:
        """Remember it likewise."""
        self.sent.append(payload)

    async def request(self, _subject: str, payload: bytes, timeout: float) -> None:  # noqa: ARG002, ASYNC109 - the client's
        """Remember what was sent, or would be with the next connection."""
        self.sent.append(payload)
        raise nats.errors.TimeoutError

    def jetstream(self, **_: float) -> "Silent":
        """Return what is asked about streams."""
        return self

    async def stream_info(self, _stream: str) -> SimpleNamespace:
        """Say when the stream was made."""
        return SimpleNamespace(created=next(self._made))


def delivered(client: Any) -> JetStreamDelivery:
    """Return the first job of the stream, whose incarnation is looked at each time."""
    incarnation = StreamIncarnation(client, "JOBS", _MADE, trust_seconds=0 if client.is_connected else 60)
    delivery = JetStreamDelivery.of(client, Msg(client, "jobs", _RECEIPT, b"{}"), incarnation)
    assert delivery is not None
    return delivery


async def test_nothing_is_left_to_be_sent_with_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """While NATS stays away nothing settles, and nothing is kept that would settle later, when nobody looks."""
    monkeypatch.setattr(asking, "_TRY_SECONDS", 0.05)
    client = Silent(is_connected=False)
    delivery = delivered(client)
    for settled in (delivery.ack(), delivery.retry(after_seconds=1), delivery.terminate("hopeless")):
        with pytest.raises(MessagingUnavailableError, match="no answer in time"):
            await settled
    await delivery.give_back()
    assert client.sent == []


async def test_what_is_sent_once_more_is_looked_at_once_more() -> None:
    """A stream that was made anew while nobody answered gets none of what the one before it was to get."""
    client = Silent(made=[_MADE, _MADE + timedelta(seconds=1)])
    with pytest.raises(MessagingUnavailableError, match="the stream JOBS that held this job was deleted"):
        await delivered(client).ack()
    assert client.sent == [b"+ACK"]
