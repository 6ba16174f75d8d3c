"""The database's server changes, or its word is lost, in the middle of a transaction: each outcome stands once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import attrs
import psycopg
import pytest

from infra.local_stack.postgres import PostgresServer
from infra.local_stack.s3 import S3Server
from tests.broker import running
from tests.e2e.world import World, eventually
from tests.faults.proxy import Fate, Proxy
from tests.faults.scene import (
    FEW_DELIVERIES,
    LONGER_THAN_ALL_DELIVERIES,
    all_matched_once,
    outages_told,
    publish,
    scene,
)
from tests.faults.standby import Standby

_QUICK = {"FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.1", "FACEMATCH_NATS_MAX_DELIVER": "2"}


@attrs.frozen
class Site:
    """A world, and the address by which it reaches its database, whichever server that is."""

    world: World
    address: Proxy


@contextlib.asynccontextmanager
async def site(folder: Path, s3: S3Server, url: str, settings: dict[str, str] | None = None) -> AsyncIterator[Site]:
    """Return a world whose every way to the database is by the address."""
    async with running(folder) as broker:
        with Proxy(_port(url)) as address:
            async with scene(folder, s3, nats=broker.url, database=address.before(url), settings=settings) as world:
                yield Site(world, address)


@contextlib.contextmanager
def pair(folder: Path) -> Iterator[tuple[PostgresServer, Standby, str]]:
    """Return a primary, a standby that does not follow it yet, and the URL of the primary's database ``app``."""
    primary = PostgresServer(folder / "primary")
    standby = Standby(folder / "standby", primary)
    with contextlib.ExitStack() as servers:
        for server in (primary, standby):
            servers.callback(server.stop)
        primary.start()
        yield primary, standby, primary.create_database("app")


def take_no_writes(url: str) -> None:
    """Let the server of that URL be read-only, for the sessions that it has as for new ones."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute("SELECT pg_reload_conf()")


def _port(url: str) -> int:
    return int(url.rpartition("@")[2].partition("/")[0].rpartition(":")[2])


@attrs.define
class Interruption:
    """Lets a connection end, once, at the last of these words, when they have been said one after the other."""

    words: list[bytes]
    fate: Fate

    def __call__(self, said: bytes) -> Fate:
        """Decide."""
        if not self.words or self.words[0] not in said:
            return Fate.GO_ON
        del self.words[0]
        return Fate.GO_ON if self.words else self.fate


@pytest.mark.parametrize("fate", [Fate.HANG_UP, Fate.SWALLOW])
async def test_a_commit_that_is_not_answered_leaves_one_outcome(
    tmp_path: Path, s3_server: S3Server, database_url: str, fate: Fate
) -> None:
    """Whether it was lost, after every row had been written, or only its confirmation: nobody can tell, nor need to."""
    async with site(tmp_path, s3_server, database_url, _QUICK) as place:
        photos = place.world.add_photos(1)
        with place.world.worker() as worker:
            place.address.listener = Interruption([b"INSERT INTO facematch.outcomes", b"COMMIT\0"], fate)
            await publish(place.world, photos)
            await all_matched_once(place.world, photos)
        actions = [line["action"] for line in worker.lines() if line.get("event") == "job"]
        assert outages_told(worker, "database") == []
    assert actions == ["retry", "repeated" if fate is Fate.SWALLOW else "matched"]


async def test_a_record_that_is_not_confirmed_stands_once(
    tmp_path: Path, s3_server: S3Server, database_url: str
) -> None:
    """An outcome that needs no more than one row is written without a transaction, and is as safe."""
    async with site(tmp_path, s3_server, database_url, _QUICK) as place:
        photo = uuid4()
        with place.world.worker() as worker:
            place.address.listener = Interruption([b"INSERT INTO facematch.outcomes"], Fate.SWALLOW)
            await publish(place.world, [photo])
            [event] = await place.world.outcome_of(photo)
            await place.world.settled()
        actions = [line["action"] for line in worker.lines() if line.get("event") == "job"]
        assert event["reason"] == "photo_not_found"
        assert place.world.sql("SELECT reason FROM facematch.outcomes") == [("photo_not_found",)]
        assert await place.world.stored("PHOTO_FACES_DEAD") == []
    assert actions == ["retry", "repeated"]


async def test_a_fail_over_to_a_standby_costs_no_job(tmp_path: Path, s3_server: S3Server, servers_folder: Path) -> None:
    """The primary dies under load; behind its address stands its standby, which takes writes only much later."""
    with pair(servers_folder / "followed") as (primary, standby, url):
        standby.follow("app")
        async with site(tmp_path, s3_server, url, FEW_DELIVERIES) as place:
            world, photos = place.world, place.world.add_photos(200)
            with world.worker() as worker:
                await publish(world, photos)
                await eventually(world.events, lambda events: len(events) >= 20, "the first events")
                primary.kill()
                place.address.upstream = _port(standby.url())
                place.address.reset()
                await eventually(
                    worker.not_ready, lambda found: "read-only" in found.get("database", ""), "/readyz to say why"
                )
                await asyncio.sleep(LONGER_THAN_ALL_DELIVERIES)
                assert await world.stored("PHOTO_FACES_DEAD") == []
                assert len(await world.events()) < len(photos)
                standby.promote()
                await all_matched_once(world, photos)
                assert outages_told(worker, "database") == ["dependency_down", "dependency_up"]


async def test_a_switch_of_servers_that_ends_no_session_costs_no_job(
    tmp_path: Path, s3_server: S3Server, servers_folder: Path
) -> None:
    """The old server lives on behind open connections and takes no writes; the address leads to its successor."""
    with pair(servers_folder / "switched") as (_, new, url):
        async with site(tmp_path, s3_server, url, FEW_DELIVERIES) as place:
            world, photos = place.world, place.world.add_photos(50)
            with world.worker() as worker:
                await publish(world, photos[:10])
                await all_matched_once(world, photos[:10])
                new.start()
                take_no_writes(url)
                new.promote()
                place.address.upstream = _port(new.url())
                await publish(world, photos[10:])
                await all_matched_once(world, photos)
                assert outages_told(worker, "database") == ["dependency_down", "dependency_up"]


async def test_a_fail_over_takes_back_no_outcome_that_was_relied_on(
    tmp_path: Path, s3_server: S3Server, servers_folder: Path
) -> None:
    """Commits that the standby, which is away, has not seen are visible on the primary; then that dies with them."""
    with pair(servers_folder / "forsaken") as (primary, standby, url):
        async with site(tmp_path, s3_server, url, FEW_DELIVERIES) as place:
            world, photos = place.world, place.world.add_photos(4)
            standby.follow("app")
            with world.worker() as worker:
                standby.kill()
                await publish(world, photos)
                await eventually(
                    worker.not_ready, lambda found: "not confirmed" in found.get("database", ""), "/readyz to say why"
                )
                assert _outcomes_on(url) > 0
                await asyncio.sleep(LONGER_THAN_ALL_DELIVERIES)
                assert (await world.events(), await world.stored("PHOTO_FACES_DEAD")) == ([], [])
                primary.kill()
                standby.start()
                standby.promote()
                place.address.upstream = _port(standby.url())
                place.address.reset()
                await all_matched_once(world, photos)


def _outcomes_on(url: str) -> int:
    """Return how many outcomes can be seen on the server of that URL."""
    with psycopg.connect(url) as connection:
        return len(connection.execute("SELECT FROM facematch.outcomes").fetchall())
