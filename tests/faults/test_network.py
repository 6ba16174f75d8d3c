"""Networks that drop packets and stores that trickle: nothing is refused, nothing is closed, and no job is lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from infra.local_stack.nats import NatsServer
from infra.local_stack.s3 import S3Server
from tests.broker import running
from tests.e2e.world import WorkerProcess, World, eventually
from tests.faults.proxy import Proxy
from tests.faults.scene import (
    FEW_DELIVERIES,
    LONGER_THAN_ALL_DELIVERIES,
    all_matched_once,
    outages_told,
    publish,
    scene,
)
from tests.faulty_s3 import FaultyS3, cut_mid_body, error, only_for, pass_on, trickle_photographs
from tests.processes import cpu_seconds

_BUSY = 0.5
"""The share of a processor that a worker in an outage stays well below; a loop without a pause takes all of it."""
_MORE_THAN_SOCKETS_HOLD = 20
_DOWN_AND_UP = ["dependency_down", "dependency_up"]
_LARGE_ONES = ["1", "12", "123", "1234"]
"""Photographs that would trickle for minutes."""


@attrs.frozen
class Network:
    """A world, and the way from its worker to each server."""

    world: World
    ways: dict[str, Proxy]

    def worker(self, **settings: str) -> contextlib.AbstractContextManager[WorkerProcess]:
        """Run a worker that goes by these ways."""
        direct = self.world.environment
        return self.world.worker(
            FACEMATCH_NATS_URL=self.ways["message broker"].before(direct["FACEMATCH_NATS_URL"]),
            FACEMATCH_DATABASE_URL=self.ways["database"].before(direct["FACEMATCH_DATABASE_URL"]),
            FACEMATCH_S3_ENDPOINT=self.ways["object store"].endpoint,
            **settings,
        )


@pytest_asyncio.fixture
async def network(tmp_path: Path, s3_server: S3Server, database_url: str) -> AsyncIterator[Network]:
    """Return a world whose workers reach each server by a proxy; the test itself goes directly."""
    with contextlib.ExitStack() as stack:
        broker = NatsServer(tmp_path / "nats")
        stack.callback(broker.stop)
        broker.start()
        addresses = {"message broker": broker.url, "database": database_url, "object store": f"//{s3_server.endpoint}"}
        ways = {name: stack.enter_context(Proxy(_port(address))) for name, address in addresses.items()}
        async with scene(tmp_path, s3_server, nats=broker.url, database=database_url, settings=FEW_DELIVERIES) as world:
            yield Network(world, ways)


def _port(url: str) -> int:
    return int(url.rpartition("@")[2].rpartition("//")[2].partition("/")[0].rpartition(":")[2])


@pytest.mark.parametrize("name", ["message broker", "database", "object store"])
async def test_a_half_open_connection_costs_no_job(network: Network, name: str) -> None:
    """Packets are dropped for longer than all deliveries take: that is told once, waited for, and over at once.

    A store that has answered its first probe may be too slow for the photographs, which is told as another outage.
    """
    world, way = network.world, network.ways[name]
    before, during = world.add_photos(2), world.add_photos(8)
    with network.worker() as worker:
        await publish(world, before)
        await all_matched_once(world, before)
        way.silence()
        await publish(world, during)
        await eventually(worker.not_ready, lambda found: name in found, f"/readyz to name the {name}")
        used = cpu_seconds(worker.process.pid)
        await asyncio.sleep(LONGER_THAN_ALL_DELIVERIES)
        assert (await worker.not_ready()).keys() == {name}
        assert worker.get("/livez")[0] == 200
        assert cpu_seconds(worker.process.pid) - used < _BUSY * LONGER_THAN_ALL_DELIVERIES
        assert await world.stored("PHOTO_FACES_DEAD") == []
        way.speak()
        await all_matched_once(world, before + during)
        await eventually(worker.not_ready, lambda found: not found, "/readyz to say yes")
        told = outages_told(worker, name)
        assert told in [_DOWN_AND_UP, (2 if name == "object store" else 1) * _DOWN_AND_UP]


async def test_a_worker_stops_although_nothing_answers(network: Network) -> None:
    """With jobs in hand and every connection half-open it ends in time, with 0; another worker does the jobs."""
    photos = network.world.add_photos(8)
    with network.worker(FACEMATCH_WORKER_SHUTDOWN_GRACE="2") as worker:
        network.ways["object store"].silence()
        await publish(network.world, photos)

        async def in_hand() -> int:
            info = await network.world.js.consumer_info("PHOTO_FACES", "single-face-match")
            return info.num_ack_pending or 0

        await eventually(in_hand, lambda count: count > 0, "jobs in hand")
        for way in network.ways.values():
            way.silence()
        assert worker.stop() == 0
    for way in network.ways.values():
        way.speak()
    with network.worker():
        await all_matched_once(network.world, photos)


async def test_a_forgotten_connection_with_unsent_messages_is_given_up(tmp_path: Path) -> None:
    """However much could not be sent on it, a connection on which nothing comes back is replaced."""
    async with running(tmp_path) as server:
        with Proxy(_port(server.url)) as way:
            client = await connect(ConnectionOptions((way.before(server.url),)), ping_seconds=1)
            way.forget()
            for _ in range(_MORE_THAN_SOCKETS_HOLD):
                await client.publish("anything", bytes(client.max_payload))

            async def reconnects() -> int:
                return client.stats["reconnects"]

            await eventually(reconnects, lambda count: count >= 1, "the reconnection")
            await client.flush()
            await disconnect(client)


async def test_whatever_a_server_says_at_first_it_is_tried_again(tmp_path: Path) -> None:
    """What listens at the server's address is for a while something else: that does not end the search for it."""
    async with running(tmp_path) as server:
        with Proxy(_port(server.url)) as way:
            troubles: list[str] = []
            client = await connect(ConnectionOptions((way.before(server.url),)), report=troubles.append)
            async with await asyncio.start_server(_babble, "127.0.0.1", 0) as other:
                way.upstream = other.sockets[0].getsockname()[1]
                way.reset()

                async def trouble() -> bool:
                    return any("LimitOverrun" in what or "ValueError" in what for what in troubles)

                await eventually(trouble, bool, "the client to meet the other")
                way.upstream = _port(server.url)
                way.reset()

            async def connected() -> bool:
                return client.is_connected

            await eventually(connected, bool, "the reconnection")
            await client.flush()
            await disconnect(client)


