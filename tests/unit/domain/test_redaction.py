"""What may be told of an error."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.outcomes import Reason
from domain.records import Failed, Skipped
from domain.redaction import RULES, redact


@pytest.mark.parametrize(
    "text",
    [
        "cannot reach https://user:canary-1@host/path",
        "refused: token=canary-2",
        "the vector [0.12345, -0.5, 0.25, 1.0e-3, 0.75] is odd",
        "Authorization: Bearer canary-3",
    ],
)
def test_the_detail_of_an_outcome_tells_no_secret_and_no_embedding(text: str) -> None:
    """Whoever wrote the words, records keep them without credentials and vectors, and so do dead letters."""
    for outcome in (Failed(Reason.INTERNAL_ERROR, text), Skipped(Reason.UNREADABLE_IMAGE, text)):
        assert "***" in outcome.detail
        assert "canary" not in outcome.detail
        assert "0.12345" not in outcome.detail


def test_other_words_stay_as_they_are() -> None:
    """Sizes, names and boxes are told in full."""
    text = "there is no minio://images/a.jpg (NoSuchKey); 4000001 bytes, 12.5 px, x1=1.5 y1=2.5"
    assert redact(text) == text


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]) | st.sampled_from(".-/@'\"0e1")))
def test_what_is_passed_by_has_nothing_to_hide(text: str) -> None:
    """No rule would have changed a text that is told without looking at each."""
    word = re.sub(r"[\s=:,]", "", text)
    for pattern, replacement in RULES:
        assert pattern.sub(replacement, word) == word
    assert redact(word) == word
