"""The reply subject of a delivered message says which job it is."""

from datetime import UTC, datetime

import pytest

from adapters.nats_jetstream.jobs.delivery import Receipt
from domain.jobs import JobKey

SHORT = "$JS.ACK.JOBS.worker.3.17.20.1795552369878045999.2"


def test_the_short_form_is_read() -> None:
    """Sequence, stored time cut to microseconds, and number of deliveries."""
    stored = datetime(2026, 11, 24, 20, 32, 49, 878045, tzinfo=UTC)
    assert Receipt.of(SHORT) == Receipt(JobKey(17, stored), 3)


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK._.hash.JOBS.worker.3.17.20.1795552369878045999.2",
        "$JS.ACK.hub.hash.JOBS.worker.3.17.20.1795552369878045999.2.x",
    ],
)
def test_the_form_with_a_domain_is_read_the_same(reply: str) -> None:
    """Servers with domains put two more tokens first, and may add some at the end."""
    assert Receipt.of(reply) == Receipt.of(SHORT)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "_INBOX.abc",
        "$JS.ACK",
        "$JS.ACK.JOBS.worker.3.17.20.1795552369878045999",
        "$JS.ACK.x.JOBS.worker.3.17.20.1795552369878045999.2",
        "$JS.ACK.JOBS.worker.three.17.20.1795552369878045999.2",
        "$JS.FC.JOBS.worker.3.17.20.1795552369878045999.2",
    ],
)
def test_anything_else_is_no_receipt(reply: str) -> None:
    """A message that JetStream did not deliver is no job."""
    assert Receipt.of(reply) is None
