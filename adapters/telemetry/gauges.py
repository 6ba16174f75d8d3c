"""The gauges of a worker: they are read when somebody asks, rather than counted when something happens."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from adapters.telemetry.instruments import Attributes, Instruments


class WorkerGauges(Protocol):
    """What a worker's gauges show; each is read whenever metrics are collected, in any thread, and must not wait."""

    @property
    def jobs(self) -> Mapping[str, int]:
        """Jobs by state: ``pending``, ``ack_pending``, ``redelivered``; empty while unknown."""

    @property
    def oldest_age(self) -> float | None:
        """Seconds since the oldest job came that is not settled; 0 where there is none, None while unknown."""

    @property
    def dead_letters(self) -> int | None:
        """Dead letters that are kept; None while unknown."""

    @property
    def users(self) -> Mapping[str, int]:
        """Enrolled users by embedder; empty while unknown."""

    @property
    def vision_restarts(self) -> int:
        """Vision processes that were lost."""

    @property
    def vision_memory(self) -> int:
        """Bytes that the vision processes hold together; 0 while unknown."""

    @property
    def connections(self) -> Mapping[str, int]:
        """The ones ``used`` and ``idle``, the operations ``waiting`` for one, and the ``maximum`` there may be."""


def observe(instruments: Instruments, gauges: WorkerGauges) -> None:
    """Register the gauges of a worker."""
    instruments.gauge(
        "facematch.queue.jobs",
        "{job}",
        "Jobs of the consumer by state",
        lambda: [(count, {"state": state}) for state, count in gauges.jobs.items()],
    )
    instruments.gauge(
        "facematch.queue.oldest.age",
        "s",
        "Age of the oldest job that is not settled",
        lambda: [(age, {}) for age in [gauges.oldest_age] if age is not None],
    )
    instruments.gauge(
        "facematch.dead_letters.kept",
        "{message}",
        "Dead letters in their stream",
        lambda: [(count, {}) for count in [gauges.dead_letters] if count is not None],
    )
    instruments.gauge(
        "facematch.gallery.users",
        "{user}",
        "Users who may be named, by embedder",
        lambda: [(count, {"embedder": embedder}) for embedder, count in gauges.users.items()],
    )
    instruments.counter(
        "facematch.vision.restarts",
        "{process}",
        "Vision processes that were lost and replaced",
        lambda: [(gauges.vision_restarts, {})],
    )
    instruments.gauge(
        "facematch.vision.memory",
        "By",
        "Memory that the vision processes hold",
        lambda: [(held, {}) for held in [gauges.vision_memory] if held],
    )
    _observe_pool(instruments, gauges)


def observe_events(instruments: Instruments, oldest_age: Callable[[], float | None]) -> None:
    """Register the outbox; ``oldest_age`` gives seconds, 0 for an empty one and None while unknown, in any thread."""
    instruments.gauge(
        "facematch.events.oldest.age",
        "s",
        "Age of the oldest outcome whose event is not published",
        lambda: [(age, {}) for age in [oldest_age()] if age is not None],
    )


def observe_readiness(instruments: Instruments, not_ready: Callable[[], Mapping[str, str]]) -> None:
    """Register what ``/readyz`` says; ``not_ready`` gives the reasons by cause, and is called in any thread."""
    instruments.gauge(
        "facematch.worker.ready",
        "{worker}",
        "1 while jobs are taken and can be settled, else 0",
        lambda: [(0 if not_ready() else 1, {})],
    )
    instruments.gauge(
        "facematch.worker.not_ready",
        "{worker}",
        "1 for each cause why no jobs are taken, or none can be settled",
        lambda: [(1, {"cause": cause}) for cause in not_ready()],
    )


def _observe_pool(instruments: Instruments, gauges: WorkerGauges) -> None:
    """Register what the conventions call a pool's metrics."""
    pool = {"db.client.connection.pool.name": "facematch"}

    def count() -> Iterable[tuple[float, Attributes]]:
        connections = gauges.connections
        for state in ("used", "idle"):
            yield connections[state], {**pool, "db.client.connection.state": state}

    instruments.gauge("db.client.connection.count", "{connection}", "Database connections by state", count)
    instruments.gauge(
        "db.client.connection.max",
        "{connection}",
        "Database connections that there may be",
        lambda: [(gauges.connections["maximum"], pool)],
    )
    instruments.gauge(
        "db.client.connection.pending_requests",
        "{request}",
        "Operations that wait for a database connection",
        lambda: [(gauges.connections["waiting"], pool)],
    )
