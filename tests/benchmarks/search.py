"""How long the nearest user takes to be found, exactly and through the index, and how often it is the right one."""

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import LogFormatter, NullLocator
from rich.console import Console
from rich.table import Table

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.migrate import migrate
from adapters.system.clock import SystemClock
from domain.decision import NEEDED_CANDIDATES
from domain.faces import FaceEmbedding
from entrypoints.composition.worker import make_codes
from infra.local_stack.postgres import PostgresServer
from tests.benchmarks import large_gallery
from tests.benchmarks.large_gallery import user
from tests.benchmarks.synthetic_faces import PEOPLE, Vectors, photographed_twice
from tests.databases import keeping_index
from tests.processes import cpu_seconds, cpu_seconds_of_all

SIZES = (1_000, 5_000, 20_000)
_DIMENSIONS = (128, 512)
_PROBES = 500
_PARTS_OF_PROBES = 50
_EXACT_PROBES = 40
_STRANGERS = 10**6
"""Number of the first part that is never enrolled."""
_MODEL = "synthetic@1"


@attrs.frozen
class Timing:
    """Milliseconds of a search as the worker sees it, and of CPU, the server's and its own."""

    p50_ms: float
    p95_ms: float
    cpu_ms: float


@attrs.frozen
class Found:
    """What was measured of one gallery: of exact searches, and by the index of those for people enrolled and strangers.

    Recalls are shares of the truly nearest.
    ``recall_of_all`` is that of all candidates that a decision looks at.
    """

    dimension: int
    users: int
    exact: Timing
    enrolled: Timing
    strangers: Timing
    recall_enrolled: float
    recall_strangers: float
    recall_of_all: float
    fill_and_build_seconds: float
    load_seconds: float
    index_mb: float


@attrs.frozen
class Probes:
    """Vectors to search for, [probes, dimension], and whom a search has to find for each, the nearest first."""

    vectors: Vectors
    nearest: list[list[UUID]]


def run(console: Console, folder: Path, sizes: Sequence[int]) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    found = [figures for dimension in _DIMENSIONS for figures in _measure(dimension, sorted(sizes))]
    report(found, console)
    draw(found, folder / "search.png")
    return {"settings": large_gallery.SETTINGS, "galleries": [attrs.asdict(each) for each in found]}


def _measure(dimension: int, sizes: Sequence[int]) -> Iterator[Found]:
    """Measure one gallery as it grows; its index is built anew at each size."""
    with _server() as server:
        url = server.create_database("app")
        asyncio.run(migrate(url))
        loaded = 0
        for size in sizes:
            parts = large_gallery.parts_of(size)
            large_gallery.enrol(url, _MODEL, dimension, range(loaded, parts))
            loaded = parts
            yield asyncio.run(_measure_size(server, url, dimension, parts))


