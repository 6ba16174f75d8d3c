"""All settings, from ``FACEMATCH_*`` environment variables."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import attrs

from adapters.system.cores import usable_cores
from adapters.vision import registry
from adapters.vision.custom import pipeline as custom
from domain.decision import FixedThreshold
from domain.evaluation.calibrating import MeasuredCalibration
from domain.redaction import MASK
from entrypoints.environment import masking, otel, variables
from entrypoints.environment import parsing as p
from entrypoints.environment.variables import Problem, section, together, variable

_MIB = 1024 * 1024
_HOUR = 3600.0
_SHORTEST_RETRY = 0.1
"""Seconds: a job that came back sooner could meet the delivery that it was given back by, and be left to that."""


@attrs.frozen
class NatsSettings:
    """The message broker."""

    urls: tuple[str, ...] = variable(
        "FACEMATCH_NATS_URL",
        p.nats_urls,
        "NATS servers, separated by commas",
        default=("nats://127.0.0.1:4222",),
        shown="nats://127.0.0.1:4222",
        secret=masking.urls,
    )
    user: str | None = variable("FACEMATCH_NATS_USER", p.text, "user name", default=None)
    password: str | None = variable("FACEMATCH_NATS_PASSWORD", p.text, "password", default=None, secret=True)
    token: str | None = variable("FACEMATCH_NATS_TOKEN", p.text, "token", default=None, secret=True)
    creds: Path | None = variable(
        "FACEMATCH_NATS_CREDS", p.nats_credentials, "credentials file (JWT and seed)", default=None
    )
    tls_ca: Path | None = variable(
        "FACEMATCH_NATS_TLS_CA", p.certificates, "CA certificates; turns TLS on", default=None
    )
    tls_cert: Path | None = variable("FACEMATCH_NATS_TLS_CERT", p.certificates, "client certificate", default=None)
    tls_key: Path | None = variable(
        "FACEMATCH_NATS_TLS_KEY", p.private_key, "key of the client certificate", default=None
    )
    stream: str = variable("FACEMATCH_NATS_STREAM", p.broker_name, "stream of jobs", default="PHOTO_FACES")
    durable: str = variable("FACEMATCH_NATS_DURABLE", p.broker_name, "durable consumer", default="single-face-match")
    subject: str = variable(
        "FACEMATCH_NATS_SUBJECT", p.subject, "subject of jobs", default="photo_faces.single.requested"
    )
    results_stream: str = variable(
        "FACEMATCH_NATS_RESULTS_STREAM", p.broker_name, "stream of result events", default="PHOTO_FACES_RESULTS"
    )
    dead_stream: str = variable(
        "FACEMATCH_NATS_DEAD_STREAM", p.broker_name, "stream of dead letters", default="PHOTO_FACES_DEAD"
    )
    replicas: int = variable(
        "FACEMATCH_NATS_REPLICAS",
        p.integer(1, 5),
        "copies of each stream that `provision` makes; use 3 in production",
        default=1,
    )
    ack_wait: float = variable(
        "FACEMATCH_NATS_ACK_WAIT",
        p.number(1, _HOUR),
        "seconds without a sign of life from the worker until NATS delivers a job again",
        default=30.0,
    )
    max_deliver: int = variable(
        "FACEMATCH_NATS_MAX_DELIVER",
        p.integer(1, 1000),
        "deliveries after which a failing job becomes a dead letter",
        default=6,
    )
    retry_base: float = variable(
        "FACEMATCH_NATS_RETRY_BASE_SECONDS",
        p.number(_SHORTEST_RETRY, _HOUR),
        "wait after the first failed delivery, seconds; after the n-th, n times as long",
        default=1.0,
    )

    def contradictions(self) -> Iterator[Problem]:
        """A certificate and its key belong together, and so do a user and a password."""
        yield from together(("FACEMATCH_NATS_TLS_CERT", self.tls_cert), ("FACEMATCH_NATS_TLS_KEY", self.tls_key))
        yield from together(("FACEMATCH_NATS_USER", self.user), ("FACEMATCH_NATS_PASSWORD", self.password))
        if self.tls_cert is not None and self.tls_key is not None:
            from adapters.system.certificates import check_pair  # noqa: PLC0415 - only TLS needs it

            try:
                check_pair(self.tls_cert, self.tls_key)
            except ValueError as error:
                yield Problem("FACEMATCH_NATS_TLS_KEY", str(self.tls_key), f"{error} (FACEMATCH_NATS_TLS_CERT)")


@attrs.frozen
class S3Settings:
    """The object store."""

    endpoint: str = variable("FACEMATCH_S3_ENDPOINT", p.endpoint, "host:port of the server", default="127.0.0.1:9000")
    credentials: str = variable(
        "FACEMATCH_S3_CREDENTIALS",
        p.choice("keys", "aws"),
        "`keys`: access key and secret key; `aws`: temporary credentials of the AWS role of pod, task or instance",
        default="keys",
    )
    access_key: str | None = variable("FACEMATCH_S3_ACCESS_KEY", p.text, "access key", default=None, secret=True)
    secret_key: str | None = variable("FACEMATCH_S3_SECRET_KEY", p.text, "secret key", default=None, secret=True)
    secure: bool = variable("FACEMATCH_S3_SECURE", p.boolean, "use TLS", default=False, shown="false")
    tls_ca: Path | None = variable(
        "FACEMATCH_S3_TLS_CA", p.certificates, "CA certificates, in place of the public ones", default=None
    )
    region: str = variable("FACEMATCH_S3_REGION", p.region, "region", default="us-east-1")
    bucket: str = variable("FACEMATCH_S3_BUCKET", p.bucket, "bucket for references that name none", default="images")
    allowed_buckets: tuple[str, ...] = variable(
        "FACEMATCH_S3_ALLOWED_BUCKETS",
        p.buckets,
        "buckets that workers may read",
        default=(),
        shown="the default bucket",
    )
    retry_attempts: int = variable(
        "FACEMATCH_S3_RETRY_ATTEMPTS", p.integer(1, 100), "tries to fetch a photograph, within one delivery", default=3
    )
    retry_base: float = variable(
        "FACEMATCH_S3_RETRY_BASE_SECONDS",
        p.number(0, _HOUR),
        "wait after the first try, seconds; after the n-th, n times as long",
        default=0.5,
    )

    def contradictions(self) -> Iterator[Problem]:
        """The keys come in pairs, and not beside a role."""
        keys = (("FACEMATCH_S3_ACCESS_KEY", self.access_key), ("FACEMATCH_S3_SECRET_KEY", self.secret_key))
        if self.credentials == "keys":
            yield from together(*keys)
            return
        for name, key in keys:
            if key is not None:
                yield Problem(name, MASK, f"is set, while FACEMATCH_S3_CREDENTIALS is {self.credentials}: unset one")


@attrs.frozen
class VisionSettings:
    """Seeing and deciding."""

    embedder: str = variable(
        "FACEMATCH_EMBEDDER", p.embedder, "face pipeline; see `facematch embedders`", default="dlib"
    )
    embedder_file: Path | None = variable(
        "FACEMATCH_EMBEDDER_FILE",
        p.file,
        "TOML file that describes your own recogniser, for the embedder `custom`",
        default=None,
    )
    max_distance: FixedThreshold | None = variable(
        "FACEMATCH_MATCH_MAX_DISTANCE",
        p.distance,
        "largest cosine distance at which a user is named; `none`: no limit",
        default=None,
        shown="from the target FPIR",
    )
    target_fpir: float = variable(
        "FACEMATCH_MATCH_TARGET_FPIR",
        p.number(1e-6, 0.5),
        "share of strangers who may get a name",
        default=0.01,
    )
    calibration: MeasuredCalibration | None = variable(
        "FACEMATCH_MATCH_CALIBRATION",
        p.calibration,
        "file with the distances between your own people, made by `facematch calibrate`",
        default=None,
        shown="the embedder's own",
    )
    margin: float = variable(
        "FACEMATCH_MATCH_MARGIN",
        p.number(0, 2),
        "the second nearest user must be farther away than the nearest by more than this; 0: off",
        default=0.0,
    )
    min_face: float = variable(
        "FACEMATCH_MATCH_MIN_FACE_PIXELS",
        p.number(0, 10_000),
        "least length of the shorter side of a face, pixels of the photograph",
        default=32.0,
    )
    min_score: float | None = variable(
        "FACEMATCH_MATCH_MIN_SCORE", p.number(-100, 100), "least detector score of a face", default=None, shown="off"
    )
    min_sharpness: float | None = variable(
        "FACEMATCH_MATCH_MIN_SHARPNESS", p.number(0, 10_000), "least sharpness of a face", default=None, shown="off"
    )
    max_bytes: int = variable(
        "FACEMATCH_IMAGE_MAX_BYTES", p.integer(1, 1024 * _MIB), "largest photograph, bytes", default=20 * _MIB
    )
    max_pixels: int = variable(
        "FACEMATCH_IMAGE_MAX_PIXELS", p.integer(1, 1_000_000_000), "largest photograph, pixels", default=60_000_000
    )
    timeout: float = variable(
        "FACEMATCH_VISION_TIMEOUT_SECONDS",
        p.number(0.1, _HOUR),
        "time limit for decoding, detection and embedding of one photograph, seconds",
        default=30.0,
    )

    def contradictions(self) -> Iterator[Problem]:
        """A custom recogniser needs its description, and a calibration its embedder."""
        if self.embedder == custom.NAME and self.embedder_file is None:
            yield Problem(custom.VARIABLE, "", f"is missing, while FACEMATCH_EMBEDDER is {custom.NAME}")
        elif self.calibration is not None:
            yield from self._of_another_embedder(self.calibration)

    def _of_another_embedder(self, calibration: MeasuredCalibration) -> Iterator[Problem]:
        try:
            active = registry.load(self.embedder).info.id
        except registry.BrokenEmbedderError:
            return  # the command that uses it reports what is wrong
        if active != calibration.embedder:
            message = f"this file was measured with {calibration.embedder}, and FACEMATCH_EMBEDDER is {active}"
            yield Problem("FACEMATCH_MATCH_CALIBRATION", "", f"{message}: unset it, then calibrate again")


@attrs.frozen
class WorkerSettings:
    """The worker process."""

    identity: str = variable(
        "FACEMATCH_WORKER_NAME",
        p.text,
        "name of this worker in logs and the ledger",
        default=f"{socket.gethostname()}-{os.getpid()}",
        shown="host and process id",
    )
    processes: int = variable(
        "FACEMATCH_WORKER_PROCESSES",
        p.integer(1, 1024),
        "vision processes: each handles one photograph at a time",
        default=usable_cores(),
        shown="one per core",
    )
    concurrency: int | None = variable(
        "FACEMATCH_WORKER_CONCURRENCY",
        p.integer(1, 10_000),
        "jobs that a worker holds at the same time",
        default=None,
        shown="2 per process, plus 2",
    )
    shutdown_grace: float = variable(
        "FACEMATCH_WORKER_SHUTDOWN_GRACE", p.number(0, _HOUR), "seconds to finish work after SIGTERM", default=25.0
    )
    health_address: tuple[str, int] = variable(
        "FACEMATCH_HEALTH_ADDRESS",
        p.address,
        "host:port that serves /livez, /readyz and /metrics",
        default=("127.0.0.1", 8080),
        shown="127.0.0.1:8080",
    )

    @property
    def jobs_in_hand(self) -> int:
        """Enough to fetch and write while every process sees."""
        return self.concurrency if self.concurrency is not None else 2 * self.processes + 2


@attrs.frozen
class LogSettings:
    """The log, on standard error."""

    format: str | None = variable(
        "FACEMATCH_LOG_FORMAT",
        p.choice("console", "json"),
        "format of the log",
        default=None,
        shown="console on a terminal, otherwise json",
    )
    level: str = variable(
        "FACEMATCH_LOG_LEVEL",
        p.choice("debug", "info", "warning", "error"),
        "lowest level that is logged",
        default="info",
    )


@attrs.frozen
class Settings:
    """Everything that can be set."""

    nats: NatsSettings = section(NatsSettings)
    s3: S3Settings = section(S3Settings)
    database_url: str = variable(
        "FACEMATCH_DATABASE_URL",
        p.postgres_url,
        "PostgreSQL with pgvector",
        default="postgresql://127.0.0.1:5432/facematch",
        secret=masking.url,
    )
    vision: VisionSettings = section(VisionSettings)
    worker: WorkerSettings = section(WorkerSettings)
    log: LogSettings = section(LogSettings)


def secrets_of(settings: Settings) -> list[str]:
    """Return every text that must never be shown, in the settings and in OpenTelemetry's variables."""
    return [*variables.secrets_of(settings), *otel.secrets_of(os.environ)]
