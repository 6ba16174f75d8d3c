"""The gauges of a worker: they are read when somebody asks, rather than counted when something happens."""

from collections.abc import Callable, Iterable, Mapping

import attrs

from adapters.telemetry.instruments import Attributes, Instruments


@attrs.frozen(kw_only=True)
class WorkerGauges:
    """What a worker's gauges show; each is called whenever metrics are collected, in any thread, and must not wait.

    ``queue`` gives the jobs by state (``pending``, ``ack_pending``, ``redelivered``) and ``gallery`` the enrolled
    users by embedder, both empty while unknown; ``oldest_job`` is the age in seconds of the oldest job that is not
    settled, 0 where there is none and None while unknown; ``vision_restarts`` counts the vision processes that were
    lost; ``database`` gives the connections that are ``used`` and ``idle``, the operations that are ``waiting`` for
    one, and the ``maximum`` that there may be.
    """

    queue: Callable[[], Mapping[str, int]]
    oldest_job: Callable[[], float | None]
    vision_restarts: Callable[[], int]
    gallery: Callable[[], Mapping[str, int]]
    database: Callable[[], Mapping[str, int]]


def observe(instruments: Instruments, gauges: WorkerGauges) -> None:
    """Register the gauges of a worker."""
    instruments.gauge(
        "facematch.queue.jobs",
        "{job}",
        "Jobs of the consumer by state",
        lambda: [(count, {"state": state}) for state, count in gauges.queue().items()],
    )
    instruments.gauge(
        "facematch.queue.oldest.age",
        "s",
        "Age of the oldest job that is not settled",
        lambda: [(age, {}) for age in [gauges.oldest_job()] if age is not None],
    )
    instruments.gauge(
        "facematch.gallery.users",
        "{user}",
        "Users who may be named, by embedder",
        lambda: [(count, {"embedder": embedder}) for embedder, count in gauges.gallery().items()],
    )
    instruments.counter(
        "facematch.vision.restarts",
        "{process}",
        "Vision processes that were lost and replaced",
        lambda: [(gauges.vision_restarts(), {})],
    )
    _observe_pool(instruments, gauges.database)


def observe_readiness(instruments: Instruments, not_ready: Callable[[], Mapping[str, str]]) -> None:
    """Register what ``/readyz`` says; ``not_ready`` gives the reasons by cause, and is called in any thread."""
    instruments.gauge(
        "facematch.worker.ready",
        "{worker}",
        "1 while jobs are taken, else 0",
        lambda: [(0 if not_ready() else 1, {})],
    )
    instruments.gauge(
        "facematch.worker.not_ready",
        "{worker}",
        "1 for each cause why no jobs are taken",
        lambda: [(1, {"cause": cause}) for cause in not_ready()],
    )


def _observe_pool(instruments: Instruments, read: Callable[[], Mapping[str, int]]) -> None:
    """Register what the conventions call a pool's metrics."""
    pool = {"db.client.connection.pool.name": "facematch"}

    def count() -> Iterable[tuple[float, Attributes]]:
        connections = read()
        for state in ("used", "idle"):
            yield connections[state], {**pool, "db.client.connection.state": state}

    instruments.gauge("db.client.connection.count", "{connection}", "Database connections by state", count)
    instruments.gauge(
        "db.client.connection.max",
        "{connection}",
        "Database connections that there may be",
        lambda: [(read()["maximum"], pool)],
    )
    instruments.gauge(
        "db.client.connection.pending_requests",
        "{request}",
        "Operations that wait for a database connection",
        lambda: [(read()["waiting"], pool)],
    )
