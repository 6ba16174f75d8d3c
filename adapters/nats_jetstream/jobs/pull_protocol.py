"""JetStream's protocol of pull requests: where they are sent, and what the server says of one beside messages."""

from typing import Final

from nats.aio.msg import Msg

_HEARTBEAT: Final = "100"
_NOTHING_MORE: Final = {"404", "408"}
_NO_RESPONDERS: Final = "503"


def next_subject(stream: str, consumer: str) -> str:
    """Return the subject on which this consumer of the stream is asked for messages."""
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"


def is_heartbeat(message: Msg) -> bool:
    """Tell whether this is only a sign of life; anything else that the server says ends the request."""
    return _status(message) == _HEARTBEAT


def refusal(message: Msg) -> str | None:
    """Return why the server ended the request; None where there is nothing more, or its time is over."""
    status = _status(message)
    if status in _NOTHING_MORE:
        return None
    if status == _NO_RESPONDERS:
        return "the consumer is not there"
    return (message.headers or {}).get("Description") or f"status {status}"


def _status(message: Msg) -> str:
    return (message.headers or {}).get("Status", "")
