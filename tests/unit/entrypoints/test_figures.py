"""What a worker looks at now and then."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, NoReturn

from application.ports.face_pipeline import EmbedderInfo
from domain.calibration import Calibration
from domain.errors import MessagingUnavailableError
from entrypoints.figures import FiguresWatch
from tests.fakes.clock import ManualClock, settle
from tests.fakes.telemetry import RecordingTelemetry

INFO = EmbedderInfo(id="model@1", dimension=4, licence="-", description="-", calibration=Calibration(((0.01, 0.1),)))


class GrowingGallery:
    """Ten thousand more users at each look; slow from the third on."""

    users = 0

    async def size(self, _model: str) -> int:
        """Let more users come."""
        self.users += 10_000
        return self.users

    async def is_slow(self, _model: str, _dimension: int) -> bool:
        """Tell whether they are too many."""
        return self.users >= 30_000


async def _no_answer() -> NoReturn:
    raise MessagingUnavailableError("no answer")


async def test_a_slow_search_is_told_once() -> None:
    """When it becomes slow, and however long it stays so."""
    gallery: Any = GrowingGallery()
    queue: Any = SimpleNamespace(backlog=_no_answer)
    reader: Any = SimpleNamespace(info=INFO)
    database: Any = None
    telemetry = RecordingTelemetry()
    watch = FiguresWatch(
        queue=queue, gallery=gallery, database=database, reader=reader, clock=ManualClock(), telemetry=telemetry
    )
    watching = asyncio.create_task(watch.run())
    await settle()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert gallery.users > 50_000
    assert (telemetry.slow_searches, telemetry.errors) == ([30_000], [])
