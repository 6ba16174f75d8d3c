"""The container of the worker: all that a job needs on its way."""

import math
from collections.abc import Mapping

from dependency_injector import providers
from opentelemetry import metrics

from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.jobs.payload import JsonJobParser
from adapters.nats_jetstream.publishing.publisher import JetStreamResultPublisher
from adapters.object_store.store import ObjectStoreDependency
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.active_model import ActiveModel
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.search_index.following import Codes
from adapters.system.cores import usable_cores
from adapters.telemetry.instruments import Instruments
from adapters.telemetry.job import OtelTelemetry
from adapters.vision.processes.pool import ProcessPoolFaceReader
from application.matching.match_single_face import MatchPolicy, MatchSingleFace
from application.ports.dependency import Dependency
from application.running.broker_watch import BrokerWatch, WatchedDeadLetters, WatchedResults
from application.running.event_relay import EventRelay
from application.running.outages import Outages
from application.running.process_delivery import DeliveryPolicy, ProcessDelivery
from application.running.worker import Worker
from domain.errors import (
    AttemptFailedError,
    DatabaseUnavailableError,
    EmbedderUnavailableError,
    GalleryNotReadyError,
    StorageUnavailableError,
)
from domain.retries import LinearBackoff
from entrypoints.composition.broker import BrokerContainer
from entrypoints.composition.gallery import GalleryContainer
from entrypoints.composition.objects import ObjectsContainer, fetch_seconds
from entrypoints.gauges import GaugeWatch
from entrypoints.settings import Settings
from entrypoints.versions import VERSION

_HEARTBEATS_PER_ACK_WAIT = 3
_DATABASE_SECONDS = 96.0
"""What an attempt may spend on the database: four operations at their limits take 80 seconds."""


def delivery_policy(settings: Settings) -> DeliveryPolicy:
    """Return what is configured about deliveries.

    The deadline is for what hangs: it leaves all tries of a fetch, the photograph and the database the time that
    their own limits allow, because those tell better what is wrong and whom to blame, and a photograph its turn when
    every job in hand waits for a process.
    """
    turns = math.ceil(settings.worker.jobs_in_hand / settings.worker.processes)
    return DeliveryPolicy(
        retries=LinearBackoff(settings.nats.max_deliver, settings.nats.retry_base),
        heartbeat_seconds=settings.nats.ack_wait / _HEARTBEATS_PER_ACK_WAIT,
        deadline_seconds=turns * settings.vision.timeout + fetch_seconds(settings.nats) + _DATABASE_SECONDS,
    )


def make_codes(learnt: bytes) -> Codes:
    """Return codes of nobody yet; faiss takes a third of a second to import, and only large galleries need it."""
    from adapters.faiss_codes import codes  # noqa: PLC0415 - as said above

    return codes.Codes(learnt, cores=usable_cores())


def _blamed(
    database: Database, active_model: ActiveModel, objects: ObjectStoreDependency, embedder: ProcessPoolFaceReader
) -> Mapping[type[AttemptFailedError], Dependency]:
    """Return which dependency a failure blames, the more special failures first."""
    return {
        GalleryNotReadyError: active_model,
        DatabaseUnavailableError: database,
        StorageUnavailableError: objects,
        EmbedderUnavailableError: embedder,
    }


class WorkerContainer(GalleryContainer, BrokerContainer, ObjectsContainer):
    """What takes jobs, ends them, and says so."""

    settings = GalleryContainer.settings
    clock = GalleryContainer.clock
    factory = GalleryContainer.factory
    face_reader = GalleryContainer.face_reader
    database = GalleryContainer.database
    ledger = GalleryContainer.ledger
    nats_client = BrokerContainer.nats_client
    names = BrokerContainer.names

    instruments = providers.Singleton(Instruments, providers.Callable(metrics.get_meter, "facematch", VERSION))
    telemetry = providers.Singleton(
        OtelTelemetry,
        instruments,
        subject=settings.provided.nats.subject,
        durable=settings.provided.nats.durable,
        worker=settings.provided.worker.identity,
        embedder=factory.provided.info.id,
    )
    gallery = providers.Singleton(
        PostgresGallery,
        database,
        providers.Object(make_codes),
        clock=clock,
        report=telemetry.provided.unexpected,
    )
    queue = providers.Singleton(JetStreamJobQueue, nats_client, names, ack_wait_seconds=settings.provided.nats.ack_wait)
    gauge_watch = providers.Singleton(
        GaugeWatch,
        queue=BrokerContainer.queue_statistics,
        box=BrokerContainer.dead_letter_box,
        gallery=gallery,
        database=database,
        reader=face_reader,
        clock=clock,
        telemetry=telemetry,
        report_slow_search=telemetry.provided.search_is_slow,
    )
    broker = providers.Singleton(
        BrokerWatch,
        clock=clock,
        telemetry=telemetry,
        ack_wait_seconds=settings.provided.nats.ack_wait,
    )
    results = providers.Singleton(
        WatchedResults, providers.Singleton(JetStreamResultPublisher, nats_client, names), broker
    )
    dead_letters = providers.Singleton(
        WatchedDeadLetters, providers.Singleton(JetStreamDeadLetters, nats_client, names), broker
    )
    match_single_face = providers.Singleton(
        MatchSingleFace,
        ledger=ledger,
        photos=ObjectsContainer.photos,
        reader=face_reader,
        gallery=gallery,
        clock=clock,
        policy=providers.Singleton(
            MatchPolicy,
            image_refs=GalleryContainer.image_refs,
            threshold=GalleryContainer.threshold,
            quality=GalleryContainer.quality,
            max_image_bytes=settings.provided.vision.max_bytes,
            margin=settings.provided.vision.margin,
        ),
        worker=settings.provided.worker.identity,
    )
    outages = providers.Singleton(
        Outages,
        providers.Callable(_blamed, database, GalleryContainer.active_model, ObjectsContainer.objects, face_reader),
        clock=clock,
        telemetry=telemetry,
    )
    relay = providers.Singleton(EventRelay, ledger, results, clock=clock, telemetry=telemetry, outages=outages)
    process_delivery = providers.Singleton(
        ProcessDelivery,
        parser=providers.Factory(JsonJobParser),
        match=match_single_face,
        ledger=ledger,
        results=results,
        dead_letters=dead_letters,
        outages=outages,
        telemetry=telemetry,
        clock=clock,
        policy=providers.Callable(delivery_policy, settings),
        worker=settings.provided.worker.identity,
        on_published=relay.provided.published,
    )
    worker = providers.Singleton(
        Worker,
        queue=queue,
        process=process_delivery,
        outages=outages,
        broker=broker,
        relay=relay,
        telemetry=telemetry,
        clock=clock,
        concurrency=settings.provided.worker.jobs_in_hand,
        shutdown_grace=settings.provided.worker.shutdown_grace,
    )
