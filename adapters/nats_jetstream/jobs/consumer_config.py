"""What the durable consumer must be like."""

from typing import Any

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, ReplayPolicy

from adapters.nats_jetstream.names import BrokerNames

_MAX_ACK_PENDING = 20_000
_TOLERANCE_SECONDS = 1e-6


def desired(names: BrokerNames, ack_wait_seconds: float) -> dict[str, Any]:
    """Return the fields that ``provision`` sets; the server never gives up on a job, the worker does."""
    return {
        "filter_subject": names.subject,
        "filter_subjects": None,
        "ack_wait": ack_wait_seconds,
        "backoff": None,
        "max_deliver": -1,
        "max_ack_pending": _MAX_ACK_PENDING,
        "headers_only": None,
        "inactive_threshold": None,
    }


async def problem(
    js: JetStreamContext, stream: str, config: ConsumerConfig, names: BrokerNames, ack_wait_seconds: float
) -> str | None:
    """Return why a worker does not work with this consumer of the stream; None where it does.

    Raises:
        nats.errors.Error: the stream, which is looked at where the consumer has no filter, cannot be.

    """
    found = unusable(config) or harmful(config, ack_wait_seconds)
    if found is not None:
        return found
    filters = config.filter_subjects or [config.filter_subject or ""]
    if filters == [""]:
        delivered = (await js.stream_info(stream)).config.subjects or []
        how = "has no filter"
    else:
        delivered = filters
        how = f"delivers {', '.join(filters)}"
    if delivered == [names.subject]:
        return None
    return f"{how}, but jobs are what comes on {names.subject}"


def unusable(config: ConsumerConfig) -> str | None:
    """Return why a consumer can never serve, because the server does not let these fields be changed."""
    if config.deliver_subject:
        return f"pushes to {config.deliver_subject}; facematch needs a pull consumer"
    policies = (config.ack_policy, config.deliver_policy, config.replay_policy)
    if policies != (AckPolicy.EXPLICIT, DeliverPolicy.ALL, ReplayPolicy.INSTANT):
        ack, deliver, replay = policies
        return (
            f"has ack policy {ack}, deliver policy {deliver} and replay policy {replay}; "
            "facematch needs explicit, all and instant"
        )
    return None


def harmful(config: ConsumerConfig, ack_wait_seconds: float) -> str | None:
    """Return what about a consumer would lose jobs or deliver them while they are in hand; ``provision`` mends it."""
    if config.backoff:
        return "has a backoff, which takes the place of its ack wait"
    if (config.ack_wait or 0) < ack_wait_seconds - _TOLERANCE_SECONDS:
        return f"delivers again after {config.ack_wait:g} s, but FACEMATCH_NATS_ACK_WAIT is {ack_wait_seconds:g}"
    if (config.max_deliver or -1) > 0:
        return f"gives up after {config.max_deliver} deliveries, which strands jobs"
    if config.headers_only:
        return "delivers no bodies"
    return None
