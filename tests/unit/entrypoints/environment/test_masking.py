"""What is shown of URLs that may hold secrets."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entrypoints.environment.masking import url, urls
from entrypoints.environment.variables import variables
from entrypoints.settings import Settings

SHOWN = {declared.name: declared.show for declared in variables(Settings)}
SECRET = "cAnArY"
around = st.text(st.sampled_from("ab1@:/?#&=%+,. ;'\"\\[]\n-é") | st.characters(codec="utf-8"), max_size=6)


@pytest.mark.parametrize(
    ("variable", "text", "shown"),
    [
        ("DATABASE_URL", "postgresql://app@db.example:5432/app", "postgresql://app@db.example:5432/app"),
        ("DATABASE_URL", "postgres://app:cAnArY@db/app", "postgres://app:***@db/app"),
        ("DATABASE_URL", "postgresql://:cAnArY@db/app", "postgresql://***@db/app"),
        ("DATABASE_URL", "postgresql://a:cAnArY@h1:1,[::1]:2/app", "postgresql://a:***@h1:1,[::1]:2/app"),
        ("DATABASE_URL", "postgresql:///app?host=/run/pg", "postgresql:///app?host=/run/pg"),
        ("DATABASE_URL", "postgresql://db/a?sslmode=require&port=1", "postgresql://db/a?sslmode=require&port=1"),
        ("DATABASE_URL", "postgresql://db/a?sslmode=require&password=cAnArY", "postgresql://db/a?***"),
        ("DATABASE_URL", "postgresql://db/a?sslmode=cAnArY", "postgresql://db/a?***"),
        ("DATABASE_URL", "postgresql://db/a?sslpassword=cAnArY", "postgresql://db/a?***"),
        ("DATABASE_URL", "postgresql://db/a?%70assword=cAnArY", "postgresql://db/a?***"),
        ("DATABASE_URL", "postgresql://a:cA@nArY@db/a", "***"),
        ("DATABASE_URL", "postgresql://a:12/cAnArY@db/a", "***"),
        ("DATABASE_URL", "postgresql://a:12?host=cAnArY@db/a", "***"),
        ("DATABASE_URL", "host=db password=cAnArY", "***"),
        ("DATABASE_URL", "cAnArY", "***"),
        ("DATABASE_URL", "http://x", "http://x"),
        ("NATS_URL", "nats://n1:4222, tls://n2", "nats://n1:4222,tls://n2"),
        ("NATS_URL", "nats://cAnArY@n1:4222", "nats://***@n1:4222"),
        ("NATS_URL", "nats://u:cAnArY@n1,nats://cAnArY@n2", "nats://***@n1,nats://***@n2"),
        ("NATS_URL", "nats://u:12,cAnArY@n1", "***"),
        ("NATS_URL", "nats://n1:4222,cAnArY", "***"),
        ("NATS_TOKEN", "nats://n1:4222", "***"),
    ],
)
def test_a_url_is_shown_without_its_secrets(variable: str, text: str, shown: str) -> None:
    """It tells staging from production; of what cannot be understood, nothing is shown."""
    assert SHOWN[f"FACEMATCH_{variable}"](text) == shown


@given(before=around, after=around, raw=st.booleans())
@example(before="@", after="/", raw=True)
@example(before="1/", after="", raw=True)
@example(before="1?host=", after="", raw=True)
@example(before="1,", after="", raw=True)
def test_no_secret_is_ever_shown(before: str, after: str, raw: bool) -> None:  # noqa: FBT001 - hypothesis' argument
    """Whatever is in it, whether it is escaped or not, and wherever URLs and connection strings may have one."""
    secret = f"{before}{SECRET}{after}"
    if not raw:
        secret = quote(secret, safe="")
    for text in (
        f"postgresql://app:{secret}@db:5432/app",
        f"postgresql://:{secret}@db/app?sslmode=require",
        f"postgresql://app@db/app?password={secret}",
        f"postgresql://app@db/app?sslmode=require&sslpassword={secret}&port=5432",
        f"postgresql://app@db/app?options={secret}",
        f"host=db password={secret} user=app",
        f"nats://{secret}@n1:4222",
        f"nats://u:{secret}@n1:4222",
        f"nats://n0,tls://u:{secret}@n1:4222,nats://{secret}@n2",
    ):
        assert SECRET not in url(text) + urls(text), text
