"""An evaluation as one JSON object."""

import math
from collections.abc import Mapping
from typing import Any

from domain.evaluation.comparison import OperatingPoint
from domain.evaluation.discard import DiscardPoint
from domain.evaluation.identification import GalleryFigures, Identification
from domain.evaluation.proportions import Proportion
from domain.evaluation.results import Acquisition, Evaluation, GroupFigures


def evaluation_document(evaluation: Evaluation, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return everything that was counted, and with which settings."""
    verification, spread, largest = evaluation.verification, evaluation.histogram, evaluation.largest
    return {
        "embedder": evaluation.embedder,
        "settings": dict(settings),
        "faces": evaluation.subject,
        **acquisition_document(evaluation.acquisition),
        "verification": verification
        and {
            "pairs": verification.pairs,
            "accuracy": verification.accuracy,
            "deviation": verification.deviation,
            "threshold": verification.threshold,
        },
        "impostor_pairs": evaluation.impostor_pairs,
        "genuine_pairs": evaluation.genuine_pairs,
        "operating_points": [_point(point) for point in evaluation.points],
        "curve": [
            {"distance": point.threshold, "fmr": point.false_positive, "fnmr": point.false_negative}
            for point in evaluation.curve
        ],
        "histogram": spread and {"edges": spread.edges, "genuine": spread.genuine, "impostor": spread.impostor},
        "target_fpir": evaluation.target_fpir,
        "identification": {
            "by_default": largest and _identification(largest.as_configured),
            "by_measure": largest and _identification(largest.at_best),
        },
        "galleries": [_gallery(figures) for figures in evaluation.galleries],
        "named_strangers": [
            {"photo": one.photo, "named": one.nearest, "distance": one.distance} for one in evaluation.named_strangers
        ],
        "discard": {curve.quality: [_discard(point) for point in curve.points] for curve in evaluation.discards},
        "groups": _groups(evaluation),
    }


def acquisition_document(acquisition: Acquisition) -> dict[str, Any]:
    """Return what became of the photographs."""
    return {
        "people": acquisition.people,
        "photographs": acquisition.photographs,
        "copies": acquisition.copies,
        "known": acquisition.known,
        "seconds": round(acquisition.seconds, 3),
        "photographs_per_second": acquisition.per_second and round(acquisition.per_second, 3),
        "ms": {stage: round(mean, 3) for stage, mean in acquisition.milliseconds.items()},
        "failure_to_acquire": _share(acquisition.failure_to_acquire),
        "several_faces": acquisition.several_faces,
        "not_acquired": dict(acquisition.not_acquired),
        "unread": dict(acquisition.unread),
    }


def _share(share: Proportion) -> dict[str, Any]:
    return {"count": share.count, "of": share.total, "share": share.value, "interval": share.interval}


def _point(point: OperatingPoint) -> dict[str, Any]:
    return {
        "fmr": point.rate,
        "distance": point.distance,
        "fnmr": _share(point.false_non_match),
        "calibrated_distance": point.calibrated,
        "fmr_at_calibrated_distance": _share(point.false_match),
    }


def _identification(identification: Identification | None) -> dict[str, Any] | None:
    if identification is None:
        return None
    return {
        "gallery": identification.gallery,
        "threshold": identification.threshold if math.isfinite(identification.threshold) else None,
        "fpir": _share(identification.false_positive),
        "fnir": _share(identification.false_negative),
        "misnamed": _share(identification.misnamed),
    }


def _gallery(figures: GalleryFigures) -> dict[str, Any]:
    return {
        "photographs": figures.photographs,
        "gallery": figures.as_configured.gallery,
        "galleries": figures.galleries,
        "rank_one": _share(figures.rank_one),
        "by_default": _identification(figures.as_configured),
        "by_measure": _identification(figures.at_best),
        "trade_off": [
            {"factor": point.threshold, "fpir": point.false_positive, "fnir": point.false_negative}
            for point in figures.trade_off
        ],
    }


def _discard(point: DiscardPoint) -> dict[str, Any]:
    return {
        "minimum": point.minimum,
        "discarded": _share(point.discarded),
        "failure_to_acquire": _share(point.not_acquired),
        "fnmr": _share(point.false_non_match),
    }


def _groups(evaluation: Evaluation) -> dict[str, Any] | None:
    if evaluation.grouping is None:
        return None
    return {
        "figures": [_group(figures) for figures in evaluation.groups],
        "unknown_people": evaluation.grouping.unknown,
        "people_in_no_group": len(evaluation.grouping.ungrouped),
    }


def _group(figures: GroupFigures) -> dict[str, Any]:
    return {
        "group": figures.group,
        "people": figures.people,
        "photographs": figures.photographs,
        "failure_to_acquire": _share(figures.not_acquired),
        "distance": figures.distance,
        "fmr": _share(figures.false_match),
        "fnmr": _share(figures.false_non_match),
        "fpir": _share(figures.false_positive),
        "fnir": _share(figures.false_negative),
    }
