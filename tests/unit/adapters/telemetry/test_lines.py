"""The canonical line: one for each delivery, with everything worth knowing, at the right level."""

import asyncio
import re
import time
from collections.abc import Callable

import pytest
import structlog

from application.ports.telemetry import JobTrace
from domain.outcomes import Reason
from domain.records import Outcome
from tests.contract.telemetry.samples import (
    GIVEN_UP,
    JOB,
    JOB_ID,
    KEY,
    MALFORMED,
    MATCHED,
    NO_FACE,
    NO_MATCH,
    NOT_PARSED,
    PHOTO,
    TIMINGS,
    TRACE_ID,
    TRACEPARENT,
    USER,
    SampleDelivery,
    record,
)
from tests.unit.adapters.telemetry.conftest import Log, Observed

LOG = structlog.get_logger("facematch")
ALWAYS = {
    "action",
    "delivery",
    "detail",
    "embedder",
    "event",
    "job",
    "job_id",
    "level",
    "logger",
    "outcome",
    "photo_id",
    "reason",
    "span_id",
    "stages_ms",
    "timestamp",
    "total_ms",
    "trace_id",
    "worker",
}


def test_a_matched_job_has_one_line(observed: Observed) -> None:
    """It says what was decided, for whom, by whom, and how long each stage took."""
    with observed.telemetry.job(SampleDelivery(trace_context={"traceparent": TRACEPARENT})) as trace:
        trace.identify(JOB)
        with trace.stage("fetch"):
            pass
        with trace.stage("vision"):
            trace.record_timings(TIMINGS)
        trace.concluded(record(MATCHED), repeated=False)
    [line] = observed.log.lines
    process = observed.span("process jobs").get_span_context()
    assert process is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    stages = line.pop("stages_ms")
    assert list(stages) == ["fetch", "decode", "detect", "vision"]
    assert (stages["decode"], stages["detect"]) == (2.0, 6.0)
    assert 0 <= stages["fetch"] <= line.pop("total_ms") < 1000
    assert line == {
        "event": "job",
        "level": "info",
        "logger": "facematch",
        "action": "matched",
        "job": str(KEY),
        "delivery": 1,
        "worker": "worker-1",
        "embedder": "dlib@2",
        "photo_id": str(PHOTO),
        "job_id": str(JOB_ID),
        "outcome": "matched",
        "reason": None,
        "detail": None,
        "user_id": str(USER),
        "distance": 0.04,
        "threshold": 0.07,
        "gallery_size": 3,
        "runner_up_distance": 0.4,
        "trace_id": TRACE_ID,
        "span_id": f"{process.span_id:016x}",
    }


def outcome(outcome: Outcome, *, repeated: bool = False) -> Callable[[JobTrace], None]:
    """Return a use case that ends so."""
    return lambda trace: trace.concluded(record(outcome), repeated=repeated)


def retry(trace: JobTrace) -> None:
    """Fail, with another attempt to come."""
    trace.attempt_failed(Reason.DATABASE_UNAVAILABLE, "no answer", retry_after_seconds=2.0)


def unsettled_match(trace: JobTrace) -> None:
    """Match, but be unable to say so to the broker."""
    trace.concluded(record(MATCHED), repeated=False)
    trace.unsettled("no confirmation")


def unsettled_failure(trace: JobTrace) -> None:
    """Fail for good, and be unable to say so to the broker."""
    trace.concluded(record(GIVEN_UP), repeated=False)
    trace.unsettled("no confirmation")


