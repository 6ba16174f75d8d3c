"""``facematch status``: what is going on, and why nothing is."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any
from uuid import uuid4

import attrs
import psycopg
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from adapters.nats_jetstream.names import BrokerNames
from adapters.postgres.migrate import migrate
from infra.local_stack.postgres import PostgresServer
from tests.broker import connected, provisioned, running
from tests.e2e.command import FACEMATCH, clean_environment, facematch, run_cli
from tests.unit.docs.pages import page

_OUTCOME = """
INSERT INTO facematch.outcomes (stream_seq, stored_at, photo_id, outcome, reason, embedder, worker, occurred_at)
SELECT n, now(), gen_random_uuid(), 'skipped', %s, 'dlib@2', %s, now() - make_interval(secs => %s)
  FROM generate_series(1, %s) n
"""
_USER = "INSERT INTO users (id, face_embedding, face_embedding_model) VALUES (%s, '[1,2,3]', 'dlib@2')"
_PHOTO = "INSERT INTO photos (id) VALUES (%s)"
_FACE = """
INSERT INTO photo_faces (id, photo_id, face_index, embedding, embedding_model, created_at)
VALUES (%s, %s, 0, '[1,2,3]', 'dlib@2', now())
"""
_NO_MATCH = """
INSERT INTO facematch.outcomes (stream_seq, stored_at, photo_id, outcome, reason, photo_face_id, bbox, distance,
    gallery_size, embedder, worker, occurred_at)
VALUES (999, now(), %s, 'skipped', 'no_match', %s, '{"x1": 1, "y1": 1, "x2": 9, "y2": 9}', 0.19, 3, 'dlib@2',
    'worker-a', now())
