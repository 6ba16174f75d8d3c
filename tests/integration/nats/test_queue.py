"""The queue on a real server: what is missing is told, what comes back is used, and nothing is asked in a hurry."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from adapters.nats_jetstream.connection import asking
from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from adapters.nats_jetstream.inspection import inspect_broker
from adapters.nats_jetstream.jobs import pulling
from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.jobs.delivery import JetStreamDelivery
from adapters.nats_jetstream.jobs.queue_statistics import JetStreamQueueStatistics
from adapters.nats_jetstream.jobs.stream_incarnation import TRUST_SECONDS
from adapters.nats_jetstream.names import BrokerNames
from domain.errors import MessagingUnavailableError
from infra.local_stack.nats import NatsServer
from tests.broker import ACK_WAIT, connected, provisioned, running
from tests.e2e.world import eventually
from tests.faults.proxy import Proxy

SOON = 5.0


@pytest.fixture
def queue(client: Client, names: BrokerNames) -> JetStreamJobQueue:
    """Return a queue; nothing is provisioned."""
    return JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT)


async def one(queue: JetStreamJobQueue) -> JetStreamDelivery:
    """Return the one delivery that comes."""
    [delivery] = await queue.fetch(1, timeout_seconds=SOON)
    return delivery


async def two(queue: JetStreamJobQueue, js: JetStreamContext, names: BrokerNames) -> Sequence[JetStreamDelivery]:
    """Publish two jobs and return their deliveries."""
    for _ in range(2):
        await js.publish(names.subject, b"a job")
    return await queue.fetch(2, timeout_seconds=SOON)


async def counted(client: Client, names: BrokerNames) -> tuple[int, int]:
    """Return how many jobs wait, and how many are in hand."""
    state = await JetStreamQueueStatistics(client, names).look()
    return state.pending, state.ack_pending


async def waiting(client: Client, names: BrokerNames) -> int | None:
    """Return how many requests wait for jobs."""
    count: int | None = (await client.jetstream().consumer_info(names.stream, names.durable)).num_waiting
    return count


async def fetch_in_the_end(queue: JetStreamJobQueue) -> JetStreamDelivery:
    """Fetch as a worker does, whatever the broker says meanwhile, until a job comes."""

    async def fetched() -> Any:
        try:
            return list(await queue.fetch(1, timeout_seconds=1))
        except MessagingUnavailableError as error:
            return error

    found = await eventually(fetched, lambda result: isinstance(result, list) and len(result) == 1, "a job")
    delivery: JetStreamDelivery = found[0]
    return delivery


async def test_a_missing_stream_is_told(queue: JetStreamJobQueue, names: BrokerNames) -> None:
    """Nobody provisioned: the message says so."""
    expected = f"no stream holds the subject {names.subject}: run `facematch provision`"
    with pytest.raises(MessagingUnavailableError) as caught:
        await queue.fetch(1, timeout_seconds=SOON)
    assert str(caught.value).removeprefix("NATS, stream: ") == expected


async def test_a_missing_consumer_is_told(queue: JetStreamJobQueue, js: JetStreamContext, names: BrokerNames) -> None:
    """The stream alone is not enough."""
    await js.add_stream(name=names.stream, subjects=[names.subject])
    with pytest.raises(MessagingUnavailableError, match=f"no consumer {names.durable} .* run `facematch provision`"):
        await queue.fetch(1, timeout_seconds=SOON)


@pytest.mark.parametrize("what", ["consumer", "stream"])
@pytest.mark.parametrize("when", ["between two fetches", "during a fetch"])
async def test_what_is_deleted_under_a_worker_is_told_and_used_again(
    queue: JetStreamJobQueue, client: Client, js: JetStreamContext, names: BrokerNames, what: str, when: str
) -> None:
    """At once, with what to do; after provisioning the same queue goes on."""
    await provisioned(client, names)
    assert list(await queue.fetch(1, timeout_seconds=0.1)) == []
    if when == "between two fetches":
        await _delete(js, names, what)
    fetch = asyncio.create_task(queue.fetch(2, timeout_seconds=60))
    if when == "during a fetch":
        await asyncio.wait({fetch}, timeout=0.2)
        await _delete(js, names, what)
    with pytest.raises(MessagingUnavailableError, match="run `facematch provision`"):
        async with asyncio.timeout(SOON):
            await fetch
    await provisioned(client, names)
    await js.publish(names.subject, b"a job")
    assert (await one(queue)).body == b"a job"


async def _delete(js: JetStreamContext, names: BrokerNames, what: str) -> None:
    if what == "consumer":
        await js.delete_consumer(names.stream, names.durable)
    else:
        await js.delete_stream(names.stream)


async def test_a_restarted_server_delivers_what_it_has(tmp_path: Path) -> None:
    """A fetch that waits while the server crashes and comes back costs nobody their job."""
    async with running(tmp_path) as server, connected(server) as client:
        names = await provisioned(client)
        queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT)
        fetch = asyncio.create_task(queue.fetch(1, timeout_seconds=5))
        await asyncio.wait({fetch}, timeout=0.2)
        server.kill()
        server.start()
        async with connected(server) as publisher:
            await publisher.jetstream().publish(names.subject, b"a job")
        await asyncio.wait({fetch})
        delivery = fetch.result()[0] if not fetch.exception() and fetch.result() else await fetch_in_the_end(queue)
        assert delivery.body == b"a job"
        await delivery.ack()


async def test_a_job_in_hand_survives_a_restart(tmp_path: Path) -> None:
    """What was fetched before a restart can be acknowledged after it; of a crash the broker may forget who has what."""
    async with running(tmp_path) as server, connected(server) as client:
        names = await provisioned(client, ack_wait_seconds=30)
        await client.jetstream().publish(names.subject, b"a job")
        queue = JetStreamJobQueue(client, names, ack_wait_seconds=30)
        delivery = await one(queue)
        server.stop()
        server.start()
        await delivery.ack()
        assert await counted(client, names) == (0, 0)


async def test_a_delivery_of_a_deleted_consumer_cannot_be_settled(
    queue: JetStreamJobQueue, client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Nobody confirms: the worker hears it, and the next consumer delivers the job again."""
    await provisioned(client, names)
    await js.publish(names.subject, b"a job")
    delivery = await one(queue)
    await js.delete_consumer(names.stream, names.durable)
    with pytest.raises(MessagingUnavailableError, match="NATS, ack: no responders"):
        await delivery.ack()


