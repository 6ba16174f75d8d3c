"""``make bench``: what the product costs, side by side with the alternatives in one run, as ratios.

``make bench BENCH="search --users 1000000"`` measures one part only, and in a gallery of that size. What is measured of
the whole service takes long; ``--scale 1`` does all of its jobs.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
from rich.console import Console

from adapters.system.cores import usable_cores
from tests.benchmarks import backfill, end_to_end, latency, overhead, printing, scale_out, search, vision, worker_memory
from tests.benchmarks.everyday import USERS
from tests.benchmarks.large_gallery import parts_of
from tests.benchmarks.synthetic_faces import PEOPLE

mpl.use("Agg")

_OUTPUT = Path("bench-output")
_SCALE = 0.2
_Part = Callable[[Console, Path], dict[str, Any]]


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


def _parts(scale: float, users: Sequence[int]) -> dict[str, _Part]:
    """Return all parts, those that always measure the same first."""
    most = max(users, default=USERS)
    return {
        "vision": vision.run,
        "overhead": overhead.run,
        "backfill": backfill.run,
        "search": partial(search.run, sizes=users or search.SIZES),
        "end_to_end": partial(end_to_end.run, scale=scale, users=most),
        "latency": partial(latency.run, scale=scale, users=most),
        "memory": partial(worker_memory.run, scale=scale),
        "scale_out": partial(scale_out.run, scale=scale),
    }


def _measure(name: str, part: _Part, asked: argparse.Namespace, console: Console) -> bool:
    """Measure a part, write its figures, and return whether nothing failed."""
    try:
        document = {"machine": machine(), "scale": asked.scale} | part(console, _OUTPUT)
    except worker_memory.CannotRunHereError as reason:
        console.print(f"{name} is not measured: {reason}")
        return name not in asked.names
    except Exception:  # noqa: BLE001 - whatever is wrong with one part, the others can do without it
        console.print_exception()
        console.print(f"{name} failed")
        return False
    path = _OUTPUT / f"{name}.json"
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    console.print(f"Written: {path} and {path.with_suffix('.png')}")
    return True


def _thousands(users: str) -> int:
    """Return how many users are enrolled where so many are asked for."""
    return parts_of(int(users)) * PEOPLE


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure speed, as ratios.")
    names = list(_parts(_SCALE, []))
    parser.add_argument("names", nargs="*", metavar="PART", help=f"default: all, which are {', '.join(names)}")
    parser.add_argument(
        "--scale",
        type=float,
        default=_SCALE,
        help="share of the jobs in end_to_end, latency, memory and scale_out; default: %(default)s",
    )
    parser.add_argument(
        "--users",
        type=_thousands,
        nargs="+",
        default=[],
        help="sizes of the galleries in search, rounded up to thousands; end_to_end and latency take the largest",
    )
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(names):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return asked


def main() -> None:
    """Measure the parts that were asked for, all by default; print, and write figures and plots.

    It exits with 1 where one failed. One that cannot run here has failed only where it was asked for by name.
    """
    asked = _arguments()
    parts = _parts(asked.scale, asked.users)
    console = printing.console()
    _OUTPUT.mkdir(exist_ok=True)
    fine = [_measure(name, parts[name], asked, console) for name in asked.names or parts]
    sys.exit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
