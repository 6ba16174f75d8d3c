"""Groups: who is taken for somebody else, or not recognised, more often than others."""

from collections.abc import Mapping, Sequence

import attrs

from domain.evaluation.shares import Share


@attrs.frozen(kw_only=True)
class GroupFigures:
    """One group's errors, at the distances that hold for everybody.

    ``false_match`` are two people of the group who are taken for one, ``false_non_match`` one of them who is taken for
    two: both at ``distance``, the one that all people together have for the rate that groups are compared at, and None
    where no rate was measured. ``false_positive`` and ``false_negative`` are the group's own strangers and users in
    the search among everybody with the service's threshold.
    """

    group: str
    people: int
    photographs: int
    not_acquired: Share
    distance: float | None
    false_match: Share
    false_non_match: Share
    false_positive: Share
    false_negative: Share


@attrs.frozen
class Grouping:
    """How the people of a collection fall into groups; a person may be in several.

    ``unknown`` are people who are said to be in a group and are not in the collection, ``ungrouped`` those of the
    collection who are in none.
    """

    members: Mapping[str, frozenset[str]]
    unknown: tuple[str, ...]
    ungrouped: tuple[str, ...]


def grouping(memberships: Sequence[tuple[str, str]], people: Sequence[str]) -> Grouping:
    """Return how ``people`` fall into groups, by pairs of person and group."""
    known = set(people)
    members: dict[str, set[str]] = {group: set() for _, group in memberships}
    for person, group in memberships:
        if person in known:
            members[group].add(person)
    grouped = {person for person, _ in memberships}
    return Grouping(
        {group: frozenset(names) for group, names in members.items()},
        tuple(sorted(grouped - known)),
        tuple(person for person in people if person not in grouped),
    )