async def _measure_size(server: PostgresServer, url: str, dimension: int, parts: int) -> Found:
    chosen = sorted({part * parts // _PARTS_OF_PROBES for part in range(_PARTS_OF_PROBES)})
    enrolled = _probes(dimension, chosen, parts)
    strangers = _probes(dimension, [_STRANGERS + part for part in chosen], parts)
    exact, _ = await _search(url, Probes(enrolled.vectors[:_EXACT_PROBES], enrolled.nearest), exact_on=server)
    async with keeping_index(url) as keep_index:
        [model] = await keep_index.tables.models()
        started = time.perf_counter()
        await keep_index.build(model, lambda *_: None)
        seconds = time.perf_counter() - started
        size = (await keep_index.check(model)).bytes
        await _search(url, strangers)  # what is searched first comes from the disk
        load_seconds = await _load_codes(url, dimension)
        timing, found_enrolled = await _search(url, enrolled)
        timing_strangers, found_strangers = await _search(url, strangers)
        await keep_index.tables.drop(model.name)  # the next users are loaded faster without it
    both = [*zip(found_enrolled, enrolled.nearest, strict=True), *zip(found_strangers, strangers.nearest, strict=True)]
    return Found(
        dimension=dimension,
        users=parts * PEOPLE,
        exact=exact,
        enrolled=timing,
        strangers=timing_strangers,
        recall_enrolled=_share_of_first(found_enrolled, enrolled.nearest),
        recall_strangers=_share_of_first(found_strangers, strangers.nearest),
        recall_of_all=statistics.mean(len(set(found) & set(true)) / len(true) for found, true in both),
        fill_and_build_seconds=seconds,
        load_seconds=load_seconds,
        index_mb=size / 1e6,
    )


async def _search(
    url: str, probes: Probes, *, exact_on: PostgresServer | None = None
) -> tuple[Timing, list[list[UUID]]]:
    """Search as a worker does, one after the other; return how long it took, and who was found.

    By the index, or exactly on the server that is given. That divides a search among several processes, so all of the
    server's are counted; by the index it is the session's own alone, and nothing that the server does beside it counts.
    """
    database = Database(url, size=1)
    await database.open(to_work=True)
    gallery = PostgresGallery(database, make_codes, clock=SystemClock(), exact_below=sys.maxsize if exact_on else 0)
    found, seconds = [], []
    try:
        async with database.operation("pid") as connection:
            session = connection.info.backend_pid

        def used() -> float:
            server = cpu_seconds(session) if exact_on is None else cpu_seconds_of_all(exact_on.pid or session)
            return server + time.process_time()

        await gallery.load(_MODEL, probes.vectors.shape[1])
        await gallery.search(_face(probes.vectors[0]), limit=NEEDED_CANDIDATES)
        cpu = used()
        for vector in probes.vectors:
            face = _face(vector)
            started = time.perf_counter()
            candidates = (await gallery.search(face, limit=NEEDED_CANDIDATES)).nearest
            seconds.append(time.perf_counter() - started)
            found.append([candidate.user_id for candidate in candidates])
        cpu = used() - cpu
    finally:
        await database.close()
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return Timing(1000 * float(p50), 1000 * float(p95), 1000 * cpu / len(seconds)), found


async def _load_codes(url: str, dimension: int) -> float:
    """Return the seconds that a worker which starts needs until it searches through the index."""
    database = Database(url, size=1)
    await database.open(to_work=True)
    try:
        gallery = PostgresGallery(database, make_codes, clock=SystemClock(), exact_below=0)
        started = time.perf_counter()
        await gallery.load(_MODEL, dimension)
        return time.perf_counter() - started
    finally:
        await database.close()


def _share_of_first(found: list[list[UUID]], true: list[list[UUID]]) -> float:
    return statistics.mean(mine[0] == right[0] for mine, right in zip(found, true, strict=True))


def _face(vector: Vectors) -> FaceEmbedding:
    return FaceEmbedding(_MODEL, tuple(vector.tolist()))


def _probes(dimension: int, chosen: Sequence[int], parts: int) -> Probes:
    """Return second photographs of people from these parts, and the nearest of the first ones of all enrolled."""
    each = _PROBES // len(chosen)
    step = PEOPLE // each
    vectors = np.concatenate([photographed_twice(dimension, part)[1][::step][:each] for part in chosen])
    similarities = np.full((len(vectors), NEEDED_CANDIDATES), -2, dtype=np.float32)
    numbers = np.zeros((len(vectors), NEEDED_CANDIDATES), dtype=np.int64)
    for part in range(parts):
        new = vectors @ photographed_twice(dimension, part)[0].T
        all_similarities = np.concatenate([similarities, new], axis=1)
        all_numbers = np.concatenate(
            [numbers, np.broadcast_to(np.arange(part * PEOPLE, (part + 1) * PEOPLE), new.shape)], axis=1
        )
        order = np.argpartition(-all_similarities, NEEDED_CANDIDATES - 1, axis=1)[:, :NEEDED_CANDIDATES]
        similarities = np.take_along_axis(all_similarities, order, axis=1)
        numbers = np.take_along_axis(all_numbers, order, axis=1)
    numbers = np.take_along_axis(numbers, np.argsort(-similarities, axis=1), axis=1)
    return Probes(vectors, [[user(int(number)) for number in row] for row in numbers])


@contextmanager
def _server() -> Iterator[PostgresServer]:
    """Run a PostgreSQL with memory for a million users."""
    folder = Path(tempfile.mkdtemp(prefix="facematch-"))
    folder.chmod(0o711)
    server = PostgresServer(folder / "postgres", durable=True)
    server.start()
    try:
        large_gallery.configure(server)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def report(found: Sequence[Found], console: Console) -> None:
    """Print one row for each gallery."""
    columns = (
        "exact: p50, p95, CPU ms",
        "enrolled: p50, p95, CPU ms",
        "strangers: p50, p95, CPU ms",
        "right: enrolled",
        "strangers",
        "all",
        "built in s",
        "loaded in s",
        "MB",
    )
    table = Table("dimensions", "users", *columns, title="nearest user", title_justify="left")
    for each in found:
        timings = (
            f"{t.p50_ms:.1f}, {t.p95_ms:.1f}, {t.cpu_ms:.1f}" for t in (each.exact, each.enrolled, each.strangers)
        )
        recalls = (f"{share:.3f}" for share in (each.recall_enrolled, each.recall_strangers, each.recall_of_all))
        costs = (f"{cost:.0f}" for cost in (each.fill_and_build_seconds, each.load_seconds, each.index_mb))
        table.add_row(str(each.dimension), f"{each.users:,}", *timings, *recalls, *costs)
    console.print(table)


def draw(found: Sequence[Found], path: Path) -> None:
    """Draw the 95th percentiles over the number of users."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for dimension in _DIMENSIONS:
        mine = [each for each in found if each.dimension == dimension]
        users = [each.users for each in mine]
        axes.plot(users, [each.exact.p95_ms for each in mine], marker="o", label=f"exact, {dimension}")
        for style, label, timings in (
            ("--", "index, enrolled", [each.enrolled for each in mine]),
            (":", "index, strangers", [each.strangers for each in mine]),
        ):
            p95 = [timing.p95_ms for timing in timings]
            axes.plot(users, p95, marker="o", linestyle=style, label=f"{label}, {dimension}")
    axes.set(xlabel="users", ylabel="milliseconds, 95th percentile", xscale="log", yscale="log")
    sizes = sorted({each.users for each in found})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter())
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
