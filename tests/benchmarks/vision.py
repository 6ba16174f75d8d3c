"""How fast and how frugally photographs are read, side by side with the alternative."""

import asyncio
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console

from tests.benchmarks import memory, pool, speed
from tests.benchmarks.contenders import REFERENCE
from tests.benchmarks.photographs import samples

_PIPELINES = ("dlib", "mediapipe")
_USUAL_MEGAPIXELS = 3.0


def run(console: Console, folder: Path) -> dict[str, Any]:
    """Measure speed, memory and throughput; print them, draw the plot, and return the figures."""
    photographs = samples()
    contenders = (*_PIPELINES, REFERENCE)
    speeds = speed.measure(contenders, photographs)
    speed.report(speeds, console)
    speed.plot(speeds, folder / "vision.png")
    peaks = memory.measure(contenders, photographs)
    memory.report(peaks, console)
    usual = [s for s in photographs if (s.kind, s.megapixels) == ("baseline", _USUAL_MEGAPIXELS)]
    throughputs = asyncio.run(pool.measure(_PIPELINES, usual))
    pool.report(throughputs, console)
    return {
        "speed": speeds.document(),
        "memory_bytes": [attrs.asdict(peak) for peak in peaks],
        "pool": [attrs.asdict(throughput) | {"gain": throughput.gain} for throughput in throughputs],
    }
