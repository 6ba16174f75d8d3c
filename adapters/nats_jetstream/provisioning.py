"""Streams and the consumer: made where missing, brought up to date where possible, never deleted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from adapters.nats_jetstream.connection.errors import reason, translated
from adapters.nats_jetstream.jobs.consumer_config import desired, unusable
from adapters.nats_jetstream.names import BrokerNames
from domain.errors import FacematchError

_API_SECONDS = 10.0
"""Several servers that make a stream together take longer than one that only answers."""
_DAY = 24 * 3600
_DUPLICATE_WINDOW_SECONDS = 2 * 3600
_MAX_AGE_SECONDS = 30 * _DAY


class ProvisioningError(FacematchError):
    """What is there cannot be used, and is not ours to change."""


@attrs.frozen
class Provisioned:
    """One thing that was looked at, and what was done: ``created``, ``updated`` or ``unchanged``."""

    kind: str
    name: str
    action: str


async def provision(
    client: Client, names: BrokerNames, *, ack_wait_seconds: float, replicas: int = 1
) -> list[Provisioned]:
    """Make everything that the service needs on the broker; a subject that is captured already stays where it is.

    Raises:
        ProvisioningError: something of somebody else's is in the way, or the server refuses.
        MessagingUnavailableError: no answer.

    """
    js = client.jetstream(timeout=_API_SECONDS)
    with translated("provision"), _refusals():
        done = [thing for wanted in _streams(names, replicas) for thing in await _capture(js, wanted)]
        jobs = await js.find_stream_name_by_subject(names.subject)
        return [*dict.fromkeys(done), await _consumer(js, jobs, names, ack_wait_seconds)]


def configuration(names: BrokerNames, *, ack_wait_seconds: float, replicas: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Return what :func:`provision` makes where nothing is there, in the words of JetStream's API.

    ``streams`` are configurations of streams, ``consumers`` have a ``stream_name`` and a ``config``; durations are in
    nanoseconds.
    """
    consumer = _durable(names, ack_wait_seconds)
    return {
        "streams": [stream.as_dict() for stream in _streams(names, replicas)],
        "consumers": [{"stream_name": names.stream, "config": consumer.as_dict()}],
    }


def _streams(names: BrokerNames, replicas: int) -> tuple[StreamConfig, ...]:
    return (
        _stream(names.stream, [names.subject], replicas).evolve(allow_atomic=True),
        _stream(names.results_stream, names.result_subjects, replicas),
        _stream(names.dead_stream, [names.dead_subject], replicas, keep_for_ever=True),
    )


def _stream(name: str, subjects: list[str], replicas: int, *, keep_for_ever: bool = False) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        max_age=0 if keep_for_ever else _MAX_AGE_SECONDS,
        discard=DiscardPolicy.NEW,  # where somebody limits its size, whoever publishes hears of it, and nothing is lost
        duplicate_window=_DUPLICATE_WINDOW_SECONDS,
        num_replicas=replicas,
    )


async def _capture(js: JetStreamContext, wanted: StreamConfig) -> list[Provisioned]:
    """See to it that each subject is captured: where it is already, else by the wanted stream."""
    done: list[Provisioned] = []
    ours: list[str] = []
    for subject in wanted.subjects or []:
        try:
            home = await js.find_stream_name_by_subject(subject)
        except nats.js.errors.NotFoundError:
            home = str(wanted.name)
        if home == wanted.name:
            ours.append(subject)
        else:
            _check_stream((await js.stream_info(home)).config, f"captures {subject}")
            done.append(Provisioned("stream", home, "unchanged"))
    if ours:
        done.append(await _ensure(js, wanted.evolve(subjects=ours)))
    return done


async def _ensure(js: JetStreamContext, wanted: StreamConfig) -> Provisioned:
    """Make the stream, or add to it what it lacks; copies are never taken away.

    Batches are neither for servers before 2.12 nor for streams that confirm what they have not written.
    """
    name = str(wanted.name)
    try:
        present = (await js.stream_info(name)).config
    except nats.js.errors.NotFoundError:
        await js.add_stream(wanted)
        return Provisioned("stream", name, "created")
    _check_stream(present, "exists")
    missing = [subject for subject in wanted.subjects or [] if subject not in (present.subjects or [])]
    changed = present.evolve(
        subjects=[*(present.subjects or []), *missing],
        num_replicas=max(present.num_replicas or 1, wanted.num_replicas or 1),
        allow_atomic=present.allow_atomic or (wanted.allow_atomic and present.persist_mode != PersistMode.ASYNC),
    )
    if changed == present:
        return Provisioned("stream", name, "unchanged")
    updated = (await js.update_stream(changed)).config
    return Provisioned("stream", name, "unchanged" if updated == present else "updated")


def _check_stream(config: StreamConfig, how: str) -> None:
    if config.retention != RetentionPolicy.LIMITS:
        fault = f"retention {config.retention}; facematch needs a stream with retention limits"
    elif config.no_ack:
        fault = "acknowledgements turned off; facematch needs every message confirmed"
    elif config.sealed:
        fault = "been sealed; facematch needs to write"
    else:
        return
    raise ProvisioningError(
        f"stream {config.name} {how} and has {fault}: let another stream capture the subject, "
        "or choose other names with FACEMATCH_NATS_STREAM, FACEMATCH_NATS_SUBJECT, FACEMATCH_NATS_RESULTS_STREAM "
        "and FACEMATCH_NATS_DEAD_STREAM"
    )


def _durable(names: BrokerNames, ack_wait_seconds: float) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=names.durable,
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        **desired(names, ack_wait_seconds),
    )


async def _consumer(js: JetStreamContext, stream: str, names: BrokerNames, ack_wait_seconds: float) -> Provisioned:
    try:
        present = (await js.consumer_info(stream, names.durable)).config
    except nats.js.errors.NotFoundError:
        await js.add_consumer(stream, _durable(names, ack_wait_seconds))
        return Provisioned("consumer", names.durable, "created")
    problem = unusable(present)
    if problem is not None:
        raise ProvisioningError(
            f"consumer {names.durable} on stream {stream} {problem}: "
            "delete it, or choose another name with FACEMATCH_NATS_DURABLE"
        )
    updated = (await js.add_consumer(stream, present.evolve(**desired(names, ack_wait_seconds)))).config
    return Provisioned("consumer", names.durable, "unchanged" if updated == present else "updated")


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell what the server refuses from what it does not answer."""
    try:
        yield
    except nats.js.errors.ServiceUnavailableError:
        raise
    except (nats.js.errors.APIError, ValueError) as error:
        raise ProvisioningError(f"NATS refuses: {reason(error)}") from error
