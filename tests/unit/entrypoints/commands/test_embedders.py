"""What the command says of a pipeline's threshold."""

import attrs
import pytest

from domain.calibration import Calibration
from entrypoints.commands.embedders import threshold_in_words
from tests.fakes.vision import INFO

_POINTS = ((1e-7, 0.02), (1e-4, 0.05), (1e-2, 0.09))
_COHORT = Calibration(_POINTS, cohort=((1, ((0.01, 0.25), (0.1, 0.3))),))
_BY_COHORT = "0.250 x m^0.6, m being the mean distance of the next 3"
_FEW = "0.064 of 20, 0.056 of 50"


@pytest.mark.parametrize(
    ("calibration", "fpir", "said"),
    [
        (
            _COHORT,
            0.01,
            f"{_FEW} users, from 100 on {_BY_COHORT}, above 1,200 at most as by their number (0.020 of 100,000)",
        ),
        (
            _COHORT,
            0.001,
            f"0.047 of 20, 0.043 of 50, 0.030 of 1,000, 0.013 of 100,000 users, from 100 on at most {_BY_COHORT}",
        ),
        (
            _COHORT,
            0.2,
            (
                "0.090 of 20, 0.083 of 50, 0.057 of 1,000, 0.034 of 100,000 users, from 100 on "
                f"{_BY_COHORT.replace('0.250', '0.300')} where that is more"
            ),
        ),
        (Calibration(_POINTS), 0.01, f"{_FEW}, 0.040 of 1,000, 0.020 of 100,000 users"),
    ],
)
def test_each_rule_of_a_target_is_told_where_it_counts(calibration: Calibration, fpir: float, said: str) -> None:
    """Also where both rules count: beyond the galleries and the targets that the cohort was measured for."""
    info = attrs.evolve(INFO, calibration=calibration)
    assert threshold_in_words(info, fpir) == f"{said}, for a false positive identification rate of {fpir:g}"


def test_one_distance_is_told_as_that() -> None:
    """A distance that somebody chose says nothing of strangers."""
    info = attrs.evolve(INFO, calibration=Calibration(((1.0, 0.4),)))
    assert threshold_in_words(info, 0.01).startswith("0.400, however many users")
