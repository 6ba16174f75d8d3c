"""What ``evaluate`` and ``calibrate`` tell of the photographs on a terminal."""

from collections.abc import Mapping

import pytest

from domain.evaluation.results import Acquisition
from domain.evaluation.shares import Share
from entrypoints.evaluation.tables import acquisition_summary
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
        failure_to_acquire=Share(0, 8),
        not_acquired={},
        unread={},
    )
    console(width=200).print(acquisition_summary("mine@1", acquisition))
    [speed] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("speed")]
    assert speed.removeprefix("speed").strip() == expected
