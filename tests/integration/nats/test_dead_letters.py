"""Dead letters on a real server: what they say, and that any job whatsoever can be buried."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.names import BrokerNames
from domain.outcomes import Reason
from domain.records import Failed
from tests.broker import ACK_WAIT, connected, own_names, provisioned, running, stored
from tests.contract.announcements.records import delivery, malformed, record

OURS = {
    "Nats-Msg-Id": "facematch-dead-7-1767323045678901",
    "Facematch-Reason": "malformed_payload",
    "Facematch-Deliveries": "1",
    "Facematch-Stream-Seq": "1",
    "Facematch-Error": "not JSON",
}


async def buried(
    client: Client, names: BrokerNames, body: bytes, headers: Mapping[str, str] | None = None, detail: str = "not JSON"
) -> tuple[bytes, dict[str, str]]:
    """Bury a job, and return the copy as it is stored; the connection must not have suffered."""
    await provisioned(client, names)
    await JetStreamDeadLetters(client, names).publish(await delivery(body, headers), malformed(detail=detail))
    [message] = await stored(client, names.dead_stream)
    assert client.stats["reconnects"] == 0
    return message.data or b"", dict(message.headers or {})


async def test_a_letter_says_all(client: Client, names: BrokerNames) -> None:
    """Body and headers of the original, and five headers of ours."""
    headers = {"X-Own": "kept", "traceparent": "00-1-2-01", "Status": "404"}
    assert await buried(client, names, b"not json", headers) == (b"not json", {**headers, **OURS})


async def test_headers_of_the_broker_are_renamed(client: Client, names: BrokerNames) -> None:
    """As they are they would be obeyed: refused, dropped as a duplicate, or deleted after a while."""
    meaningful = {
        "Nats-Msg-Id": "of the publisher",
        "Nats-Expected-Stream": "OTHER",
        "Nats-Expected-Last-Sequence": "17",
        "Nats-Rollup": "all",
        "Nats-TTL": "1s",
        "nats-lower": "x",
    }
    _, headers = await buried(client, names, b"x", meaningful)
    assert headers == {**{f"Facematch-Original-{name}": value for name, value in meaningful.items()}, **OURS}


async def test_the_trace_of_the_original_is_kept(client: Client, names: BrokerNames) -> None:
    """The letter belongs to whoever published the job, also when it is buried within another span."""
    with use_span(NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False))):
        _, headers = await buried(client, names, b"x", {"traceparent": "of the publisher"})
        assert headers == {"traceparent": "of the publisher", **OURS}


async def test_headers_that_cannot_be_sent_again_are_renamed(
    client: Client, js: JetStreamContext, names: BrokerNames
) -> None:
    """Any name and value that a server lets through comes to the letter, in a form that it lets through again."""
    await provisioned(client, names)
    odd = {"a/b": "1", "a(b": "2", "[x]": "3", "n\x00l": "4", "control": "a\x00\x1bb", "umlaut": "äöü \U0001f600"}
    odd |= {"X-ä": "5", "a b": "6", "\udce4": "7"}
    lines = (f"{name}: {value}\r\n".encode(errors="surrogateescape") for name, value in odd.items())
    block = b"NATS/1.0\r\n" + b"".join(lines) + b"\r\n"
    await client._send_command(f"HPUB {names.subject} {len(block)} {len(block) + 1}\r\n".encode() + block + b"x\r\n")
    queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT)
    [original] = await queue.fetch(1, timeout_seconds=5)
    await JetStreamDeadLetters(client, names).publish(original, malformed())
    await original.terminate("malformed_payload")
    letter = await js.get_msg(names.dead_stream, 1)
    headers = letter.headers or {}
    assert {name: headers[name] for name in headers if name.startswith("Facematch-Original-")} == {
        "Facematch-Original-a%2Fb": "1",
        "Facematch-Original-a%28b": "2",
        "Facematch-Original-%5Bx%5D": "3",
        "Facematch-Original-n%00l": "4",
        "Facematch-Original-X-%C3%A4": "5",
        "Facematch-Original-a%20b": "6",
        "Facematch-Original-%5Cxe4": "7",
    }
    assert headers["control"] == "a\x00\x1bb"
    assert "umlaut" in headers


async def test_a_letter_that_is_published_as_a_job_and_fails_again(client: Client, names: BrokerNames) -> None:
    """What was said of the first failure is replaced, in whatever case it came back; the original stays known."""
    again = {
        "facematch-reason": "internal_error",
        "Facematch-Error": "old",
        "FACEMATCH-TRUNCATED-FROM": "9",
        "Facematch-Original-Nats-Msg-Id": "of the publisher",
        "Nats-Msg-Id": "of the operator",
    }
    _, headers = await buried(client, names, b"x", again)
    assert headers == {"Facematch-Original-Nats-Msg-Id": "of the publisher", **OURS}


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("", ""),
        ("two\r\nlines\tand é", "two lines and"),
        ("x" * 10_000, "x" * 500),
    ],
)
async def test_the_error_is_one_line(client: Client, names: BrokerNames, detail: str, expected: str) -> None:
    """Printable and bounded."""
    _, headers = await buried(client, names, b"x", detail=detail)
    assert headers["Facematch-Error"] == expected


@pytest.mark.parametrize("over", [-1000, -10, 0])
async def test_a_body_at_the_limit_is_cut(client: Client, names: BrokerNames, over: int) -> None:
    """A copy says more than its original and may not be larger: the body gives way, and the letter says so."""
    size = client.max_payload + over
    original = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    body, headers = await buried(client, names, original)
    if over == -1000:
        assert (len(body), "Facematch-Truncated-From" in headers) == (size, False)
    else:
        assert headers["Facematch-Truncated-From"] == str(size)
        assert client.max_payload - 600 < len(body) < size
        assert body == original[: len(body)]


async def test_a_small_limit_is_kept_too(tmp_path: Path) -> None:
    """A broker that allows a kilobyte gets a letter of a kilobyte."""
    async with running(tmp_path, "max_payload: 1024") as server, connected(server) as client:
        body, headers = await buried(client, own_names(), b"x" * 1024, {"X-Large": "y" * 400, "X-Small": "z"})
    assert headers["Facematch-Dropped-Headers"] == "X-Large"
    assert headers["X-Small"] == "z"
    assert headers["Facematch-Truncated-From"] == "1024"
    assert body.strip(b"x") == b""


async def test_headers_at_the_limit_are_left_out(client: Client, names: BrokerNames) -> None:
    """JetStream keeps 64 KiB of headers: the largest give way to what the letter has to say."""
    _, headers = await buried(client, names, b"x", {"X-Large": "y" * 65_000, "X-Small": "z", "X-Half": "h" * 400})
    assert headers == {"X-Small": "z", "X-Half": "h" * 400, "Facematch-Dropped-Headers": "X-Large", **OURS}


async def test_any_number_of_headers_is_left_out_in_time(client: Client, names: BrokerNames) -> None:
    """Thousands of small ones are as good as a large one."""
    _, headers = await buried(client, names, b"x", {f"X-{number}": "y" for number in range(8000)})
    assert OURS.items() <= headers.items()
    assert len(headers["Facematch-Dropped-Headers"]) <= 500


@pytest.mark.parametrize("count", [3106, 3112, 3119])
async def test_headers_and_body_at_the_limit_make_a_letter(client: Client, names: BrokerNames, count: int) -> None:
    """Where headers just fit beside what the letter says, there is room as well to say that the body was cut."""
    original = {f"X{number:05}": "abcdefghijk" for number in range(count)}
    size = client.max_payload - len(b"NATS/1.0\r\n\r\n") - count * len(b"X00000: abcdefghijk\r\n")
    body, headers = await buried(client, names, b"x" * size, original)
    assert OURS.items() <= headers.items()
    assert headers.get("Facematch-Truncated-From", str(len(body))) == str(size)


async def test_a_failed_job_says_what_failed(client: Client, names: BrokerNames) -> None:
    """The reason is the outcome's, the error its detail."""
    await provisioned(client, names)
    failed = record(Failed(Reason.EMBEDDER_CRASHED, "the process died"))
    await JetStreamDeadLetters(client, names).publish(await delivery(b"{}", number=6), failed)
    [letter] = await stored(client, names.dead_stream)
    said = {name: (letter.headers or {})[f"Facematch-{name}"] for name in ("Reason", "Deliveries", "Error")}
    assert said == {"Reason": "embedder_crashed", "Deliveries": "6", "Error": "the process died"}
