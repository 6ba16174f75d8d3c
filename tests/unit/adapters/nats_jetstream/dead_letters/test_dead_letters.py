"""A dead letter stays within the broker's limits, whatever the job was."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import PubAck

from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.headers import TRUNCATED_FROM
from adapters.nats_jetstream.names import BrokerNames
from tests.contract.announcements.records import delivery, malformed

MAX_PAYLOAD = 1_048_576
MAX_HEADER_BLOCK = 65_535


class Outbound(JetStreamDeadLetters):
    """Dead letters that come as far as the client: each is kept as body and header block."""

    def __init__(self) -> None:
        client: Any = SimpleNamespace(max_payload=MAX_PAYLOAD, jetstream=lambda **_: None)
        super().__init__(client, BrokerNames())
        self.letters: list[tuple[bytes, bytes]] = []

    async def _publish(
        self,
        subject: str,
        body: bytes,
        headers: dict[str, str],
        *,
        continue_trace: bool = True,  # noqa: ARG002 - the base's signature
        traceparent: str | None = None,  # noqa: ARG002 - same
        again: bool = True,  # noqa: ARG002 - same
    ) -> PubAck:
        self.letters.append((body, block(headers)))
        return PubAck(subject, 1)


def block(headers: dict[str, str]) -> bytes:
    """Return the headers as they are sent."""
    return "".join(["NATS/1.0\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items()), "\r\n"]).encode()


@given(spare=st.integers(0, 700), value=st.integers(1, 40), detail=st.integers(0, 500), over=st.integers(-700, 700))
async def test_a_letter_stays_within_both_limits(spare: int, value: int, detail: int, over: int) -> None:
    """A job about as large as may be, in headers and in all, leaves headers, and a whole, that can be stored."""
    count = (MAX_HEADER_BLOCK - spare) // len(f"X00000: {'y' * value}\r\n")
    headers = {f"X{number:05}": "y" * value for number in range(count)}
    body = b"x" * (MAX_PAYLOAD - len(block(headers)) + over)
    outbound = Outbound()
    await outbound.publish(await delivery(body, headers), malformed(detail="z" * detail))
    [(copied, sent)] = outbound.letters
    assert len(sent) <= MAX_HEADER_BLOCK
    assert len(sent) + len(copied) <= MAX_PAYLOAD
    assert (TRUNCATED_FROM.encode() in sent) == (copied != body)
