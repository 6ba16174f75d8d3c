"""Lost jobs are found and published again by ``facematch reconcile``, whatever else is going on."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.e2e.command import facematch
from tests.e2e.world import World

_OPTIONS = ("--json", "--grace", "0", "--image-ref", "photos/{id}.jpg")


@pytest.fixture
def world(imageless_world: World) -> World:
    """Return a world that needs no photographs."""
    return imageless_world


async def reconcile(world: World, *arguments: str) -> dict[str, Any]:
    """Run the command and return its summary."""
    done = await facematch(world.environment, "reconcile", *_OPTIONS, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


async def at_once(world: World, count: int) -> list[dict[str, Any]]:
    """Run the command several times at once, each in a process of its own, and return the summaries."""
    runs = (asyncio.to_thread(world.cli, "reconcile", *_OPTIONS) for _ in range(count))
    return [json.loads(done.stdout) for done in await asyncio.gather(*runs)]


async def in_the_queue(world: World) -> list[str]:
    """Return the photos of all jobs that are waiting."""
    return [json.loads(message.data)["photo_id"] for message in await world.stored("PHOTO_FACES")]


async def test_each_lost_job_is_published_once_and_done(world: World) -> None:
    """Photos with an outcome, a match or a job in flight are left alone; afterwards nothing is missing any more."""
    answered, matched, *_ = lost = world.add_photos(40)
    waiting, user, face = world.add_photo(), world.add_user(), uuid4()
    world.sql(
        "INSERT INTO facematch.outcomes (stream_seq, stored_at, photo_id, outcome, reason, embedder, worker, "
        "occurred_at, published_at) VALUES (1, now(), %s, 'failed', 'internal_error', '', '', now(), now())",
        answered,
    )
    world.sql("INSERT INTO photo_faces (id, photo_id, face_index) VALUES (%s, %s, 0)", face, matched)
    world.sql("INSERT INTO face_matches VALUES (%s, %s, %s, 0.1)", uuid4(), face, user)
    await world.publish({"photo_id": str(waiting), "image_ref": "gone.jpg"})
    expected = {"photos": 41, "answered": 2, "in_flight": 1, "missing": 38, "invalid_image_ref": 0}

    dry = await reconcile(world, "--dry-run")
    assert dry | expected | {"published": 0, "dry_run": True} == dry
    assert dry["example"]["image_ref"] == f"photos/{dry['example']['photo_id']}.jpg"
    assert await in_the_queue(world) == [str(waiting)]
    assert sum(found["published"] for found in await at_once(world, 2)) == 38
    assert sorted((await in_the_queue(world))[1:]) == sorted(map(str, lost[2:]))
    with world.worker():
        await world.settled()
    final = await reconcile(world)
    assert final | {"photos": 41, "answered": 41, "in_flight": 0, "missing": 0, "published": 0} == final
    assert world.sql("SELECT count(*), count(DISTINCT photo_id) FROM facematch.outcomes") == [(40, 40)]
    assert await world.stored("PHOTO_FACES_DEAD") == []


async def test_wrong_usage_is_told_before_anything_is_published(world: World) -> None:
    """In one message that says what would be right, with exit code 2."""
    world.sql("ALTER TABLE photos ADD COLUMN taken date")
    world.add_photo()
    for arguments, words in (
        ([], "public.photos has no column image_ref; it has id, taken; say with --image-ref where a photo's image is"),
        (["--image-ref", "{taken}"], "public.photos.taken is of type date"),
        (["--image-ref", "photo.jpg"], "gives all photos the same image"),
        (["--image-ref", "{id}", "--grace", "-1"], "--grace"),
    ):
        done = await facematch(world.environment, "reconcile", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in " ".join(done.stderr.split())
    assert await in_the_queue(world) == []


async def test_what_is_not_there_is_told(bare_world: World) -> None:
    """A database that is not migrated, a broker that is not provisioned, a broker that is away: exit code 1."""
    for missing, words in (
        ("database", "run `facematch migrate`"),
        ("stream", "run `facematch provision`"),
        ("broker", "cannot connect to NATS"),
    ):
        if missing == "stream":
            await facematch(bare_world.environment, "migrate")
        if missing == "broker":
            bare_world.environment["FACEMATCH_NATS_URL"] = "nats://127.0.0.1:1"
        done = await facematch(bare_world.environment, "reconcile", *_OPTIONS)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr


async def test_people_read_a_table(world: World) -> None:
    """Numbers with what they mean, and an example of what was published."""
    photo = world.add_photo()
    world.sql("ALTER TABLE photos ADD COLUMN image_ref text")
    world.sql("UPDATE photos SET image_ref = '[red]a.jpg'")
    world.sql("INSERT INTO photos VALUES (%s, NULL), (%s, 's3://x/y')", UUID(int=1), UUID(int=2))
    done = await facematch(world.environment, "reconcile", "--grace", "0")
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        "photos 3",
        "with an outcome or a match 0",
        "with a job in flight 0",
        "without an image reference 1",
        "with an invalid one 1",
        "in need of a job 1",
        "jobs published 1",
        f"For example photo {photo} at [red]a.jpg",
    ]
    assert f"Not published: photo {UUID(int=2)}: image_ref has a scheme other than minio://" in done.stderr
