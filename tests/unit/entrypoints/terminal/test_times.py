"""Times as operators write and read them."""

from datetime import UTC, datetime

import pytest
import typer

from entrypoints.terminal.times import in_words, moment

NOW = datetime(2026, 5, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", "2026-05-02T10:00:00+00:00"),
        ("90s", "2026-05-02T11:58:30+00:00"),
        ("1d12h", "2026-05-01T00:00:00+00:00"),
        ("1w", "2026-04-25T12:00:00+00:00"),
        ("2026-05-01", "2026-05-01T00:00:00+00:00"),
        ("2026-05-01T08:30", "2026-05-01T08:30:00+00:00"),
        ("2026-05-01T08:30:00Z", "2026-05-01T08:30:00+00:00"),
        ("2026-05-01T08:30:00+02:00", "2026-05-01T06:30:00+00:00"),
    ],
)
def test_a_time_is_absolute_or_how_long_ago(text: str, expected: str) -> None:
    """ISO 8601, in UTC where it does not say; or a length of time in weeks, days, hours, minutes and seconds."""
    assert moment(text, NOW).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2",
        "h",
        "-2h",
        "1h2d",
        "99999w99999d",
        "2026-13-01",
        "0001-01-01T00:00+23:00",
        "9999-12-31T23:59-23:00",
    ],
)
def test_anything_else_is_wrong_usage(text: str) -> None:
    """It is told what can be written."""
    with pytest.raises(typer.BadParameter, match="how long ago"):
        moment(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7200, "2 h"), (90_061, "1 d 1 h")],
)
def test_lengths_of_time_are_told_in_two_units(seconds: float, words: str) -> None:
    """Enough for people."""
    assert in_words(seconds) == words
