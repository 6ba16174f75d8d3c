"""Lengths of time for people."""

import pytest

from entrypoints.terminal.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7200, "2 h"), (90_061, "1 d 1 h")],
)
def test_lengths_of_time_are_told_in_two_units(seconds: float, words: str) -> None:
    """Enough for people."""
    assert in_words(seconds) == words
