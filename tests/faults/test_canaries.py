"""Secrets, embeddings and photographs are planted like canaries, and looked for in everything that leaves."""

import asyncio
import base64
import json
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

import attrs
import nats
import psycopg
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from psycopg import sql

from infra.local_stack.nats import NatsServer
from infra.local_stack.postgres import PostgresServer
from infra.local_stack.process import free_port
from infra.local_stack.s3 import S3Server
from infra.photographs import Photographs
from tests.e2e.command import clean_environment
from tests.e2e.forked import run_forked
from tests.e2e.world import PATIENCE_SECONDS, WorkerProcess, World
from tests.faults.least_rights import add_reader
from tests.faults.outlets import KeepingReceiver, Outlets, family, from_database, from_streams, vectors_of

TROUBLESOME: Final = "tests/e2e/troublesome"
IN_IMAGES: Final = tuple(f"canary-in-a-photograph-{number}".encode() for number in range(5))
NAMES: Final = ("database", "nats_password", "nats_token", "s3_access_key", "s3_secret_key", "otlp_token", "otlp_key")


def canaries() -> dict[str, str]:
    """Return a secret for each place, of words that nothing else says, and of signs that are written in many ways."""
    odd = {
        "database": "{0}a@{0}b/{0}c:%+ '\"\\é{0}d",
        "nats_password": "{0}a%40 '{0}b@\\",
        "s3_secret_key": "{0}a/+={0}b",
    }
    return {name: odd.get(name, "{0}").format(f"canary{uuid4().hex[:8]}") for name in NAMES}


@attrs.frozen
class Scene:
    """A prepared world whose servers know the canaries, and where everything that leaves is collected."""

    world: World
    secrets: dict[str, str]
    outlets: Outlets
    receiver: KeepingReceiver
    folder: Path

    def environment(self, **changed: str) -> dict[str, str]:
        """Return settings with every secret, and some of them changed; an empty one is left out."""
        return {name: value for name, value in {**self.world.environment, **changed}.items() if value}

    def run(self, *arguments: str, **changed: str) -> int:
        """Run a command, collect what it says, and return its exit code."""
        done = run_forked(*arguments, **self.environment(**changed))
        self.outlets.add(" ".join(arguments), done.stdout + done.stderr)
        return done.returncode

    @contextmanager
    def worker(self, **changed: str) -> Iterator[WorkerProcess]:
        """Run a worker, and collect its log and, at the end, what it serves and what others see of its processes."""
        log = self.folder / f"{uuid4().hex[:8]}.log"
        worker = WorkerProcess(self.environment(**changed), log)
        try:
            yield worker
            for path in ("/livez", "/readyz", "/metrics", "/nothing"):
                self.outlets.add(path, worker.get(path)[1])
            for process in family(worker.process.pid) if worker.process.poll() is None else []:
                self.outlets.add(f"title of {process.pid}", process.title)
                if process.pid != worker.process.pid:
                    self.outlets.add(f"environment of {process.pid}", process.environment)
        finally:
            worker.stop()
            self.outlets.add("log", log.read_bytes())


@pytest.fixture
async def scene(tmp_path: Path, postgres_server: PostgresServer, s3_server: S3Server) -> AsyncIterator[Scene]:
    """Return a scene; its database, broker and store let the canaries in."""
    secrets = canaries()
    with ExitStack() as stack:
        broker = NatsServer(
            tmp_path / "nats",
            extra=f"authorization {{ users: [ {{ user: anna, password: {json.dumps(secrets['nats_password'])} }} ] }}",
        )
        broker.start()
        stack.callback(broker.stop)
        receiver = stack.enter_context(KeepingReceiver())
        add_reader(s3_server, secrets["s3_access_key"], secrets["s3_secret_key"])
        environment = clean_environment() | {
            "FACEMATCH_NATS_URL": broker.url.replace("://", f"://anna:{quote(secrets['nats_password'], safe='')}@"),
            "FACEMATCH_S3_ENDPOINT": s3_server.endpoint,
            "FACEMATCH_S3_ACCESS_KEY": secrets["s3_access_key"],
            "FACEMATCH_S3_SECRET_KEY": secrets["s3_secret_key"],
            "FACEMATCH_S3_RETRY_BASE_SECONDS": "0",
            "FACEMATCH_DATABASE_URL": _new_database(postgres_server, secrets["database"]),
            "FACEMATCH_LOG_LEVEL": "debug",
            "FACEMATCH_NATS_MAX_DELIVER": "2",
            "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.1",
            "FACEMATCH_WORKER_PROCESSES": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{secrets['otlp_token']}",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": f"x-api-key={secrets['otlp_key']}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "300",
            "PYTHONPATH": TROUBLESOME,
        }
        client = await nats.connect(broker.url, user="anna", password=secrets["nats_password"])
        try:
            world = World(environment, s3_server.client(), client, tmp_path)
            scene = Scene(world, secrets, Outlets(secrets, IN_IMAGES), receiver, tmp_path)
            assert scene.run("migrate") == scene.run("provision") == 0
            if not world.s3.bucket_exists("images"):
                world.s3.make_bucket("images")
            yield scene
        finally:
            await client.close()


