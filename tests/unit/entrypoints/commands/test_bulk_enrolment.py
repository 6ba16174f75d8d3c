"""What is reported at the end of an enrolment of many."""

import json
from collections.abc import Sequence
from uuid import UUID

import attrs
import pytest

from application.enrolment.bulk import EnrolmentResult
from application.enrolment.enrolment_warnings import SameTemplate
from entrypoints.commands.common.bulk_enrolment import EnrolmentReport

_ANNA = EnrolmentResult(UUID(int=1), 2)
_BORIS = EnrolmentResult(UUID(int=2), 1, ("no face",))
_CLARA = EnrolmentResult(UUID(int=3), 1, warnings=(SameTemplate(UUID(int=1)),))


def test_everybody_is_in_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    """Who is enrolled, who could not be, and who is passed over."""
    report = EnrolmentReport("enrolled", "dlib@2", as_json=True)
    with report.summarised():
        report(_ANNA)
        report(_BORIS)
        report.passed_over = 1200
    assert capsys.readouterr().err == (
        "1 user enrolled with dlib@2; 1 user could not be; "
        "1,200 users passed over, who had a template or are deleted.\n"
    )


def test_who_is_refused_for_a_warning_is_told_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    """As a problem, which the summary counts apart, and not once more as a warning."""
    report = EnrolmentReport("enrolled", "dlib@2", as_json=True)
    with report.summarised():
        report(attrs.evolve(_CLARA, is_doubted=True))
        report(_BORIS)
    told = capsys.readouterr()
    clara, _ = (json.loads(line) for line in told.out.splitlines())
    [warning] = clara["warnings"]
    assert (clara["enrolled"], clara["problems"]) == (False, [warning["message"]])
    assert warning["warning"] == "same_template"
    assert warning["user_id"] == str(UUID(int=1))
    assert told.err == "0 users enrolled with dlib@2; 2 users could not be, 1 of them for a warning.\n"


def test_who_is_told_of_late_is_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    """There is one more line of them; how many were not looked at is in the summary."""
    report = EnrolmentReport("enrolled", "dlib@2", as_json=False)
    with report.summarised():
        report(attrs.evolve(_CLARA, warnings=()))
        report.tell_again(_CLARA)
        report.not_compared = 1
    warning, summary = capsys.readouterr().err.rsplit("\n", 2)[:2]
    assert warning.startswith(f"Warning: user {UUID(int=3)}: user {UUID(int=1)} has the same template")
    assert summary == "1 user enrolled with dlib@2; 1 user enrolled without a look for others who look alike."


def test_where_nobody_looked_for_the_same_templates_that_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """Everybody was enrolled, which is no failure."""
    report = EnrolmentReport("enrolled", "dlib@2", as_json=True)
    with report.summarised():
        report(_ANNA)
        report.not_compared, report.not_searched = 1, "database: no answer"
    report.end()
    assert capsys.readouterr().err == (
        "1 user enrolled with dlib@2; 1 user enrolled without a look for others who look alike.\n"
        "Warning: whether these have the same template as another user is not known: database: no answer. "
        "`facematch doctor` counts such users.\n"
    )


@pytest.mark.parametrize(("results", "summary"), [([], ""), ([_ANNA], "1 user prepared with dlib@2 so far.\n")])
def test_a_run_that_is_cut_off_does_not_look_like_one_that_came_to_its_end(
    capsys: pytest.CaptureFixture[str], results: Sequence[EnrolmentResult], summary: str
) -> None:
    """What was done is told as what was done so far, and of nobody nothing."""
    with pytest.raises(KeyboardInterrupt):
        _interrupted_after(results)
    assert capsys.readouterr().err == summary


def _interrupted_after(results: Sequence[EnrolmentResult]) -> None:
    report = EnrolmentReport("prepared", "dlib@2", as_json=True)
    with report.summarised():
        for result in results:
            report(result)
        raise KeyboardInterrupt
