"""How figures are written for people."""

import pytest

from adapters.evaluation.wording import aim, too_few
from domain.evaluation.proportions import Proportion


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, "1%"), (0.07, "7%"), (0.5, "50%"), (0.0025, "0.25%"), (1e-6, "0.0001%")]
)
def test_a_target_is_never_told_as_nothing(share: float, expected: str) -> None:
    """Each target that can be set keeps its digits."""
    assert aim(share) == expected


def test_too_few_strangers_are_told_with_what_they_could_show_at_best() -> None:
    """Two of ten that were named change nothing of that."""
    assert too_few(Proportion(2, 10), 0.01) == (
        "Too few strangers to tell whether the target of 1% is kept: if none of these 10 photographs had been named, "
        "FPIR could still be 27.8%."
    )
