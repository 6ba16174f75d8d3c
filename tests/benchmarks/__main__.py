"""``make bench``: what the product costs, side by side with the alternatives in one run, as ratios.

``python -m tests.benchmarks vision`` measures one part only. Those of the whole service take long and are measured only
when they are named; ``--scale 0.1`` gives them a tenth of the jobs.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
from rich.console import Console

from adapters.system.cores import usable_cores
from tests.benchmarks import backfill, end_to_end, latency, overhead, printing, scale_out, search, vision, worker_memory

mpl.use("Agg")

_OUTPUT = Path("bench-output")
_PARTS: dict[str, Callable[[Console, Path], dict[str, Any]]] = {
    "vision": vision.run,
    "overhead": overhead.run,
    "backfill": backfill.run,
    "search": search.run,
}
_OF_THE_SERVICE: dict[str, Callable[..., dict[str, Any]]] = {
    "end_to_end": end_to_end.run,
    "latency": latency.run,
    "memory": worker_memory.run,
    "scale_out": scale_out.run,
}


def machine() -> dict[str, Any]:
    """Return what it was measured on, and the processes that wanted to run when it began."""
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        "load_average": dict(zip(("1 min", "5 min", "15 min"), os.getloadavg(), strict=True)),
    }


def main() -> None:
    """Measure the parts that were asked for, all by default; print, and write figures and plots."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure speed, as ratios.")
    parser.add_argument("names", nargs="*", metavar="PART", help=", ".join([*_PARTS, *_OF_THE_SERVICE]))
    parser.add_argument("--scale", type=float, default=1.0, help="times as many jobs of the whole service")
    asked = parser.parse_args()
    parts = _PARTS | {name: partial(part, scale=asked.scale) for name, part in _OF_THE_SERVICE.items()}
    if unknown := set(asked.names) - set(parts):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    console = printing.console()
    _OUTPUT.mkdir(exist_ok=True)
    for name in asked.names or _PARTS:
        document = {"machine": machine()} | parts[name](console, _OUTPUT)
        path = _OUTPUT / f"{name}.json"
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        console.print(f"Written: {path}")


if __name__ == "__main__":
    main()
