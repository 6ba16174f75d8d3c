"""What becomes of deliveries that come before, while and after a pull is cut off."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from nats.aio.msg import Msg

from adapters.nats_jetstream.jobs.pulling import PullInbox
from adapters.nats_jetstream.jobs.stream_incarnation import StreamIncarnation
from tests.fakes.clock import settle


class Wire:
    """A client and its subscription: ``sent`` is what was published, as subject and payload."""

    is_connected = True
    stats: ClassVar = {"reconnects": 0}

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.on_its_way: list[int] = []

    def new_inbox(self) -> str:
        """Return the inbox's subject."""
        return "_INBOX.x"

    async def subscribe(self, _subject: str, *, cb: Callable[[Msg], Awaitable[None]], **_: object) -> "Wire":
        """Call back for everything that comes."""
        self._on_message = cb
        return self

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:  # noqa: ARG002 - the client's
        """Remember what was sent."""
        self.sent.append((subject, payload))

    async def drain(self) -> None:
        """Deliver what is on its way."""
        for number in self.on_its_way:
            await self.deliver(number)

    async def deliver(self, number: int) -> None:
        """Let the job of that number come, and everyone take notice."""
        client: Any = self
        await self._on_message(Msg(client, "jobs", receipt(number), b"%d" % number))
        await settle()


def receipt(number: int) -> str:
    """Return the subject on which the delivery of that job is acknowledged."""
    return f"$JS.ACK.JOBS.worker.1.{number}.{number}.1795552369878045999.0"


async def test_a_pull_that_is_cut_off_keeps_its_deliveries_until_the_inbox_is_drained() -> None:
    """What was taken, has come since and is on its way is returned and not given back; only what comes later is."""
    wire: Any = Wire()
    inbox = PullInbox(wire, StreamIncarnation(wire, "JOBS", datetime.now(UTC)), "worker")
    await inbox.open()
    pull = asyncio.create_task(inbox.pull(5, timeout_seconds=60))
    await settle()
    await wire.deliver(1)
    pull.cancel()
    await asyncio.wait({pull})
    await wire.deliver(2)
    wire.on_its_way = [3, 4]
    assert [delivery.body for delivery in await inbox.drain()] == [b"1", b"2", b"3", b"4"]
    assert [subject for subject, _ in wire.sent] == ["$JS.API.CONSUMER.MSG.NEXT.JOBS.worker"]
    await wire.deliver(5)
    assert wire.sent[1:] == [(receipt(5), b"-NAK")]
