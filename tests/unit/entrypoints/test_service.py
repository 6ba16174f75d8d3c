"""The parts of a worker's life that need no servers."""

from contextlib import AsyncExitStack

from entrypoints import service
from entrypoints.environment.variables import read
from entrypoints.settings import Settings


async def test_health_is_served_in_a_way_that_its_library_keeps() -> None:
    """What it is going to drop it warns of, and here warnings are errors."""
    settings = read(Settings, {"FACEMATCH_HEALTH_ADDRESS": "127.0.0.1:0"})
    async with AsyncExitStack() as stack:
        await service._serve_health(stack, settings, service.Starting, lambda: ("text/plain", b""))
