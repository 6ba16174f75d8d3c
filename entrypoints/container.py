"""The composition root: what the use cases are made of, and which adapter stands behind which of their ports.

It only builds; whoever uses it opens and closes what it built.
"""

import math
import pkgutil
from collections.abc import Mapping
from importlib.metadata import version

from dependency_injector import providers
from nats.aio.client import Client
from opentelemetry import metrics

from adapters.evaluation.distances import NumpyDistances
from adapters.nats_jetstream.connection.connecting import ConnectionOptions
from adapters.nats_jetstream.dead_letters.box import JetStreamDeadLetterBox
from adapters.nats_jetstream.dead_letters.burial import JetStreamDeadLetters
from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.jobs.job_archive import JetStreamJobArchive
from adapters.nats_jetstream.jobs.jobs_in_flight import JetStreamJobsInFlight
from adapters.nats_jetstream.jobs.payload import JsonJobParser
from adapters.nats_jetstream.jobs.queue_statistics import JetStreamQueueStatistics
from adapters.nats_jetstream.names import Names
from adapters.nats_jetstream.publishing.publisher import JetStreamJobPublisher, JetStreamResultPublisher
from adapters.nats_jetstream.publishing.republisher import JetStreamRepublisher
from adapters.object_store.retrying import RetryingPhotoStore
from adapters.object_store.store import ObjectStoreDependency, S3PhotoStore, StoreOptions
from adapters.object_store.witnesses import Witnesses
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.active_model import ActiveModel
from adapters.postgres.gallery.enrolment import PostgresEnrolment
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.gallery.reenrolment import PostgresReenrolment
from adapters.postgres.photos import PostgresPhotoCatalogue
from adapters.postgres.records.ledger import PostgresLedger
from adapters.postgres.records.statistics import PostgresStatistics
from adapters.postgres.search_index.following import Codes
from adapters.system.clock import SystemClock
from adapters.system.cores import usable_cores
from adapters.telemetry.instruments import Instruments
from adapters.telemetry.job import OtelTelemetry
from adapters.vision.processes.pool import ProcessPoolFaceReader
from application.enrolment.enroll import Enroll
from application.enrolment.enroll_list import EnrollList
from application.enrolment.enroll_user import EnrollUser
from application.enrolment.make_template import MakeTemplate
from application.enrolment.reenroll_users import ReenrollUsers
from application.enrolment.switch_users import SwitchUsers
from application.evaluation.calibrate_embedder import CalibrateEmbedder
from application.evaluation.evaluate_photos import EvaluatePhotos
from application.evaluation.read_photos import ReadPhotos
from application.matching.match_single_face import MatchPolicy, MatchSingleFace
from application.matching.process_delivery import DeliveryPolicy, ProcessDelivery
from application.matching.retrieve_image import RetrieveImage
from application.operating.repair_dead_letters import RepairDeadLetters
from application.operating.republish_photos import RepublishPhotos
from application.ports.dependency import Dependency
from application.ports.face_pipeline import EmbedderInfo
from application.running.broker_watch import BrokerWatch, WatchedDeadLetters, WatchedResults
from application.running.event_relay import EventRelay
from application.running.outages import Outages
from application.running.worker import Worker
from domain.decision import Calibration, FixedThreshold, TargetFpir, ThresholdPolicy
from domain.errors import (
    AttemptFailedError,
    DatabaseUnavailableError,
    EmbedderUnavailableError,
    GalleryNotReadyError,
    StorageUnavailableError,
)
from domain.guardrails import FaceQuality
from domain.images import ImageRefPolicy
from domain.retries import LinearBackoff
from entrypoints.figures import FiguresWatch
from entrypoints.settings import NatsSettings, S3Settings, Settings, VisionSettings, WorkerSettings
from entrypoints.vision_container import Vision

VERSION = version("facematch")
_HEARTBEATS_PER_ACK_WAIT = 3
_FETCH_AND_RECORD_SECONDS = 120.0
"""What an attempt may spend on the object store and the database, by their own time limits and retries."""
_SPARE_CONNECTIONS = 1
_LONGEST_TRY_SECONDS = 20.0
_FETCH_SHARE = 0.8
"""How much of the ack wait a photograph may take to come, all tries together."""


def connection_options(nats: NatsSettings) -> ConnectionOptions:
    """Return how to connect to NATS."""
    return ConnectionOptions(
        urls=nats.urls,
        user=nats.user,
        password=nats.password,
        token=nats.token,
        creds=nats.creds,
        tls_ca=nats.tls_ca,
        tls_cert=nats.tls_cert,
        tls_key=nats.tls_key,
    )


def names(nats: NatsSettings) -> Names:
    """Return what things are called on the broker."""
    return Names(
        stream=nats.stream,
        subject=nats.subject,
        durable=nats.durable,
        results_stream=nats.results_stream,
        dead_stream=nats.dead_stream,
    )


