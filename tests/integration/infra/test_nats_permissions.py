"""The rights that ``infra/nats/permissions.conf`` gives are enough for everybody's work, and no more."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client

from infra.local_stack.nats import NatsServer
from infra.local_stack.process import program
from tests.e2e.command import facematch, run_cli
from tests.e2e.world import World, eventually, make_world
from tests.guarded_nats import SHIPPED, guarded_server, lay_out, url


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Return a server that knows who may do what."""
    server = guarded_server(tmp_path_factory.mktemp("guarded") / "nats")
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def connected(server: NatsServer, user: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """Connect as one of the users; the list collects what the server complains of."""
    complaints: list[str] = []

    async def complain(error: Exception) -> None:
        complaints.append(str(error).lower())

    client = await nats.connect(url(server, user), error_cb=complain)
    try:
        yield client, complaints
    finally:
        await client.close()


@pytest.fixture
async def world(guarded: NatsServer, tmp_path: Path, s3_server: Any, database_url: str) -> AsyncIterator[World]:
    """Return a migrated world that its operator has provisioned."""
    environment = {
        "FACEMATCH_NATS_URL": url(guarded, "operator"),
        "FACEMATCH_S3_ENDPOINT": s3_server.endpoint,
        "FACEMATCH_S3_ACCESS_KEY": s3_server.access_key,
        "FACEMATCH_S3_SECRET_KEY": s3_server.secret_key,
        "FACEMATCH_DATABASE_URL": database_url,
        "FACEMATCH_LOG_FORMAT": "json",
    }
    store = s3_server.client()
    if not store.bucket_exists("images"):
        store.make_bucket("images")
    async with make_world(environment, store, tmp_path) as world:
        world.cli("migrate")
        world.cli("provision")
        yield world


async def test_everybody_can_do_their_work(world: World, guarded: NatsServer, photographs: Any) -> None:
    """The operator provisions, submits, repairs and is told what is there; worker and application do their work."""
    user, photo = world.add_user(), world.add_photo()
    assert "from 1 photograph." in world.cli("enroll", str(user), str(photographs.path("obama"))).stdout
    key = world.put(f"{uuid4()}.jpg", photographs.path("obama2").read_bytes())

    assert "unchanged" in world.cli("provision").stdout
    async with connected(guarded, "application") as (application, complaints):
        events = await application.subscribe("photo_faces.single.matched")
        follower = await application.jetstream().pull_subscribe("", durable="follower", stream="PHOTO_FACES_RESULTS")
        with world.worker(FACEMATCH_NATS_URL=url(guarded, "worker")) as worker:
            await application.jetstream().publish("photo_faces.single.requested", b"no job")
            world.cli("submit", str(photo), key)
            matched = json.loads((await events.next_msg(timeout=60)).data)
            await world.settled()
            metrics = worker.get("/metrics")[1]
            assert "\nfacematch_queue_oldest_age_seconds " in metrics
            assert "\nfacematch_events_oldest_age_seconds " in metrics
            assert "\nfacematch_dead_letters_kept " in metrics
        followed = [json.loads(message.data) for message in await follower.fetch(2, timeout=10)]

        assert (str(user), str(photo)) == (matched["user_id"], matched["photo_id"])
        assert {"malformed_payload", None} == {event["reason"] for event in followed}
        assert [letter.data for letter in await world.stored("PHOTO_FACES_DEAD")] == [b"no job"]
        assert complaints == []
    world.cli("doctor")
    world.add_photo()
    done = world.cli("reconcile", "--image-ref", "{id}", "--grace", "0", "--json")
    assert (json.loads(done.stdout)["published"], done.stderr) == (1, "")
    status = await facematch(world.environment, "status", "--json")
    assert json.loads(status.stdout)["dead_letters"]["by_reason"] == {"malformed_payload": 1}
    replayed = await facematch(world.environment, "dead", "replay", "--include-malformed")
    assert ("1 replayed" in replayed.stdout, await world.stored("PHOTO_FACES_DEAD")) == (True, [])


async def test_a_paused_consumer_can_be_resumed(world: World, guarded: NatsServer) -> None:
    """By the operator, as the status tells; that is the request that pauses, without a time."""
    subject = "$JS.API.CONSUMER.PAUSE.PHOTO_FACES.single-face-match"
    async with connected(guarded, "operator") as (operator, complaints):
        paused = await operator.request(subject, b'{"pause_until": "2999-01-01T00:00:00Z"}', timeout=5)
        assert json.loads(paused.data)["paused"] is True
        told = await facematch(world.environment, "status", "--json")
        assert json.loads(told.stdout)["why"].startswith("the consumer is paused")
        resumed = await operator.request(subject, b"{}", timeout=5)
        assert json.loads(resumed.data)["paused"] is False
        assert complaints == []


async def test_who_may_only_publish_jobs_can_submit_them(world: World, guarded: NatsServer) -> None:
    """Once: that the job cannot be read back does not look like a failure, which would be tried again."""
    environment = world.environment | {"FACEMATCH_NATS_URL": url(guarded, "application")}
    before = len(await world.stored("PHOTO_FACES"))
    told = await facematch(environment, "submit", str(uuid4()), "a.jpg", "--json")
    assert (told.returncode, json.loads(told.stdout)["stored_at"]) == (0, None)
    assert len(await world.stored("PHOTO_FACES")) == before + 1


async def test_a_right_that_is_missing_is_named(world: World, guarded: NatsServer) -> None:
    """Whoever runs a command as another user is told which right that one lacks, and sees whatever that one may see."""
    await world.publish(b"no job")
    async with connected(guarded, "worker") as (worker, _):
        await worker.jetstream().publish("photo_faces.single.dead", b"a letter")
    environment = world.environment | {"FACEMATCH_NATS_URL": url(guarded, "worker")}
    submitted, listed, seen = await asyncio.gather(
        *(
            asyncio.to_thread(run_cli, *arguments, **environment)
            for arguments in (("submit", str(uuid4()), "a.jpg"), ("dead", "list"), ("status", "--json"))
        )
    )
    assert (submitted.returncode, listed.returncode, seen.returncode) == (1, 1, 1)
    assert 'permissions violation for publish to "photo_faces.single.requested"' in submitted.stderr
    refused = 'permissions violation for publish to "$js.api.stream.msg.get.photo_faces_dead"'
    assert refused in listed.stderr
    status = json.loads(seen.stdout)
    assert status["queue"]["pending"] >= 1
    assert status["queue"]["oldest_job_seconds"] >= 0
    assert refused in status["problems"]["message broker"]


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("worker", "photo_faces.single.requested"),
        ("worker", "$JS.API.STREAM.DELETE.PHOTO_FACES"),
        ("worker", "$JS.API.STREAM.PURGE.PHOTO_FACES_DEAD"),
        ("worker", "$JS.API.STREAM.MSG.GET.PHOTO_FACES_DEAD"),
        ("worker", "$JS.API.STREAM.MSG.GET.PHOTO_FACES_RESULTS"),
        ("worker", "$JS.API.STREAM.UPDATE.PHOTO_FACES"),
        ("worker", "$JS.API.CONSUMER.DELETE.PHOTO_FACES.single-face-match"),
        ("worker", "$JS.API.CONSUMER.CREATE.PHOTO_FACES.another"),
        ("worker", "$JS.API.CONSUMER.PAUSE.PHOTO_FACES.single-face-match"),
        ("worker", "$JS.ACK.PHOTO_FACES_RESULTS.follower.1.1.1.1.0"),
        ("application", "photo_faces.single.matched"),
        ("application", "photo_faces.single.dead"),
        ("application", "$JS.API.CONSUMER.MSG.NEXT.PHOTO_FACES.single-face-match"),
        ("application", "$JS.API.CONSUMER.CREATE.PHOTO_FACES.another"),
        ("application", "$JS.API.STREAM.MSG.GET.PHOTO_FACES_DEAD"),
        ("application", "$JS.API.STREAM.DELETE.PHOTO_FACES_RESULTS"),
        ("operator", "photo_faces.single.matched"),
        ("operator", "$JS.API.STREAM.DELETE.PHOTO_FACES"),
        ("operator", "$JS.API.STREAM.PURGE.PHOTO_FACES"),
        ("operator", "$JS.API.STREAM.PURGE.PHOTO_FACES_DEAD"),
        ("operator", "$JS.API.STREAM.MSG.DELETE.PHOTO_FACES"),
        ("operator", "$JS.API.STREAM.CREATE.ANOTHER"),
        ("operator", "$JS.API.CONSUMER.DELETE.PHOTO_FACES.single-face-match"),
        ("operator", "$JS.API.CONSUMER.MSG.NEXT.PHOTO_FACES.single-face-match"),
        ("operator", "$JS.API.CONSUMER.PAUSE.PHOTO_FACES.another"),
        ("operator", "$JS.API.CONSUMER.PAUSE.PHOTO_FACES_RESULTS.follower"),
        ("operator", "$JS.API.CONSUMER.CREATE.PHOTO_FACES.another.photo_faces.single.matched"),
        ("operator", "$JS.API.CONSUMER.DURABLE.CREATE.PHOTO_FACES.another"),
    ],
)
async def test_nobody_may_do_more(guarded: NatsServer, user: str, subject: str) -> None:
    """Everything else is refused, and the server says so."""
    async with connected(guarded, user) as (client, complaints):
        await client.publish(subject, b"{}")
        await client.flush()
        await _told(complaints, f'permissions violation for publish to "{subject.lower()}"')


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("worker", "photo_faces.single.requested"),
        ("worker", ">"),
        ("application", "photo_faces.single.dead"),
        ("application", "$JS.API.>"),
        ("operator", "photo_faces.>"),
    ],
)
async def test_nobody_may_listen_to_more(guarded: NatsServer, user: str, subject: str) -> None:
    """What others say is not delivered."""
    async with connected(guarded, user) as (client, complaints):
        await client.subscribe(subject)
        await client.flush()
        await _told(complaints, f'permissions violation for subscription to "{subject.lower()}"')


@pytest.mark.parametrize("who", [{}, {"user": "worker", "password": "guessed"}, {"user": "nobody", "password": ""}])
async def test_strangers_may_not_connect(guarded: NatsServer, who: dict[str, str]) -> None:
    """Without a known name and its password there is no connection."""
    with pytest.raises(nats.errors.NoServersError):
        await nats.connect(guarded.url, max_reconnect_attempts=1, reconnect_time_wait=0, error_cb=_ignore, **who)


def test_the_shipped_configuration_is_one(tmp_path: Path) -> None:
    """The server takes the whole configuration as it is shipped, given the passwords."""
    lay_out(tmp_path / "nats")

    done = subprocess.run(
        [program("nats-server"), "-t", "-c", str(tmp_path / "nats" / "nats.conf")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "sync_interval: always" in (SHIPPED / "nats.conf").read_text()


async def _told(complaints: list[str], expected: str) -> None:
    async def look() -> list[str]:
        return complaints

    await eventually(look, lambda seen: any(expected in complaint for complaint in seen), expected)


async def _ignore(_error: Exception) -> None:
    """Say nothing of a connection that must fail."""
