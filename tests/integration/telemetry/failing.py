"""A delivery in which every server fails, each with a text of its own, and a defect ends it."""

from contextlib import suppress

import pytest

from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from adapters.nats_jetstream.publishing.publisher import JetStreamResultPublisher
from adapters.object_store.retrying import RetryingPhotoStore
from adapters.object_store.store import S3PhotoStore, StoreOptions
from adapters.postgres.connection.database import Database
from application.ports.telemetry import Telemetry
from domain.errors import DatabaseUnavailableError, MessagingUnavailableError, StorageUnavailableError
from domain.images import ImageRef
from domain.retries import LinearBackoff
from infra.local_stack.process import free_port
from tests.broker import own_names
from tests.contract.telemetry.samples import GIVEN_UP, SampleDelivery, record
from tests.fakes.clock import ManualClock

CANARIES = OF_STORAGE, OF_DATABASE, OF_MESSAGING, OF_DEFECT = (
    "minio://images/",
    "jane_doe_owes_nothing",
    "nobody stores this subject",
    "jane-doe-passport",
)
"""They stand in the texts of errors, and nowhere else."""
_REFUSED = f"DO $$ BEGIN RAISE EXCEPTION 'violates \"{OF_DATABASE}\"' USING ERRCODE = 'check_violation'; END $$"


async def fail_everywhere(telemetry: Telemetry, database: Database, nats_url: str) -> None:
    """Meet an object store that is down, a database that refuses, and a subject that nobody stores."""
    client = await connect(ConnectionOptions((nats_url,)))
    store = S3PhotoStore(StoreOptions(f"127.0.0.1:{free_port()}"))
    photos = RetryingPhotoStore(store, LinearBackoff(1, 0), clock=ManualClock(), deadline_seconds=60)
    with suppress(ZeroDivisionError), telemetry.job(SampleDelivery()) as trace:
        with pytest.raises(StorageUnavailableError, match=OF_STORAGE), trace.stage("fetch"):
            await photos.fetch(ImageRef("images", "anna.jpg"), max_bytes=1)
        with pytest.raises(DatabaseUnavailableError, match=OF_DATABASE), trace.stage("transaction"):
            async with database.operation("refused") as connection:
                await connection.execute(_REFUSED)
        with pytest.raises(MessagingUnavailableError, match=OF_MESSAGING), trace.stage("publish"):
            await JetStreamResultPublisher(client, own_names()).publish(record(GIVEN_UP))
        raise ZeroDivisionError(OF_DEFECT)
    await store.close()
    await disconnect(client)
