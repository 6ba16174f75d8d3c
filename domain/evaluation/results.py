"""Everything that an evaluation counts."""

from collections.abc import Mapping, Sequence

import attrs

from domain.evaluation.comparison import CurvePoint, Histogram, OperatingPoint
from domain.evaluation.discard import DiscardCurve
from domain.evaluation.identification import GalleryFigures, Searched
from domain.evaluation.proportions import Proportion
from domain.evaluation.subjects import Subject
from domain.evaluation.verification import Verification
from domain.outcomes import Reason


@attrs.frozen(kw_only=True)
class Acquisition:
    """What became of the photographs.

    ``photographs`` were asked for, without ``copies`` of others of the same person. ``known`` of them had been read
    before and were not read again; ``seconds`` is what it took to get all, ``milliseconds`` the mean time of each stage
    of a photograph that was read.
    ``failure_to_acquire`` is the share of photographs without a face that is good enough to be used, and
    ``not_acquired`` counts these by reason. ``several_faces`` show more than one; where the central one counts,
    they may be more than the service skips, which looks for small faces less closely. ``unread`` are those that could
    not be read at all, by PERSON/PHOTOGRAPH.
    """

    people: int
    photographs: int
    known: int
    seconds: float
    milliseconds: Mapping[str, float]
    failure_to_acquire: Proportion
    not_acquired: Mapping[Reason, int]
    unread: Mapping[str, Reason]
    several_faces: int = 0
    copies: int = 0

    @property
    def per_second(self) -> float | None:
        """Photographs read in a second; None where none was, or no time passed."""
        read = self.photographs - self.known
        return read / self.seconds if read and self.seconds else None


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
    not_acquired: Proportion
    distance: float | None
    false_match: Proportion
    false_non_match: Proportion
    false_positive: Proportion
    false_negative: Proportion


@attrs.frozen
class Grouping:
    """How the people of a collection fall into groups; a person may be in several.

    ``unknown`` are people who are said to be in a group and are not in the collection, ``ungrouped`` those of the
    collection who are in none.
    """

    members: Mapping[str, frozenset[str]]
    unknown: tuple[str, ...]
    ungrouped: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Evaluation:
    """An embedder on a collection."""

    embedder: str
    subject: Subject
    target_fpir: float | None
    """None where a fixed distance decides."""
    acquisition: Acquisition
    verification: Verification | None
    impostor_pairs: int
    genuine_pairs: int
    points: tuple[OperatingPoint, ...]
    curve: tuple[CurvePoint, ...]
    histogram: Histogram | None
    galleries: tuple[GalleryFigures, ...]
    """By the photographs that people are enrolled with, then by size."""
    named_strangers: tuple[Searched, ...]
    """Some who got a name among everybody enrolled with one photograph, the nearest first."""
    discards: tuple[DiscardCurve, ...]
    groups: tuple[GroupFigures, ...]
    grouping: Grouping | None
    """None where the collection knows no groups."""

    @property
    def largest(self) -> GalleryFigures | None:
        """Everybody who can be, enrolled with one photograph; None where nobody can."""
        return next((figures for figures in reversed(self.galleries) if figures.photographs == 1), None)

    @property
    def too_few_strangers(self) -> Proportion | None:
        """The strangers named among the largest gallery, where they are too few to show that the target is kept."""
        if self.target_fpir is None or self.largest is None:
            return None
        named = self.largest.as_configured.false_positive
        return named if named.least_to_show > self.target_fpir else None


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