def fetch_seconds(nats: NatsSettings) -> float:
    """Return the time that a photograph has to come."""
    return _FETCH_SHARE * nats.ack_wait


def store_options(s3: S3Settings, connections: int, seconds: float) -> StoreOptions:
    """Return how to reach the object store, and the longest that one try may take."""
    return StoreOptions(
        endpoint=s3.endpoint,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        secure=s3.secure,
        region=s3.region,
        ca=s3.tls_ca,
        connections=connections,
        deadline_seconds=min(seconds, _LONGEST_TRY_SECONDS),
    )


def calibration(vision: VisionSettings, info: EmbedderInfo) -> Calibration:
    """Return the impostor distances to go by: those measured on one's own people, else the embedder's own."""
    return info.calibration if vision.calibration is None else vision.calibration.completed(info.calibration)


def threshold_policy(vision: VisionSettings, info: EmbedderInfo) -> ThresholdPolicy:
    """Return the configured decision: a distance, no limit, or the distance for a target FPIR."""
    if vision.max_distance is None:
        return TargetFpir(vision.target_fpir, calibration(vision, info))
    return FixedThreshold(None if vision.max_distance == "none" else float(vision.max_distance))


def face_quality(vision: VisionSettings) -> FaceQuality:
    """Return the least that is asked of a face."""
    return FaceQuality(vision.min_face, vision.min_score, vision.min_sharpness)


def match_policy(settings: Settings, image_refs: ImageRefPolicy, info: EmbedderInfo) -> MatchPolicy:
    """Return everything that is configured about matching."""
    return MatchPolicy(
        image_refs=image_refs,
        threshold=threshold_policy(settings.vision, info),
        quality=face_quality(settings.vision),
        max_image_bytes=settings.vision.max_bytes,
        margin=settings.vision.margin,
    )


def delivery_policy(settings: Settings) -> DeliveryPolicy:
    """Return what is configured about deliveries.

    The deadline is for what hangs: it leaves each part of an attempt the time that its own limits allow, because
    those tell better what is wrong, and a photograph its turn when every job in hand waits for a process.
    """
    turns = math.ceil(settings.worker.jobs_in_hand / settings.worker.processes)
    return DeliveryPolicy(
        retries=LinearBackoff(settings.nats.max_deliver, settings.nats.retry_base),
        heartbeat_seconds=settings.nats.ack_wait / _HEARTBEATS_PER_ACK_WAIT,
        deadline_seconds=turns * settings.vision.timeout + _FETCH_AND_RECORD_SECONDS,
    )


def forget_seconds(nats: NatsSettings) -> float:
    """Return when a job that could not be settled has certainly been delivered again, to whichever worker."""
    return 2 * nats.ack_wait


def connections(worker: WorkerSettings) -> int:
    """Return how many database connections serve the jobs in hand, and the worker itself; its looks have one beside."""
    return worker.jobs_in_hand + _SPARE_CONNECTIONS


def make_codes(learnt: bytes) -> Codes:
    """Return codes of nobody yet; faiss takes a third of a second to import, and only large galleries need it."""
    codes: Codes = pkgutil.resolve_name("adapters.faiss_codes.codes:Codes")(learnt, cores=usable_cores())
    return codes


def blamed(
    database: Database, active_model: ActiveModel, objects: ObjectStoreDependency, embedder: ProcessPoolFaceReader
) -> Mapping[type[AttemptFailedError], Dependency]:
    """Return which dependency a failure blames, the more special failures first."""
    return {
        GalleryNotReadyError: active_model,
        DatabaseUnavailableError: database,
        StorageUnavailableError: objects,
        EmbedderUnavailableError: embedder,
    }


