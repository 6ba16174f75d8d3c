"""``make bench``: how fast and how frugally photographs are read, side by side with the alternative, as ratios."""

import asyncio
import json
import os
import platform
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import matplotlib as mpl
from rich.console import Console

from tests.benchmarks import memory, pool, speed
from tests.benchmarks.contenders import REFERENCE
from tests.benchmarks.photographs import samples

mpl.use("Agg")

_OUTPUT = Path("bench-output")
_PIPELINES = ("dlib", "mediapipe")
_USUAL_MEGAPIXELS = 3.0


def machine() -> dict[str, str | int]:
    """Return what it was measured on."""
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def main() -> None:
    """Measure, print, and write figures and plot."""
    console = Console()
    photographs = samples()
    contenders = (*_PIPELINES, REFERENCE)
    speeds = speed.measure(contenders, photographs)
    speed.report(speeds, console)
    peaks = memory.measure(contenders, photographs)
    memory.report(peaks, console)
    usual = [sample for sample in photographs if (sample.kind, sample.megapixels) == ("baseline", _USUAL_MEGAPIXELS)]
    throughputs = asyncio.run(pool.measure(_PIPELINES, usual))
    pool.report(throughputs, console)
    _OUTPUT.mkdir(exist_ok=True)
    speed.plot(speeds, _OUTPUT / "vision.png")
    document = {
        "machine": machine(),
        "speed": speeds.document(),
        "memory_bytes": [attrs.asdict(peak) for peak in peaks],
        "pool": [attrs.asdict(throughput) | {"gain": throughput.gain} for throughput in throughputs],
    }
    (_OUTPUT / "vision.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    console.print(f"Written: {_OUTPUT / 'vision.json'}, {_OUTPUT / 'vision.png'}")


if __name__ == "__main__":
    main()