def _new_database(server: PostgresServer, password: str) -> str:
    url, role = server.create_database(f"canary_{uuid4().hex[:8]}"), f"canary_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        statement = sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}")
        connection.execute(statement.format(sql.Identifier(role), sql.Literal(password)))
    parts = urlsplit(url)
    return f"postgresql://{role}:{quote(password, safe='')}@{parts.hostname}:{parts.port}{parts.path}"


def _refuse_templates(url: str) -> None:
    """Add a trigger of the application's that quotes the row that it refuses."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'account is frozen: %', NEW; END $$"
        )
        connection.execute("CREATE TRIGGER refuse BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse()")


@pytest.mark.timeout(300)  # many processes
async def test_nothing_leaves_in_good_times(scene: Scene, photographs: Photographs) -> None:
    """Jobs of many kinds, at the most talkative level, with images that also fail and crash; every command looks on."""
    world, user = scene.world, scene.world.add_user()
    portrait = str(photographs.path("obama"))
    assert scene.run("enroll", "--json", str(user), portrait) == 0
    photos = {key: world.add_photo() for key in _images(photographs)}
    for key, content in _images(photographs).items():
        world.put(key, content)
    with scene.worker(FACEMATCH_LOG_FORMAT="json") as worker:
        worker.wait_ready()
        for key in ("match.jpg", "stranger.png", "cut.jpg", "text.jpg", "nothing.jpg"):
            await world.publish({"photo_id": str(photos.get(key, uuid4())), "image_ref": f"{key}"})
        await world.publish(b'{"photo_id": 1}')
        await world.settled()
        scene.outlets.vectors += vectors_of(world.environment["FACEMATCH_DATABASE_URL"])
        for outlet, content in from_database(world.environment["FACEMATCH_DATABASE_URL"]):
            scene.outlets.add(outlet, content)
    with scene.worker(FACEMATCH_LOG_FORMAT="console", FACEMATCH_EMBEDDER="troublesome") as worker:
        worker.wait_ready()
        for key in ("fail", "crash"):
            await world.publish({"photo_id": str(photos[key]), "image_ref": key})
        await world.settled()
    for command in (
        ("doctor",),
        ("doctor", "--json"),
        ("show", str(photos["match.jpg"])),
        ("show", "--json", str(photos["fail"])),
        ("status", "--json"),
        ("dead", "list", "--json"),
        ("dead", "show", "1"),
        ("reconcile", "--dry-run", "--json", "--image-ref", "{id}.jpg"),
        ("backfill", "--dry-run", "--json", "--image-ref", "{id}.jpg"),
        ("submit", "--json", str(photos["match.jpg"]), "match.jpg"),
    ):
        code = await asyncio.to_thread(scene.run, *command, FACEMATCH_EMBEDDER="troublesome")  # which loads at once
        assert code == 0, scene.outlets.contents[-1]
    assert await asyncio.to_thread(scene.run, "inspect", "--json", portrait) == 0
    _refuse_templates(world.environment["FACEMATCH_DATABASE_URL"])
    assert await asyncio.to_thread(scene.run, "enroll", str(user), portrait) == 1
    assert b"account is frozen" in scene.outlets.contents[-1][1]
    await _search(scene)
    assert any(
        b"adapters.vision.processes.child" in content for outlet, content in scene.outlets.contents if "title" in outlet
    )
    assert {"matched", "no_match", "unreadable_image", "embedder_crashed", "internal_error"} <= set(
        _words(scene, "facematch.outcomes")
    )


@pytest.mark.timeout(300)  # many processes
async def test_nothing_leaves_in_bad_times(scene: Scene) -> None:
    """Wrong secrets, servers that are away or refuse TLS: workers wait and say why, commands fail, and tell nothing."""
    planted = canaries()
    for name, secret in planted.items():
        scene.outlets.secrets[f"wrong {name}"] = secret
    photo = scene.world.add_photo()
    await scene.world.publish({"photo_id": str(photo), "image_ref": "nothing.jpg"})
    times = _bad_times(scene, planted)
    sufferings = [
        *((action, "all is wrong") for action in (_wait, _doctor, _ask_the_database, _ask_the_broker, _ask_the_store)),
        *((action, kind) for kind in ("a token", "all are away", "they speak no TLS") for action in (_wait, _doctor)),
        (_wait, "another secret"),
        (_wait, "in files"),
    ]
    slots = asyncio.Semaphore(3)  # much of it is waiting

    async def suffer(action: Callable[[Scene, Mapping[str, str]], None], kind: str) -> None:
        async with slots:
            await asyncio.to_thread(action, scene, {**times[kind], "FACEMATCH_EMBEDDER": "troublesome"})

    await asyncio.gather(*(suffer(action, kind) for action, kind in sufferings))
    await _search(scene)


def _bad_times(scene: Scene, planted: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return settings that are good for nothing, by what is wrong with them."""
    good = scene.world.environment
    away = f"127.0.0.1:{free_port()}"
    broker, database = urlsplit(good["FACEMATCH_NATS_URL"]), urlsplit(good["FACEMATCH_DATABASE_URL"])
    here, role = broker.netloc.rpartition("@")[2], f"{database.username}:{quote(planted['database'], safe='')}"
    wrong_database = f"postgresql://{role}@{database.hostname}:{database.port}{database.path}"
    wrong_broker = f"nats://anna:{quote(planted['nats_password'], safe='')}@{here}"
    wrong_key = {
        "FACEMATCH_S3_ACCESS_KEY": planted["s3_access_key"],
        "FACEMATCH_S3_SECRET_KEY": planted["s3_secret_key"],
    }
    wrong = {"FACEMATCH_NATS_URL": wrong_broker, "FACEMATCH_DATABASE_URL": wrong_database, **wrong_key}
    files = {
        **{f"{name}_FILE": str(_file(scene.folder / name, secret)) for name, secret in wrong.items()},
        **dict.fromkeys(wrong, ""),
    }
    return {
        "all is wrong": wrong,
        "a token": {"FACEMATCH_NATS_URL": f"nats://{here}", "FACEMATCH_NATS_TOKEN": planted["nats_token"]},
        "another secret": {"FACEMATCH_S3_SECRET_KEY": planted["s3_secret_key"]},
        "in files": files,
        "all are away": {
            "FACEMATCH_NATS_URL": f"nats://{planted['nats_token']}@{away}",
            "FACEMATCH_DATABASE_URL": f"postgresql://{role}@{away}/app?application_name=x&sslpassword={role}",
            "FACEMATCH_S3_ENDPOINT": away,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://anna:{planted['otlp_key']}@{away}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={planted['otlp_token']}",
        },
        "they speak no TLS": {
            "FACEMATCH_NATS_URL": f"tls://anna:{quote(planted['nats_password'], safe='')}@{here}",
            "FACEMATCH_DATABASE_URL": f"{wrong_database}?sslmode=require",
            "FACEMATCH_S3_SECURE": "true",
        },
    }


