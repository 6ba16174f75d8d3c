"""Times as people write and read them: when it was, how long ago, how long."""

import re
from datetime import UTC, datetime, timedelta

import typer

_DURATION = re.compile(r"(?:(\d{1,5})w)?(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,8})s)?", re.ASCII)
_UNITS = ("weeks", "days", "hours", "minutes", "seconds")


def moment(text: str, now: datetime | None = None) -> datetime:
    """Return the time of an ISO 8601 text (UTC unless it says otherwise), or so long before now: ``90s``, ``1d12h``.

    Raises:
        typer.BadParameter: neither of them.

    """
    found = _DURATION.fullmatch(text)
    try:
        if text and found is not None:
            lengths = dict(zip(_UNITS, (int(digits or 0) for digits in found.groups()), strict=True))
            return (now or datetime.now(UTC)) - timedelta(**lengths)
        written = datetime.fromisoformat(text)
        return written.replace(tzinfo=UTC) if written.tzinfo is None else written.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-25T08:30, or how long ago, such as 45m, 2h or 1d12h"
        ) from error


def in_words(seconds: float) -> str:
    """Return a length of time in two units at most."""
    left = max(0, round(seconds))
    words = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"
