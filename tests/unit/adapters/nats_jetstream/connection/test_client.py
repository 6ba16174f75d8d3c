"""What the client makes of what strangers send, without a server."""

import asyncio

import pytest

from adapters.nats_jetstream.connection.client import ResilientClient
from adapters.nats_jetstream.connection.errors import reason


async def test_a_cancellation_is_heard_while_much_waits_to_be_sent() -> None:
    """Otherwise whoever cancels a sender, as of a sign of life, waits for it for ever."""
    client = ResilientClient()
    client._status = ResilientClient.CONNECTED
    client._flusher_task = asyncio.create_task(asyncio.sleep(60))
    client._flush_queue = asyncio.Queue(maxsize=1)
    client._flush_queue.put_nowait(asyncio.Future())
    sending = asyncio.create_task(client._flush_pending())
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait({sending}, timeout=5)
    client._flusher_task.cancel()
    assert sending.cancelled()


@pytest.mark.parametrize("block", [b"X", b"NATS/1.0", b"NATS/1.0 \xff\r\n\r\n"])
async def test_headers_that_are_none_are_told_in_words(block: bytes) -> None:
    """An operator can do nothing with the number of a byte."""
    told: list[str] = []

    async def listen(error: Exception) -> None:
        told.append(reason(error))

    client = ResilientClient()
    client._error_cb = listen
    assert await client._process_headers(block) is None
    assert told == ["a message came whose headers cannot be read"]