"""
_NOBODY = "nats://127.0.0.1:1"


@attrs.frozen
class Service:
    """A provisioned broker and a migrated database."""

    client: Client
    js: JetStreamContext
    environment: dict[str, str]

    def sql(self, query: str, *parameters: object) -> None:
        """Run one statement."""
        with psycopg.connect(self.environment["FACEMATCH_DATABASE_URL"], autocommit=True) as connection:
            connection.execute(query.encode(), parameters)

    async def seen(self, code: int = 0, **instead: str) -> dict[str, Any]:
        """Return what the command says to machines, which must end with that code."""
        done = await facematch(self.environment | instead, "status", "--json")
        assert done.returncode == code, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


@pytest.fixture
async def service(tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    """Return a service without jobs, users and letters, and without a worker."""
    await migrate(database_url)
    async with running(tmp_path) as server, connected(server) as client:
        await provisioned(client, BrokerNames())
        environment = {"FACEMATCH_NATS_URL": server.url, "FACEMATCH_DATABASE_URL": database_url}
        yield Service(client, client.jetstream(), environment)


async def test_the_queue_the_ledger_and_the_letters_are_told(service: Service) -> None:
    """What waits, what ended and when, who worked, what is dead and why, who is enrolled; and why nothing is done."""
    before = await service.seen()
    assert (before["idle"], before["why"]) == (True, "no job was ever published")
    assert (before["queue"]["oldest_job_seconds"], before["outcomes"], before["gallery"]) == (None, [], {})
    service.sql(_OUTCOME, "no_face", "worker-a", 300, 12)
    service.sql(_OUTCOME.replace("n, now()", "n + 100, now()"), "no_match", "worker-b", 7200, 5)
    service.sql(_USER, uuid4())
    await service.js.publish("photo_faces.single.requested", b"a job")
    for number in range(3):
        reason = "internal_error" if number else "malformed_payload"
        await service.js.publish("photo_faces.single.dead", b"x", headers={"Facematch-Reason": reason})
    status = await service.seen()
    assert (status["queue"]["pending"], status["queue"]["ack_pending"], status["queue"]["requests_waiting"]) == (
        1,
        0,
        0,
    )
    assert status["queue"]["oldest_job_seconds"] >= 0
    assert status["outcomes"] == [
        {"outcome": "skipped", "reason": "no_face", "last_hour": 12, "last_day": 12},
        {"outcome": "skipped", "reason": "no_match", "last_hour": 0, "last_day": 5},
    ]
    assert status["jobs_per_minute"]["last_hour"] == 0.2
    assert [(worker["worker"], worker["jobs"]) for worker in status["workers"]] == [("worker-a", 12)]
    assert status["dead_letters"] == {"count": 3, "read": 3, "by_reason": {"internal_error": 2, "malformed_payload": 1}}
    assert status["gallery"] == {"dlib@2": 1}
    assert (status["idle"], "no worker asks for jobs" in status["why"], status["problems"]) == (True, True, {})
    page = (await facematch(service.environment, "status")).stdout
    for word in ("no worker asks for jobs", "worker-a", "no_match", "2 internal_error", "dlib@2"):
        assert word in page


async def test_what_is_away_hides_nothing_else(service: Service) -> None:
    """The exit code is 1, the problem is named, and all that can be seen is shown."""
    service.sql(_OUTCOME, "no_face", "worker-a", 30, 1)
    status = await service.seen(code=1, FACEMATCH_NATS_URL=_NOBODY)
    assert (set(status["problems"]), status["queue"], status["idle"]) == ({"message broker"}, None, None)
    assert status["outcomes"][0]["last_day"] == 1
    status = await service.seen(code=1, FACEMATCH_DATABASE_URL="postgresql://127.0.0.1:1/none")
    assert (set(status["problems"]), status["outcomes"]) == ({"database"}, None)
    assert (status["queue"]["pending"], status["dead_letters"]["count"]) == (0, 0)
    await service.js.delete_consumer("PHOTO_FACES", "single-face-match")
    status = await service.seen(code=1)
    assert "facematch provision" in status["problems"]["queue"]


def test_where_nothing_can_be_seen_no_empty_frame_is_drawn() -> None:
    """What is away is named once, and when that was."""
    away = {"FACEMATCH_NATS_URL": "nats://127.0.0.1:1", "FACEMATCH_DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    done = run_cli("status", **away)
    *problems, unseen, when = done.stdout.splitlines()
    assert (done.returncode, unseen, when.startswith("facematch, 2")) == (1, "the queue cannot be seen", True)
    database, broker = sorted(problems)
    assert database.startswith("database: connection failed")
    assert database.endswith(" (FACEMATCH_DATABASE_URL)")
    assert broker.startswith("message broker: cannot connect to NATS at nats://127.0.0.1:1 ")


async def test_what_strangers_wrote_is_shown_as_it_is(service: Service) -> None:
    """Brackets and colons of theirs are no markup, neither in a reason nor in a worker's name."""
    service.sql(_OUTCOME, "no_face", "worker[/b][red]:cat:", 30, 1)
    await service.js.publish("photo_faces.single.dead", b"x", headers={"Facematch-Reason": "[/x][red]:dog:"})
    done = await facematch(service.environment, "status")
    assert done.returncode == 0, done.stderr
    assert ("worker[/b][red]:cat:" in done.stdout, "1 [/x][red]:dog:" in done.stdout) == (True, True)


async def test_sentences_are_wrapped_between_words_on_a_terminal(service: Service) -> None:
    """Elsewhere a sentence is a line."""
    await service.js.publish("photo_faces.single.requested", b"a job")
    sentence = (await service.seen())["why"]
    assert len(sentence) > 120
    assert sentence in (await facematch(service.environment, "status")).stdout.splitlines()
    terminal = {"TTY_COMPATIBLE": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "60"}
    page = (await facematch(service.environment | terminal, "status")).stdout
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in page.splitlines()]
    assert sentence in " ".join(lines)
    assert max(map(len, lines)) <= 60


async def test_an_interval_without_a_watch_is_wrong_usage() -> None:
    """It would mean nothing."""
    done = await facematch({"FACEMATCH_NATS_URL": _NOBODY}, "status", "--interval", "5")
    assert (done.returncode, done.stderr) == (2, "--interval is for --watch\n")


