"""The calibration of an embedder on photographs of known people."""

import math
from collections.abc import Callable

import pytest

from application.evaluation.calibrate_embedder import CalibratedEmbedder, CalibrateEmbedder, TooFewPeopleError
from application.evaluation.read_photos import ReadPhotos
from domain.evaluation.subjects import Subject
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading
from domain.guardrails import FaceQuality
from tests.fakes.clock import ManualClock
from tests.fakes.distances import PlainDistances
from tests.fakes.labelled_photos import InMemoryLabelledPhotos
from tests.fakes.vision import INFO, ScriptedFacePipeline, ScriptedFaceReader

ANY = FaceQuality(0)


def towards(degrees: float) -> PhotoReading:
    """Return a photograph of a face that is embedded in that direction."""
    angle = math.radians(degrees)
    embedding = FaceEmbedding(INFO.id, (math.cos(angle), math.sin(angle), 0.0))
    return PhotoReading(100, 100, (DetectedFace(BoundingBox(45, 45, 55, 55), 1.0, embedding),))


async def calibrated(
    people: int, photographs: Callable[[int], int], apart: float = 0.5, least: FaceQuality = ANY
) -> CalibratedEmbedder:
    """Return what is found of people so many degrees apart, or a little more, each with a number of photographs."""
    script: dict[bytes, PhotoReading | Exception] = {}
    collection: dict[str, dict[str, bytes | None]] = {}
    for person in range(people):
        own = {str(number): f"{person} {number}".encode() for number in range(photographs(person))}
        collection[f"p{person:03}"] = dict(own)
        script |= {
            content: towards(apart * (person * (1 + person / 100) + int(number) / 10))
            for number, content in own.items()
        }
    reader = ScriptedFaceReader(ScriptedFacePipeline(script))
    calibrate = CalibrateEmbedder(
        read=ReadPhotos(reader=reader, clock=ManualClock(), concurrency=4, quality=least), distances=PlainDistances()
    )
    found = await calibrate(InMemoryLabelledPhotos(collection), Subject.ONE)
    assert found.acquisition.people == people
    return found


async def test_people_with_one_photograph() -> None:
    """One curve, of every two of them; it names the embedder and what it rests on."""
    found = (await calibrated(30, lambda _: 1)).calibration
    [curve] = found.curves
    assert found.embedder == INFO.id
    assert (curve.photographs, curve.people, curve.comparisons) == (1, 30, 435)
    assert curve.points[0][0] == 10 / 435
    assert 1 - math.cos(math.radians(0.5)) < curve.points[0][1] < 1 - math.cos(math.radians(1))


async def test_faces_that_the_service_would_refuse_are_left_out() -> None:
    """What the service never compares says nothing of its distances; here it is all there is, and that is told."""
    assert (await calibrated(30, lambda _: 1, least=FaceQuality(10))).acquisition.not_acquired == {}
    with pytest.raises(TooFewPeopleError, match="0 people have a photograph with a usable face"):
        await calibrated(30, lambda _: 1, least=FaceQuality(11))


async def test_people_with_several_photographs() -> None:
    """A curve for each number that twenty people have; their templates meet everybody else, every two people once."""
    found = (await calibrated(40, lambda person: 3 if person < 25 else 1)).calibration
    assert [(curve.photographs, curve.people, curve.comparisons) for curve in found.curves] == [
        (1, 40, 780),
        (2, 25, 25 * 24 // 2 + 25 * 15),
        (3, 25, 25 * 24 // 2 + 25 * 15),
    ]


async def test_a_person_is_never_their_own_impostor() -> None:
    """Everybody is far from everybody else; what is near is one's own, and no distance of the curves."""
    found = (await calibrated(24, lambda _: 5, apart=10)).calibration
    nearest = 1 - math.cos(math.radians(10 * 0.6))
    assert [curve.photographs for curve in found.curves] == [1, 2, 3, 5]
    assert min(distance for curve in found.curves for _, distance in curve.points) > nearest


async def test_a_cohort_is_measured_where_it_would_be_used() -> None:
    """Among more than a hundred people; each is a stranger to all others, and nobody to themselves."""
    few, many = await calibrated(100, lambda _: 1, apart=0.1), await calibrated(120, lambda _: 1, apart=0.1)
    [alone], [one] = few.calibration.curves, many.calibration.curves
    assert (alone.searches, alone.cohort) == (0, ())
    assert one.searches == 120
    assert one.cohort
    assert all(factor > 0 for _, factor in one.cohort)


async def test_who_may_be_there_twice_is_told() -> None:
    """The ten nearest pairs, each once and by their names: the first people stand closest to each other."""
    found = await calibrated(30, lambda _: 1)
    nearest, *others = found.look_alikes
    assert (nearest.one, nearest.other) == ("p000", "p001")
    assert nearest.distance == pytest.approx(1 - math.cos(math.radians(0.5 * 1.01)))
    assert [(pair.one, pair.other) for pair in others] == [(f"p{n:03}", f"p{n + 1:03}") for n in range(1, 10)]


@pytest.mark.parametrize(("people", "told"), [(1, "1 people"), (19, "19 people have a photograph with a usable face")])
async def test_too_few_people_are_refused(people: int, told: str) -> None:
    """What they say of others is worth nothing."""
    with pytest.raises(TooFewPeopleError, match=told):
        await calibrated(people, lambda _: 1)


async def test_people_who_are_all_the_same_are_refused() -> None:
    """A folder of copies is a mistake."""
    with pytest.raises(TooFewPeopleError, match="are the photographs, too"):
        await calibrated(30, lambda _: 1, apart=0)
