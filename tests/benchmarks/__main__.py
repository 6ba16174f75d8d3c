"""``make bench``: what the product costs, side by side with the alternatives in one run, as ratios.

``python -m tests.benchmarks vision`` measures one part only.
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
from rich.console import Console

from tests.benchmarks import overhead, vision

mpl.use("Agg")

_OUTPUT = Path("bench-output")
_PARTS: dict[str, Callable[[Console, Path], dict[str, Any]]] = {"vision": vision.run, "overhead": overhead.run}


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
    """Measure the parts that were asked for, all by default; print, and write figures and plots."""
    console = Console()
    names = sys.argv[1:] or list(_PARTS)
    if unknown := set(names) - set(_PARTS):
        sys.exit(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}")
    _OUTPUT.mkdir(exist_ok=True)
    for name in names:
        document = {"machine": machine()} | _PARTS[name](console, _OUTPUT)
        path = _OUTPUT / f"{name}.json"
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        console.print(f"Written: {path}")


if __name__ == "__main__":
    main()
