"""What is reported at the end of an enrolment of many."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from application.enrolment.bulk import EnrolmentResult
from entrypoints.commands.common.bulk_enrolment import EnrolmentReport

_ANNA = EnrolmentResult(UUID(int=1), 2)
_BORIS = EnrolmentResult(UUID(int=2), 1, ("no face",))


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
