"""What the client makes of what strangers send, without a server."""

import pytest

from adapters.nats_jetstream.client import SteadyClient
from adapters.nats_jetstream.connection import reason


@pytest.mark.parametrize("block", [b"X", b"NATS/1.0", b"NATS/1.0 \xff\r\n\r\n"])
async def test_headers_that_are_none_are_told_in_words(block: bytes) -> None:
    """An operator can do nothing with the number of a byte."""
    told: list[str] = []

    async def listen(error: Exception) -> None:
        told.append(reason(error))

    client = SteadyClient()
    client._error_cb = listen
    assert await client._process_headers(block) is None
    assert told == ["a message came whose headers cannot be read"]
