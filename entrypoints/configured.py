"""What the settings mean for the use cases: their policies, limits and sizes."""

import math

from application.matching.match_single_face import MatchPolicy
from application.matching.process_delivery import DeliveryPolicy
from application.ports.face_pipeline import EmbedderInfo, ImageBudget
from domain.calibration import Calibration
from domain.decision import TargetFpir, ThresholdPolicy
from domain.guardrails import FaceQuality
from domain.images import ImageRefPolicy
from domain.retries import LinearBackoff
from entrypoints.settings import NatsSettings, Settings, VisionSettings, WorkerSettings

_HEARTBEATS_PER_ACK_WAIT = 3
_FETCH_AND_RECORD_SECONDS = 120.0
"""What an attempt may spend on the object store and the database, by their own time limits and retries."""
_SPARE_CONNECTIONS = 1
_FETCH_SHARE = 0.8
"""How much of the ack wait a photograph may take to come, all tries together."""


def budget(vision: VisionSettings) -> ImageBudget:
    """Return what an image may cost."""
    return ImageBudget(max_bytes=vision.max_bytes, max_pixels=vision.max_pixels)


def calibration(vision: VisionSettings, info: EmbedderInfo) -> Calibration:
    """Return the impostor distances to go by: those measured on one's own people, else the embedder's own."""
    return info.calibration if vision.calibration is None else vision.calibration.completed(info.calibration)


def threshold_policy(vision: VisionSettings, info: EmbedderInfo) -> ThresholdPolicy:
    """Return the configured decision: a distance, no limit, or the distance for a target FPIR."""
    return vision.max_distance or TargetFpir(vision.target_fpir, calibration(vision, info))


def face_quality(vision: VisionSettings) -> FaceQuality:
    """Return the least that is asked of a face."""
    return FaceQuality(vision.min_face, vision.min_score, vision.min_sharpness)


def match_policy(vision: VisionSettings, image_refs: ImageRefPolicy, info: EmbedderInfo) -> MatchPolicy:
    """Return everything that is configured about matching."""
    return MatchPolicy(
        image_refs=image_refs,
        threshold=threshold_policy(vision, info),
        quality=face_quality(vision),
        max_image_bytes=vision.max_bytes,
        margin=vision.margin,
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


def fetch_seconds(nats: NatsSettings) -> float:
    """Return the time that a photograph has to come."""
    return _FETCH_SHARE * nats.ack_wait


def forget_seconds(nats: NatsSettings) -> float:
    """Return when a job that could not be settled has certainly been delivered again, to whichever worker."""
    return 2 * nats.ack_wait


def connections(worker: WorkerSettings) -> int:
    """Return how many database connections serve the jobs in hand, and the worker itself; its looks have one beside."""
    return worker.jobs_in_hand + _SPARE_CONNECTIONS
