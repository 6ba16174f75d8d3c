"""Everything that an evaluation counts."""

from collections.abc import Mapping

import attrs

from domain.evaluation.comparison import CurvePoint, Histogram, OperatingPoint
from domain.evaluation.discard import DiscardCurve
from domain.evaluation.groups import GroupFigures, Grouping
from domain.evaluation.identification import GalleryFigures
from domain.evaluation.shares import Share
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
    ``not_acquired`` counts these by reason. ``unread`` are those that could not be read at all, by PERSON/PHOTOGRAPH.
    """

    people: int
    photographs: int
    known: int
    seconds: float
    milliseconds: Mapping[str, float]
    failure_to_acquire: Share
    not_acquired: Mapping[Reason, int]
    unread: Mapping[str, Reason]
    copies: int = 0

    @property
    def per_second(self) -> float | None:
        """Photographs read in a second; None where none was, or no time passed."""
        read = self.photographs - self.known
        return read / self.seconds if read and self.seconds else None


@attrs.frozen(kw_only=True)
class Evaluation:
    """An embedder on a collection."""

    embedder: str
    subject: Subject
    target_fpir: float
    acquisition: Acquisition
    verification: Verification | None
    impostor_pairs: int
    genuine_pairs: int
    points: tuple[OperatingPoint, ...]
    curve: tuple[CurvePoint, ...]
    histogram: Histogram | None
    galleries: tuple[GalleryFigures, ...]
    """By the photographs that people are enrolled with, then by size."""
    discards: tuple[DiscardCurve, ...]
    groups: tuple[GroupFigures, ...]
    grouping: Grouping | None
    """None where the collection knows no groups."""

    @property
    def largest(self) -> GalleryFigures | None:
        """Everybody who can be, enrolled with one photograph; None where nobody can."""
        return max(
            (figures for figures in self.galleries if figures.photographs == 1),
            key=lambda figures: figures.as_configured.gallery,
            default=None,
        )
