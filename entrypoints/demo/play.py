"""One performance: enrol, upload, publish, let a real worker process do the jobs, and collect what came of them."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import attrs
import psycopg
import urllib3
from minio import Minio
from nats.js import JetStreamContext

from adapters.nats_jetstream import provisioning
from adapters.postgres.migrate import migrate
from application.enrolment.template import EnrolmentImage, EnrolmentRefusedError
from domain.errors import FacematchError
from entrypoints.composition.base import build
from entrypoints.composition.broker import BrokerContainer, connected_to_nats
from entrypoints.composition.database import opened_database
from entrypoints.composition.enrolment import EnrolmentContainer
from entrypoints.composition.vision import started_reader
from entrypoints.demo.scenes import Person, Scene
from entrypoints.environment.variables import read
from entrypoints.settings import Settings
from infra.local_stack.process import ServerProcess, free_port
from infra.local_stack.stack import LocalStack

DATABASE: Final = "photo_app"
_BUCKET: Final = "images"
_PATIENCE_SECONDS: Final = 60.0
_APPLICATION = """
CREATE TABLE photos (id uuid PRIMARY KEY, title text NOT NULL);
CREATE TABLE users (id uuid PRIMARY KEY, name text NOT NULL);
"""
"""Tables as an application has them: with columns of its own, and without what facematch adds by `migrate`."""


@attrs.frozen
class Observer:
    """Who watches: ``say`` hears what happens, ``count`` how many jobs of how many have ended."""

    say: Callable[[str], None]
    count: Callable[[int, int], None]


@attrs.frozen
class Result:
    """What came of a scene: its event, the person it names, and the milliseconds of each stage."""

    scene: Scene
    event: Mapping[str, Any]
    named: str | None
    stages_ms: Mapping[str, float]
    trace_id: str | None

    @property
    def as_expected(self) -> bool:
        """True when it ended as it had to, and named nobody else."""
        if self.scene.expected is None:
            return True
        kind, reason = self.scene.expected
        right_name = self.named == (self.scene.person if reason is None else None)
        return right_name and (self.event["outcome"], self.event["reason"]) == (kind.value, reason and reason.value)


@attrs.frozen
class Performance:
    """Everything that came of a play: ``enrolled`` and ``refused`` (with the reason) are people by name."""

    results: tuple[Result, ...]
    enrolled: tuple[str, ...]
    refused: Mapping[str, str]
    worker_exit_code: int


class WorkerProcess:
    """The real ``facematch worker``, as its own process."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._health = f"127.0.0.1:{free_port()}"
        self._log = log
        self._environment = {**os.environ, **environment, "FACEMATCH_HEALTH_ADDRESS": self._health}
        self._environment |= {"FACEMATCH_LOG_FORMAT": "json", "FACEMATCH_LOG_LEVEL": "info"}
        self._process = ServerProcess("facematch worker", log, stop_signal=signal.SIGTERM)

    def start(self) -> None:
        """Start it and return when it takes jobs."""
        command = [sys.executable, "-c", "from entrypoints.program import main; main()", "worker"]
        self._process.start(command, environment=self._environment, ready=self._ready)

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        return self._process.stop(patience=_PATIENCE_SECONDS)

    def jobs(self) -> dict[str, dict[str, Any]]:
        """Return the canonical lines of its log by job id."""
        lines = (json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{"))
        return {line["job_id"]: line for line in lines if line.get("event") == "job" and line.get("job_id")}

    def _ready(self) -> bool:
        try:
            return urllib3.request("GET", f"http://{self._health}/readyz", retries=False).status == HTTPStatus.OK
        except urllib3.exceptions.HTTPError:
            return False


async def perform(
    stack: LocalStack,
    people: Sequence[Person],
    scenes: Sequence[Scene],
    *,
    environment: Mapping[str, str],
    folder: Path,
    observer: Observer,
) -> Performance:
    """Play on running servers; ``environment`` are settings beyond the servers' addresses.

    Raises:
        FacematchError: a part does not work; jobs that end badly are results, not errors.

    """
    url = stack.postgres.create_database(DATABASE)
    store = stack.s3.client()
    store.make_bucket(_BUCKET)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_APPLICATION)
    environment = stack.environment(DATABASE) | dict(environment)
    settings = read(Settings, {**os.environ, **environment})
    log = folder / "worker.log"
    log.unlink(missing_ok=True)
    worker = WorkerProcess(environment, log)
    async with AsyncExitStack() as open_things:
        observer.say(f"migrated the application's database ({len((await migrate(url)).statements)} statements)")
        broker, enrolment = build(BrokerContainer, settings), build(EnrolmentContainer, settings)
        client = await open_things.enter_async_context(connected_to_nats(broker))
        await provisioning.provision(client, broker.names(), ack_wait_seconds=settings.nats.ack_wait)
        observer.say("provisioned streams and consumer")
        await open_things.enter_async_context(opened_database(enrolment, enrolment.factory().info))
        starting = asyncio.create_task(asyncio.to_thread(worker.start))
        open_things.push_async_callback(asyncio.to_thread, worker.stop)
        async with started_reader(enrolment):
            users, refused = await _enrol(enrolment, url, people)
        observer.say(f"enrolled {len(users)} people from photographs")
        await asyncio.to_thread(_upload, url, store, scenes)
        observer.say(f"uploaded {sum(scene.image is not None for scene in scenes)} photographs")
        await starting
        observer.say("started the worker")
        events = await _play(client.jetstream(), broker, scenes, observer)
        code = await asyncio.to_thread(worker.stop)
    lines = worker.jobs()
    names = {str(user): name for name, user in users.items()}
    results = tuple(_result(scene, events[scene.job_id], names, lines) for scene in scenes)
    return Performance(results, tuple(users), refused, code)


async def _enrol(
    enrolment: EnrolmentContainer, url: str, people: Sequence[Person]
) -> tuple[dict[str, UUID], dict[str, str]]:
    enroll = enrolment.enroll()
    users: dict[str, UUID] = {}
    refused: dict[str, str] = {}
    for person in people:
        user = uuid4()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO users (id, name) VALUES (%s, %s)", [user, person.name])
        try:
            await enroll(user, [str(person.photograph)], _photograph, replace=True)
        except EnrolmentRefusedError as error:
            refused[person.name] = str(error)
        else:
            users[person.name] = user
    return users, refused


async def _photograph(path: str) -> EnrolmentImage:
    return EnrolmentImage(Path(path).name, await asyncio.to_thread(Path(path).read_bytes))


def _upload(url: str, store: Minio, scenes: Sequence[Scene]) -> None:
    with psycopg.connect(url) as connection:
        for scene in scenes:
            if scene.again or scene.malformed:
                continue
            connection.execute("INSERT INTO photos (id, title) VALUES (%s, %s)", [scene.photo_id, scene.title])
            if scene.image is not None:
                store.fput_object(_BUCKET, scene.key, str(scene.image))


async def _play(
    js: JetStreamContext, broker: BrokerContainer, scenes: Sequence[Scene], observer: Observer
) -> dict[UUID, dict[str, Any]]:
    """Publish every job, those for a photo again after the others have ended, and wait for all events."""
    names = broker.names()
    events: dict[UUID, dict[str, Any]] = {}
    subscription = await js.pull_subscribe(f"{names.results_prefix}.*", stream=names.results_stream)
    observer.count(0, len(scenes))
    for again in (False, True):
        published = [scene for scene in scenes if scene.again is again]
        for scene in published:
            if scene.malformed:
                await js.publish(names.subject, scene.malformed_body())
            else:
                await broker.jobs().submit(scene.job())
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while not all(scene.job_id in events for scene in published):
            if asyncio.get_running_loop().time() > deadline:
                raise FacematchError(f"only {len(events)} of {len(scenes)} jobs ended; see the worker's log")
            try:
                messages = await subscription.fetch(100, timeout=1)
            except TimeoutError:  # of nats-py, or asyncio's own
                continue
            for message in messages:
                event = json.loads(message.data)
                events[UUID(event["job_id"])] = event
                await message.ack()
                deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
            observer.count(len(events), len(scenes))
    await subscription.unsubscribe()
    return events


def _result(
    scene: Scene, event: Mapping[str, Any], names: Mapping[str, str], lines: Mapping[str, Mapping[str, Any]]
) -> Result:
    line = lines.get(str(scene.job_id), {})
    return Result(
        scene=scene,
        event=event,
        named=names.get(event["user_id"]),
        stages_ms=line.get("stages_ms", {}),
        trace_id=line.get("trace_id"),
    )
