"""The identity of a job."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from domain.jobs import JobKey

_times = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def test_the_text_is_the_place_and_the_time() -> None:
    """The sequence and the microseconds since the epoch, exactly: events are deduplicated by it."""
    key = JobKey(7, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    assert str(key) == "7-1767323045678901"


@given(_times)
def test_the_text_tells_neighbouring_times_apart(stored_at: datetime) -> None:
    """A message stored a microsecond later is another job."""
    assert str(JobKey(1, stored_at)) != str(JobKey(1, stored_at + timedelta(microseconds=1)))


@given(_times, st.integers(-12, 12))
def test_the_time_zone_does_not_matter(stored_at: datetime, hours: int) -> None:
    """A time that a database returns in its own zone makes the same key and the same text."""
    elsewhere = JobKey(1, stored_at.astimezone(timezone(timedelta(hours=hours))))
    assert (elsewhere, str(elsewhere), hash(elsewhere)) == (
        JobKey(1, stored_at), str(JobKey(1, stored_at)), hash(JobKey(1, stored_at))
    )  # fmt: skip
