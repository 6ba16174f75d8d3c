"""What any publisher of jobs does: JetStream's, and the fake in memory."""

from uuid import UUID

import pytest

from adapters.nats_jetstream.jobs.payload import JsonJobParser
from domain.errors import MessagingUnavailableError
from domain.jobs import MatchJob
from tests.contract.announcements.conftest import Subject

JOB = MatchJob(UUID(int=1), "minio://images/é \U0001f600.jpg", face_index=3, faces_detected=1, job_id=UUID(int=9))
SHORT = MatchJob(UUID(int=2))


async def test_what_is_submitted_is_delivered(subject: Subject) -> None:
    """What comes out of the queue is the job that was put in, under its key."""
    key = await subject.jobs.submit(JOB)
    [delivery] = await subject.queue.fetch(1, timeout_seconds=5)
    assert (delivery.key, JsonJobParser().parse(delivery.body)) == (key, JOB)


async def test_every_submission_is_a_job(subject: Subject) -> None:
    """The same twice is two jobs, and each key is exactly what its delivery says."""
    keys = [await subject.jobs.submit(SHORT) for _ in range(20)]
    deliveries = await subject.queue.fetch(20, timeout_seconds=5)
    assert [delivery.key for delivery in deliveries] == keys
    assert {JsonJobParser().parse(delivery.body) for delivery in deliveries} == {SHORT}


async def test_without_a_broker_nothing_counts_as_submitted(subject: Subject) -> None:
    """Who submits hears that nothing was stored."""
    subject.stop()
    with pytest.raises(MessagingUnavailableError):
        await subject.jobs.submit(JOB)
