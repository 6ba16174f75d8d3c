"""The most memory that reading large photographs takes, each contender in a process of its own.

``python -m tests.benchmarks.memory CONTENDER FOLDER`` is that process: it prints its peak resident set size at rest,
once its models are loaded and have read a small photograph, and after every photograph of the folder.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import attrs
from rich.console import Console
from rich.table import Table

from tests.benchmarks.contenders import REFERENCE, load
from tests.benchmarks.photographs import Sample

_LARGE_MEGAPIXELS = 8.0
_MIB = 1024**2


@attrs.frozen
class Memory:
    """Peak resident set size in bytes: with the models loaded, and after the large photographs."""

    contender: str
    at_rest: int
    peak: int


def measure(names: tuple[str, ...], samples: list[Sample]) -> list[Memory]:
    """Measure everybody, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        smallest = min(samples, key=lambda sample: sample.megapixels)
        large = [sample for sample in samples if sample.megapixels >= _LARGE_MEGAPIXELS]
        for number, sample in enumerate([smallest, *large]):
            (Path(folder) / f"{number:03}.jpg").write_bytes(sample.content)
        return [_in_a_process_of_its_own(name, folder) for name in names]


def report(found: list[Memory], console: Console) -> None:
    """Print peaks, and their share of the alternative's."""
    [theirs] = (memory.peak for memory in found if memory.contender == REFERENCE)
    table = Table("", "at rest", "peak", "of theirs", title="resident memory, 8 to 24 megapixels", title_justify="left")
    for memory in found:
        sizes = (f"{size / _MIB:.0f} MiB" for size in (memory.at_rest, memory.peak))
        table.add_row(memory.contender, *sizes, f"{memory.peak / theirs:.0%}")
    console.print(table)


def _in_a_process_of_its_own(name: str, folder: str) -> Memory:
    command = [sys.executable, "-m", "tests.benchmarks.memory", name, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    at_rest, peak = map(int, done.stdout.split())
    return Memory(name, at_rest, peak)


def _peak() -> int:
    """Return this process's peak; what ``getrusage`` tells includes the parent's before the program was started."""
    [kib] = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(kib) * 1024


def main() -> None:
    """Read the photographs and print both figures."""
    _, name, folder = sys.argv
    read = load(name)
    smallest, *large = sorted(Path(folder).iterdir())
    read(smallest.read_bytes())
    at_rest = _peak()
    for path in large:
        read(path.read_bytes())
    sys.stdout.write(f"{at_rest} {_peak()}\n")


if __name__ == "__main__":
    main()
