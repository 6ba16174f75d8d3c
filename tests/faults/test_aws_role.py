"""A worker with an AWS role loses no job for want of credentials, and shows none."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import attrs
import pytest_asyncio

from infra.local_stack.s3 import S3Server
from tests.aws_endpoint import AwsEndpoint
from tests.broker import running
from tests.e2e.world import World, eventually
from tests.faults.scene import all_matched_once, outages_told, publish, scene


@attrs.frozen
class Cloud:
    """A world whose processes have a role and no keys, and who gives them credentials."""

    world: World
    endpoint: AwsEndpoint


@pytest_asyncio.fixture
async def cloud(tmp_path: Path, s3_server: S3Server, database_url: str) -> AsyncIterator[Cloud]:
    """Return one where each photograph asks for credentials, and a job's first failure that counts is its last."""
    with AwsEndpoint(s3_server, tmp_path) as endpoint:
        endpoint.lifetime_seconds = 0
        settings = endpoint.pod_identity | {
            "FACEMATCH_S3_CREDENTIALS": "aws",
            "FACEMATCH_S3_ACCESS_KEY": "",
            "FACEMATCH_S3_SECRET_KEY": "",
            "FACEMATCH_NATS_MAX_DELIVER": "1",
            "FACEMATCH_LOG_LEVEL": "debug",
        }
        async with (
            running(tmp_path) as broker,
            scene(tmp_path, s3_server, nats=broker.url, database=database_url, settings=settings) as world,
        ):
            yield Cloud(world, endpoint)


async def test_a_role_without_credentials_costs_no_job_and_shows_no_secret(cloud: Cloud) -> None:
    """Expired sets are replaced; where there are no others, jobs are held; ``doctor`` says from where they come."""
    world, endpoint = cloud.world, cloud.endpoint
    before, during = world.add_photos(2), world.add_photos(2)
    with world.worker() as worker:
        for photo in before:
            await publish(world, [photo])
            await all_matched_once(world, before[: before.index(photo) + 1])
            endpoint.forget()
        assert outages_told(worker, "object store") == []

        endpoint.refusal = HTTPStatus.FORBIDDEN
        await publish(world, during)
        found = await eventually(worker.not_ready, lambda found: "object store" in found, "/readyz to name the store")
        assert (
            "from AWS_CONTAINER_CREDENTIALS_FULL_URI (HTTP 403): give the service account a role"
            in found["object store"]
        )
        refused = world.cli("doctor", "--json", check=False)
        endpoint.refusal = None
        await all_matched_once(world, before + during)
        told = outages_told(worker, "object store")
        assert (told[0], set(told[1:-1]), told[-1]) == ("dependency_down", {"held"}, "dependency_up")

    asked = world.cli("doctor", "--json")
    assert "no credentials of an AWS role from AWS_CONTAINER_CREDENTIALS_FULL_URI" in refused.stdout
    assert "with credentials of an AWS role from AWS_CONTAINER_CREDENTIALS_FULL_URI" in asked.stdout
    shown = f"{worker.log.read_text()}{refused}{asked}"
    assert [secret for secret in endpoint.secrets if secret in shown] == []