def _file(path: Path, content: str) -> Path:
    path.write_text(content + "\n")
    return path


def _wait(scene: Scene, changed: Mapping[str, str]) -> None:
    with scene.worker(**changed) as worker:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while asyncio.run(worker.not_ready()).keys() <= {"worker"} and worker.process.poll() is None:
            assert time.monotonic() < deadline, worker.log.read_text()
            time.sleep(0.1)


def _doctor(scene: Scene, changed: Mapping[str, str]) -> None:
    assert scene.run("doctor", "--json", **changed) == 1


def _ask_the_database(scene: Scene, changed: Mapping[str, str]) -> None:
    scene.run("migrate", **changed)


def _ask_the_broker(scene: Scene, changed: Mapping[str, str]) -> None:
    scene.run("submit", str(UUID(int=1)), "nothing.jpg", **changed)


def _ask_the_store(scene: Scene, changed: Mapping[str, str]) -> None:
    assert scene.run("enroll", str(UUID(int=1)), "minio://images/nothing.jpg", **changed) == 1


MISTAKES: Final[Mapping[str, str]] = {
    "FACEMATCH_DATABASE_URL": "postgresql://anna:{0}a@{0}b/{0}c@db/app",
    "FACEMATCH_NATS_URL": "nats://anna:{0}a@host:port,http://{0}b@host,{0}c",
    "FACEMATCH_S3_ENDPOINT": "http://{0}a:{0}b@host/",
    "FACEMATCH_NATS_PASSWORD": "{0}",
    "FACEMATCH_S3_SECRET_KEY": "{0}",
    "OTEL_EXPORTER_OTLP_HEADERS": "Bearer {0}a, x={0}b",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://anna:{0}@collector",
    "FACEMATCH_HEALTH_ADDRESS": "http://anna:{0}@0.0.0.0:8080",
    "FACEMATCH_NATS_CREDS": "-----BEGIN NATS USER JWT-----\n{0}\n------END NATS USER JWT------\n",
    "FACEMATCH_NATS_TLS_KEY": "-----BEGIN PRIVATE KEY-----\n{0}\n-----END PRIVATE KEY-----\n",
}
ALL_WRONG: Final = (*(MISTAKES.keys() - {"FACEMATCH_NATS_PASSWORD", "FACEMATCH_S3_SECRET_KEY"}), "FACEMATCH_NATS_USER")
"""What is told; of a password and a key, that they lack their companions."""