class Container(Vision):
    """Everything that the entry points need, built once each when it is first asked for.

    Override ``settings``; and ``nats_client``, once connected, for whatever talks to the broker.
    """

    settings = Vision.settings
    factory = Vision.factory
    face_reader = Vision.face_reader

    nats_client: providers.Dependency[Client] = providers.Dependency(instance_of=Client)

    clock = providers.Singleton(SystemClock)
    names = providers.Singleton(names, settings.provided.nats)
    connection_options = providers.Singleton(connection_options, settings.provided.nats)

    image_refs = providers.Singleton(
        ImageRefPolicy.of, settings.provided.s3.bucket, settings.provided.s3.allowed_buckets
    )
    policy = providers.Singleton(match_policy, settings, image_refs, factory.provided.info)

    fetch_seconds = providers.Callable(fetch_seconds, settings.provided.nats)
    store_options = providers.Singleton(
        store_options, settings.provided.s3, settings.provided.worker.jobs_in_hand, fetch_seconds
    )
    witnesses = providers.Singleton(Witnesses, clock=clock)
    photo_store = providers.Singleton(S3PhotoStore, store_options, witnesses)
    photos = providers.Singleton(
        RetryingPhotoStore,
        photo_store,
        providers.Factory(LinearBackoff, settings.provided.s3.retry_attempts, settings.provided.s3.retry_base),
        clock=clock,
        deadline_seconds=fetch_seconds,
    )
    objects = providers.Singleton(ObjectStoreDependency, store_options, settings.provided.s3.bucket, witnesses)

    database = providers.Singleton(
        Database, settings.provided.database_url, size=providers.Callable(connections, settings.provided.worker)
    )
    ledger = providers.Singleton(PostgresLedger, database)
    enrolment = providers.Singleton(PostgresEnrolment, database)
    reenrolment = providers.Singleton(PostgresReenrolment, database)
    active_model = providers.Singleton(ActiveModel, database, factory.provided.info.id, clock=clock)

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
    figures = providers.Singleton(
        FiguresWatch,
        queue=queue,
        gallery=gallery,
        database=database,
        reader=face_reader,
        clock=clock,
        telemetry=telemetry,
    )
    broker = providers.Singleton(
        BrokerWatch,
        clock=clock,
        telemetry=telemetry,
        forget_seconds=providers.Callable(forget_seconds, settings.provided.nats),
    )
    results = providers.Singleton(
        WatchedResults, providers.Singleton(JetStreamResultPublisher, nats_client, names), broker
    )
    dead_letters = providers.Singleton(
        WatchedDeadLetters, providers.Singleton(JetStreamDeadLetters, nats_client, names), broker
    )
    jobs = providers.Singleton(JetStreamJobPublisher, nats_client, names)
    dead_letter_box = providers.Singleton(JetStreamDeadLetterBox, nats_client, names)
    repair_dead_letters = providers.Singleton(RepairDeadLetters, dead_letter_box)
    queue_statistics = providers.Singleton(JetStreamQueueStatistics, nats_client, names)
    ledger_statistics = providers.Singleton(PostgresStatistics, database)
    retrieve_image = providers.Singleton(
        RetrieveImage,
        archive=providers.Factory(JetStreamJobArchive, nats_client, names),
        parser=providers.Factory(JsonJobParser),
        photos=photos,
        image_refs=image_refs,
        max_bytes=settings.provided.vision.max_bytes,
    )

    photo_catalogue = providers.Factory(PostgresPhotoCatalogue, database)
    republish_photos = providers.Factory(
        RepublishPhotos,
        in_flight=providers.Factory(JetStreamJobsInFlight, nats_client, names),
        republisher=providers.Factory(JetStreamRepublisher, nats_client, names),
        image_refs=image_refs,
        clock=clock,
    )

    calibration = providers.Callable(calibration, settings.provided.vision, factory.provided.info)
    quality = providers.Factory(face_quality, settings.provided.vision)
    make_template = providers.Factory(MakeTemplate, reader=face_reader, quality=quality)
    enroll = providers.Factory(Enroll, make_template=make_template, enrolment=enrolment, calibration=calibration)
    enroll_user = providers.Singleton(
        EnrollUser, enroll=enroll, enrolment=enrolment, threshold=policy.provided.threshold
    )
    enroll_list = providers.Singleton(
        EnrollList, enroll=enroll, enrolment=enrolment, concurrency=settings.provided.worker.jobs_in_hand
    )
    reenroll_users = providers.Singleton(
        ReenrollUsers,
        model=factory.provided.info.id,
        make_template=make_template,
        reenrolment=reenrolment,
        calibration=calibration,
        concurrency=settings.provided.worker.jobs_in_hand,
    )
    switch_users = providers.Singleton(
        SwitchUsers, model=factory.provided.info.id, reenrolment=reenrolment, clock=clock
    )
    read_photos = providers.Singleton(
        ReadPhotos,
        reader=face_reader,
        clock=clock,
        concurrency=settings.provided.worker.jobs_in_hand,
        quality=quality,
    )
    distances = providers.Singleton(NumpyDistances)
    evaluate_photos = providers.Singleton(
        EvaluatePhotos,
        read=read_photos,
        distances=distances,
        threshold=policy.provided.threshold,
        margin=policy.provided.margin,
        calibration=calibration,
        target_fpir=settings.provided.vision.target_fpir,
    )
    calibrate_embedder = providers.Singleton(CalibrateEmbedder, read=read_photos, distances=distances)
    match_single_face = providers.Singleton(
        MatchSingleFace,
        ledger=ledger,
        photos=photos,
        reader=face_reader,
        gallery=gallery,
        clock=clock,
        policy=policy,
        worker=settings.provided.worker.identity,
    )
    outages = providers.Singleton(
        Outages,
        providers.Callable(blamed, database, active_model, objects, face_reader),
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