@pytest.mark.parametrize("how", ["a fetch is told", "nobody is told", "the connection was lost"])
async def test_a_job_of_a_deleted_stream_ends_no_other(tmp_path: Path, how: str) -> None:
    """A stream that is made anew counts from 1 again: what was in hand by then is settled nowhere."""
    async with running(tmp_path) as server, connected(server) as client, connected(server) as operator:
        names = await provisioned(client, ack_wait_seconds=30)
        trusted = 0 if how == "nobody is told" else TRUST_SECONDS
        queue = JetStreamJobQueue(client, names, ack_wait_seconds=30, trust_seconds=trusted)
        js = operator.jetstream()
        deliveries = []
        for _ in range(3):
            await js.publish(names.subject, b"a job")
            deliveries.append(await one(queue))
        await js.delete_stream(names.stream)
        if how == "a fetch is told":
            with pytest.raises(MessagingUnavailableError):
                await queue.fetch(1, timeout_seconds=SOON)
        await provisioned(operator, names, ack_wait_seconds=30)
        if how == "the connection was lost":
            server.stop()
            server.start()
            await eventually(_connected_again(client, operator), lambda both: both, "the connections")
        another = JetStreamJobQueue(operator, names, ack_wait_seconds=30)
        for _ in range(3):
            await js.publish(names.subject, b"another job")
            await one(another)
        first, second, third = deliveries
        for settled in (first.ack(), second.retry(after_seconds=0), third.terminate("hopeless")):
            with pytest.raises(MessagingUnavailableError, match=f"the stream {names.stream} .* was deleted"):
                await settled
        assert await counted(client, names) == (0, 3)
        await js.publish(names.subject, b"one more")
        assert (await one(queue)).body == b"one more"


