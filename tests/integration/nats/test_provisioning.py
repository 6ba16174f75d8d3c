"""Provisioning: what is missing is made, what is there is used or mended, what belongs to others is left alone."""

from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    PersistMode,
    ReplayPolicy,
    RetentionPolicy,
    StorageType,
)

from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.provisioning import Provisioned, ProvisioningError, provision
from adapters.nats_jetstream.publishing.publisher import JetStreamJobPublisher, JetStreamResultPublisher
from domain.errors import MessagingUnavailableError
from domain.jobs import MatchJob
from tests.broker import connected, own_names, running, stored
from tests.contract.announcements.records import malformed, record

ACK_WAIT = 30.0


async def actions(client: Client, names: BrokerNames, **options: Any) -> dict[str, str]:
    """Provision, and return what was done to each thing."""
    done = await provision(client, names, **{"ack_wait_seconds": ACK_WAIT, **options})
    return {thing.name: thing.action for thing in done}


def all_of(names: BrokerNames, action: str) -> dict[str, str]:
    """Return that everything of ours had this done to it."""
    return dict.fromkeys((names.stream, names.results_stream, names.dead_stream, names.durable), action)


async def works(client: Client, names: BrokerNames) -> bool:
    """Tell whether a job comes through, and its event and its dead letter are stored."""
    await JetStreamJobPublisher(client, names).submit(MatchJob(UUID(int=1)))
    queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT)
    [delivery] = await queue.fetch(1, timeout_seconds=5)
    await JetStreamDeadLetters(client, names).publish(delivery, malformed())
    await JetStreamResultPublisher(client, names).publish(record())
    await delivery.ack()
    return True


