"""What a worker's gauges show, without a worker."""

from collections.abc import Mapping

import attrs


@attrs.define(kw_only=True)
class FixedGauges:
    """They show what was said last."""

    jobs: Mapping[str, int]
    oldest_age: float | None
    dead_letters: int | None
    users: Mapping[str, int]
    vision_restarts: int
    vision_memory: int
    connections: Mapping[str, int]
