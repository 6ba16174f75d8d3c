"""Milliseconds for a photograph on one core, by stage, everybody side by side."""

import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.contenders import REFERENCE, STAGES, Stages, load
from tests.benchmarks.photographs import Sample

_ROUNDS = 3


@attrs.frozen
class Measurement:
    """The best of several rounds: on a machine that others use as well, the least disturbed one."""

    contender: str
    photograph: str
    kind: str
    megapixels: float
    stages_ms: Stages

    @property
    def total_ms(self) -> float:
        """All stages together."""
        return sum(self.stages_ms.values())


@attrs.frozen
class Speed:
    """Everything that was measured, of these contenders."""

    names: tuple[str, ...]
    measurements: tuple[Measurement, ...]

    def median_ms(self, name: str, kind: str, megapixels: float) -> float:
        """Return the median of all photographs of that kind and size."""
        wanted = (name, kind, megapixels)
        return statistics.median(m.total_ms for m in self.measurements if (m.contender, m.kind, m.megapixels) == wanted)

    def sizes(self) -> list[tuple[str, float]]:
        """Return every kind and size that was measured."""
        return sorted({(m.kind, m.megapixels) for m in self.measurements})

    def ratios(self, name: str) -> tuple[float, float]:
        """Return how many times as fast as the alternative it is, by median and by mean of baseline photographs."""
        ours, theirs = (
            [m.total_ms for m in self.measurements if (m.contender, m.kind) == (who, "baseline")]
            for who in (name, REFERENCE)
        )
        return statistics.median(theirs) / statistics.median(ours), statistics.mean(theirs) / statistics.mean(ours)

    def stages_ms(self, name: str) -> Stages:
        """Return the median milliseconds of each stage over all baseline photographs."""
        mine = [m.stages_ms for m in self.measurements if (m.contender, m.kind) == (name, "baseline")]
        return {stage: statistics.median(stages.get(stage, 0.0) for stages in mine) for stage in STAGES}

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        ratios = {
            name: dict(zip(("median", "mean"), self.ratios(name), strict=True))
            for name in self.names
            if name != REFERENCE
        }
        return {"times_as_fast": ratios, "measurements": [attrs.asdict(m) for m in self.measurements]}


def measure(names: tuple[str, ...], samples: list[Sample]) -> Speed:
    """Let everybody read each photograph in turn on one core, so that a busy moment hits all alike."""
    contenders = {name: load(name) for name in names}
    found: list[Measurement] = []
    with _one_core():
        for read in contenders.values():
            read(samples[0].content)
        for sample in track(samples, "reading photographs", console=Console(stderr=True)):
            rounds = [{name: read(sample.content) for name, read in contenders.items()} for _ in range(_ROUNDS)]
            for name in names:
                best = min((stages[name] for stages in rounds), key=lambda stages: sum(stages.values()))
                found.append(Measurement(name, sample.name, sample.kind, sample.megapixels, best))
    return Speed(names, tuple(found))


def report(speed: Speed, console: Console) -> None:
    """Print milliseconds by size, the ratios, and where the time goes."""
    table = Table("photograph", *speed.names, title="milliseconds on one core, median", title_justify="left")
    for kind, megapixels in speed.sizes():
        medians = [f"{speed.median_ms(name, kind, megapixels):.0f}" for name in speed.names]
        table.add_row(f"{megapixels:g} megapixels, {kind}", *medians)
    console.print(table)
    for name in speed.names:
        parts = ", ".join(f"{stage} {ms:.0f} ms" for stage, ms in speed.stages_ms(name).items())
        if name == REFERENCE:
            console.print(f"{name}: {parts}")
        else:
            median, mean = speed.ratios(name)
            console.print(f"{name}: {median:.1f} times as fast by median, {mean:.1f} by mean ({parts})")


def plot(speed: Speed, path: Path) -> None:
    """Draw the medians over the size of the photograph, and the stages beside them."""
    figure, (sizes, stages) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2))
    ticks = [megapixels for kind, megapixels in speed.sizes() if kind == "baseline"]
    for name in speed.names:
        sizes.plot(ticks, [speed.median_ms(name, "baseline", size) for size in ticks], marker="o", label=name)
    sizes.set(xlabel="megapixels", ylabel="milliseconds on one core", xscale="log", yscale="log")
    sizes.set_xticks(ticks, [f"{size:g}" for size in ticks])
    sizes.minorticks_off()
    sizes.grid(visible=True, alpha=0.3)
    sizes.legend()
    ours = [name for name in speed.names if name != REFERENCE]
    bottom = [0.0] * len(ours)
    for stage in STAGES:
        heights = [speed.stages_ms(name)[stage] for name in ours]
        stages.bar(ours, heights, bottom=bottom, label=stage)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    stages.set(ylabel="milliseconds by stage, median of all sizes")
    stages.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


@contextmanager
def _one_core() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
