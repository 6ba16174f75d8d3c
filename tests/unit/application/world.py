"""The use cases wired to fakes, around one job that matches when nothing is changed."""

import asyncio
from uuid import UUID

import attrs

from adapters.nats_jetstream.jobs.payload import JsonJobParser
from application.matching.match_single_face import MatchPolicy, MatchSingleFace
from application.ports.face_pipeline import Embed
from application.running.broker_watch import BrokerWatch, WatchedDeadLetters, WatchedResults
from application.running.event_relay import EventRelay
from application.running.outages import Outages
from application.running.process_delivery import DeliveryPolicy, ProcessDelivery
from domain.decision import FixedThreshold
from domain.errors import (
    DatabaseUnavailableError,
    EmbedderUnavailableError,
    GalleryNotReadyError,
    StorageUnavailableError,
)
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading
from domain.guardrails import FaceQuality
from domain.images import ImageRef, ImageRefPolicy
from domain.jobs import JobKey, MatchJob
from domain.records import JobRecord, Outcome
from domain.retries import LinearBackoff
from tests.fakes.active_model import InMemoryActiveModel
from tests.fakes.announcements import InMemoryDeadLetters, InMemoryResultPublisher
from tests.fakes.clock import SteppedClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.dependency import ScriptedDependency
from tests.fakes.gallery import InMemoryGallery
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.photo_store import InMemoryPhotoStore
from tests.fakes.queue import InMemoryDelivery, InMemoryJobQueue
from tests.fakes.telemetry import RecordingJobTrace, RecordingTelemetry
from tests.fakes.vision import INFO, ScriptedFacePipeline, ScriptedFaceReader

PHOTO = UUID(int=1)
ANNA = UUID(int=11)
BORIS = UUID(int=12)
JOB_ID = UUID(int=99)
REF = ImageRef("images", "anna.jpg")
IMAGE = b"a photograph of Anna"
JOB = MatchJob(PHOTO, "anna.jpg", face_index=3, job_id=JOB_ID)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WORKER = "worker-1"
DELIVERIES = 3
RETRY_SECONDS = 5.0
HEARTBEAT_SECONDS = 10.0
FORGET_SECONDS = 120.0
MAX_BYTES = 100
MINIMUM_FACE = 32.0


def embedding(*vector: float, model: str = INFO.id) -> FaceEmbedding:
    """Return an embedding of the scripted model."""
    return FaceEmbedding(model, vector or (1.0, 0.0, 0.0))


def face(side: float = 100.0, probe: FaceEmbedding | None = None) -> DetectedFace:
    """Return a square face with an embedding."""
    return DetectedFace(BoundingBox(10, 20, 10 + side, 20 + side), 0.9, probe or embedding())


def reading(*faces: DetectedFace) -> PhotoReading:
    """Return what is seen on a photograph with these faces."""
    return PhotoReading(640, 480, faces)


class BlockedReader(ScriptedFaceReader):
    """Lets nobody read until the test opens it."""

    def __init__(self, pipeline: ScriptedFacePipeline) -> None:
        super().__init__(pipeline)
        self.opened = asyncio.Event()

    async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Wait, then read."""
        await self.opened.wait()
        return await super().read(image, embed=embed)


class World:
    """Everything around :data:`JOB`: its photo, its image with one face, and Anna, who is enrolled with that face."""

    def __init__(self, *, deadline_seconds: float = 60.0, ack_wait: float = 30.0) -> None:
        self.clock = SteppedClock()
        self.database = InMemoryDatabase(self.clock)
        self.ledger = InMemoryLedger(self.database)
        self.photos = InMemoryPhotoStore()
        self.pipeline = ScriptedFacePipeline({IMAGE: reading(face())})
        self.reader = ScriptedFaceReader(self.pipeline)
        self.embedder = ScriptedDependency("embedder")
        self.queue = InMemoryJobQueue(self.clock, ack_wait=ack_wait)
        self.results = InMemoryResultPublisher()
        self.dead_letters = InMemoryDeadLetters()
        self.telemetry = RecordingTelemetry(TRACEPARENT)
        self.outages = Outages(
            {
                GalleryNotReadyError: InMemoryActiveModel(self.database, INFO.id),
                DatabaseUnavailableError: self.database,
                StorageUnavailableError: self.photos,
                EmbedderUnavailableError: self.embedder,
            },
            clock=self.clock,
            telemetry=self.telemetry,
        )
        self.broker = BrokerWatch(clock=self.clock, telemetry=self.telemetry, ack_wait_seconds=ack_wait)
        self.relay = EventRelay(
            self.ledger,
            WatchedResults(self.results, self.broker),
            clock=self.clock,
            telemetry=self.telemetry,
            outages=self.outages,
        )
        self.match = MatchSingleFace(
            ledger=self.ledger,
            photos=self.photos,
            reader=self.reader,
            gallery=InMemoryGallery(self.database),
            clock=self.clock,
            policy=MatchPolicy(ImageRefPolicy.of("images"), FixedThreshold(0.1), FaceQuality(MINIMUM_FACE), MAX_BYTES),
            worker=WORKER,
        )
        self.deadline_seconds = deadline_seconds
        self.database.add_photo(PHOTO)
        self.database.add_user(ANNA, embedding())
        self.photos.put(REF, IMAGE)

    @property
    def process(self) -> ProcessDelivery:
        """The use case, of the parts as they are now."""
        return ProcessDelivery(
            parser=JsonJobParser(),
            match=self.match,
            ledger=self.ledger,
            results=WatchedResults(self.results, self.broker),
            dead_letters=WatchedDeadLetters(self.dead_letters, self.broker),
            outages=self.outages,
            telemetry=self.telemetry,
            clock=self.clock,
            policy=DeliveryPolicy(LinearBackoff(DELIVERIES, RETRY_SECONDS), HEARTBEAT_SECONDS, self.deadline_seconds),
            worker=WORKER,
            on_published=self.relay.published,
        )

    @property
    def trace(self) -> RecordingJobTrace:
        """What was told of the latest delivery."""
        return self.telemetry.jobs[-1]

    @property
    def records(self) -> list[JobRecord]:
        """Every recorded outcome."""
        return [row.record for row in self.database.outcomes.values()]

    def block_vision(self) -> BlockedReader:
        """Let every job that comes to reading its photograph wait there; return the reader to open."""
        reader = BlockedReader(self.pipeline)
        self.match = attrs.evolve(self.match, reader=reader)
        return reader

    def key(self, sequence: int = 1) -> JobKey:
        """Return the identity of a job stored now."""
        return JobKey(sequence, self.clock.now())

    def record(self, sequence: int, outcome: Outcome) -> JobRecord:
        """Return what the ledger would hold of a job that ended so now."""
        now = self.clock.now()
        return JobRecord(JobKey(sequence, now), now, INFO.id, WORKER, photo_id=PHOTO, outcome=outcome)

    async def delivery(self, body: bytes | None = None) -> InMemoryDelivery:
        """Return the first delivery of a new job: :data:`JOB`, or any body."""
        if body is None:
            await self.queue.submit(JOB)
        else:
            self.queue.publish(body)
        [delivery] = await self.queue.fetch(1, timeout_seconds=0)
        return delivery

    async def redelivery(self, *, after_seconds: float | None = None) -> InMemoryDelivery:
        """Return the next delivery of the only job, so many seconds from now or when its time has run out."""
        await self.clock.advance(self.queue.ack_wait if after_seconds is None else after_seconds)
        [delivery] = await self.queue.fetch(1, timeout_seconds=0)
        return delivery
