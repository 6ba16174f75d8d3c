"""Names of headers: those of JetStream and of W3C that are used here, and the service's own."""

from collections.abc import Mapping
from typing import Final

MESSAGE_ID: Final = "Nats-Msg-Id"
OBEYED: Final = "nats-"
"""How names of headers begin, in small letters, that the broker obeys."""

REASON: Final = "Facematch-Reason"
DELIVERIES: Final = "Facematch-Deliveries"
SEQUENCE: Final = "Facematch-Stream-Seq"
ERROR: Final = "Facematch-Error"
TRACE: Final = "Facematch-Traceparent"
TRUNCATED_FROM: Final = "Facematch-Truncated-From"
DROPPED_HEADERS: Final = "Facematch-Dropped-Headers"
REPLAY_OF: Final = "Facematch-Replay-Of"
ORIGINAL: Final = "Facematch-Original-"
"""Before the name of a header that a job came with, where it would mean something else now."""

OF_A_LETTER: Final = frozenset(
    name.lower() for name in (MESSAGE_ID, REASON, DELIVERIES, SEQUENCE, ERROR, TRACE, TRUNCATED_FROM, DROPPED_HEADERS)
)
"""Names of headers, in small letters, that a dead letter has of its own."""

REPLAYED: Final = {name: ORIGINAL + name.capitalize() for name in ("traceparent", "tracestate")}
"""Headers by which a job that is sent again tells the trace of the original: it links to it, and is no part of it."""
_CONTEXT = {name: name for name in REPLAYED}
_REPLAYED_CONTEXT = {renamed.lower(): name for name, renamed in REPLAYED.items()}
OF_TRACES: Final = frozenset((*_CONTEXT, *_REPLAYED_CONTEXT))
"""Names of headers, in small letters, that tell either trace."""


def trace_context(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the trace context by W3C's names; NATS keeps names of headers as they were written."""
    return _renamed(headers, _CONTEXT)


def replayed_trace_context(headers: Mapping[str, str]) -> dict[str, str]:
    """Return that of the job that this one is sent again for, by the same names."""
    return _renamed(headers, _REPLAYED_CONTEXT)


def read_lines(block: bytes) -> dict[str, str]:
    """Return the headers of lines ``name: value``, of those with one name the last.

    What is no UTF-8 stays different in a name, each byte escaped; in a value, which is text, it becomes U+FFFD.
    """
    lines = [line.partition(b":") for line in block.split(b"\r\n")]
    return {
        name.strip().decode(errors="backslashreplace"): value.strip().decode(errors="replace")
        for name, colon, value in lines
        if colon
    }


def _renamed(headers: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {names[name.lower()]: value for name, value in headers.items() if name.lower() in names}
