"""The figures of a worker that are read when somebody asks, rather than counted when something happens."""

from collections.abc import Callable, Iterable, Mapping

import attrs

from adapters.telemetry.instruments import Attributes, Instruments


@attrs.frozen
class PoolFigures:
    """A pool of database connections: how many are lent and idle, who waits for one, and how many there may be."""

    used: int
    idle: int
    waiting: int
    maximum: int


@attrs.frozen(kw_only=True)
class WorkerFigures:
    """What a worker's gauges show; each is called whenever metrics are collected, in any thread, and must not wait.

    ``queue`` gives the jobs by state (``pending``, ``ack_pending``, ``redelivered``) and ``gallery`` the enrolled
    users by embedder, both empty while unknown; ``vision_restarts`` counts the vision processes that were replaced.
    """

    queue: Callable[[], Mapping[str, int]]
    vision_restarts: Callable[[], int]
    gallery: Callable[[], Mapping[str, int]]
    database: Callable[[], PoolFigures]


def observe(instruments: Instruments, figures: WorkerFigures) -> None:
    """Register the gauges of a worker."""
    instruments.gauge(
        "facematch.queue.jobs",
        "{job}",
        "Jobs of the consumer by state",
        lambda: [(count, {"state": state}) for state, count in figures.queue().items()],
    )
    instruments.gauge(
        "facematch.gallery.users",
        "{user}",
        "Users who may be named, by embedder",
        lambda: [(count, {"embedder": embedder}) for embedder, count in figures.gallery().items()],
    )
    instruments.counter(
        "facematch.vision.restarts",
        "{process}",
        "Vision processes that were replaced",
        lambda: [(figures.vision_restarts(), {})],
    )
    _observe_pool(instruments, figures.database)


def _observe_pool(instruments: Instruments, read: Callable[[], PoolFigures]) -> None:
    """Register what the conventions call a pool's metrics."""
    pool = {"db.client.connection.pool.name": "facematch"}

    def count() -> Iterable[tuple[float, Attributes]]:
        figures = read()
        for state, value in (("used", figures.used), ("idle", figures.idle)):
            yield value, {**pool, "db.client.connection.state": state}

    instruments.gauge("db.client.connection.count", "{connection}", "Database connections by state", count)
    instruments.gauge(
        "db.client.connection.max",
        "{connection}",
        "Database connections that there may be",
        lambda: [(read().maximum, pool)],
    )
    instruments.gauge(
        "db.client.connection.pending_requests",
        "{request}",
        "Operations that wait for a database connection",
        lambda: [(read().waiting, pool)],
    )
