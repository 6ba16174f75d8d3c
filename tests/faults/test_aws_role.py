"""A worker with an AWS role loses no job for want of credentials, and shows none."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import attrs
import pytest_asyncio

from infra.local_stack.s3 import S3Server
from tests.aws_endpoint import AwsEndpoint
from tests.broker import running
from tests.e2e.world import WorkerProcess, World, eventually
from tests.faults.scene import all_matched_once, outages_told, publish, scene

_OF_A_JOB = ("photo_id", "job_id", "trace_id", "span_id")


@attrs.frozen
class Cloud:
    """A world whose processes have a role and no keys, and who gives them credentials."""

    world: World
    endpoint: AwsEndpoint


def _warnings(worker: WorkerProcess) -> list[dict[str, Any]]:
    return [line for line in worker.lines() if line["action"] == "credentials_not_renewed"]


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


async def test_a_renewal_that_fails_is_a_warning_as_long_as_no_job_waits(cloud: Cloud) -> None:
    """One line says why, and how long the old set is good; it is no job's; no outage, and no secret."""
    world, endpoint = cloud.world, cloud.endpoint
    endpoint.lifetime_seconds = 200
    photos = world.add_photos(3)
    with world.worker() as worker:
        await publish(world, photos[:1])
        await all_matched_once(world, photos[:1])
        endpoint.refusal = HTTPStatus.FORBIDDEN
        for photo in photos[1:]:
            await publish(world, [photo])
            await all_matched_once(world, photos[: photos.index(photo) + 1])
        assert outages_told(worker, "object store") == []
        await eventually(lambda: asyncio.to_thread(_warnings, worker), bool, "a warning")
    [told] = _warnings(worker)
    assert (told["level"], "(HTTP 403)" in told["detail"], "the old ones are good for" in told["detail"]) == (
        "warning",
        True,
        True,
    )
    assert told.keys().isdisjoint(_OF_A_JOB)
    log = worker.log.read_text()
    assert [secret for secret in endpoint.secrets if secret in log] == []