def test_wrong_settings_are_told_without_what_they_hold() -> None:
    """However secrets are mistyped or misplaced, the table says which variables are wrong, and not how."""
    planted = {name: f"canary{uuid4().hex[:8]}" for name in MISTAKES}
    done = run_forked("doctor", **{name: MISTAKES[name].format(canary) for name, canary in planted.items()})
    outlets = Outlets(planted)
    outlets.add("doctor", done.stdout + done.stderr)
    assert done.returncode == 2
    assert [name for name in ALL_WRONG if name not in done.stderr] == []
    assert outlets.leaks() == []


def test_what_is_looked_for_is_found() -> None:
    """The search knows secrets, images and embeddings in every form, or the tests above would prove nothing."""
    secret, vector = "canary_one': p@ss/wörd", [0.1234567891, -0.0234567892, 0.3456789123, 0.456789]
    written = [
        f"url://{quote(secret, safe='')}@host",
        json.dumps({"password": secret}),
        repr([secret]),
        base64.b64encode(f"anna:{secret}".encode()).decode(),
        "only canary_one",
        secret.encode().hex(),
        str(vector),
        str([round(component, 7) for component in vector]),
    ]
    packed = [struct.pack(kind, *vector[2:]) for kind in ("<2f", ">2f", "<2d")] + [b"\0canary-image\0"]
    for content in (*(text.encode() for text in written), *packed):
        outlets = Outlets({"password": secret}, [b"canary-image"], [vector])
        outlets.add("harmless", "distance 0.12345678, 0.5, 0.25, 0.125: canary")
        assert outlets.leaks() == []
        outlets.add("leaking", content)
        assert outlets.leaks() != [], content


def _words(scene: Scene, outlet: str) -> list[str]:
    return [word for name, content in scene.outlets.contents if name == outlet for word in content.decode().split()]


async def _search(scene: Scene) -> None:
    """Add what is stored elsewhere, and fail where anything leaked."""
    scene.outlets.vectors += vectors_of(scene.world.environment["FACEMATCH_DATABASE_URL"])
    for outlet, content in from_database(scene.world.environment["FACEMATCH_DATABASE_URL"]):
        scene.outlets.add(outlet, content)
    for outlet, content in await from_streams(scene.world):
        scene.outlets.add(outlet, content)
    for export in scene.receiver.exports:
        scene.outlets.add("OTLP", export)
    print(f"searched {len(scene.outlets.contents)} outputs, {scene.outlets.size} bytes")  # noqa: T201 - a figure
    assert scene.outlets.leaks() == []


def _images(photographs: Photographs) -> dict[str, bytes]:
    """Return photographs that carry canaries: where comments are, where nothing is decoded, where nothing can be."""
    first, *_ = IN_IMAGES
    stranger, information = BytesIO(), PngInfo()
    information.add_text("Comment", IN_IMAGES[1].decode())
    with Image.open(photographs.path("biden")) as picture:
        picture.reduce(2).save(stranger, "PNG", pnginfo=information)
    match = photographs.path("obama2").read_bytes()
    comment = b"\xff\xfe" + struct.pack(">H", len(first) + 2) + first
    with_comment = match[:2] + comment + match[2:]
    return {
        "match.jpg": with_comment,
        "stranger.png": stranger.getvalue(),
        "cut.jpg": with_comment[:20_000] + IN_IMAGES[2],
        "text.jpg": IN_IMAGES[2] * 100,
        "fail": b"fail" + IN_IMAGES[3],
        "crash": b"crash" + IN_IMAGES[4],
    }
