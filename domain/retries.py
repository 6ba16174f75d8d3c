"""How long to wait before trying again; pure, it sleeps nowhere."""

import attrs


@attrs.frozen
class LinearBackoff:
    """The n-th wait is n times ``base_seconds``; there are ``attempts`` tries in all."""

    attempts: int
    base_seconds: float

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after the given attempt (1 is the first) has failed."""
        return attempt * self.base_seconds