def test_a_watch_tells_again_and_again(service: Service) -> None:
    """One line for each look, until it is interrupted, which is no failure."""
    command = [FACEMATCH, "status", "--watch", "--interval", "0.1", "--json"]
    with Popen(command, env=clean_environment() | service.environment, stdout=PIPE, stderr=PIPE) as watch:
        assert watch.stdout is not None
        looks = [json.loads(watch.stdout.readline()) for _ in range(3)]
        watch.send_signal(signal.SIGINT)
        _, complaints = watch.communicate(timeout=60)
    assert (watch.returncode, complaints) == (0, b"")
    assert [look["why"] for look in looks] == ["no job was ever published"] * 3
    assert len({look["at"] for look in looks}) == 3


async def test_a_watch_reads_dead_letters_only_when_others_are_there(service: Service) -> None:
    """Each of them is a request to the broker: at the first look, and after one has come."""
    read = 0

    async def count(_: Msg) -> None:
        nonlocal read
        read += 1

    async def bury() -> None:
        await service.js.publish("photo_faces.single.dead", b"x", headers={"Facematch-Reason": "internal_error"})

    await service.client.subscribe("$JS.API.STREAM.MSG.GET.PHOTO_FACES_DEAD", cb=count)
    await bury()
    await bury()
    command = (FACEMATCH, "status", "--watch", "--interval", "0.1", "--json")
    environment = clean_environment() | service.environment
    watch = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE)
    assert watch.stdout is not None
    try:
        looks = [json.loads(await watch.stdout.readline()) for _ in range(4)]
        before = read
        await bury()
        while looks[-1]["dead_letters"]["count"] == 2:
            looks.append(json.loads(await watch.stdout.readline()))
        looks += [json.loads(await watch.stdout.readline()) for _ in range(4)]
    finally:
        watch.send_signal(signal.SIGINT)
        await watch.communicate()
    assert [looks[0]["dead_letters"], looks[-1]["dead_letters"]] == [
        {"count": count, "read": count, "by_reason": {"internal_error": count}} for count in (2, 3)
    ]
    assert (before, read) == (2, 5)


async def test_few_rights_are_enough(service: Service, postgres_server: PostgresServer) -> None:
    """The guide's role sees everything, in `show`, too; without the users' table all but the gallery."""
    name, database = f"operator_{uuid4().hex[:8]}", service.environment["FACEMATCH_DATABASE_URL"].rsplit("/", 1)[1]
    [code] = [code for code in page("docs/how-to/answer-why.md").code("sql") if "CREATE ROLE" in code]
    for statement in code.replace("facematch_reader", name).split(";")[:-1]:
        service.sql(statement)
    service.sql(f"ALTER ROLE {name} PASSWORD 'of-a-test'")
    url = postgres_server.url(database, user=name, password="of-a-test")
    assert (await service.seen(FACEMATCH_DATABASE_URL=url))["gallery"] == {}
    user, photo, face = uuid4(), uuid4(), uuid4()
    for insert, *values in ((_USER, user), (_PHOTO, photo), (_FACE, face, photo), (_NO_MATCH, photo, face)):
        service.sql(insert, *values)
    show = service.environment | {"FACEMATCH_DATABASE_URL": url}, "show", str(photo), "--json"
    told = await facematch(*show)
    [job] = json.loads(told.stdout)
    assert (told.stderr, job["nearest_now"]) == ("", [{"user_id": str(user), "distance": 0.0}])
    service.sql(f"REVOKE ALL (id, face_embedding, face_embedding_model) ON users FROM {name}")
    status = await service.seen(code=1, FACEMATCH_DATABASE_URL=url)
    assert (set(status["problems"]), [count["last_day"] for count in status["outcomes"]]) == ({"gallery"}, [1])
    told = await facematch(*show)
    assert (told.returncode, json.loads(told.stdout)) == (0, [job | {"nearest_now": None}])
    assert "nearest now cannot be seen: database: permission denied for table users" in told.stderr