@pytest.mark.parametrize(
    ("handle", "level", "action", "said", "reason"),
    [
        (outcome(MATCHED), "info", "matched", "matched", None),
        (outcome(NO_FACE), "info", "skipped", "skipped", "no_face"),
        (outcome(NO_MATCH), "info", "skipped", "skipped", "no_match"),
        (outcome(NOT_PARSED), "error", "skipped", "skipped", "malformed_payload"),
        (outcome(GIVEN_UP), "error", "failed", "failed", "storage_unavailable"),
        (outcome(MATCHED, repeated=True), "info", "repeated", "matched", None),
        (outcome(GIVEN_UP, repeated=True), "error", "repeated", "failed", "storage_unavailable"),
        (retry, "warning", "retry", None, "database_unavailable"),
        (lambda trace: trace.released("the worker stops"), "info", "released", None, None),
        (unsettled_match, "warning", "matched", "matched", None),
        (unsettled_failure, "error", "failed", "failed", "storage_unavailable"),
        (lambda trace: trace.identify(MALFORMED), "error", "interrupted", None, None),
    ],
)
def test_level_and_words(
    observed: Observed,
    handle: Callable[[JobTrace], None],
    level: str,
    action: str,
    said: str | None,
    reason: str | None,
) -> None:
    """What is expected is info, what will be tried again a warning, and what somebody must look at an error."""
    with observed.telemetry.job(SampleDelivery()) as trace:
        handle(trace)
    [line] = observed.log.jobs()
    assert (line["level"], line["action"], line["outcome"], line["reason"]) == (level, action, said, reason)
    assert line.keys() >= ALWAYS


def test_every_line_has_a_detail_where_there_is_one(observed: Observed) -> None:
    """The sentence that the ledger keeps stands in the log, too."""
    for handle in (outcome(NO_FACE), retry, lambda trace: trace.released("given back: the worker stops")):
        with observed.telemetry.job(SampleDelivery()) as trace:
            handle(trace)
    assert [line["detail"] for line in observed.log.jobs()] == [
        "the detector found no face",
        "no answer",
        "given back: the worker stops",
    ]
    assert observed.log.jobs()[1]["retry_after_seconds"] == 2.0


def test_a_job_that_is_given_up_after_a_hold_says_so(observed: Observed) -> None:
    """What it waited for stays in the line; the last word about its end counts."""
    with observed.telemetry.job(SampleDelivery()) as trace:
        trace.held("database", "no answer")
        trace.concluded(record(MATCHED), repeated=False)
        trace.released("the worker stops")
    [line] = observed.log.jobs()
    assert (line["held_for"], line["action"], line["outcome"]) == ("database", "released", "matched")


def test_an_interrupted_job_has_its_line(observed: Observed) -> None:
    """An error that nobody caught is an error in the line, too, by its type."""
    with pytest.raises(RuntimeError), observed.telemetry.job(SampleDelivery()):
        raise RuntimeError("secret")
    [line] = observed.log.jobs()
    assert (line["level"], line["action"], line["interrupted_by"]) == ("error", "interrupted", "RuntimeError")
    assert "secret" not in observed.log.text


async def test_a_released_job_is_no_warning(observed: Observed) -> None:
    """A worker that stops gives its jobs back as a matter of course."""

    async def give_back() -> None:
        with observed.telemetry.job(SampleDelivery()) as trace:
            trace.released("the worker stops")
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await give_back()
    [line] = observed.log.jobs()
    assert (line["level"], line["action"]) == ("info", "released")


def test_a_repeated_stage_is_shown_as_a_sum(observed: Observed) -> None:
    """Two searches are one figure."""
    with observed.telemetry.job(SampleDelivery()) as trace:
        for _ in range(2):
            trace.record_timings(TIMINGS[:1])
    assert observed.log.jobs()[0]["stages_ms"] == {"decode": 4.0}


def test_no_stage_takes_longer_than_the_job(observed: Observed) -> None:
    """Figures are of the right order: a stage that waits 20 ms takes about that."""
    with observed.telemetry.job(SampleDelivery()) as trace, trace.stage("fetch"):
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass
    [line] = observed.log.jobs()
    assert 20.0 <= line["stages_ms"]["fetch"] <= line["total_ms"] < 30_000.0


