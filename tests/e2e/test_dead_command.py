"""``facematch dead``: an operator sees what was given up, sends it again or throws it away."""

import asyncio
import contextlib
import json
import os
import pty
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from adapters.nats_jetstream.names import BrokerNames
from infra.local_stack.otlp import OtlpReceiver
from tests.broker import connected, provisioned, running
from tests.e2e.command import FACEMATCH, Done, clean_environment, facematch
from tests.e2e.world import World, eventually

_TROUBLESOME = str(Path(__file__).parent / "troublesome")
_TRACE, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_ESCAPE = "\x1b[2J"


@attrs.frozen
class Broker:
    """A provisioned broker, and a way to do what an operator does about its letters."""

    client: Client
    environment: dict[str, str]

    @property
    def js(self) -> JetStreamContext:
        """What asks for streams."""
        return self.client.jetstream()

    async def ask(self, *arguments: str, code: int = 0) -> str:
        """Run ``facematch dead …``, which must end with that code, and return what it prints."""
        done = await facematch(self.environment, "dead", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    async def kept(self) -> list[int | None]:
        """Return the numbers of the letters that are there."""
        letters = []
        for sequence in range(1, (await self.js.stream_info("PHOTO_FACES_DEAD")).state.last_seq + 1):
            with contextlib.suppress(NotFoundError):
                letters.append((await self.js.get_msg("PHOTO_FACES_DEAD", sequence)).seq)
        return letters

    async def jobs(self) -> int:
        """Return how many jobs there are."""
        return (await self.js.stream_info("PHOTO_FACES")).state.messages


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """Return a broker with the default streams, without any letters."""
    async with running(tmp_path) as server, connected(server) as client:
        await provisioned(client, BrokerNames())
        yield Broker(client, {"FACEMATCH_NATS_URL": server.url})


def lines_of(printed: str) -> list[dict[str, Any]]:
    """Return what a command printed for machines."""
    return [json.loads(line) for line in printed.splitlines()]


async def bury(broker: Broker, reason: str, body: bytes, sequence: int = 1, **headers: str) -> None:
    """Store a letter as a worker does."""
    said = {
        "Nats-Msg-Id": f"facematch-dead-{uuid4()}",
        "Facematch-Reason": reason,
        "Facematch-Deliveries": "6",
        "Facematch-Stream-Seq": str(sequence),
        "Facematch-Error": "no answer",
    }
    await broker.js.publish("photo_faces.single.dead", body, headers=said | headers)


async def test_a_dead_job_is_sent_again_and_ends_well(world: World) -> None:
    """After the cause is mended it is done as a new job, whose trace links to the old one; its letter is gone."""
    world.environment |= {
        "PYTHONPATH": _TROUBLESOME,
        "FACEMATCH_EMBEDDER": "troublesome",
        "FACEMATCH_NATS_MAX_DELIVER": "1",
    }
    photo = world.add_photo()
    key = world.put(f"{photo}.jpg", b"fail")
    with OtlpReceiver() as receiver:
        world.environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        with world.worker():
            await world.publish(
                {"photo_id": str(photo), "image_ref": key}, {"traceparent": f"00-{_TRACE}-{_SPAN}-01", "X-Own": "kept"}
            )
            await world.publish(b"no job")
            await world.outcome_of(photo)
            await world.settled()
            world.put(key, b"fine")
            told = lines_of(world.cli("dead", "replay", "--json").stdout)
            _, event = await world.outcome_of(photo, count=2)
            await world.settled()
            receiver.wait(lambda r: len([span for span in r.spans() if span.name.startswith("process ")]) == 3)
    by_photo = {line["photo_id"]: line for line in told}
    assert (by_photo[str(photo)]["action"], by_photo[None]["action"]) == ("replayed", "left_malformed")
    assert by_photo[str(photo)]["reason"] == "internal_error"
    assert event["reason"] == "no_enrolled_users"
    [left] = lines_of(world.cli("dead", "list", "--json").stdout)
    assert left["sequence"] == by_photo[None]["sequence"]
    job = (await world.stored("PHOTO_FACES"))[-1]
    assert (job.headers["X-Own"], "traceparent" in job.headers) == ("kept", False)
    jobs = sorted((span for span in receiver.spans() if span.name.startswith("process ")), key=lambda s: s.start_ns)
    died = next(span for span in jobs if span.trace_id == _TRACE)
    assert (jobs[-1].parent_id, jobs[-1].trace_id == _TRACE) == (None, False)
    assert jobs[-1].links == ((_TRACE, died.span_id),)


async def test_letters_are_listed_shown_and_selected(broker: Broker) -> None:
    """Reasons and times select, the newest is last; one letter is shown whole, and nothing in it harms a terminal."""
    photo = str(uuid4())
    await bury(broker, "storage_unavailable", json.dumps({"photo_id": photo, "image_ref": _ESCAPE}).encode(), 11)
    await bury(broker, "malformed_payload", b"\xff\xfe", 12, **{"X-Own": _ESCAPE, "Traceparent": f"00-{_TRACE}-1-01"})
    await bury(broker, "internal_error", b"{}", 13)
    listed = lines_of(await broker.ask("list", "--json"))
    assert [(line["sequence"], line["stream_seq"], line["reason"]) for line in listed] == [
        (1, 11, "storage_unavailable"),
        (2, 12, "malformed_payload"),
        (3, 13, "internal_error"),
    ]
    assert (listed[0]["photo_id"], listed[1]["photo_id"], listed[0]["deliveries"]) == (photo, None, 6)
    chosen = await broker.ask(
        "list", "--json", "--reason", "internal_error", "--reason", "malformed_payload", "--since", "1h",
        "--until", listed[2]["stored_at"],
    )  # fmt: skip
    assert [line["sequence"] for line in lines_of(chosen)] == [2]
    [last] = lines_of(await broker.ask("list", "--json", "--limit", "1"))
    assert last["sequence"] == 3
    table = await broker.ask("list", "--limit", "2")
    assert ("internal_error" in table, "storage_unavailable" in table, "3 dead letters" in table) == (True, False, True)
    whole = json.loads(await broker.ask("show", "2", "--json"))
    assert (whole["body"], whole["body_base64"], whole["headers"]["X-Own"]) == (None, "//4=", _ESCAPE)
    assert whole["trace_id"] == _TRACE
    for number in ("1", "2"):
        assert "\x1b" not in await broker.ask("show", number)
    assert photo in await broker.ask("show", "1")
    assert await broker.ask("show", "4", code=1) == ""


@pytest.mark.parametrize("columns", ["80", "120"])
async def test_nothing_is_broken_on_a_narrow_terminal(broker: Broker, columns: str) -> None:
    """Ids and headers can be copied; what strangers wrote is shown as it is."""
    photo, trace = str(uuid4()), f"00-{_TRACE}-{_SPAN}-01"
    body, error = json.dumps({"photo_id": photo}).encode(), "there is no minio://images/p/x[/b][red].jpg :cat:"
    said = {"Facematch-Error": error, "Facematch-Traceparent": trace}
    await bury(broker, "storage_unavailable", body, 123_456, **said)
    broker.environment["COLUMNS"] = columns
    table = (await broker.ask("list")).splitlines()
    assert max(map(len, table)) <= int(columns)
    for words in ("storage_unavailable (job 123456)", photo, "minio://images/p/x[/b][red].jpg", ":cat:"):
        assert any(words in line for line in table), words
    whole = await broker.ask("show", "1")
    assert trace in re.sub(r"[\s│]+", "", whole)
    assert ("…" in whole, ":cat:" in whole) == (False, True)


async def test_nothing_is_done_to_letters_that_were_not_meant(broker: Broker) -> None:
    """A rehearsal does nothing; what is named and cannot be done is a failure; a purge must be agreed to."""
    for number in range(1, 5):
        await bury(broker, "malformed_payload" if number == 2 else "internal_error", b"{}", number)
    rehearsed = lines_of(await broker.ask("replay", "--dry-run", "--json"))
    assert [line["action"] for line in rehearsed] == [
        "would_be_replayed",
        "left_malformed",
        "would_be_replayed",
        "would_be_replayed",
    ]
    assert "4 would be purged" in await broker.ask("purge", "--dry-run")
    await broker.ask("replay", "2", code=1)
    for named, words in (
        (["9"], "is no dead letter 9, or it is"),
        (["12", "1", "9"], "are no dead letters 9, 12, or they are"),
    ):
        done = await facematch(broker.environment, "dead", "purge", "--dry-run", *named)
        assert (done.returncode, done.stderr) == (
            1,
            f"there {words} not selected: `facematch dead list` shows those that there are\n",
        )
    await broker.ask("purge", code=2)
    assert await broker.kept() == [1, 2, 3, 4]
    assert await broker.jobs() == 0
    assert "1 replayed" in await broker.ask("replay", "3")
    purged = lines_of(await broker.ask("purge", "--yes", "--json", "--reason", "internal_error"))
    assert [(line["action"], line["sequence"]) for line in purged] == [("purged", 1), ("purged", 4)]
    assert await broker.kept() == [2]
    assert await broker.jobs() == 1


async def test_whoever_has_seen_enough_of_a_rehearsal_is_told_nothing_wrong(broker: Broker) -> None:
    """The reader has gone, as ``head`` does: how many would be purged is not known."""
    for number in (1, 2):
        await bury(broker, "internal_error", b"{}", number)
    with subprocess.Popen(  # noqa: ASYNC220 - it starts at once
        [FACEMATCH, "dead", "purge", "--dry-run", "--json"],
        env=clean_environment() | broker.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as purge:
        assert purge.stdout
        assert purge.stderr
        purge.stdout.close()
        assert await asyncio.to_thread(purge.stderr.read) == ""
    assert purge.returncode == 1


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 1), ("y", 0, 0)])
async def test_on_a_terminal_a_purge_asks(broker: Broker, answer: str, code: int, left: int) -> None:
    """It says how many letters there are, and reads none for it; whoever declines loses none."""
    await bury(broker, "internal_error", b"{}")
    read = []

    async def note(request: Msg) -> None:
        read.append(request.data)

    await broker.client.subscribe("$JS.API.STREAM.MSG.GET.PHOTO_FACES_DEAD", cb=note)
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    said = bytearray()

    async def look() -> str:
        with contextlib.suppress(OSError):
            said.extend(os.read(ours, 65_536))
        return said.decode(errors="replace")

    with subprocess.Popen(  # noqa: ASYNC220 - it starts at once
        [FACEMATCH, "dead", "purge"],
        env=clean_environment() | broker.environment,
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        await eventually(look, lambda text: "Delete 1 dead letter for good?" in text, "the question")
        os.write(ours, f"{answer}\n".encode())
        assert await asyncio.to_thread(process.wait, 60) == code
    os.close(ours)
    await broker.client.flush()
    assert len(read) == 1 - left
    assert len(await broker.kept()) == left


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "0"),
        ("show", "--", "-1"),
        ("show", str(2**63)),
        ("replay", "--", "-3"),
        ("purge", "--yes", "1", str(2**80)),
        ("list", "--since", "1h", "--until", "2h"),
        ("replay", "--since", "2026-11-25", "--until", "2026-11-25"),
    ],
)
async def test_what_no_letter_can_be_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    """Numbers out of range and windows in which nothing lies are told before anybody is asked."""
    done = await facematch({"FACEMATCH_NATS_URL": "nats://127.0.0.1:1"}, "dead", *arguments)
    assert (done.returncode, "NATS" in done.stderr) == (2, False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("dead", "purge", "--yes"), 1),
        (("dead", "list", "--since", "yesterday"), 2),
        (("dead", "list", "--reason", "bad_luck"), 2),
        (("dead", "bury"), 2),
    ],
)
async def test_failures_and_wrong_usage_are_told_apart(arguments: tuple[str, ...], code: int) -> None:
    """A broker that is away is a failure, in one sentence; what cannot be meant is wrong usage."""
    done: Done = await facematch({"FACEMATCH_NATS_URL": "nats://127.0.0.1:1"}, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert ("NATS" in done.stderr, len(done.stderr.splitlines()) == 1) == (code == 1, code == 1)
