"""The application keeps a row locked that a job needs: the job waits for it in the queue, and is not to blame."""

import re
from pathlib import Path
from typing import Any

from infra.local_stack.s3 import S3Server
from tests.broker import running
from tests.e2e.world import eventually
from tests.faults.scene import publish, scene
from tests.faults.site import locked

_ONE_DELIVERY = {
    "FACEMATCH_NATS_MAX_DELIVER": "1",
    "FACEMATCH_NATS_ACK_WAIT": "4",
    "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.1",
}
_SESSIONS = re.findall("```sql\n(SELECT pid.+?)```", Path("docs/explanation/reliability.md").read_text(), re.DOTALL)[0]


async def test_a_row_that_the_application_keeps_locked_costs_no_job(
    tmp_path: Path, s3_server: S3Server, database_url: str
) -> None:
    """No delivery of the job that needs the row counts, nor of another job for the photo; the log says what is locked.

    The documented query tells who keeps it.
    """
    async with (
        running(tmp_path) as broker,
        scene(tmp_path, s3_server, nats=broker.url, database=database_url, settings=_ONE_DELIVERY) as world,
    ):
        [photo] = world.add_photos(1)
        with world.worker() as worker:

            async def ends() -> list[dict[str, Any]]:
                return worker.job_lines()

            with locked(world, f"SELECT FROM photos WHERE id = '{photo}' FOR UPDATE") as application:
                await publish(world, [photo, photo])
                lines = await eventually(ends, lambda lines: len(lines) >= 2, "both deliveries to end")
                [(oldest, *_), *_] = world.sql(_SESSIONS)
                assert oldest == application.info.backend_pid
            events = await world.outcome_of(photo, 2)
            await world.settled()
    assert {line["action"] for line in lines} == {"retry"}
    assert {event["outcome"] for event in events} == {"matched", "skipped"}
    assert any("a row of photos stays locked" in line["detail"] for line in lines)
