"""What looks like a credential is masked wherever a text of others is told: one table for all places."""

import pytest

from adapters.postgres.records.outcome_rows import to_row
from adapters.telemetry.redaction import Redactor
from domain.outcomes import Reason
from domain.records import Failed
from tests.contract.announcements.records import delivery, record
from tests.unit.adapters.nats_jetstream.dead_letters.test_dead_letters import Outbound


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql://app:pa55@db:5432/x", "postgresql://app:***@db:5432/x"),
        ("POSTGRESQL://app:pa55@db/x", "POSTGRESQL://app:***@db/x"),
        ("postgresql://app:p@ss:word@db/x", "postgresql://app:***@db/x"),
        ("postgresql://app:p?s#word@db/x", "postgresql://app:***@db/x"),
        ("nats://:pa55@a:4222,nats://u:pa55@b:4222", "nats://:***@a:4222,nats://u:***@b:4222"),
        ("nats://s3cr3ttoken@a:4222, nats://s3cr3ttoken@b:4222", "nats://***@a:4222, nats://***@b:4222"),
        ("tls://s3cr3ttoken@a", "tls://***@a"),
        ("https://s3cr3ttoken@h/", "https://***@h/"),
        ("cannot open 'https://u:p@h/k?a=1'", "cannot open 'https://u:***@h/k?a=1'"),
        ("host=db password=pa55 user=app", "host=db password=*** user=app"),
        ("password = 'with space' user=app", "password = *** user=app"),
        (
            "GET /k?X-Amz-Credential=AK%2F1&X-Amz-Signature=abc&x=1",
            "GET /k?X-Amz-Credential=***&X-Amz-Signature=***&x=1",
        ),
        ("?X-Amz-Security-Token=abc", "?X-Amz-Security-Token=***"),
        ("sig=abc; secret_key=def", "sig=***; secret_key=***"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("authorization=abc", "authorization=***"),
    ],
)
async def test_ledger_log_and_letter_mask_the_same(text: str, told: str) -> None:
    """Without anybody having named the secret, and in the same words everywhere."""
    ended, outbound = record(Failed(Reason.INTERNAL_ERROR, text)), Outbound()
    await outbound.publish(await delivery(b"{}"), ended)
    [(_, sent)] = outbound.letters
    assert to_row(ended)["detail"] == told
    assert Redactor().text(text) == told
    assert f"Facematch-Error: {told}\r\n" in sent.decode()
