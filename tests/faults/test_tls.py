"""TLS to all three servers, with an authority of the test's own; whoever cannot show its certificate learns nothing."""

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import nats
import psycopg
import pytest

from domain.outcomes import Reason
from infra.local_stack.nats import NatsServer
from infra.local_stack.postgres import PostgresServer
from infra.local_stack.s3 import S3Server
from infra.photographs import Photographs
from tests.certificates import Certificate, authority, needs_openssl, signed
from tests.debian import NotToBeHadError, program
from tests.e2e.command import clean_environment
from tests.e2e.forked import run_forked
from tests.e2e.world import WorkerProcess, World, eventually
from tests.faults.album import KINDS, add_photos, furnish, jobs_of
from tests.faults.audit import find
from tests.faults.impostor import Impostor, Service
from tests.faulty_s3 import FaultyS3
from tests.pgbouncer import PgBouncer

pytestmark = needs_openssl
NATS_PASSWORD: Final = "canary-of-nats"
REASONS: Final = {
    "another authority": ("certificate verify failed", "unable to get local issuer certificate"),
    "another address": ("does not match host name", "IP address mismatch"),
    "expired": ("certificate verify failed", "certificate has expired"),
    "no TLS": ("server does not support SSL", "secure connection not available", "wrong version number"),
}
"""What is said of a server that shows such a certificate, by the database's client and by the other two."""


@pytest.fixture
def ca(tmp_path: Path) -> Certificate:
    """Return the authority that everybody trusts."""
    return authority(tmp_path)


@pytest.fixture
def bouncer_folder(servers_folder: Path, tmp_path: Path) -> Path:
    """Return a folder that a pooler running as nobody may enter."""
    folder = servers_folder / f"bouncer-{tmp_path.name}"
    folder.mkdir()
    return folder


@pytest.fixture
async def encrypted(
    bouncer_folder: Path, tmp_path: Path, postgres_server: PostgresServer, s3_server: S3Server, ca: Certificate
) -> AsyncIterator[tuple[World, FaultyS3]]:
    """Return a world whose servers speak TLS alone; the broker wants to see a certificate, too."""
    try:
        bouncer_program = program("pgbouncer", tmp_path / "debian")
    except NotToBeHadError as error:
        pytest.skip(f"PostgreSQL with TLS was not tested: {error}")
    database = urlsplit(postgres_server.create_database(f"tls_{uuid4().hex[:8]}"))
    users = {str(database.username): str(database.password)}
    server, client = signed(bouncer_folder, ca, "server"), signed(tmp_path, ca, "client")
    server.certificate.chmod(0o644)
    who = f'authorization {{ user: anna, password: "{NATS_PASSWORD}" }}'
    broker = NatsServer(tmp_path / "nats", extra=f"tls {{ {_tls_of_a_broker(server, ca)} }}\n{who}")
    with ExitStack() as stack:
        broker.start()
        stack.callback(broker.stop)
        upstream = (str(database.hostname), int(database.port or 0))
        bouncer = stack.enter_context(PgBouncer(bouncer_program, bouncer_folder, upstream, users, server))
        store = stack.enter_context(FaultyS3(s3_server.endpoint, str(server.in_one_file())))
        user = f"{database.username}:{database.password}"
        environment = clean_environment() | {
            "FACEMATCH_NATS_URL": broker.url,
            "FACEMATCH_NATS_USER": "anna",
            "FACEMATCH_NATS_PASSWORD": NATS_PASSWORD,
            "FACEMATCH_NATS_TLS_CA": str(ca.certificate),
            "FACEMATCH_NATS_TLS_CERT": str(client.certificate),
            "FACEMATCH_NATS_TLS_KEY": str(client.key),
            "FACEMATCH_S3_ENDPOINT": store.endpoint,
            "FACEMATCH_S3_SECURE": "true",
            "FACEMATCH_S3_TLS_CA": str(ca.certificate),
            "FACEMATCH_S3_ACCESS_KEY": s3_server.access_key,
            "FACEMATCH_S3_SECRET_KEY": s3_server.secret_key,
            "FACEMATCH_DATABASE_URL": (
                f"postgresql://{user}@127.0.0.1:{bouncer.port}{database.path}"
                f"?sslmode=verify-full&sslrootcert={ca.certificate}"
            ),
            "FACEMATCH_WORKER_PROCESSES": "1",
            "FACEMATCH_LOG_FORMAT": "json",
        }
        context = ssl.create_default_context(cafile=ca.certificate)
        context.load_cert_chain(client.certificate, client.key)
        connection = await nats.connect(broker.url, user="anna", password=NATS_PASSWORD, tls=context)
        try:
            world = World(environment, s3_server.client(), connection, tmp_path)
            world.prepare()
            yield world, store
        finally:
            await connection.close()


async def test_everything_is_spoken_in_tls(encrypted: tuple[World, FaultyS3], photographs: Photographs) -> None:
    """With a certificate to show, and all clients sharing one session of the database, jobs end as ever."""
    world, store = encrypted
    furnish(world, photographs)
    kinds = [kind for kind in KINDS if kind.name in {"matched", "several", *Reason}]
    jobs = jobs_of(kinds, random.Random(4))
    add_photos(world, jobs)
    with world.worker():
        for job in jobs:
            await world.publish(job.body)
        found = await find(world)
    said = {job.kind.name: found.outcomes[job.job_id] for job in jobs if job.kind.jobs == 1}
    assert said == {name: [("skipped", name) if name in set(Reason) else ("matched", None)] for name in said}
    assert any(request.startswith(b"GET /images/obama2.jpg") for request in store.requests)
    done = world.cli("doctor", "--json")
    assert {check["status"] for check in json.loads(done.stdout)["checks"]} <= {"ok", "warning"}

    url = world.environment["FACEMATCH_DATABASE_URL"].partition("?")[0]
    with pytest.raises(psycopg.OperationalError, match="SSL required"):
        psycopg.connect(f"{url}?sslmode=disable")


