"""Streams and the consumer: made where missing, brought up to date where possible, never deleted."""

import attrs
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig

from adapters.nats_jetstream.connection import translated
from adapters.nats_jetstream.names import Names
from domain.errors import FacematchError

_DAY = 24 * 3600
_DUPLICATE_WINDOW_SECONDS = 2 * 3600
_MAX_ACK_PENDING = 20_000
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
    js: JetStreamContext, names: Names, *, ack_wait_seconds: float, replicas: int = 1
) -> list[Provisioned]:
    """Make everything that the service needs on the broker.

    Raises:
        ProvisioningError: a stream of somebody else's is in the way.
        MessagingUnavailableError: no answer.

    """
    with translated("provision"):
        jobs, done = await _jobs_stream(js, names, replicas)
        results = await _ensure(js, _stream(names.results_stream, names.result_subjects, replicas))
        dead = await _ensure(js, _stream(names.dead_stream, [names.dead_subject], replicas, keep_for_ever=True))
        return [done, results, dead, await _consumer(js, jobs, names, ack_wait_seconds)]


def _stream(name: str, subjects: list[str], replicas: int, *, keep_for_ever: bool = False) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        max_age=0 if keep_for_ever else _MAX_AGE_SECONDS,
        duplicate_window=_DUPLICATE_WINDOW_SECONDS,
        num_replicas=replicas,
    )


async def _jobs_stream(js: JetStreamContext, names: Names, replicas: int) -> tuple[str, Provisioned]:
    """Use the stream that captures the subject already, or make one."""
    try:
        name = await js.find_stream_name_by_subject(names.subject)
    except nats.js.errors.NotFoundError:
        return names.stream, await _ensure(js, _stream(names.stream, [names.subject], replicas))
    config = (await js.stream_info(name)).config
    if config.retention != RetentionPolicy.LIMITS:
        raise ProvisioningError(
            f"stream {name} captures {names.subject} with retention {config.retention}; facematch needs a stream with "
            "retention limits: let it capture the subject, or choose another with FACEMATCH_NATS_SUBJECT"
        )
    return name, Provisioned("stream", name, "unchanged")


async def _ensure(js: JetStreamContext, wanted: StreamConfig) -> Provisioned:
    name = str(wanted.name)
    try:
        present = (await js.stream_info(name)).config
    except nats.js.errors.NotFoundError:
        await js.add_stream(wanted)
        return Provisioned("stream", name, "created")
    if present.retention != RetentionPolicy.LIMITS:
        raise ProvisioningError(f"stream {name} exists with retention {present.retention}; facematch needs limits")
    missing = [subject for subject in wanted.subjects or [] if subject not in (present.subjects or [])]
    if not missing and present.num_replicas == wanted.num_replicas:
        return Provisioned("stream", name, "unchanged")
    subjects = [*(present.subjects or []), *missing]
    await js.update_stream(present.evolve(subjects=subjects, num_replicas=wanted.num_replicas))
    return Provisioned("stream", name, "updated")


async def _consumer(js: JetStreamContext, stream: str, names: Names, ack_wait_seconds: float) -> Provisioned:
    """Make the consumer; the server never gives up on a job, the worker does."""
    wanted = ConsumerConfig(
        durable_name=names.durable,
        filter_subject=names.subject,
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        ack_wait=ack_wait_seconds,
        max_deliver=-1,
        max_ack_pending=_MAX_ACK_PENDING,
    )
    try:
        present = (await js.consumer_info(stream, names.durable)).config
    except nats.js.errors.NotFoundError:
        await js.add_consumer(stream, wanted)
        return Provisioned("consumer", names.durable, "created")
    if present.ack_policy != AckPolicy.EXPLICIT or present.deliver_policy != DeliverPolicy.ALL:
        raise ProvisioningError(
            f"consumer {names.durable} exists with ack policy {present.ack_policy} and deliver policy "
            f"{present.deliver_policy}; facematch needs explicit and all: delete it, or choose another durable name"
        )
    relevant = ("filter_subject", "ack_wait", "max_deliver", "max_ack_pending")
    if all(getattr(present, field) == getattr(wanted, field) for field in relevant):
        return Provisioned("consumer", names.durable, "unchanged")
    await js.add_consumer(stream, wanted)
    return Provisioned("consumer", names.durable, "updated")
