"""The canonical line: everything worth knowing of one delivery, in one record of the log."""

from typing import Any

import structlog

_LOG = structlog.get_logger("facematch")
_RANK = {"info": 0, "warning": 1, "error": 2}


class CanonicalLine:
    """The line while it grows; each line has all the fields that any has at the start of its life."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - figures and words
        self._fields = {
            "action": "interrupted",
            **fields,
            "photo_id": None,
            "job_id": None,
            "outcome": None,
            "reason": None,
            "detail": None,
        }
        self._level = "error"
        self._least = "info"
        self._stages: dict[str, float] = {}

    @property
    def action(self) -> str:
        """What became of the delivery, ``interrupted`` until something is said."""
        return str(self._fields["action"])

    def note(self, **fields: Any) -> None:  # noqa: ANN401 - figures and words
        """Add or replace fields."""
        self._fields |= fields

    def conclude(self, action: str, level: str, **fields: Any) -> None:  # noqa: ANN401 - figures and words
        """Say what became of the delivery; the last word counts."""
        self.note(action=action, **fields)
        self._level = level

    def at_least(self, level: str) -> None:
        """Write the line at this level or a higher one."""
        self._least = max(self._least, level, key=_RANK.__getitem__)

    def took(self, stage: str, seconds: float) -> None:
        """Add to a stage's time; a stage that is repeated is shown as a sum."""
        self._stages[stage] = self._stages.get(stage, 0.0) + seconds

    def write(self, seconds: float) -> None:
        """Log the line."""
        level = max(self._level, self._least, key=_RANK.__getitem__)
        stages = {name: _milliseconds(value) for name, value in self._stages.items()}
        getattr(_LOG, level)("job", **self._fields, stages_ms=stages, total_ms=_milliseconds(seconds))


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