async def test_lines_within_a_job_carry_its_ids(observed: Observed) -> None:
    """An unexpected error is logged with its stack trace, once, and with the ids of its job."""
    with pytest.raises(ValueError, match="a defect") as defect:
        int("a defect")
    with observed.telemetry.job(SampleDelivery(trace_context={"traceparent": TRACEPARENT})) as trace:
        trace.identify(JOB)
        trace.unexpected(defect.value)
    [line] = [line for line in observed.log.lines if line["action"] == "unexpected_error"]
    assert (line["photo_id"], line["job_id"], line["trace_id"]) == (str(PHOTO), str(JOB_ID), TRACE_ID)
    assert line["level"] == "error"
    assert "ValueError: invalid literal for int() with base 10: 'a defect'" in line["exception"]


async def test_overlapping_jobs_do_not_mix_their_ids(observed: Observed) -> None:
    """Each line has the ids of its own job, however the tasks take turns."""

    async def handle(number: int) -> None:
        with observed.telemetry.job(SampleDelivery(number=number)) as trace:
            trace.identify(JOB if number % 2 else MALFORMED)
            await asyncio.sleep(0)
            trace.unexpected(ValueError(str(number)))
            await asyncio.sleep(0)

    await asyncio.gather(*(handle(number) for number in range(1, 9)))
    for line in observed.log.lines:
        number = line["delivery"] if line["event"] == "job" else int(line["exception"].rpartition(" ")[2])
        assert line["photo_id"] == (str(PHOTO) if number % 2 else None)
    spans = {line["span_id"] for line in observed.log.lines}
    assert len(spans) == 8


def test_what_concerns_the_worker_has_no_jobs_ids(observed: Observed) -> None:
    """An outage that one job notices is not that job's; its end may be logged long after the job's."""
    with observed.telemetry.job(SampleDelivery(trace_context={"traceparent": TRACEPARENT})) as trace:
        trace.identify(JOB)
        observed.telemetry.dependency_down("database", "no answer")
        observed.telemetry.dependency_up("database", after_seconds=1.2345)
        observed.telemetry.orphans_published(2)
        observed.telemetry.search_is_slow(100_000)
        observed.telemetry.unexpected(ValueError("a defect"))
    *lines, _job = observed.log.lines
    assert [line.keys() & {"photo_id", "job_id", "trace_id"} for line in lines] == [set()] * 5
    down, up, orphans, slow, defect = lines
    assert (down["level"], down["action"], down["detail"]) == ("error", "dependency_down", "no answer")
    assert (up["level"], up["action"], up["after_seconds"]) == ("info", "dependency_up", 1.234)
    assert (orphans["level"], orphans["action"], orphans["count"]) == ("warning", "orphans_published", 2)
    assert (slow["level"], slow["action"], slow["count"]) == ("warning", "search_is_slow", 100_000)
    assert "facematch index" in slow["event"]
    assert (defect["level"], defect["action"]) == ("error", "unexpected_error")


def test_people_read_first_what_became_of_which_photo(observed: Observed, logged: Callable[..., Log]) -> None:
    """The console's line has nothing that is null or said twice, few digits, and the stages last."""
    log = logged(form="console")
    for handle in (outcome(MATCHED), retry):
        with observed.telemetry.job(SampleDelivery()) as trace:
            trace.identify(JOB)
            with trace.stage("vision"):
                trace.record_timings(TIMINGS)
            handle(trace)
    LOG.info("ours", fraction=1 / 3)
    matched, failed, ours = log.text.splitlines()
    assert f"[facematch] photo_id={PHOTO} outcome=matched user_id={USER} distance=" in matched
    assert f"[facematch] photo_id={PHOTO} reason=database_unavailable detail=" in failed
    assert ("action=" in matched, "action=retry" in failed) == (False, True)
    assert [line.partition(" stages_ms=")[2] for line in (matched, failed)] == ["decode:2,detect:6,vision:0"] * 2
    assert " ours [facematch] fraction=0.333333 worker=" in ours
    assert "None" not in log.text