async def test_everything_is_made(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """Three streams on disk and the consumer, each told; dead letters are kept for ever."""
    done = await provision(client, names, ack_wait_seconds=ACK_WAIT)
    assert done == [
        Provisioned("stream", names.stream, "created"),
        Provisioned("stream", names.results_stream, "created"),
        Provisioned("stream", names.dead_stream, "created"),
        Provisioned("consumer", names.durable, "created"),
    ]
    for name, subjects in (
        (names.stream, [names.subject]),
        (names.results_stream, [f"{names.results_prefix}.{kind}" for kind in ("matched", "skipped", "failed")]),
        (names.dead_stream, [f"{names.results_prefix}.dead"]),
    ):
        config = (await js.stream_info(name)).config
        assert (config.subjects, config.storage, config.retention) == (subjects, "file", "limits")
    assert (await js.stream_info(names.dead_stream)).config.max_age == 0
    config = (await js.consumer_info(names.stream, names.durable)).config
    assert (config.durable_name, config.ack_policy, config.deliver_policy) == (names.durable, "explicit", "all")
    assert (config.filter_subject, config.ack_wait, config.max_deliver) == (names.subject, ACK_WAIT, -1)
    assert await works(client, names)


@pytest.mark.parametrize("ack_wait", [30.0, 1.1, 0.3])
async def test_again_changes_nothing(client: Client, names: BrokerNames, ack_wait: float) -> None:
    """It can be run at every deployment."""
    await actions(client, names, ack_wait_seconds=ack_wait)
    assert await actions(client, names, ack_wait_seconds=ack_wait) == all_of(names, "unchanged")


async def test_defaults_are_the_published_names() -> None:
    """Other systems know them."""
    assert BrokerNames() == BrokerNames(
        stream="PHOTO_FACES",
        subject="photo_faces.single.requested",
        durable="single-face-match",
        results_stream="PHOTO_FACES_RESULTS",
        dead_stream="PHOTO_FACES_DEAD",
        results_prefix="photo_faces.single",
    )


async def test_a_stream_whose_size_is_limited_later_drops_nothing(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Whoever publishes hears that it is full; NATS's own default would drop the oldest jobs in silence."""
    await actions(client, names)
    for stream, subject in ((names.stream, names.subject), (names.dead_stream, names.dead_subject)):
        await js.update_stream((await js.stream_info(stream)).config.evolve(max_msgs=1))
        await js.publish(subject, b"first")
        with pytest.raises(nats.js.errors.APIError, match="maximum messages exceeded"):
            await js.publish(subject, b"second")
        assert (await js.get_msg(stream, 1)).data == b"first"
    assert await actions(client, names) == all_of(names, "unchanged")


async def test_jobs_may_come_in_batches(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """Into a stream that is made, and into one that was made before there were batches; into no other."""
    await actions(client, names)
    assert (await js.stream_info(names.stream)).config.allow_atomic
    assert not (await js.stream_info(names.dead_stream)).config.allow_atomic
    await js.update_stream((await js.stream_info(names.stream)).config.evolve(allow_atomic=False))
    assert await actions(client, names) == {**all_of(names, "unchanged"), names.stream: "updated"}
    assert (await js.stream_info(names.stream)).config.allow_atomic


async def test_a_stream_that_cannot_take_batches_stays_as_it_is(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """The server would refuse the change, and with it everything else."""
    await js.add_stream(name=names.stream, subjects=[names.subject], persist_mode=PersistMode.ASYNC)
    assert (await actions(client, names))[names.stream] == "unchanged"
    assert not (await js.stream_info(names.stream)).config.allow_atomic


async def test_another_ack_wait_updates_the_consumer(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """And the consumer keeps its place."""
    await actions(client, names)
    assert await actions(client, names, ack_wait_seconds=45) == {**all_of(names, "unchanged"), names.durable: "updated"}
    assert (await js.consumer_info(names.stream, names.durable)).config.ack_wait == 45


@pytest.mark.parametrize(
    "drifted",
    [
        {"max_deliver": 3},
        {"backoff": [1.0, 2.0], "max_deliver": 5},
        {"headers_only": True},
        {"inactive_threshold": 60.0},
        {"max_ack_pending": 1},
        {"ack_wait": 1.0},
        {"filter_subject": None},
    ],
    ids=", ".join,
)
async def test_a_consumer_that_drifted_is_mended(
    client: Client, js: JetStreamContext, names: BrokerNames, drifted: dict[str, Any]
) -> None:
    """Whatever would lose jobs or deliver them half is put right; what is somebody's own is kept."""
    await actions(client, names)
    expected = (await js.consumer_info(names.stream, names.durable)).config
    await js.add_consumer(names.stream, expected.evolve(description="ours", **drifted))
    assert (await actions(client, names))[names.durable] == "updated"
    mended = (await js.consumer_info(names.stream, names.durable)).config
    assert mended == expected.evolve(description="ours")


async def test_a_missing_subject_is_added(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """A stream of ours keeps what it has and gets what it lacks."""
    await js.add_stream(name=names.results_stream, subjects=[f"{names.results_prefix}.matched", f"own.{names.stream}"])
    assert (await actions(client, names))[names.results_stream] == "updated"
    subjects = (await js.stream_info(names.results_stream)).config.subjects
    assert set(subjects or []) == {*names.result_subjects, f"own.{names.stream}"}
    assert await works(client, names)


async def test_settings_of_an_operator_are_kept(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """What somebody tuned on our streams stays tuned."""
    await actions(client, names)
    tuned = (await js.stream_info(names.stream)).config.evolve(max_age=7 * 86400.0, max_bytes=10_000_000)
    await js.update_stream(tuned)
    assert await actions(client, names) == all_of(names, "unchanged")
    assert (await js.stream_info(names.stream)).config == tuned


async def test_one_stream_of_somebody_else_may_hold_everything(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """A stream that captures all our subjects by a wildcard is used for all of them, and not changed."""
    token = names.stream.lower()
    names = attrs.evolve(names, subject=f"{token}.requested", results_prefix=token)
    foreign = (await js.add_stream(name=f"ALL_{token}", subjects=[f"{token}.>"], storage=StorageType.MEMORY)).config
    assert await actions(client, names) == {f"ALL_{token}": "unchanged", names.durable: "created"}
    assert await actions(client, names) == {f"ALL_{token}": "unchanged", names.durable: "unchanged"}
    assert (await js.stream_info(f"ALL_{token}")).config == foreign
    assert await works(client, names)
    assert len(await stored(client, f"ALL_{token}")) == 3


async def test_some_subjects_may_be_elsewhere(client: Client, js: JetStreamContext, names: BrokerNames) -> None:
    """Events that another stream captures stay there; ours gets the others."""
    await js.add_stream(name=f"X_{names.stream}", subjects=[f"{names.results_prefix}.failed"])
    assert await actions(client, names) == {f"X_{names.stream}": "unchanged", **all_of(names, "created")}
    assert (await js.stream_info(names.results_stream)).config.subjects == names.result_subjects[:2]
    assert await works(client, names)


@pytest.mark.parametrize("retention", ["workqueue", "interest"])
@pytest.mark.parametrize("what", ["subject", "dead_subject", "result"])
async def test_a_queue_of_somebody_else_stops_it(
    client: Client, js: JetStreamContext, names: BrokerNames, retention: str, what: str
) -> None:
    """Its messages would disappear, or ours would take them from others: the error says which stream and why."""
    subject = names.result_subjects[1] if what == "result" else getattr(names, what)
    await js.add_stream(name=f"Q_{names.stream}", subjects=[subject], retention=RetentionPolicy(retention))
    with pytest.raises(ProvisioningError, match=f"stream Q_{names.stream} captures {subject} .*retention {retention}"):
        await actions(client, names)


@pytest.mark.parametrize("retention", ["workqueue", "interest"])
async def test_a_queue_with_our_name_stops_it(
    client: Client, js: JetStreamContext, names: BrokerNames, retention: str
) -> None:
    """Retention cannot be changed: the error says what to do."""
    await js.add_stream(name=names.dead_stream, subjects=[f"x.{names.stream}"], retention=RetentionPolicy(retention))
    with pytest.raises(ProvisioningError, match=f"stream {names.dead_stream} exists .*FACEMATCH_NATS_DEAD_STREAM"):
        await actions(client, names)


async def test_a_stream_that_confirms_nothing_stops_it(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Nothing that is published there is ever known to be stored."""
    await js.add_stream(name=f"N_{names.stream}", subjects=[names.dead_subject], no_ack=True)
    with pytest.raises(ProvisioningError, match="acknowledgements turned off"):
        await actions(client, names)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"deliver_subject": "push.here"}, "needs a pull consumer"),
        ({"ack_policy": AckPolicy.NONE}, "ack policy none"),
        ({"ack_policy": AckPolicy.ALL}, "ack policy all"),
        ({"deliver_policy": DeliverPolicy.NEW}, "deliver policy new"),
        ({"replay_policy": ReplayPolicy.ORIGINAL}, "replay policy original"),
    ],
)
async def test_a_consumer_of_another_kind_stops_it(
    client: Client, js: JetStreamContext, names: BrokerNames, config: dict[str, Any], expected: str
) -> None:
    """What the server does not let be changed is told, with what to do; the consumer is left alone."""
    await js.add_stream(name=names.stream, subjects=[names.subject])
    present = await js.add_consumer(names.stream, ConsumerConfig(durable_name=names.durable, **config))
    with pytest.raises(ProvisioningError, match=f"{names.durable} .*{expected}.*FACEMATCH_NATS_DURABLE"):
        await actions(client, names)
    assert (await js.consumer_info(names.stream, names.durable)).config == present.config


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"stream": "with.dot"}, "invalid stream name"),
        ({"durable": "with space"}, "invalid consumer name"),
        ({"subject": "$JS.API.x"}, "NATS refuses"),
    ],
)
async def test_impossible_names_are_told(
    client: Client, names: BrokerNames, changed: dict[str, str], expected: str
) -> None:
    """The broker's or the client's own words."""
    with pytest.raises(ProvisioningError, match=expected):
        await actions(client, attrs.evolve(names, **changed))


async def test_more_copies_than_servers_are_told(client: Client, names: BrokerNames) -> None:
    """A single server cannot keep three copies."""
    with pytest.raises(ProvisioningError, match="replicas > 1 not supported"):
        await actions(client, names, replicas=3)


async def test_without_jetstream_it_is_unavailable(tmp_path: Path) -> None:
    """An account without JetStream is no error of names."""
    extra = "accounts { A: { users: [ { user: anna, password: secret } ] } }"
    async with running(tmp_path, extra) as server, connected(server, user="anna", password="secret") as client:
        with pytest.raises(MessagingUnavailableError, match="not enabled"):
            await actions(client, own_names())