async def test_what_is_settled_while_nats_is_away_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for the next connection to be sent unseen: by then its number may name another job."""
    monkeypatch.setattr(asking, "_TRY_SECONDS", 30.0)  # a machine that is busy with other tests
    async with running(tmp_path) as server, connected(server) as operator:
        names = await provisioned(operator, ack_wait_seconds=30)
        js = operator.jetstream()
        with Proxy(urlsplit(server.url).port or 0) as way:
            client = await connect(ConnectionOptions((way.before(server.url),)))
            queue = JetStreamJobQueue(client, names, ack_wait_seconds=30, trust_seconds=60)
            settled, given_back = await two(queue, js, names)
            way.silence()
            way.reset()
            await eventually(_reconnecting(client), bool, "the end of the connection")
            settling = asyncio.create_task(settled.ack())
            await given_back.give_back()
            await js.delete_stream(names.stream)
            await provisioned(operator, names, ack_wait_seconds=30)
            another = JetStreamJobQueue(operator, names, ack_wait_seconds=30)
            await two(another, js, names)
            way.speak()
            with pytest.raises(MessagingUnavailableError, match=f"the stream {names.stream} .* was deleted"):
                await settling
            assert await counted(operator, names) == (0, 2)
            assert list(await another.fetch(1, timeout_seconds=0.5)) == []
            await disconnect(client)


def _reconnecting(client: Client) -> Any:
    async def looked() -> bool:
        return not client.is_connected

    return looked


def _connected_again(*clients: Client) -> Any:
    async def looked() -> bool:
        return all(client.is_connected and client.stats["reconnects"] for client in clients)

    return looked


async def test_a_job_that_takes_long_is_settled(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """Its stream is looked at again, and is the same; once for all jobs in hand."""
    await provisioned(client, names)
    queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT, trust_seconds=0)
    await asyncio.gather(*(js.publish(names.subject, b"a job") for _ in range(5)))
    deliveries = await queue.fetch(5, timeout_seconds=SOON)
    sent = client.stats["out_msgs"]
    await asyncio.gather(*(delivery.ack() for delivery in deliveries))
    assert client.stats["out_msgs"] - sent == 5 + 1
    assert await counted(client, names) == (0, 0)


async def test_jobs_that_took_long_wait_together_for_a_server_that_says_nothing(tmp_path: Path) -> None:
    """The look at their stream fails once for all of them, so that a worker that stops need not wait for each."""
    async with running(tmp_path) as server, connected(server) as client:
        names = await provisioned(client, ack_wait_seconds=30)
        queue = JetStreamJobQueue(client, names, ack_wait_seconds=30, trust_seconds=0)
        for _ in range(3):
            await client.jetstream().publish(names.subject, b"a job")
        deliveries = await queue.fetch(3, timeout_seconds=SOON)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await asyncio.to_thread(os.waitid, os.P_PID, server.pid, os.WSTOPPED)
            async with asyncio.timeout(1.5 * SOON):
                results = await asyncio.gather(*(delivery.ack() for delivery in deliveries), return_exceptions=True)
        finally:
            os.kill(server.pid, signal.SIGCONT)
    assert [str(result).partition(": check")[0] for result in results] == ["NATS, stream info: no answer in time"] * 3


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"deliver_subject": "push.here"}, "needs a pull consumer"),
        ({"ack_wait": 0.5}, "delivers again after 0.5 s, but FACEMATCH_NATS_ACK_WAIT is 1.2"),
        ({"max_deliver": 3}, "gives up after 3 deliveries"),
        ({"max_deliver": 5, "backoff": [1.0, 2.0]}, "has a backoff"),
        ({"headers_only": True}, "delivers no bodies"),
    ],
)
async def test_a_consumer_that_would_do_harm_is_not_used(
    queue: JetStreamJobQueue, js: JetStreamContext, names: BrokerNames, config: dict[str, Any], expected: str
) -> None:
    """Jobs would be lost, or delivered while they are in hand: the message says which, and what to do."""
    await js.add_stream(name=names.stream, subjects=[names.subject])
    await js.add_consumer(names.stream, ConsumerConfig(durable_name=names.durable, **{"ack_wait": 60, **config}))
    with pytest.raises(MessagingUnavailableError, match=f"{expected}.*run `facematch provision`"):
        await queue.fetch(1, timeout_seconds=SOON)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ack_wait": 0.5}, "delivers again after 0.5 s, but FACEMATCH_NATS_ACK_WAIT is 1.2"),
        ({"max_deliver": 3}, "gives up after 3 deliveries"),
        ({"headers_only": True}, "delivers no bodies"),
        ({"filter_subject": "{prefix}.*"}, "delivers {prefix}.*, but jobs are what comes on"),
    ],
)
async def test_a_consumer_that_is_changed_under_a_worker_is_not_used_any_more(
    client: Client, names: BrokerNames, change: dict[str, Any], expected: str
) -> None:
    """A fetch looks at it now and then, though each brings jobs; put right, the consumer is used again."""
    prefix = await _on_a_wider_stream(client, names)
    queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT, look_seconds=0)
    await asyncio.gather(*(client.jetstream().publish(names.subject, b"a job") for _ in range(3)))
    await (await one(queue)).ack()
    await _change(client, names, json.loads(json.dumps(change).replace("{prefix}", prefix)))
    for _ in range(2):
        with pytest.raises(MessagingUnavailableError, match=re.escape(expected.replace("{prefix}", prefix))):
            await queue.fetch(1, timeout_seconds=SOON)
    await provisioned(client, names)
    assert (await one(queue)).body == b"a job"


async def test_jobs_come_though_nobody_says_how_the_consumer_is(tmp_path: Path) -> None:
    """A server with too many questions before it answers none; what it still does, is to deliver, after a lull, too."""
    users = (
        "{user: all, password: p}, {user: few, password: p, permissions: {publish: {deny: '$JS.API.CONSUMER.INFO.>'}}}"
    )
    async with (
        running(tmp_path, f"authorization {{ users: [{users}] }}") as server,
        connected(server, user="all", password="p") as client,
        connected(server, user="few", password="p") as unheard,
    ):
        names = await provisioned(client)
        queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT, look_seconds=0)
        await client.jetstream().publish(names.subject, b"a job")
        await (await one(queue)).ack()
        queue._js = unheard.jetstream(timeout=SOON)
        assert await queue.fetch(1, timeout_seconds=0.1) == []
        await client.jetstream().publish(names.subject, b"another")
        assert (await one(queue)).body == b"another"


@pytest.mark.parametrize(
    ("change", "subject"), [({"headers_only": True}, "{prefix}.requested"), ({"filter_subject": ""}, "{prefix}.other")]
)
async def test_what_only_a_changed_consumer_delivers_is_no_job(
    queue: JetStreamJobQueue, client: Client, names: BrokerNames, change: dict[str, Any], subject: str
) -> None:
    """A job without its body, and what is none, are not judged before the consumer was looked at."""
    prefix = await _on_a_wider_stream(client, names)
    assert list(await queue.fetch(1, timeout_seconds=0.1)) == []
    await _change(client, names, change)
    await client.jetstream().publish(subject.replace("{prefix}", prefix), b"a job, or none")
    assert list(await queue.fetch(1, timeout_seconds=SOON)) == []
    with pytest.raises(MessagingUnavailableError, match="run `facematch provision`"):
        await queue.fetch(1, timeout_seconds=SOON)
    await provisioned(client, names)
    if subject.endswith("requested"):
        assert (await one(queue)).body == b"a job, or none"


async def _on_a_wider_stream(client: Client, names: BrokerNames) -> str:
    """Provision on a stream that holds more than jobs; return what its subjects begin with."""
    prefix = names.subject.removesuffix(".requested")
    await client.jetstream().add_stream(name=f"X_{names.stream}", subjects=[f"{prefix}.*"])
    await provisioned(client, names)
    return prefix


async def _change(client: Client, names: BrokerNames, change: dict[str, Any]) -> None:
    js = client.jetstream()
    stream = await js.find_stream_name_by_subject(names.subject)
    config = (await js.consumer_info(stream, names.durable)).config
    await js.add_consumer(stream, config.evolve(**change))


async def test_a_publisher_that_pretends_a_body_is_judged_by_what_came(
    queue: JetStreamJobQueue, client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """A header that NATS gives to messages whose body it leaves out is only a header where it leaves out none."""
    await provisioned(client, names)
    await js.publish(names.subject, b"", headers={"Nats-Msg-Size": "7"})
    assert (await one(queue)).body == b""


@pytest.mark.parametrize(
    "config",
    [{}, {"filter_subject": "{token}.>"}, {"filter_subjects": ["{token}.requested", "{token}.matched"]}],
    ids=["no filter", "a wider filter", "several filters"],
)
async def test_a_consumer_that_delivers_more_than_jobs_is_not_used(
    client: Client, js: JetStreamContext, names: BrokerNames, config: dict[str, Any]
) -> None:
    """On a stream that holds the events too, each event would be taken for a job, and cause another event."""
    token = names.stream.lower()
    names = attrs.evolve(names, subject=f"{token}.requested", results_prefix=token)
    filters: dict[str, Any] = json.loads(json.dumps(config).replace("{token}", token))
    await js.add_stream(name=f"ALL_{token}", subjects=[f"{token}.>"])
    await js.add_consumer(f"ALL_{token}", ConsumerConfig(durable_name=names.durable, ack_wait=60, **filters))
    await js.publish(f"{token}.matched", b"an event")
    await js.publish(names.subject, b"a job")
    queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT)
    expected = f"but jobs are what comes on {names.subject}: run `facematch provision`"
    with pytest.raises(MessagingUnavailableError, match=expected):
        await queue.fetch(5, timeout_seconds=SOON)
    refusal = (await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)).consumer_problem
    assert f"{refusal}: run `facematch provision`".endswith(expected)
    await provisioned(client, names)
    assert (await inspect_broker(client, names, ack_wait_seconds=ACK_WAIT)).consumer_problem is None
    assert [delivery.body for delivery in await queue.fetch(5, timeout_seconds=SOON)] == [b"a job"]


@pytest.mark.parametrize("way", ["no filter", "one of a list"])
async def test_a_consumer_that_delivers_jobs_only_is_used(
    queue: JetStreamJobQueue, js: JetStreamContext, names: BrokerNames, way: str
) -> None:
    """A stream of jobs alone needs no filter, and a list of one is a filter."""
    filters: dict[str, Any] = {} if way == "no filter" else {"filter_subjects": [names.subject]}
    await js.add_stream(name=names.stream, subjects=[names.subject])
    await js.add_consumer(names.stream, ConsumerConfig(durable_name=names.durable, ack_wait=60, **filters))
    await js.publish(names.subject, b"a job")
    assert (await one(queue)).body == b"a job"


async def test_a_consumer_that_waits_longer_does_no_harm(
    queue: JetStreamJobQueue, client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Signs of life come more often than it needs them."""
    await provisioned(client, names, ack_wait_seconds=60)
    await js.publish(names.subject, b"a job")
    assert (await one(queue)).body == b"a job"