async def test_a_broker_that_wants_a_certificate_is_waited_for(world: World, tmp_path: Path, ca: Certificate) -> None:
    """A worker that has none to show does not end: it says what the server said, until it is let in."""
    broker = NatsServer(tmp_path / "strict", extra=f"tls {{ {_tls_of_a_broker(signed(tmp_path, ca, 'server'), ca)} }}")
    changed = {"FACEMATCH_NATS_URL": broker.url, "FACEMATCH_NATS_TLS_CA": str(ca.certificate)}
    with ExitStack() as stack:
        broker.start()
        stack.callback(broker.stop)
        worker = stack.enter_context(world.starting_worker(**changed))
        await eventually(worker.not_ready, lambda found: "alert" in found.get("message broker", ""), "the reason")
        assert worker.stop() == 0
    assert "stopping" in [line.get("action") for line in worker.lines()]


async def test_whoever_is_not_who_he_should_be_learns_nothing(tmp_path: Path, ca: Certificate) -> None:
    """Of a certificate that is not good people are told why; nobody hears a secret, for nothing is said in clear."""
    await asyncio.gather(*(asyncio.to_thread(_learns_nothing, kind, tmp_path / kind, ca) for kind in REASONS))


def _learns_nothing(kind: str, folder: Path, ca: Certificate) -> None:
    folder.mkdir()
    certificate = _bad_certificate(kind, folder, ca)
    with ExitStack() as stack:
        impostors = {service: stack.enter_context(Impostor(service, certificate)) for service in Service}
        done = run_forked("doctor", "--json", **_trusting(ca, impostors))
    checks = {check["what"]: check for check in json.loads(done.stdout)["checks"]}
    of_database, *of_others = REASONS[kind]
    for service, impostor in impostors.items():
        check = checks[service.value]
        expected = [of_database] if service is Service.DATABASE else of_others
        assert check["status"] == "failed"
        assert any(words in check["detail"] for words in expected), check
        assert impostor.visits > 0
        assert b"canary" not in impostor.heard
        assert not impostor.heard or kind == "no TLS"


async def test_a_worker_waits_for_the_right_certificate(tmp_path: Path, ca: Certificate) -> None:
    """It lives, says on /readyz what is wrong, tries about once a second, and still tells the impostor nothing."""
    certificate = _bad_certificate("expired", tmp_path, ca)
    with ExitStack() as stack:
        impostors = {service: stack.enter_context(Impostor(service, certificate)) for service in Service}
        worker = WorkerProcess(clean_environment() | _trusting(ca, impostors), tmp_path / "worker.log")
        try:
            await eventually(worker.not_ready, lambda found: "certificate" in found.get("database", ""), "the reason")
            visited, since = impostors[Service.DATABASE].visits, time.monotonic()
            await eventually(_visits(impostors[Service.DATABASE]), lambda count: count >= visited + 3, "more tries")
            assert time.monotonic() - since > 1
            assert worker.get("/livez")[0] == 200
        finally:
            assert worker.stop() == 0
    assert [line["action"] for line in worker.lines() if line["level"] == "error"] == ["dependency_down"]
    assert {bytes(impostor.heard) for impostor in impostors.values()} == {b""}


def _tls_of_a_broker(server: Certificate, ca: Certificate) -> str:
    return f'cert_file: "{server.certificate}", key_file: "{server.key}", ca_file: "{ca.certificate}", verify: true'


def _visits(impostor: Impostor) -> Callable[[], Awaitable[int]]:
    async def look() -> int:
        return impostor.visits

    return look


def _bad_certificate(kind: str, folder: Path, ca: Certificate) -> Certificate | None:
    match kind:
        case "another authority":
            return signed(folder, authority(folder, "other"), "impostor")
        case "another address":
            return signed(folder, ca, "impostor", address="127.0.0.9")
        case "expired":
            return signed(folder, ca, "impostor", days=-1)
    return None


def _trusting(ca: Certificate, servers: dict[Service, Impostor]) -> dict[str, str]:
    database = f"{servers[Service.DATABASE].address}/app?sslmode=verify-full&sslrootcert={ca.certificate}"
    return {
        "FACEMATCH_NATS_URL": f"nats://{servers[Service.BROKER].address}",
        "FACEMATCH_NATS_USER": "anna",
        "FACEMATCH_NATS_PASSWORD": NATS_PASSWORD,
        "FACEMATCH_NATS_TLS_CA": str(ca.certificate),
        "FACEMATCH_S3_ENDPOINT": servers[Service.OBJECT_STORE].address,
        "FACEMATCH_S3_ACCESS_KEY": "canary-access-key",
        "FACEMATCH_S3_SECRET_KEY": "canary-secret-key",
        "FACEMATCH_S3_SECURE": "true",
        "FACEMATCH_S3_TLS_CA": str(ca.certificate),
        "FACEMATCH_DATABASE_URL": f"postgresql://anna:canary-of-the-database@{database}",
        "FACEMATCH_LOG_FORMAT": "json",
        "FACEMATCH_EMBEDDER": "troublesome",  # which loads at once
        "PYTHONPATH": "tests/e2e/troublesome",
    }
