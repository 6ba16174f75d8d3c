"""Three NATS servers that keep every stream together: whichever dies under load, nothing is lost or doubled."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import nats.errors
import pytest
import pytest_asyncio
import urllib3
from nats.js.api import ClusterInfo

from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from adapters.nats_jetstream.inspection import inspect_broker
from adapters.nats_jetstream.provisioning import provision
from infra.local_stack.nats_cluster import NatsCluster
from infra.local_stack.process import ServerProcess, free_port, program
from infra.local_stack.s3 import S3Server
from tests.broker import ACK_WAIT, own_names
from tests.e2e.command import run_cli
from tests.e2e.world import PATIENCE_SECONDS, SUBJECT, WorkerProcess, World, eventually
from tests.faults.scene import IMAGE, all_matched_once, outages_told, publish, scene
from tests.guarded_nats import PASSWORDS, SHIPPED, lay_out
from tests.processes import cpu_seconds

_PHOTOS = 3000
"""More than are published before all servers have been killed."""
_MORE = 30
_DOWN_AND_UP = ["dependency_down", "dependency_up"]
_BUSY = 0.5
_Answer = TypeVar("_Answer")
_SETTINGS = {"FACEMATCH_NATS_REPLICAS": "3", "FACEMATCH_NATS_ACK_WAIT": "5"}


@pytest.fixture(scope="module")
def cluster(servers_folder: Path) -> Iterator[NatsCluster]:
    """Return a cluster; leave it healthy."""
    cluster = NatsCluster(servers_folder / "cluster")
    try:
        cluster.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not cluster.healthy:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield cluster
    finally:
        cluster.stop()


@pytest_asyncio.fixture
async def world(cluster: NatsCluster, tmp_path: Path, s3_server: S3Server, database_url: str) -> AsyncIterator[World]:
    """Return a prepared world on the cluster, with three copies of everything."""
    nats_url = ",".join(cluster.urls)
    async with scene(tmp_path, s3_server, nats=nats_url, database=database_url, settings=_SETTINGS) as world:
        yield world


async def _insist(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Ask again and again while servers are away."""

    async def asked() -> _Answer | Exception:
        try:
            return await ask()
        except (nats.errors.Error, TimeoutError) as error:
            return error

    found: _Answer = await eventually(asked, lambda found: not isinstance(found, Exception), "an answer")
    return found


class Publisher:
    """Publishes jobs as an application should: each with an id of its own, until it is confirmed."""

    def __init__(self, world: World) -> None:
        self.confirmed: list[UUID] = []
        self.enough = asyncio.Event()
        self._world = world

    async def publish(self, photos: list[UUID]) -> None:
        """Publish one after the other until it is enough."""
        for photo in photos:
            await _insist(partial(self._publish, photo))
            self.confirmed.append(photo)
            if self.enough.is_set():
                return
            await asyncio.sleep(0.02)

    async def goes_on(self) -> None:
        """Return after some more jobs."""
        goal = len(self.confirmed) + _MORE

        async def confirmed() -> int:
            return len(self.confirmed)

        await eventually(confirmed, lambda count: count >= goal, "more jobs to be confirmed")

    async def _publish(self, photo: UUID) -> None:
        body = json.dumps({"photo_id": str(photo), "image_ref": IMAGE}).encode()
        await self._world.js.publish(SUBJECT, body, timeout=1, headers={"Nats-Msg-Id": f"job of {photo}"})


async def _leader_of_the_stream(world: World, _cluster: NatsCluster, _worker: WorkerProcess) -> str:
    info = await _insist(lambda: world.js.stream_info("PHOTO_FACES"))
    return _leader(info.cluster)


async def _leader_of_the_consumer(world: World, _cluster: NatsCluster, _worker: WorkerProcess) -> str:
    info = await _insist(lambda: world.js.consumer_info("PHOTO_FACES", "single-face-match"))
    return _leader(info.cluster)


def _leader(group: ClusterInfo | None) -> str:
    assert group is not None
    return str(group.leader)


async def _home_of_the_worker(_world: World, cluster: NatsCluster, _worker: WorkerProcess) -> str:
    def connections(server: str) -> int:
        url = f"{cluster.servers[server].monitoring_url}/connz"
        return sum(one.get("name") == "facematch" for one in urllib3.request("GET", url).json()["connections"])

    return max(cluster.servers, key=connections)


async def _healthy(cluster: NatsCluster) -> None:
    async def healthy() -> bool:
        return await asyncio.to_thread(lambda: cluster.healthy)

    await eventually(healthy, bool, "a healthy cluster")


