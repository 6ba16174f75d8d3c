"""Reading single jobs from a real server."""

from datetime import UTC, datetime

import pytest
from nats.aio.client import Client

from adapters.nats_jetstream.jobs.job_archive import JetStreamJobArchive
from adapters.nats_jetstream.names import BrokerNames
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey


async def test_a_stream_that_is_not_there_is_told(client: Client, names: BrokerNames) -> None:
    """Without it, it is not known whether the job is kept."""
    with pytest.raises(MessagingUnavailableError, match="run `facematch provision`"):
        await JetStreamJobArchive(client, names).find(JobKey(1, datetime.now(UTC)))
