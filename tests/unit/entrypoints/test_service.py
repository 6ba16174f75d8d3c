"""The parts of a worker's life that need no servers."""

import asyncio
import signal
from contextlib import AsyncExitStack

import pytest
import structlog
from structlog.testing import capture_logs

from entrypoints import service
from entrypoints.environment.variables import read
from entrypoints.settings import Settings
from infra.local_stack.process import free_port


async def test_health_is_served_in_a_way_that_its_library_keeps() -> None:
    """What it is going to drop it warns of, and here warnings are errors."""
    settings = read(Settings, {"FACEMATCH_HEALTH_ADDRESS": "127.0.0.1:0"})
    async with AsyncExitStack() as stack:
        await service._serve_health(stack, settings, service.Starting, lambda: ("text/plain", b""))


async def test_each_signal_is_told_with_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lets the jobs in hand end, the second does not wait for them."""
    monkeypatch.setattr(service, "_LOG", structlog.get_logger())
    signals = service._Signals()
    with capture_logs() as lines:
        signals._received(signal.SIGINT)
        signals._received(signal.SIGINT)
    assert [(line["event"].partition(";")[0], line["action"], line["again"]) for line in lines] == [
        ("stopping: jobs in hand are finished first", "stopping", False),
        ("stopping at once: jobs in hand are given back", "stopping", True),
    ]


@pytest.mark.parametrize(
    "said", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow:", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"]
)
async def test_a_connection_that_says_nothing_more_is_closed(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first request, within one and after one: else whoever comes as far uses up all descriptors."""
    monkeypatch.setattr(service, "_IDLE_SECONDS", 0.2)
    port = free_port()
    settings = read(Settings, {"FACEMATCH_HEALTH_ADDRESS": f"127.0.0.1:{port}"})
    async with AsyncExitStack() as stack:
        await service._serve_health(stack, settings, service.Starting, lambda: ("text/plain", b""))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200" if said.endswith(b"\r\n\r\n") else b"")
