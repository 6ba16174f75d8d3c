"""Photos are looked at once more by ``facematch backfill``: all of them, or those that ended in a certain way."""

import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from nats.js.api import DiscardPolicy

from tests.e2e.command import FACEMATCH, facematch
from tests.e2e.world import World, eventually

_IMAGES = ("--image-ref", "photos/{id}.jpg")


@pytest.fixture
def world(imageless_world: World) -> World:
    """Return a world that needs no photographs."""
    return imageless_world


def add_skipped(world: World, count: int, reason: str) -> list[str]:
    """Insert photos whose job was skipped for that reason."""
    photos = list(map(str, world.add_photos(count)))
    skip(world, photos, reason)
    return photos


def skip(world: World, photos: list[str], reason: str) -> None:
    """Record that each photo's job has ended so."""
    world.sql(
        "INSERT INTO facematch.outcomes (stream_seq, stored_at, photo_id, outcome, reason, embedder, worker, "
        "occurred_at, published_at) SELECT row_number() OVER (), now(), id, 'skipped', %s, '', '', now(), now() "
        "FROM unnest(%s::uuid[]) id",
        reason,
        photos,
    )


async def work_off(world: World, count: int) -> None:
    """Do so many jobs as a worker does: record an outcome, and acknowledge."""
    queue = await world.js.pull_subscribe_bind("single-face-match", "PHOTO_FACES")
    jobs = await queue.fetch(count, timeout=10)
    assert len(jobs) == count
    skip(world, [json.loads(job.data)["photo_id"] for job in jobs], "no_match")
    for job in jobs:
        await job.ack_sync()


async def in_the_queue(world: World) -> list[str]:
    """Return the photos of all jobs in the stream."""
    return [json.loads(message.data)["photo_id"] for message in await world.stored("PHOTO_FACES")]


@contextmanager
def running(world: World, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own."""
    command = [FACEMATCH, "backfill", *_IMAGES, *arguments]
    process = subprocess.Popen(
        command, env=world.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def told(stderr: str) -> list[str]:
    """Return the arguments of the command that goes on."""
    return shlex.split(stderr.rpartition("o on with: facematch ")[2].partition("\n")[0])


async def test_an_interruption_costs_nothing(world: World) -> None:
    """Strangers' photos get a job each, although Ctrl-C comes in between and the first are done by then."""
    strangers = add_skipped(world, 40, "no_match")
    waiting, *_ = add_skipped(world, 1, "no_match")
    add_skipped(world, 3, "no_face")
    await world.publish({"photo_id": waiting, "image_ref": "gone.jpg"})

    async def published() -> int:
        return (await world.js.stream_info("PHOTO_FACES")).state.messages

    with running(world, "--reason", "no_match", "--rate", "8") as process:
        await eventually(published, lambda count: count > 8, "the first second's jobs")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (130, "")
    *_, how_far, last = stderr.splitlines()
    assert "jobs were published" in how_far
    assert last.startswith("interrupted; ")
    first = await in_the_queue(world)
    assert 8 < len(first) < 41
    await work_off(world, len(first) - 5)

    done = await facematch(world.environment, *told(stderr), "--json")
    found = json.loads(done.stdout)
    expected = {"photos": 44, "left_out": len(first) - 2, "in_flight": 5, "due": 41 - len(first), "dry_run": False}
    assert (done.returncode, found | expected | {"published": 41 - len(first)}) == (0, found)
    assert sorted(await in_the_queue(world)) == sorted([*strangers, waiting])


async def test_what_ends_it_is_told_and_how_to_go_on(world: World) -> None:
    """A stream that is full in the midst of it: exit code 1, and the rest comes later."""
    photos = add_skipped(world, 10, "no_match")
    config = (await world.js.stream_info("PHOTO_FACES")).config
    await world.js.update_stream(config.evolve(max_msgs=4, discard=DiscardPolicy.NEW))
    done = await facematch(world.environment, "backfill", *_IMAGES, "--outcome", "skipped")
    assert (done.returncode, done.stdout) == (1, "")
    *_, how_far, last = done.stderr.splitlines()
    assert how_far.startswith("0 jobs were published, and maybe some")
    assert last.endswith("maximum messages exceeded")
    await world.js.update_stream(config)
    arguments = told(done.stderr)
    assert arguments[:5] == ["backfill", "--outcome", "skipped", *_IMAGES]
    done = await facematch(world.environment, *arguments)
    assert [" ".join(line.split()) for line in done.stdout.splitlines()[:7]] == [
        "photos 10",
        "matched, or of another outcome 0",
        "with a job in flight 4",
        "without an image reference 0",
        "with an invalid one 0",
        "to be looked at 6",
        "jobs published 6",
    ]
    assert sorted(await in_the_queue(world)) == sorted(photos)


async def test_a_stream_that_takes_no_batches_is_told(world: World) -> None:
    """Whatever else was asked for, and to machines too."""
    add_skipped(world, 2, "no_match")
    config = (await world.js.stream_info("PHOTO_FACES")).config
    told = "The stream takes no batches: jobs are published one by one"
    for allow_atomic, options, words in (
        (True, (), ["Should"]),
        (False, (), [told, "Should"]),
        (False, ("--rate", "9"), [told, "Should"]),
        (False, ("--dry-run",), [told]),
    ):
        await world.js.update_stream(config.evolve(allow_atomic=allow_atomic))
        done = await facematch(world.environment, "backfill", *_IMAGES, "--outcome", "skipped", "--json", *options)
        assert json.loads(done.stdout)["in_batches"] is allow_atomic
        assert [line[: len(word)] for line, word in zip(done.stderr.splitlines(), words, strict=True)] == words


async def test_a_dry_run_publishes_nothing(world: World) -> None:
    """It counts what is selected, several ways of ending taken together; without a selection it is everything."""
    add_skipped(world, 2, "no_match"), add_skipped(world, 3, "no_face"), world.add_photo()
    world.sql("INSERT INTO photos VALUES (%s)", UUID(int=1))
    for selection, due in (
        ((), 7),
        (("--outcome", "none"), 2),
        (("--outcome", "none", "--reason", "no_match"), 4),
        (("--outcome", "failed", "--outcome", "matched"), 0),
        (("--before", "1h"), 2),
    ):
        done = await facematch(
            world.environment, "backfill", *_IMAGES, "--dry-run", "--json", "--rate", "1", *selection
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) | {"due": due, "published": 0, "dry_run": True} == json.loads(done.stdout)
    assert await in_the_queue(world) == []


async def test_wrong_usage_and_missing_servers_are_told(world: World) -> None:
    """Exit code 2 for the first, 1 for the second; nothing was begun, so there is nothing to go on with."""
    for arguments, code, words in (
        (("--outcome", "lost"), 2, "'lost' is not one of"),
        (("--reason", "lost"), 2, "'lost' is not one of"),
        (("--rate", "0"), 2, "--rate"),
        (("--before", "yesterday"), 2, "is no time"),
        ((), 2, "has no column image_ref; it has id; say with --image-ref where a photo's image is"),
        (_IMAGES, 1, "cannot connect to NATS"),
    ):
        if code == 1:
            world.environment["FACEMATCH_NATS_URL"] = "nats://127.0.0.1:1"
        done = await facematch(world.environment, "backfill", *arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert words in " ".join(done.stderr.replace("│", "").split())
        assert "o on with" not in done.stderr
