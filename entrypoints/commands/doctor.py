"""``doctor``: is everything there, and set right? One row for each thing, with what to do."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

import attrs
import typer
from rich.table import Table
from rich.text import Text

from adapters.faiss_codes.codes import can_be_made
from adapters.nats_jetstream.inspection import OLDEST_SERVER, inspect_broker
from adapters.object_store.buckets import Bucket, look_for_buckets
from adapters.postgres.inspection import DatabaseFacts, inspect_database
from adapters.vision.guard import load
from application.ports.face_pipeline import EmbedderInfo
from application.ports.search_index import EXACT_BELOW
from domain.calibration import Calibration
from domain.decision import SMALLEST_CALIBRATED_GALLERY, SearchContext, TargetFpir
from domain.errors import FacematchError
from domain.redaction import redact
from entrypoints.commands.common.missing_index import advice_on_missing_index
from entrypoints.composition.base import build
from entrypoints.composition.broker import BrokerContainer, connected_to_nats
from entrypoints.composition.database import opened_database
from entrypoints.composition.gallery import GalleryContainer
from entrypoints.composition.objects import ObjectsContainer
from entrypoints.composition.vision import VisionContainer
from entrypoints.configured import calibration
from entrypoints.environment.defaults import naming_defaults
from entrypoints.environment.variables import Variable, given, is_set, unknown, variables, without_password
from entrypoints.settings import NatsSettings, S3Settings, Settings, VisionSettings
from entrypoints.terminal.console import ExitCode, load_settings, out, print_document, visible
from entrypoints.terminal.quantities import quantity

_EXPORT: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Status(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


_BETWEEN: Final = "whoever is between can read everything, or pretend to be the server"
_VERIFIED: Final = "verify-full"
_MISTAKEN: Final = 0.1
"""Hardly anybody wants so many strangers to be named: it is a slip, as a percentage in the place of a share."""
_STYLE: Final = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}


@attrs.frozen
class Finding:
    """One thing that was looked at."""

    what: str
    status: Status
    detail: str


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check every setting and dependency, and say what to do."""
    settings = load_settings()
    rows = [
        {
            "variable": declared.name,
            "value": shown(declared),
            "set": is_set(declared, os.environ),
            "meaning": declared.help,
        }
        for declared in variables(Settings)
    ]
    findings = asyncio.run(_examined(settings))
    if as_json:
        checks = [{"what": f.what, "status": f.status.value, "detail": f.detail} for f in findings]
        print_document({"settings": rows, "checks": checks})
    else:
        table = Table(title="Settings (bold: set here)", title_justify="left")
        table.add_column("setting", no_wrap=True, min_width=max(len(str(row["variable"])) for row in rows))
        table.add_column("value", overflow="fold")
        table.add_column("meaning")
        for row in rows:
            table.add_row(
                str(row["variable"]), str(row["value"]), str(row["meaning"]), style="bold" if row["set"] else None
            )
        out.print(table)
        checks_table = Table("what", "status", title="Checks", title_justify="left")
        checks_table.add_column("detail", overflow="fold")
        for finding in findings:
            checks_table.add_row(finding.what, Text(finding.status, _STYLE[finding.status]), visible(finding.detail))
        out.print(checks_table)
    if any(finding.status is Status.FAILED for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def shown(declared: Variable) -> str:
    """Return the value of a setting without its secrets, and whether it is from a file."""
    is_from_file = declared.secret and os.environ.get(f"{declared.name}_FILE")
    value = declared.show(given(declared, os.environ)) or declared.default
    return f"{value} (from a file)" if is_from_file else value


async def _examined(settings: Settings) -> list[Finding]:
    return [finding async for finding in _examine(settings)]


async def _examine(settings: Settings) -> AsyncIterator[Finding]:
    """Give what is found of each thing, whatever is wrong with the others."""
    for sentence in unknown(Settings, os.environ):
        yield Finding("settings", Status.WARNING, sentence)
    examinations: list[tuple[str, Callable[[Settings], AsyncIterator[Finding]]]] = [
        ("embedder", _embedder),
        ("database", _database),
        ("message broker", _broker),
        ("object store", _objects),
        ("encryption", _encryption),
        ("telemetry", _telemetry),
    ]
    for name, examination in examinations:
        async for finding in failures_found(name, examination(settings)):
            yield finding


async def failures_found(what: str, examination: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    """Give what is found of one thing; where its examination ends in an error, this is what is found last."""
    try:
        async for finding in examination:
            yield finding
    except FacematchError as error:
        yield Finding(what, Status.FAILED, naming_defaults(str(error)))
    except Exception as error:  # noqa: BLE001 - a defect in one examination must not hide what the others find
        yield Finding(what, Status.FAILED, redact(f"unexpected {type(error).__name__}: {error}"))


async def _embedder(settings: Settings) -> AsyncIterator[Finding]:
    container = build(VisionContainer, settings)
    info = container.factory().info
    await asyncio.to_thread(load, settings.vision.embedder, container.budget(), info.id)
    yield Finding("embedder", Status.OK, f"{info.id}, {info.dimension} dimensions, loads")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    container = build(GalleryContainer, settings)
    try:
        info = container.factory().info
    except FacematchError:
        async with opened_database(container, to_work=True):
            yield Finding(
                "database", Status.OK, "has all that a worker needs; whose users fit, the embedder would tell"
            )
        return
    async with opened_database(container, info, to_work=True) as database:
        facts = await inspect_database(database, info)
        gallery = [finding async for finding in failures_found("gallery", _gallery(container))]
        tables = ", ".join(map(str, database.schema.tables))
    versions = f"PostgreSQL {facts.server_version}, pgvector {facts.pgvector_version}"
    yield Finding("database", Status.OK, f"{versions}; your tables: {tables}")
    yield enrolment_finding(facts.enrolled, info.id)
    yield threshold_finding(settings.vision, info, facts.enrolled)
    for finding in (*gallery, *embedding_findings(facts, info.id)):
        yield finding
    yield search_finding(facts, info.dimension)
    for finding in server_findings(facts):
        yield finding


async def _gallery(container: GalleryContainer) -> AsyncIterator[Finding]:
    await container.active_model().check()
    yield Finding("gallery", Status.OK, "users were not switched to another embedder")


def enrolment_finding(enrolled: int, embedder: str) -> Finding:
    """Return whether there is anybody to name."""
    if not enrolled:
        return Finding("enrolled users", Status.WARNING, "none: nobody can be named; run `facematch enroll`")
    return Finding("enrolled users", Status.OK, f"{enrolled:,} with {embedder}")


def embedding_findings(facts: DatabaseFacts, embedder: str) -> Iterator[Finding]:
    """Yield whose embeddings no photo is compared with, or are those of others, too."""
    if facts.unfit:
        detail = (
            f"{quantity(facts.unfit, 'user')} with one of {embedder} that no photo can be compared with: enrol again"
        )
        yield Finding("unfit embeddings", Status.WARNING, detail)
    if facts.shared:
        detail = (
            f"{quantity(facts.shared, 'user')} with the same as another, not to be told apart: enrol from other photos"
        )
        yield Finding("same embeddings", Status.WARNING, detail)
    for model, users in facts.unusable.items():
        name = f"model {model}" if model else "an unknown model (face_embedding_model is null)"
        detail = f"{quantity(users, 'user')} with one of {name}: run `facematch reenroll prepare`"
        yield Finding("other embeddings", Status.WARNING, detail)


def search_finding(facts: DatabaseFacts, dimension: int) -> Finding:
    """Return how users are searched for, and whether that fails, overlooks somebody or could be faster."""
    index = facts.index
    if facts.learnt is not None and not can_be_made(facts.learnt, dimension):
        detail = "what the index has learnt is damaged, or of a newer release, and workers compare with everybody"
        return Finding("search", Status.FAILED, f"{detail}: run `facematch index`")
    if facts.unindexed:
        detail = f"{quantity(facts.unindexed, 'user')} not in the index: it finds none of them; run `facematch index`"
        return Finding("search", Status.WARNING, detail)
    if index is not None and index.serves(dimension):
        return Finding("search", Status.OK, f"through an index of about {quantity(index.users, 'user')}")
    if index is not None:
        detail = (
            "the index is not complete, so that each photo's face is compared with every user: run `facematch index`"
        )
        return Finding("search", Status.WARNING, detail)
    if facts.enrolled >= EXACT_BELOW:
        detail = f"without an index: each photo's face is compared with all {facts.enrolled:,} users"
        return Finding("search", Status.WARNING, f"{detail}; run `facematch index` to search faster")
    return Finding("search", Status.OK, "without an index: each photo's face is compared with every user")


def server_findings(facts: DatabaseFacts) -> Iterator[Finding]:
    """Yield who else may read what is sent, and what somebody with more rights can do about the log, and for speed."""
    if facts.address and not _is_here(facts.address) and facts.sslmode != _VERIFIED:
        detail = f"the database at {facts.address}, sslmode={facts.sslmode}: {_BETWEEN}; use sslmode={_VERIFIED}"
        yield Finding("encryption", Status.WARNING, f"{detail} in FACEMATCH_DATABASE_URL")
    for what, statement in facts.logged.items():
        detail = f"PostgreSQL writes embeddings to its log, with {what}; a superuser can run: {statement}"
        yield Finding("database log", Status.WARNING, detail)
    for statement in facts.copying:
        detail = (
            "PostgreSQL may keep copies of embeddings in its statistics, which outlive their rows; the owner can run"
        )
        yield Finding("database statistics", Status.WARNING, f"{detail}: {statement}")
    for statement in facts.advice:
        yield Finding("database speed", Status.WARNING, advice_on_missing_index(statement))


def threshold_finding(vision: VisionSettings, info: EmbedderInfo, enrolled: int) -> Finding:
    """Return whether the threshold fits the embedder and so many users, and was measured for them."""
    if vision.max_distance is not None:
        return _fixed_threshold(vision.max_distance.distance, calibration(vision, info), info.id, enrolled)
    measured = vision.calibration.measured_only() if vision.calibration else info.calibration
    if measured.is_one_distance:
        return Finding("threshold", Status.OK, f"{info.id} has one distance, whatever the number of users")
    if vision.target_fpir >= _MISTAKEN:
        detail = (
            f"FACEMATCH_MATCH_TARGET_FPIR is {vision.target_fpir:g}, a share: {vision.target_fpir:.0%} of strangers"
        )
        return Finding("threshold", Status.WARNING, f"{detail} are named")
    users = measured.largest_gallery(vision.target_fpir)
    whose = info.id if vision.calibration is None else "FACEMATCH_MATCH_CALIBRATION"
    detail = f"{whose} was measured for up to {users:,} users"
    if enrolled <= users:
        return Finding("threshold", Status.OK, detail)
    detail += f", and {enrolled:,} are enrolled: the threshold is extrapolated, and more people are missed"
    remedy = "run `facematch calibrate` on more people, or use a better recogniser"
    return Finding("threshold", Status.WARNING, f"{detail}; {remedy}")


def _fixed_threshold(distance: float | None, known: Calibration, embedder: str, enrolled: int) -> Finding:
    if distance is None:
        detail = "FACEMATCH_MATCH_MAX_DISTANCE is none: the nearest user is named, however far"
        return Finding("threshold", Status.WARNING, detail)
    too_far = TargetFpir(_MISTAKEN, known).threshold(SearchContext(enrolled))
    if known.is_one_distance or distance <= too_far:
        return Finding("threshold", Status.OK, f"{distance:g}, whatever the number of users")
    detail = (
        f"FACEMATCH_MATCH_MAX_DISTANCE is {distance:g}, and of {embedder} {too_far:.3g} is too much among "
        f"{max(enrolled, SMALLEST_CALIBRATED_GALLERY):,} users: more than {_MISTAKEN:.0%} of strangers are named"
    )
    return Finding("threshold", Status.WARNING, detail)


async def _broker(settings: Settings) -> AsyncIterator[Finding]:
    container = build(BrokerContainer, settings)
    async with connected_to_nats(container) as client:
        facts = await inspect_broker(client, container.names(), ack_wait_seconds=settings.nats.ack_wait)
    yield broker_finding(facts.server_version)
    if facts.missing or facts.backlog is None:
        detail = f"missing: {', '.join(facts.missing)}; run `facematch provision`"
        yield Finding("provisioning", Status.FAILED, detail)
        return
    waits = facts.backlog
    yield Finding(
        "jobs", Status.OK, f"{waits.pending} waiting, {waits.ack_pending} in hand, {waits.redelivered} delivered again"
    )
    if facts.consumer_problem is not None:
        detail = f"{settings.nats.durable} {facts.consumer_problem}: run `facematch provision`"
        yield Finding("consumer", Status.FAILED, detail)
    for risk in facts.risks:
        yield Finding("stream", Status.WARNING, risk)
    yield dead_letters_finding(facts.dead_letters)


def dead_letters_finding(kept: int) -> Finding:
    """Return whether there are jobs that somebody has to look at."""
    if not kept:
        return Finding("dead letters", Status.OK, "none")
    return Finding("dead letters", Status.WARNING, f"{quantity(kept, 'letter')}: `facematch dead list` shows why")


def broker_finding(version: tuple[int, int, int]) -> Finding:
    """Return what the version of a NATS server means."""
    detail = f"NATS {'.'.join(map(str, version))}"
    if version >= OLDEST_SERVER:
        return Finding("message broker", Status.OK, detail)
    oldest = ".".join(map(str, OLDEST_SERVER))
    detail += f": before {oldest}, an acknowledgement can leave waiting jobs undelivered for ever: upgrade the servers"
    return Finding("message broker", Status.WARNING, f"{detail}, then run `facematch reconcile`")


async def _objects(settings: Settings) -> AsyncIterator[Finding]:
    container = build(ObjectsContainer, settings)
    objects = container.objects()
    try:
        await objects.check()
    finally:
        await objects.close()
    role = container.store_options().role
    signed = f", with credentials of an AWS role from {role.source}" if role else ""
    yield Finding("object store", Status.OK, f"{settings.s3.endpoint} answers{signed}")
    allowed = container.image_refs().allowed_buckets
    if settings.s3.bucket not in allowed:
        detail = f"references that name none are refused: {settings.s3.bucket} is not in FACEMATCH_S3_ALLOWED_BUCKETS"
        yield Finding("bucket", Status.WARNING, detail)
    seen = await look_for_buckets(container.store_options(), allowed)
    for name, state in sorted(seen.items()):
        yield bucket_finding(name, state, settings.s3.bucket)


def bucket_finding(name: str, state: Bucket, default: str) -> Finding:
    """Return what a bucket's state means; a missing one makes every job that names it an image_not_found for good."""
    setting = "FACEMATCH_S3_BUCKET" if name == default else "FACEMATCH_S3_ALLOWED_BUCKETS"
    match state:
        case Bucket.THERE:
            return Finding("bucket", Status.OK, f"{name} is there")
        case Bucket.MISSING:
            detail = f"there is no bucket {name}: correct {setting}, or every job for it ends as image_not_found"
            return Finding("bucket", Status.FAILED, detail)
        case Bucket.HIDDEN:
            detail = f"these credentials may not list {name}: grant s3:ListBucket, and check {setting}"
            return Finding("bucket", Status.WARNING, detail)


async def _encryption(settings: Settings) -> AsyncIterator[Finding]:
    for finding in encryption_findings(settings.nats, settings.s3):
        yield finding


def encryption_findings(nats: NatsSettings, s3: S3Settings) -> Iterator[Finding]:
    """Yield what is sent over the network in clear, or may be."""
    unencrypted = [] if nats.tls_ca or nats.tls_cert else [url for url in nats.urls if not url.startswith("tls://")]
    brokers = [url.netloc.rpartition("@")[2] for url in map(urlsplit, unencrypted) if not _is_here(url.hostname or "")]
    if brokers:
        detail = f"NATS at {', '.join(brokers)}: {_BETWEEN}; set FACEMATCH_NATS_TLS_CA, or use tls:// in the URL"
        yield Finding("encryption", Status.WARNING, detail)
    if not s3.secure and not _is_here(urlsplit(f"//{s3.endpoint}").hostname or ""):
        detail = f"the object store at {s3.endpoint}: {_BETWEEN}; set FACEMATCH_S3_SECURE=true"
        yield Finding("encryption", Status.WARNING, detail)


def _is_here(host: str) -> bool:
    """Whether what is sent to a host does not leave this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def _telemetry(_settings: Settings) -> AsyncIterator[Finding]:
    endpoint = next((os.environ[name] for name in _EXPORT if os.environ.get(name)), None)
    detail = f"traces go to {without_password(endpoint)}" if endpoint else f"no export: {_EXPORT[0]} is not set"
    yield Finding("telemetry", Status.OK, detail)
