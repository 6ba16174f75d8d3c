"""What Prometheus hears of a worker that does not work yet."""

from infra.local_stack.process import free_port
from tests.e2e.world import World, eventually


async def test_a_worker_that_waits_at_the_start_says_so(bare_world: World) -> None:
    """Readiness is there from the first second on, with the cause: an alert need not wait for the database, too."""
    nobody = f"postgresql://127.0.0.1:{free_port()}/nothing"
    with bare_world.starting_worker(FACEMATCH_DATABASE_URL=nobody) as worker:

        async def told() -> set[str]:
            return {line for line in worker.get("/metrics")[1].splitlines() if line.startswith("facematch_worker_")}

        waiting = {
            "facematch_worker_ready 0.0",
            'facematch_worker_not_ready{cause="worker"} 1.0',
            'facematch_worker_not_ready{cause="database"} 1.0',
        }
        await eventually(told, lambda lines: lines == waiting, "a worker that waits for its database")
