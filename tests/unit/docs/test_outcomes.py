"""The outcomes as they are documented are the outcomes as they are."""

import re
from datetime import UTC, datetime

import pytest

from domain.jobs import JobKey
from domain.outcomes import OutcomeKind, Reason
from domain.records import Failed, JobHeader, Skipped
from tests.unit.docs.pages import Page, page, pages, rows

_REFERENCE = page("docs/reference/outcomes.md")
_TOLD = re.compile(r"""["']?\b(outcome|reason)\b["']? *(?:=|:) *["'](\w+)["']""")


def _message(reason: Reason) -> str:
    outcome = Failed(reason) if reason.is_failure else Skipped(reason)
    header = JobHeader(JobKey(1, datetime.now(UTC)), datetime.now(UTC), "embedder@1", "worker")
    return "dead-lettered" if header.record(outcome).dead_lettered else "acked"


def test_the_reference_has_one_row_for_each_reason() -> None:
    """With the kind that it ends in, and what happens to the message."""
    table = _REFERENCE.text.partition("\n## ")[0]
    documented = {reason: (kind, message) for kind, reason, _, message in rows(table)}
    expected = {reason.value: (reason.kind.value, _message(reason)) for reason in Reason}
    assert documented == expected | {"none": (OutcomeKind.MATCHED.value, "acked")}


def test_every_reason_has_an_answer() -> None:
    """Whoever asks why finds each reason in the how-to, and nothing else."""
    documented = [row[0] for row in rows(page("docs/how-to/answer-why.md").section("Ask the ledger"))]
    assert sorted(documented) == sorted(reason.value for reason in Reason)


@pytest.mark.parametrize("written", pages(), ids=str)
def test_every_outcome_in_an_example_exists(written: Page) -> None:
    """JSON, SQL and code that name an outcome or a reason use the real words."""
    words: dict[str, set[str]] = {"outcome": set(OutcomeKind), "reason": set(Reason)}
    assert [told for told in _TOLD.findall(written.text) if told[1] not in words[told[0]]] == []