async def test_a_stream_of_somebody_else_delivers_our_jobs_only(
    queue: JetStreamJobQueue, client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Whatever else a foreign stream holds, a job is what came on the subject of jobs."""
    await js.add_stream(name=f"X_{names.stream}", subjects=[names.subject.replace("requested", "*")])
    await provisioned(client, names)
    await js.publish(names.subject.replace("requested", "other"), b"not ours")
    await js.publish(names.subject, b"ours")
    assert [delivery.body for delivery in await queue.fetch(5, timeout_seconds=SOON)] == [b"ours"]


async def test_the_age_of_the_oldest_job_knows_no_other_messages(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """On somebody else's stream, messages that are no jobs make none older."""
    await _on_a_wider_stream(client, names)
    statistics = JetStreamQueueStatistics(client, names)
    await js.publish(names.subject.replace("requested", "other"), b"not ours")
    assert (await statistics.look()).oldest is None
    ours = await js.publish(names.subject, b"ours")
    assert (await statistics.look()).oldest == (await js.get_msg(ours.stream, ours.seq)).time


@pytest.mark.parametrize("why", ["all in hand", "paused"])
async def test_a_consumer_that_holds_back_is_not_asked_in_a_hurry(
    queue: JetStreamJobQueue, client: Client, js: JetStreamContext, names: BrokerNames, why: str
) -> None:
    """Jobs wait but may not be delivered: a fetch lasts its time, with a handful of requests."""
    await provisioned(client, names, ack_wait_seconds=60)
    config = (await js.consumer_info(names.stream, names.durable)).config
    await js.publish(names.subject, b"1")
    await js.publish(names.subject, b"2")
    if why == "all in hand":
        await js.add_consumer(names.stream, config.evolve(max_ack_pending=1))
        await one(queue)
    else:
        await js.pause_consumer(names.stream, names.durable, "2099-01-01T00:00:00Z")
        assert list(await queue.fetch(5, timeout_seconds=0.1)) == []
    sent, started = client.stats["out_msgs"], time.monotonic()
    assert list(await queue.fetch(5, timeout_seconds=0.8)) == []
    assert time.monotonic() - started >= 0.79
    assert client.stats["out_msgs"] - sent <= 3


async def test_who_comes_too_late_waits_for_the_next(
    nats_server: NatsServer, client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Where others are faster, a fetch without jobs still lasts its time: nobody asks again and again."""
    await provisioned(client, names, ack_wait_seconds=60)
    published = asyncio.Event()
    early: list[float] = []

    async def work(worker: Client) -> None:
        queue = JetStreamJobQueue(worker, names, ack_wait_seconds=60)
        while not published.is_set():
            started = time.monotonic()
            deliveries = await queue.fetch(5, timeout_seconds=0.5)
            for delivery in deliveries:
                await (delivery.ack() if delivery.number > 1 else delivery.retry(after_seconds=0.01))
            if not deliveries and time.monotonic() - started < 0.49:
                early.append(time.monotonic() - started)

    async with connected(nats_server) as second, connected(nats_server) as third, connected(nats_server) as fourth:
        workers = [asyncio.create_task(work(worker)) for worker in (client, second, third, fourth)]
        for burst in range(150):
            await asyncio.gather(*(js.publish(names.subject, b"a job") for _ in range(burst % 13 + 1)))
        published.set()
        await asyncio.gather(*workers)
    assert early == []


async def test_many_jobs_come_in_one_fetch(
    queue: JetStreamJobQueue, client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Two requests at most bring a thousand jobs, each once; the consumer is not looked at each time."""
    await provisioned(client, names)
    assert list(await queue.fetch(1, timeout_seconds=0.1)) == []
    await asyncio.gather(*(js.publish(names.subject, b"%d" % number) for number in range(1000)))
    sent = client.stats["out_msgs"]
    deliveries = await queue.fetch(1000, timeout_seconds=SOON)
    assert client.stats["out_msgs"] - sent <= 2
    assert sorted(int(delivery.body) for delivery in deliveries) == list(range(1000))


async def test_a_fetch_cut_off_at_any_moment_leaves_its_jobs_to_the_close(
    nats_server: NatsServer,
    client: Client,
    js: JetStreamContext,
    names: BrokerNames,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the fetch took, and what was on its way to it, is handed over: no delivery is hidden from the worker."""
    monkeypatch.setattr(pulling, "_DRAIN_SECONDS", 30.0)  # what comes later than that is given back, not handed over
    monkeypatch.setattr(pulling, "_SETTLE_SECONDS", 0.25)  # a machine that is busy with other tests
    await provisioned(client, names, ack_wait_seconds=60)
    following = JetStreamJobQueue(client, names, ack_wait_seconds=60)
    handed_over = 0
    async with connected(nats_server) as stopping:
        for moment in range(24):
            queue = JetStreamJobQueue(stopping, names, ack_wait_seconds=60)
            assert list(await queue.fetch(20, timeout_seconds=0.001)) == []
            await asyncio.gather(*(js.publish(names.subject, b"a job") for _ in range(20)))
            fetch = asyncio.create_task(queue.fetch(20, timeout_seconds=60))
            await asyncio.wait({fetch}, timeout=moment / 4_000)
            fetch.cancel()
            await asyncio.wait({fetch})
            left = [*await queue.close(), *([] if fetch.cancelled() else fetch.result())]
            handed_over += len(left) if fetch.cancelled() else 0
            rest = await following.fetch(20, timeout_seconds=SOON) if len(left) < 20 else []
            assert [delivery.number for delivery in (*left, *rest)] == [1] * 20
            await asyncio.gather(*(delivery.ack() for delivery in (*left, *rest)))
    assert handed_over > 0


async def test_what_comes_soon_after_a_fetch_was_cut_off_is_handed_over(
    queue: JetStreamJobQueue, client: Client, names: BrokerNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The close waits for the answer: what the server sends after it has confirmed the end, the client would drop."""
    monkeypatch.setattr(pulling, "_SETTLE_SECONDS", 0.5)  # a machine that is busy with other tests
    await provisioned(client, names, ack_wait_seconds=60)
    fetch = asyncio.create_task(queue.fetch(1, timeout_seconds=60))
    await eventually(lambda: waiting(client, names), lambda count: count == 1, "the request")
    fetch.cancel()
    await asyncio.wait({fetch})
    closing = asyncio.create_task(queue.close())
    await asyncio.sleep(0)
    await client.publish(names.subject, b"a job")
    assert [delivery.body for delivery in await closing] == [b"a job"]


async def test_a_fetch_cut_off_while_it_looks_at_the_consumer_leaves_its_jobs_to_the_close(
    queue: JetStreamJobQueue, client: Client, names: BrokerNames
) -> None:
    """What was taken by then is handed over, but for what is no job."""
    prefix = await _on_a_wider_stream(client, names)
    assert list(await queue.fetch(1, timeout_seconds=0.1)) == []
    await _change(client, names, {"filter_subject": ""})
    for subject in (names.subject, f"{prefix}.other", names.subject):
        await client.jetstream().publish(subject, b"a job, or none")
    question: Any = Unanswered()
    queue._js = question
    fetch = asyncio.create_task(queue.fetch(3, timeout_seconds=SOON))
    await asyncio.wait_for(question.asked.wait(), SOON)
    fetch.cancel()
    await asyncio.wait({fetch})
    assert [delivery.subject for delivery in await queue.close()] == [names.subject] * 2


class Unanswered:
    """Somebody who never says how a consumer is."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def consumer_info(self, *_: str) -> None:
        """Let it be known that somebody asked."""
        self.asked.set()
        await asyncio.Event().wait()


async def test_a_malformed_header_block_does_not_stop_a_worker(
    queue: JetStreamJobQueue, nats_server: NatsServer, client: Client, names: BrokerNames
) -> None:
    """A message that breaks the client's reading of headers is delivered like any other, without headers."""
    await provisioned(client, names)
    address = nats_server.url.removeprefix("nats://").split(":")
    reader, writer = await asyncio.open_connection(address[0], int(address[1]))
    block, body = b"NATS/1.0", b"a job"
    hello = json.dumps({"verbose": False, "headers": True, "no_responders": True}).encode()
    writer.write(b"CONNECT " + hello + b"\r\n")
    sizes = f"{len(block)} {len(block) + len(body)}"
    writer.write(f"HPUB {names.subject} {sizes}\r\n".encode() + block + body + b"\r\nPING\r\n")
    await reader.readuntil(b"PONG\r\n")
    writer.close()
    delivery = await one(queue)
    assert (delivery.body, delivery.headers) == (b"a job", {})
    await delivery.ack()
