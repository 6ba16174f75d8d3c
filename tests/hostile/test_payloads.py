"""Whatever the bytes of a job are, it ends once: as a job, or as a malformed one that is kept as it came."""

import time
from collections import Counter
from itertools import cycle
from typing import Final

from adapters.nats_jetstream.jobs.payload import MAX_BODY_BYTES, JsonJobParser
from domain.images import ImageRefPolicy, InvalidImageRefError
from domain.jobs import MalformedJob, MatchJob
from tests.e2e.world import World
from tests.hostile.payloads import CANARY, hostile_payloads

MANY: Final = 20_000
SECONDS: Final = 1.0
"""Of the processor, for one body; a large one takes a hundredth of it."""
HEADERS: Final[tuple[dict[str, str] | None, ...]] = (
    None,
    {"traceparent": "00-00000000000000000000000000000000-0000000000000000-ff", "tracestate": "=," * 200},
    {"traceparent": "x" * 5000, "Facematch-Reason": "matched", "Nats-Expected-Stream": "PHOTO_FACES"},
)


def test_every_body_is_a_job_or_malformed() -> None:
    """No body raises, takes long or is repeated in what is said of it, which fits on a few lines; both kinds occur."""
    parse = JsonJobParser().parse
    kinds: Counter[type] = Counter()
    for body in hostile_payloads(MANY, seed=1):
        started = time.thread_time()
        result = parse(body)
        assert time.thread_time() - started < SECONDS, body[:100]
        kinds[type(result)] += 1
        if isinstance(result, MalformedJob):
            said = "".join(result.problems)
            assert said, body[:100]
            assert said.isprintable(), body[:100]
            assert len(said) < 1000, body[:100]
            assert CANARY not in said, body[:100]
        assert len(body) <= MAX_BODY_BYTES or isinstance(result, MalformedJob)
    assert kinds.keys() == {MatchJob, MalformedJob}
    assert min(kinds.values()) > MANY / 10


def reason_of(body: bytes) -> str:
    """Return how a job ends whose photo is in no table, by the order of the guardrails."""
    job = JsonJobParser().parse(body)
    if isinstance(job, MalformedJob):
        return "malformed_payload"
    if job.faces_detected not in {None, 1}:
        return "faces_detected_not_one"
    if not job.image_ref:
        return "missing_image_ref"
    try:
        ImageRefPolicy.of("images").parse(job.image_ref)
    except InvalidImageRefError:
        return "invalid_image_ref"
    return "photo_not_found"


async def test_a_worker_ends_each_once_and_lives(world: World) -> None:
    """One outcome and one event for each; the malformed ones are dead letters, with every byte of what came."""
    bodies = list(hostile_payloads(450, seed=2))
    with world.worker() as worker:
        sequences = [await world.publish(body, headers) for body, headers in zip(bodies, cycle(HEADERS), strict=False)]
        await world.settled()
        assert worker.process.poll() is None
        assert worker.get("/readyz")[0] == 200
    expected = {sequence: reason_of(body) for sequence, body in zip(sequences, bodies, strict=True)}
    rows = world.sql("SELECT stream_seq, outcome, reason FROM facematch.outcomes")
    assert sorted(rows) == [(sequence, "skipped", reason) for sequence, reason in sorted(expected.items())]
    assert world.sql("SELECT * FROM facematch.attempts") == []
    events = await world.events()
    assert Counter(event["reason"] for event in events) == Counter(expected.values())
    assert all(event["photo_id"] for event in events if event["reason"] != "malformed_payload")
    letters = await world.stored("PHOTO_FACES_DEAD")
    kept = {int(letter.headers["Facematch-Stream-Seq"]): letter.data or b"" for letter in letters}
    malformed = {
        sequence: body
        for sequence, body in zip(sequences, bodies, strict=True)
        if expected[sequence] == "malformed_payload"
    }
    assert (len(letters), kept) == (len(malformed), malformed)
