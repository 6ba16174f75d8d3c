"""How figures are written for people."""

import pytest

from adapters.evaluation.wording import aim


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, "1%"), (0.07, "7%"), (0.5, "50%"), (0.0025, "0.25%"), (1e-6, "0.0001%")]
)
def test_a_target_is_never_told_as_nothing(share: float, expected: str) -> None:
    """Each target that can be set keeps its digits."""
    assert aim(share) == expected
