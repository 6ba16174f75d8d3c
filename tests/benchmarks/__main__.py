"""``make bench``: how fast a photograph is read, side by side with the alternative, in one run, as ratios."""

import json
import os
import platform
import statistics
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import matplotlib as mpl
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.contenders import Contender, Stages, pipeline, reference
from tests.benchmarks.photographs import Sample, samples

mpl.use("Agg")
from matplotlib import pyplot as plt

_OUTPUT = Path("bench-output")
_ROUNDS = 3
_REFERENCE = "face_recognition's steps"
_console = Console()


@attrs.frozen
class Measurement:
    """The best of several rounds: on a machine that others use as well, the least disturbed one."""

    contender: str
    photograph: str
    megapixels: float
    stages_ms: Stages

    @property
    def total_ms(self) -> float:
        """All stages together."""
        return sum(self.stages_ms.values())


def measure(contenders: dict[str, Contender], photographs: list[Sample]) -> list[Measurement]:
    """Let everybody read each photograph in turn, so that a busy moment hits all alike."""
    found: list[Measurement] = []
    for read in contenders.values():
        read(photographs[0].content)
    for sample in track(photographs, "reading photographs", console=Console(stderr=True)):
        rounds = [{name: read(sample.content) for name, read in contenders.items()} for _ in range(_ROUNDS)]
        for name in contenders:
            best = min((stages[name] for stages in rounds), key=lambda stages: sum(stages.values()))
            found.append(Measurement(name, sample.name, sample.megapixels, best))
    return found


def report(found: list[Measurement], names: list[str]) -> None:
    """Print milliseconds by size, and how many times faster than the alternative, by median and by mean."""
    table = Table("megapixels", *names, title="milliseconds per photograph, one core, median", title_justify="left")
    for megapixels in sorted({m.megapixels for m in found}):
        medians = [
            statistics.median(m.total_ms for m in found if (m.contender, m.megapixels) == (name, megapixels))
            for name in names
        ]
        table.add_row(f"{megapixels:g}", *(f"{value:.0f}" for value in medians))
    _console.print(table)
    totals = {name: [m.total_ms for m in found if m.contender == name] for name in names}
    for name in names:
        if name != _REFERENCE:
            median = statistics.median(totals[_REFERENCE]) / statistics.median(totals[name])
            mean = statistics.mean(totals[_REFERENCE]) / statistics.mean(totals[name])
            stages = {
                stage: statistics.median(m.stages_ms.get(stage, 0.0) for m in found if m.contender == name)
                for stage in ("decode", "detect", "embed")
            }
            parts = ", ".join(f"{stage} {ms:.0f} ms" for stage, ms in stages.items())
            _console.print(f"{name}: {median:.1f} times as fast by median, {mean:.1f} by mean ({parts})")


def plot(found: list[Measurement], names: list[str]) -> None:
    """Draw the medians over the size of the photograph."""
    figure, axes = plt.subplots(figsize=(7, 4))
    sizes = sorted({m.megapixels for m in found})
    for name in names:
        medians = [
            statistics.median(m.total_ms for m in found if (m.contender, m.megapixels) == (name, size))
            for size in sizes
        ]
        axes.plot(sizes, medians, marker="o", label=name)
    axes.set(xlabel="megapixels", ylabel="milliseconds per photograph, one core", xscale="log", yscale="log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(_OUTPUT / "vision.png", dpi=120)


def main() -> None:
    """Measure, print, and write figures and plot."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    contenders = {"dlib": pipeline("dlib"), "mediapipe": pipeline("mediapipe"), _REFERENCE: reference()}
    found = measure(contenders, samples())
    names = list(contenders)
    report(found, names)
    _OUTPUT.mkdir(exist_ok=True)
    plot(found, names)
    machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    document = {"machine": machine, "measurements": [attrs.asdict(m) for m in found]}
    (_OUTPUT / "vision.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    _console.print(f"Written: {_OUTPUT / 'vision.json'}, {_OUTPUT / 'vision.png'}")


if __name__ == "__main__":
    main()
