"""What is masked, and what is left alone."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.telemetry.redaction import Redactor
from domain.faces import FaceEmbedding
from domain.redaction import MASK


@pytest.mark.parametrize(
    "text",
    [
        "object store 127.0.0.1:9000, minio://images/a b/c.jpg: SlowDown",
        "https://example.org/path?x=1",
        "nats://127.0.0.1:4222",
        "anna@example.org",
        "the nearest user is at 0.41, farther than 0.07",
        "version 1.2.3.4",
        "three 0.1, 0.2, 0.3",
        '{"x1": 1.5, "y1": 2.5, "x2": 3.5, "y2": 4.5}',
        "secretary tokens passwords",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    """People have to understand what they read."""
    assert Redactor(("pa55word",)).text(text) == text


def test_known_secrets_are_masked_wherever_they_stand() -> None:
    """The longer one first, so that no part of it is left."""
    redactor = Redactor(("hunter2", "hunter2-and-more", "", "abc"))
    assert redactor.text("xhunter2y hunter2-and-more abc") == f"x{MASK}y {MASK} abc"


@pytest.mark.parametrize("write", [quote, quote_plus, json.dumps, repr, lambda text: quote(text, safe="")])
def test_known_secrets_are_masked_as_others_write_them(write: Callable[[str], str]) -> None:
    """In URLs, in JSON and by Python, whatever signs they hold."""
    secret = "p@ss/w\u00f6rd: \"'\\ +%"
    written = write(f"<{secret}>")
    assert MASK in Redactor((secret,)).text(written)
    assert "ss" not in Redactor((secret,)).text(written)


EMBEDDING = FaceEmbedding("dlib@2", tuple(math.sin(number) for number in range(128)))


@pytest.mark.parametrize(
    "text",
    [
        str(list(EMBEDDING.vector)),
        str(EMBEDDING.vector),
        str(np.array(EMBEDDING.vector, dtype=np.float32)),
        repr(np.array(EMBEDDING.vector)),
        "DETAIL:  Failing row contains (1, [" + ",".join(f"{value:.7g}" for value in EMBEDDING.vector)[:60] + "...).",
        "[1.5e-05, -2e-3, 3.25E+1, .5, 0.125]",
        str(EMBEDDING),
    ],
)
def test_embeddings_are_masked(text: str) -> None:
    """However Python, numpy or PostgreSQL write one, hardly a component is left."""
    cleaned = Redactor().text(text)
    assert cleaned.count(".") <= 5
    assert len(cleaned) < 140


def test_image_bytes_are_counted_not_shown() -> None:
    """Of bytes, only how many there are."""
    assert Redactor().value({"image": b"\xff\xd8" * 500, "view": memoryview(b"abc")}) == {
        "image": "(1000 bytes)",
        "view": "(3 bytes)",
    }


def test_a_text_has_an_end() -> None:
    """A text of 20 MB becomes one that a log can hold."""
    assert len(Redactor().text("x" * 20_000_000)) < 33_000


@pytest.mark.parametrize(
    "secret", ["canary-canary", "postgresql://app:canary@db/x", "password='canary canary' user=app", "token=canary"]
)
def test_the_end_of_a_text_cuts_no_secret_in_two(secret: str) -> None:
    """Half of one is none that is known, nor does it look like one."""
    redactor = Redactor(["canary-canary"])
    for before in range(32_768 - 2 * len(secret), 32_768):
        assert "ca" not in redactor.text(f"{'.' * before} {secret} {'.' * 5_000}")


@pytest.mark.parametrize(
    "piece",
    ["1", "1.", "1.2,", "a.", "a-b+", "a://", "a://:", "://:@", "password=", "password='", "authorization: ", " ", "é"],
)
def test_cleaning_takes_linear_time(piece: str) -> None:
    """No text that somebody sends keeps the event loop busy."""
    text = (piece * 40_000)[:40_000]
    started = time.thread_time()
    Redactor(("hunter2",)).text(text)
    assert time.thread_time() - started < 0.5


def test_every_kind_of_value_is_cleaned() -> None:
    """Containers, keys, exceptions and foreign objects."""
    redactor = Redactor(("hunter2",))
    value = {
        "list": ["hunter2", 1, 2.5, None, True],
        "nested": {"hunter2": ("hunter2",)},
        "error": ValueError("hunter2"),
        "path": Path("/hunter2"),
        "id": UUID(int=1),
        "nan": math.nan,
    }
    assert redactor.value(value) == {
        "list": [MASK, 1, 2.5, None, True],
        "nested": {MASK: [MASK]},
        "error": MASK,
        "path": f"/{MASK}",
        "id": str(UUID(int=1)),
        "nan": "nan",
    }


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), st.lists))
def test_what_is_cleaned_is_json(value: object) -> None:
    """A line of the log is valid JSON whatever it holds."""
    cleaned = Redactor(("hunter2",)).value(value)
    assert json.loads(json.dumps(cleaned, allow_nan=False)) == cleaned


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_secret_survives(before: str, after: str) -> None:
    """Whatever stands around it."""
    assert "hunter2-s3cret" not in Redactor(("hunter2-s3cret",)).text(f"{before}hunter2-s3cret{after}")
