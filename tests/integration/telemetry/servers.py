"""Deliveries whose ledger and gallery are PostgreSQL's, before one that all servers fail."""

from contextlib import AsyncExitStack

import attrs

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.records.ledger import PostgresLedger
from application.matching.match_single_face import MatchSingleFace
from application.ports.telemetry import Telemetry
from application.running.process_delivery import ProcessDelivery
from tests.fakes.clock import ManualClock
from tests.integration.telemetry.failing import fail_everywhere


async def on_servers(
    process: ProcessDelivery, match: MatchSingleFace, telemetry: Telemetry, stack: AsyncExitStack, url: str, nats: str
) -> ProcessDelivery:
    """Return what handles deliveries with the database at ``url``; all fails as the stack closes."""
    database = Database(url)
    await database.open()
    stack.push_async_callback(database.close)
    stack.push_async_callback(fail_everywhere, telemetry, database, nats)
    ledger, gallery = PostgresLedger(database), PostgresGallery(database, Codes, clock=ManualClock())
    await ledger.unpublished(older_than_seconds=0, limit=1)  # which is no part of any job
    return attrs.evolve(process, ledger=ledger, match=attrs.evolve(match, ledger=ledger, gallery=gallery))
