"""Who is in which group."""

from domain.evaluation.results import Grouping, grouping


def test_people_fall_into_groups() -> None:
    """One may be in several; strange names are told, and whoever is in none is counted."""
    memberships = [("ann", "left"), ("ann", "tall"), ("ben", "left"), ("max", "tall"), ("zoe", "gone")]
    assert grouping(memberships, ["ann", "ben", "eve"]) == Grouping(
        {"left": frozenset({"ann", "ben"}), "tall": frozenset({"ann"}), "gone": frozenset()},
        unknown=("max", "zoe"),
        ungrouped=("eve",),
    )