async def test_servers_that_die_under_load_cost_no_job(world: World, cluster: NatsCluster) -> None:
    """The leader of the jobs, the one of the consumer, and the one that a worker talks to die, each once."""
    publisher = Publisher(world)
    with world.worker() as first, world.worker() as second:
        publishing = asyncio.create_task(publisher.publish(world.add_photos(_PHOTOS)))
        await publisher.goes_on()
        for choose in (_leader_of_the_stream, _leader_of_the_consumer, _home_of_the_worker):
            victim = cluster.servers[await choose(world, cluster, first)]
            victim.kill()
            await publisher.goes_on()
            victim.start()
            await _healthy(cluster)
        publisher.enough.set()
        await publishing
        await _insist(lambda: all_matched_once(world, publisher.confirmed))
        assert [worker.get("/livez")[0] for worker in (first, second)] == [200, 200]
        assert [worker.stop() for worker in (first, second)] == [0, 0]


async def test_a_stream_with_one_copy_is_a_risk(cluster: NatsCluster) -> None:
    """Each of the three is told where `provision` makes one; with three it mends that, and later it takes none away."""
    names = own_names()
    client = await connect(ConnectionOptions(tuple(cluster.urls)))
    try:
        for replicas, at_risk in [
            (1, [names.stream, names.results_stream, names.dead_stream]),
            (3, []),
            (1, []),
        ]:
            await provision(client, names, ack_wait_seconds=ACK_WAIT, replicas=replicas)
            facts = await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)
            assert [risk.partition(" has one copy, ")[0] for risk in facts.risks] == at_risk
        for stream in (names.stream, names.results_stream, names.dead_stream):
            await client.jetstream().delete_stream(stream)
    finally:
        await disconnect(client)


async def test_a_server_that_is_missing_at_the_start_is_not_missed(world: World, cluster: NatsCluster) -> None:
    """Two of three are enough to begin with, too."""
    photos = world.add_photos(4)
    victim = next(iter(cluster.servers.values()))
    victim.kill()
    try:
        with world.worker():
            await _insist(lambda: publish(world, photos))
            await _insist(lambda: all_matched_once(world, photos))
    finally:
        victim.start()
        await _healthy(cluster)


async def test_a_lost_majority_costs_no_job(world: World, cluster: NatsCluster) -> None:
    """With two of three away nothing can be stored: workers wait, say so, and go on when one is back.

    The cluster may elect its leaders anew after it has answered for the first time, which is told as another outage.
    """
    photos = world.add_photos(40)
    with world.worker() as worker:
        await publish(world, photos)
        victims = list(cluster.servers.values())[:2]
        for victim in victims:
            victim.kill()
        with contextlib.ExitStack() as repair:
            for victim in victims:
                repair.callback(victim.start)
            await eventually(worker.not_ready, lambda found: "message broker" in found, "/readyz to name the broker")
            used, started = cpu_seconds(worker.process.pid), time.monotonic()
            await asyncio.sleep(5)
            assert cpu_seconds(worker.process.pid) - used < _BUSY * (time.monotonic() - started)
            assert worker.get("/livez")[0] == 200
        await _healthy(cluster)
        await _insist(lambda: all_matched_once(world, photos))
        await eventually(worker.not_ready, lambda found: not found, "/readyz to say yes")
        told = outages_told(worker, "message broker")
        assert told in [_DOWN_AND_UP, 2 * _DOWN_AND_UP]


def test_the_shipped_configuration_makes_a_cluster(tmp_path: Path) -> None:
    """Three servers that are given it, but for their addresses and folders, keep three copies for the operator."""
    lay_out(tmp_path / "shipped")
    shipped = (SHIPPED / "cluster.conf").read_text()
    ports, route_ports = ([free_port() for _ in range(3)] for _ in range(2))
    routes = ",".join(f"nats://127.0.0.1:{port}" for port in route_ports)
    with contextlib.ExitStack() as stack:
        for number, (port, route_port) in enumerate(zip(ports, route_ports, strict=True)):
            config = tmp_path / "shipped" / f"{number}.conf"
            config.write_text(shipped.replace('"/data"', json.dumps(str(tmp_path / str(number)))))
            command = [program("nats-server"), "--config", str(config), "--name", f"nats-{number}"]
            command += ["--addr", "127.0.0.1", "--port", str(port), "--http_port", "-1"]
            command += ["--cluster", f"nats://127.0.0.1:{route_port}", "--routes", routes]
            server = ServerProcess("nats-server", tmp_path / f"{number}.log")
            stack.callback(server.stop)
            server.start(command, environment={"PATH": os.defpath}, ready=lambda: True)
        url = ",".join(f"nats://operator:{PASSWORDS['operator']}@127.0.0.1:{port}" for port in ports)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            done = run_cli("provision", FACEMATCH_NATS_URL=url, FACEMATCH_NATS_REPLICAS="3")
            if done.returncode == 0 or time.monotonic() > deadline:
                break
        assert done.returncode == 0, done.stderr
