"""The age of the oldest job follows from marks that say by when messages were stored."""

from datetime import UTC, datetime, timedelta

from adapters.nats_jetstream.jobs.timeline import Timeline
from domain.jobs import JobKey

START = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a time of the test."""
    return START + timedelta(seconds=seconds)


def watched(*looks: tuple[float, int]) -> Timeline:
    """Return a timeline that saw the stream end at a sequence at each of these seconds."""
    timeline = Timeline()
    for seconds, last in looks:
        timeline.seen(first=1, last=last, now=at(seconds))
    return timeline


def test_a_job_that_waits_is_as_old_as_the_first_look_that_saw_it() -> None:
    """Later looks, at a stream that has grown, make it no younger."""
    timeline = watched((0, 10), (10, 12), (20, 30))
    assert timeline.oldest(settled=10, delivered=10, all_delivered=False) == at(10)


def test_the_age_follows_what_is_settled() -> None:
    """What was stored before the end of what is settled counts no more."""
    timeline = watched((0, 10), (10, 12), (20, 30))
    assert timeline.oldest(settled=12, delivered=15, all_delivered=False) == at(20)
    assert timeline.oldest(settled=13, delivered=15, all_delivered=False) == at(20)


def test_a_delivery_is_exact() -> None:
    """The time that a delivery carries goes before that of the look."""
    timeline = watched((10, 5))
    timeline.delivered(JobKey(3, at(-500)))
    timeline.delivered(JobKey(5, at(7)))
    assert timeline.oldest(settled=2, delivered=5, all_delivered=True) == at(-500)
    assert timeline.oldest(settled=3, delivered=5, all_delivered=True) == at(7)


def test_an_end_that_did_not_move_was_stored_at_the_first_look() -> None:
    """A quiet stream ages."""
    timeline = watched((0, 10), (10, 10), (20, 10))
    assert timeline.oldest(settled=0, delivered=0, all_delivered=False) == at(0)


def test_messages_that_are_no_jobs_do_not_age_a_job() -> None:
    """On a stream of many subjects what came after the last job, while none waited, says nothing of the next one."""
    timeline = watched((0, 10), (10, 500))
    assert timeline.oldest(settled=8, delivered=10, all_delivered=True) == at(0)
    timeline.seen(first=1, last=900, now=at(20))
    assert timeline.oldest(settled=10, delivered=10, all_delivered=False) == at(20)


def test_a_worker_that_knows_one_look_knows_when_at_the_latest() -> None:
    """All that was delivered elsewhere had been stored by then."""
    assert watched((5, 40)).oldest(settled=8, delivered=10, all_delivered=True) == at(5)


def test_what_the_stream_has_lost_is_forgotten() -> None:
    """Messages that were deleted, or a stream that was made anew, leave no age behind."""
    timeline = watched((0, 10), (10, 20))
    timeline.seen(first=15, last=20, now=at(30))
    assert timeline.oldest(settled=0, delivered=0, all_delivered=False) == at(10)
    timeline.seen(first=1, last=3, now=at(40))
    assert timeline.oldest(settled=0, delivered=0, all_delivered=False) == at(40)


def test_nothing_is_known_of_what_was_settled() -> None:
    """After a moment without unsettled jobs the next one starts anew."""
    timeline = watched((0, 10))
    timeline.settled()
    assert timeline.oldest(settled=9, delivered=10, all_delivered=True) is None


def test_an_outage_of_days_takes_little_memory() -> None:
    """The oldest job is still known when thousands of looks have been kept."""
    timeline = Timeline()
    for number in range(5000):
        timeline.seen(first=1, last=100 + number, now=at(10 * number))
        assert timeline.oldest(settled=0, delivered=0, all_delivered=False) == at(0)
    assert len(timeline._marks) <= 2000


def test_deliveries_that_nobody_asks_about_take_little_memory() -> None:
    """Where looks are not allowed, what was delivered does not pile up, and the oldest is still known."""
    timeline = Timeline()
    for number in range(5000):
        timeline.delivered(JobKey(100 + number, at(number)))
    assert len(timeline._marks) <= 2000
    assert timeline.oldest(settled=0, delivered=5099, all_delivered=True) == at(0)
