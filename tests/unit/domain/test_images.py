"""Image references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.images import BucketNotAllowedError, ImageRef, ImageRefPolicy, InvalidImageRefError

POLICY = ImageRefPolicy.of("images", ["images", "archive"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b.jpg", ImageRef("images", "a/b.jpg")),
        ("minio://archive/2024/é ü.jpg", ImageRef("archive", "2024/é ü.jpg")),
        ("weird key?x=1#y&%41..jpg", ImageRef("images", "weird key?x=1#y&%41..jpg")),
        ("a\\b//c.jpg", ImageRef("images", "a\\b//c.jpg")),
    ],
)
def test_accepted(text: str, expected: ImageRef) -> None:
    """A bare key lies in the default bucket; a reference names an allowed one; nothing is decoded."""
    assert POLICY.parse(text) == expected


def test_credentials_are_not_repeated() -> None:
    """What is wrong with a reference is told in logs and in the ledger."""
    with pytest.raises(InvalidImageRefError, match="credentials do not belong there") as refused:
        POLICY.parse("minio://svc:hunter22@images/a.jpg")
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "minio://images/",
        "minio://images",
        "minio:///key",
        "minio://other/key",
        "minio://IMAGES/key",
        "s3://images/key",
        "http://127.0.0.1/key",
        "file:///etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "..",
        "minio://images/../other/key",
        "a\\..\\b",
        "a/..\\b",
        "a/ ../b",
        "a/.\u00a0",
        "\\a",
        "a\nb",
        "a\x00b",
        "a\x7fb",
        "a\ud800b",
        "k" * 1025,
        "é" * 513,
    ],
)
def test_refused(text: str) -> None:
    """Other schemes and buckets, traversal, control characters, surrogates and overlong keys are refused."""
    with pytest.raises(InvalidImageRefError):
        POLICY.parse(text)


@given(st.text(alphabet=st.characters(), max_size=200))
def test_whatever_is_accepted_stays_in_an_allowed_bucket(text: str) -> None:
    """No text leads outside the allowed buckets, and nothing but the one error is raised."""
    try:
        ref = POLICY.parse(text)
    except InvalidImageRefError:
        return
    assert ref.bucket in {"images", "archive"}
    assert ".." not in ref.key.split("/")


def test_the_default_bucket_is_allowed_when_nothing_else_is_said() -> None:
    """Without a list, only the default bucket may be read."""
    assert ImageRefPolicy.of("photos").allowed_buckets == frozenset({"photos"})


@pytest.mark.parametrize("text", ["s3://images/a.jpg", "https://images.s3.amazonaws.com/a.jpg"])
def test_a_refused_scheme_says_what_to_write(text: str) -> None:
    """The scheme says nothing of the server, which its name alone does not tell."""
    with pytest.raises(InvalidImageRefError, match="write minio://BUCKET/KEY, whatever the server, or KEY"):
        POLICY.parse(text)


def test_a_bucket_that_is_not_allowed_is_named_with_what_to_do() -> None:
    """Whoever asks why a job was skipped learns which bucket it was, and both ways to mend that."""
    with pytest.raises(BucketNotAllowedError, match="'other', which may not be read: correct it, or add the bucket to"):
        ImageRefPolicy.of("photos").parse("minio://other/a.jpg")
