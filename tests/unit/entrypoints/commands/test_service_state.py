"""The sentence that says why the service does nothing."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from application.operating.service_status import ServiceStatus
from application.ports.statistics import OutcomeCount, QueueState, RecentOutcomes
from entrypoints.commands.common.service_state import sentence

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EMPTY = QueueState(
    pending=0,
    ack_pending=0,
    redelivered=0,
    most_in_hand=1000,
    asking=0,
    paused=False,
    ever_delivered=True,
    oldest=None,
)


def outcomes(quiet_seconds: float | None) -> RecentOutcomes:
    """Return a ledger whose last outcome is so old, or that has none."""
    last = None if quiet_seconds is None else NOW - timedelta(seconds=quiet_seconds)
    return RecentOutcomes(NOW, last, (), ())


def malformed(last_hour: int) -> RecentOutcomes:
    """Return a ledger with so many malformed jobs of the last hour, among others."""
    counts = tuple(
        OutcomeCount("skipped", reason, 0, 0, last_hour, 9) for reason in ("malformed_payload", "no_face", None)
    )
    return attrs.evolve(outcomes(60), counts=counts)


@pytest.mark.parametrize(
    ("queue", "recent", "idle", "words"),
    [
        (None, outcomes(5), None, "cannot be seen"),
        (attrs.evolve(EMPTY, paused=True, pending=3), outcomes(5), True, "paused"),
        (attrs.evolve(EMPTY, ever_delivered=False), outcomes(None), True, "no job was ever published"),
        (attrs.evolve(EMPTY, ever_delivered=False), outcomes(60), True, "nothing waits; the last job ended 1 min ago"),
        (EMPTY, outcomes(3720), True, "nothing waits; the last job ended 1 h 2 min ago"),
        (EMPTY, None, True, "nothing waits"),
        (EMPTY, malformed(2), True, "1 min ago; within the last hour 2 jobs ended as malformed: `facematch"),
        (attrs.evolve(EMPTY, pending=7, ack_pending=2), outcomes(59), False, "2 in hand; the last job ended 59 s ago"),
        (attrs.evolve(EMPTY, pending=7), outcomes(4), False, "7 jobs waiting and 0 in hand; the last job ended 4 s"),
        (attrs.evolve(EMPTY, pending=7), outcomes(40), True, "none has ended for 40 s: no worker asks"),
        (attrs.evolve(EMPTY, pending=1), outcomes(300), True, "none has ended for 5 min: no worker asks"),
        (attrs.evolve(EMPTY, pending=1), outcomes(None), True, "1 job waiting and 0 in hand, but none has ended yet"),
        (attrs.evolve(EMPTY, pending=1), None, True, "whether any ended cannot be seen: no worker asks"),
        (attrs.evolve(EMPTY, pending=9, asking=1), None, None, "whether any ended cannot be seen"),
        (attrs.evolve(EMPTY, pending=1, asking=2), outcomes(300), True, "workers ask for jobs"),
        (attrs.evolve(EMPTY, pending=1, ack_pending=1000), outcomes(300), True, "no more than 1000 be in hand"),
        (attrs.evolve(EMPTY, ack_pending=4), outcomes(300), True, "held up by a dependency"),
        (attrs.evolve(EMPTY, ack_pending=4), None, None, "whether any ended cannot be seen"),
    ],
)
def test_why_nothing_is_done_is_said_in_a_sentence(
    *, queue: QueueState | None, recent: RecentOutcomes | None, idle: bool | None, words: str
) -> None:
    """Work is recognised by what has ended lately; what cannot be seen is not guessed."""
    status = ServiceStatus(NOW, queue=queue, outcomes=recent)
    assert (status.state.idle, words in sentence(status)) == (idle, True), sentence(status)


def test_malformed_jobs_are_not_told_for_ever() -> None:
    """Those of more than an hour ago are among the dead letters of the page."""
    assert "malformed" not in sentence(ServiceStatus(NOW, queue=EMPTY, outcomes=malformed(0)))
