"""What ``evaluate`` and ``calibrate`` tell of the photographs on a terminal."""

from collections.abc import Mapping

import pytest

from domain.evaluation.identification import GalleryFigures, Identification, Searched
from domain.evaluation.proportions import Proportion
from domain.evaluation.results import Acquisition, Evaluation, GroupFigures, Grouping
from domain.evaluation.subjects import Subject
from entrypoints.evaluation.tables import acquisition_summary, print_evaluation
from entrypoints.terminal.console import console


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [({}, "4.0 photographs a second"), ({"detect": 12.34}, "4.0 photographs a second (detect 12.3 ms)")],
)
def test_the_speed_of_stages_is_told_where_there_are_any(
    milliseconds: Mapping[str, float], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An embedder that names no stages has none in brackets."""
    acquisition = Acquisition(
        people=2,
        photographs=8,
        known=0,
        seconds=2.0,
        milliseconds=milliseconds,
        failure_to_acquire=Proportion(0, 8),
        not_acquired={},
        unread={},
    )
    console(width=200).print(acquisition_summary("mine@1", acquisition))
    [speed] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("speed")]
    assert speed.removeprefix("speed").strip() == expected


def test_a_groups_errors_are_told_with_how_surely_they_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    """No stranger of a few that was named is no proof that none would be: the intervals fit on a narrow terminal."""
    few = GroupFigures(
        group="few",
        people=14,
        photographs=20,
        not_acquired=Proportion(0, 20),
        distance=0.07,
        false_match=Proportion(0, 91, 7),
        false_non_match=Proportion(1, 20, 7),
        false_positive=Proportion(0, 7),
        false_negative=Proportion(1, 20, 7),
    )
    found = Identification(7, 0.05, Proportion(0, 7), Proportion(1, 13), Proportion(0, 13))
    evaluation = Evaluation(
        embedder="mine@1",
        subject=Subject.CENTRAL,
        target_fpir=0.01,
        acquisition=Acquisition(
            people=14,
            photographs=20,
            known=0,
            seconds=2.0,
            milliseconds={},
            failure_to_acquire=Proportion(0, 20),
            not_acquired={},
            unread={},
        ),
        verification=None,
        impostor_pairs=91,
        genuine_pairs=20,
        points=(),
        curve=(),
        histogram=None,
        galleries=(GalleryFigures(1, 1, Proportion(7, 7), found, None, ()),),
        named_strangers=(Searched("eve", "eve/\x1b[2J.jpg", "ben", None, 0.0123, 0.05, True, 0.246),),
        discards=(),
        groups=(few,),
        grouping=Grouping({}, (), ()),
    )
    print_evaluation(evaluation, console(width=80))
    told = capsys.readouterr().out
    rows = [line.split() for line in told.splitlines()]
    assert "Too few strangers to tell whether the target of 1% is kept" in told
    assert ["0.0123", "eve/\\x1b[2J.jpg", "as", "ben"] in rows
    assert ["few", "14", "0.0%", "0.00%", "5.0%", "0.0%", "5.0%"] in rows
    assert ["[0.00-35.43]", "[0.4-41.5]", "[0.0-35.4]", "[0.4-41.5]"] in rows