async def _babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say more than the first line of any NATS server, and no end of it."""
    writer.write(b"INFO " + b"x" * 100_000)
    with contextlib.suppress(OSError):
        await writer.drain()
    writer.close()


@attrs.frozen
class Shop:
    """A world whose workers reach the object store by a proxy that can be told to trickle."""

    world: World
    store: FaultyS3


@pytest_asyncio.fixture
async def shop(tmp_path: Path, s3_server: S3Server, database_url: str) -> AsyncIterator[Shop]:
    """Return a world with few deliveries, whose photographs have three seconds to come."""
    async with running(tmp_path) as broker:
        with FaultyS3(s3_server.endpoint) as store:
            async with scene(
                tmp_path, s3_server, nats=broker.url, database=database_url, settings=FEW_DELIVERIES
            ) as world:
                world.environment["FACEMATCH_S3_ENDPOINT"] = store.endpoint
                for name in _LARGE_ONES:
                    world.put(name, b"fine" + bytes(len(name) * 5_000))
                yield Shop(world, store)


@pytest.mark.parametrize("when", ["before the worker starts", "while it works"])
async def test_a_store_that_is_slow_for_everybody_costs_no_job(shop: Shop, when: str) -> None:
    """It answers every small question, but photographs do not come in time: that is an outage, not the jobs' fault.

    Photographs that it is too slow for at once, although it is well again, are told as another one.
    """
    world, store = shop.world, shop.store
    early, late = [], world.add_photos(8)
    if when == "before the worker starts":
        store.standing = trickle_photographs
    with world.worker() as worker:
        if when == "while it works":
            early = world.add_photos(2)
            for photo, image in zip(early, _LARGE_ONES, strict=False):
                await publish(world, [photo], image)
            await all_matched_once(world, early)
            store.standing = trickle_photographs
        for photo, image in zip(late, _LARGE_ONES * 2, strict=True):
            await publish(world, [photo], image)
        found = await eventually(
            worker.not_ready, lambda found: "object store" in found, "/readyz to name the object store"
        )
        assert "the object store answers, but neither of two photographs comes" in found["object store"]
        used = cpu_seconds(worker.process.pid)
        await asyncio.sleep(LONGER_THAN_ALL_DELIVERIES)
        assert cpu_seconds(worker.process.pid) - used < _BUSY * LONGER_THAN_ALL_DELIVERIES
        assert await world.stored("PHOTO_FACES_DEAD") == []
        store.standing = pass_on
        await all_matched_once(world, early + late)
        await eventually(worker.not_ready, lambda found: not found, "/readyz to say yes")
        assert outages_told(worker, "object store") in [_DOWN_AND_UP, 2 * _DOWN_AND_UP]


async def test_rights_that_are_taken_away_cost_no_job(shop: Shop) -> None:
    """A policy that was changed lets the worker read nothing any more: jobs wait until it may again."""
    world, store = shop.world, shop.store
    early, late = world.add_photos(2), world.add_photos(4)
    with world.worker() as worker:
        for photo, image in zip(early, _LARGE_ONES, strict=False):
            await publish(world, [photo], image)
        await all_matched_once(world, early)
        store.standing = error("403 Forbidden", "AccessDenied")
        for photo, image in zip(late, _LARGE_ONES, strict=True):
            await publish(world, [photo], image)
        found = await eventually(worker.not_ready, lambda found: "object store" in found, "/readyz to name it")
        assert "no photograph may be read with these credentials" in found["object store"]
        store.standing = pass_on
        await all_matched_once(world, early + late)
    assert await world.stored("PHOTO_FACES_DEAD") == []


async def test_a_store_that_is_too_slow_for_large_photographs_costs_none(shop: Shop) -> None:
    """Small ones still come, and are no reason to blame the large ones."""
    world, store = shop.world, shop.store
    early, large, small = world.add_photos(2), world.add_photos(4), world.add_photos(40)
    with world.worker() as worker:
        for photo, image in zip(early, _LARGE_ONES, strict=False):
            await publish(world, [photo], image)
        await all_matched_once(world, early)
        store.standing = trickle_photographs
        for number, image in enumerate(_LARGE_ONES):
            await publish(world, small[10 * number : 10 * (number + 1)])
            await publish(world, [large[number]], image)
        await eventually(worker.not_ready, lambda found: "object store" in found, "/readyz to name the object store")
        await asyncio.sleep(LONGER_THAN_ALL_DELIVERIES)
        store.standing = pass_on
        await all_matched_once(world, early + large + small)
    assert await world.stored("PHOTO_FACES_DEAD") == []


async def test_two_bad_photographs_hold_up_no_other(shop: Shop) -> None:
    """A worker that has seen nothing else yet does not take them for the store: good ones are done meanwhile."""
    world, store = shop.world, shop.store
    bad, good = world.add_photos(2), world.add_photos(3)
    store.standing = only_for(_LARGE_ONES[:2], cut_mid_body)
    with world.worker():
        for photo, image in zip(bad, _LARGE_ONES, strict=False):
            await publish(world, [photo], image)
        await publish(world, good)
        for photo in good:
            [event] = await world.outcome_of(photo)
            assert event["outcome"] == "matched"
        for photo in bad:
            [event] = await world.outcome_of(photo)
            assert event["reason"] == "storage_unavailable"


async def test_one_photograph_that_trickles_disturbs_no_other(shop: Shop) -> None:
    """It is given up after its deliveries, as ``storage_unavailable``; the others are matched and nobody pauses."""
    world, store = shop.world, shop.store
    slow, others = world.add_photos(1), world.add_photos(20)
    store.standing = only_for(_LARGE_ONES[:1], trickle_photographs)
    with world.worker() as worker:
        await publish(world, slow, _LARGE_ONES[0])
        await publish(world, others)
        for photo in others:
            [event] = await world.outcome_of(photo)
            assert event["outcome"] == "matched"
        [event] = await world.outcome_of(slow[0])
        assert (event["outcome"], event["reason"]) == ("failed", "storage_unavailable")
        await world.settled()
        assert outages_told(worker, "object store") == []
    assert len(await world.stored("PHOTO_FACES_DEAD")) == 1
