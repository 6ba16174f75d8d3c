"""The evaluation of an embedder on photographs of known people."""

import math

import attrs
import pytest

from application.evaluation.evaluate_photos import EvaluatePhotos
from application.evaluation.read_photos import ReadPhotos
from domain.decision import FixedThreshold, TargetFpir
from domain.errors import EmbedderCrashedError, UnreadableImageError
from domain.evaluation.proportions import Proportion
from domain.evaluation.results import Grouping
from domain.evaluation.subjects import Subject
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading
from domain.guardrails import FaceQuality
from domain.outcomes import Reason
from tests.fakes.clock import ManualClock
from tests.fakes.distances import PlainDistances
from tests.fakes.labelled_photos import InMemoryLabelledPhotos
from tests.fakes.vision import INFO, ScriptedFacePipeline, ScriptedFaceReader


def towards(degrees: float) -> FaceEmbedding:
    """Return an embedding in that direction."""
    angle = math.radians(degrees)
    return FaceEmbedding(INFO.id, (math.cos(angle), math.sin(angle), 0.0))


def showing(*degrees: float) -> PhotoReading:
    """Return a reading with faces from the centre outwards, each embedded in a direction."""
    faces = [
        DetectedFace(BoundingBox(45 + 30 * place, 45, 55 + 30 * place, 55), 1.0, towards(direction))
        for place, direction in enumerate(degrees)
    ]
    return PhotoReading(100, 100, tuple(faces))


ANY = FaceQuality(0)
PEOPLE: dict[str, dict[str, bytes | None]] = {
    "ann": {"1": b"ann 1", "2": b"ann 2", "3": b"group"},
    "ben": {"1": b"ben 1", "2": b"ben 2"},
    "eve": {"1": b"eve 1"},
    "ivo": {"1": b"nobody", "2": b"broken", "3": b"crash", "4": None},
}
SCRIPT: dict[bytes, PhotoReading | Exception] = {
    b"ann 1": showing(0),
    b"ann 2": showing(5),
    b"group": showing(8, 90),
    b"ben 1": showing(90),
    b"ben 2": showing(130),
    b"eve 1": showing(85),
    b"nobody": showing(),
    b"broken": UnreadableImageError("broken"),
    b"crash": EmbedderCrashedError("crashed"),
}


def reading_by(script: dict[bytes, PhotoReading | Exception], least: FaceQuality = ANY) -> ReadPhotos:
    """Return what reads by a script, and takes faces of that quality."""
    reader = ScriptedFaceReader(ScriptedFacePipeline(script))
    return ReadPhotos(reader=reader, clock=ManualClock(), concurrency=2, quality=least)


def evaluator(**changes: object) -> EvaluatePhotos:
    """Return an evaluation of the script, with a threshold of about 20 degrees."""
    usual = EvaluatePhotos(
        read=reading_by(SCRIPT),
        distances=PlainDistances(),
        threshold=FixedThreshold(1 - math.cos(math.radians(20))),
        calibration=INFO.calibration,
    )
    return attrs.evolve(usual, **changes)  # type: ignore[arg-type]  # the caller names what the class has


def a_crowd(people: int, photographs: int) -> tuple[dict[str, dict[str, bytes | None]], EvaluatePhotos]:
    """Return people with so many photographs each, and their evaluation.

    They are two degrees apart from the next one and a little more from the one before, so that nobody is half-way.
    """
    script: dict[bytes, PhotoReading | Exception] = {}
    crowd: dict[str, dict[str, bytes | None]] = {}
    for person in range(people):
        crowd[f"p{person:03}"] = {str(number): f"{person} {number}".encode() for number in range(photographs)}
        for number in range(photographs):
            script[f"{person} {number}".encode()] = showing(2 * person + person % 2 / 20 + number / 10)
    return crowd, evaluator(read=reading_by(script))


async def test_it_counts_what_was_not_acquired() -> None:
    """Each photograph without a usable face, by its reason, also a fault of the system; all of Ivo's count as one."""
    found = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    acquisition = found.acquisition
    assert (found.embedder, acquisition.people, acquisition.photographs) == (INFO.id, 4, 10)
    assert acquisition.not_acquired == {
        Reason.NO_FACE: 1,
        Reason.UNREADABLE_IMAGE: 1,
        Reason.EMBEDDER_CRASHED: 1,
        Reason.IMAGE_NOT_FOUND: 1,
    }
    assert acquisition.failure_to_acquire == Proportion(4, 10)
    assert acquisition.failure_to_acquire.independent == 10 / 4


async def test_the_central_face_or_exactly_one() -> None:
    """A second face is a bystander, or a reason not to use the photograph."""
    central = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    one = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.ONE)
    assert Reason.MULTIPLE_FACES not in central.acquisition.not_acquired
    assert one.acquisition.not_acquired[Reason.MULTIPLE_FACES] == 1
    assert (central.genuine_pairs, one.genuine_pairs) == (4, 2)
    assert (central.acquisition.several_faces, one.acquisition.several_faces) == (1, 1)


async def test_a_face_that_the_service_would_refuse_is_not_acquired() -> None:
    """It is counted by its reason, and neither searched for nor compared, like a photograph without a face."""
    [small] = showing(5).faces
    script = SCRIPT | {b"ann 2": PhotoReading(100, 100, (attrs.evolve(small, box=BoundingBox(46, 46, 54, 54)),))}
    found = await evaluator(read=reading_by(script, FaceQuality(9)))(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    assert found.acquisition.not_acquired[Reason.FACE_TOO_SMALL] == 1
    assert found.acquisition.failure_to_acquire == Proportion(5, 10)
    assert found.genuine_pairs == 2
    assert found.largest is not None
    assert found.largest.as_configured.false_negative == Proportion(1, 2)


async def test_people_are_searched_for() -> None:
    """Ann is found by both her other photographs, Ben's is too far from his first, Eve is taken for Ben."""
    found = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    [figures] = found.galleries
    assert found.largest == figures
    assert (figures.photographs, figures.galleries, figures.rank_one) == (1, 1, Proportion(3, 3))
    assert figures.as_configured.gallery == 2
    assert figures.as_configured.false_positive == Proportion(1, 1)
    assert figures.as_configured.false_negative == Proportion(1, 3)
    assert figures.as_configured.misnamed == Proportion(0, 3)
    assert (found.target_fpir, figures.at_best) == (None, None)
    assert found.impostor_pairs == 3
    [named] = found.named_strangers
    assert (named.photo, named.nearest) == ("eve/1", "ben")
    assert named.distance == pytest.approx(1 - math.cos(math.radians(5)))
    service = figures.trade_off[-1]
    assert (service.threshold, service.false_positive) == (1.0, 1.0)
    assert service.false_negative == pytest.approx(1 / 3)


async def test_what_the_target_would_allow_is_counted() -> None:
    """The largest distance that names half of the strangers: all stand about 2 degrees from a user."""
    crowd, evaluate = a_crowd(41, 2)
    policy = TargetFpir(0.5, INFO.calibration)
    found = await attrs.evolve(evaluate, threshold=policy)(InMemoryLabelledPhotos(crowd), Subject.ONE)
    [figures] = found.galleries
    assert (found.target_fpir, figures.as_configured.false_positive.total) == (0.5, 40)
    assert figures.at_best is not None
    assert figures.at_best.threshold == pytest.approx(1 - math.cos(math.radians(1.85)))
    assert figures.at_best.false_positive == Proportion(20, 40)


async def test_without_a_threshold_everybody_is_named() -> None:
    """The setting ``none``."""
    found = await evaluator(threshold=FixedThreshold(None))(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    assert found.largest is not None
    as_configured = found.largest.as_configured
    assert (as_configured.threshold, as_configured.false_negative) == (math.inf, Proportion(0, 3))


async def test_the_margin_counts_as_in_the_service() -> None:
    """Eve is 85 degrees from Ann and 5 from Ben: with a margin larger than that tells, nobody is named."""
    found = await evaluator(margin=1.0)(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    assert found.largest is not None
    assert found.largest.as_configured.false_positive == Proportion(0, 1)
    assert found.largest.as_configured.false_negative == Proportion(3, 3)


async def test_galleries_of_several_sizes_and_templates() -> None:
    """Of 41 people every other is a stranger; 21 are enrolled, with one photograph and with three."""
    crowd, evaluate = a_crowd(41, 4)
    found = await evaluate(InMemoryLabelledPhotos(crowd), Subject.ONE)
    shapes = [(one.photographs, one.as_configured.gallery, one.galleries) for one in found.galleries]
    assert shapes == [(1, 21, 1), (3, 21, 1)]
    assert [one.rank_one for one in found.galleries] == [Proportion(63, 63), Proportion(21, 21)]
    assert found.galleries[0].as_configured.false_positive == Proportion(80, 80)


async def test_smaller_galleries_share_nobody_and_count_together() -> None:
    """Of 50 enrolled people there are two galleries of 20; each searches its own people and all strangers."""
    crowd, evaluate = a_crowd(50, 2)
    crowd |= {f"stranger {number}": {"0": b"0 0"} for number in range(49)}
    found = await evaluate(InMemoryLabelledPhotos(crowd), Subject.ONE)
    twenty, everybody = found.galleries
    assert (twenty.as_configured.gallery, twenty.galleries, everybody.as_configured.gallery) == (20, 2, 50)
    assert (twenty.rank_one, everybody.rank_one) == (Proportion(40, 40), Proportion(50, 50))
    assert (twenty.as_configured.false_positive.total, everybody.as_configured.false_positive.total) == (98, 49)


async def test_with_few_people_several_photographs_say_nothing() -> None:
    """Templates of three are looked at where twenty people have more than that."""
    crowd, evaluate = a_crowd(38, 4)
    found = await evaluate(InMemoryLabelledPhotos(crowd), Subject.ONE)
    assert {one.photographs for one in found.galleries} == {1}


async def test_verification_counts_lost_faces_as_errors() -> None:
    """Ivo's photographs are in the pairs, though there is no face on them."""
    with_ivo = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    without = await evaluator()(
        InMemoryLabelledPhotos(
            {name: photos for name, photos in PEOPLE.items() if name != "ivo"} | {"max": {"1": b"eve 1"}}
        ),
        Subject.CENTRAL,
    )
    assert with_ivo.verification is not None
    assert without.verification is not None
    assert with_ivo.verification.pairs == without.verification.pairs + 12
    assert with_ivo.verification.accuracy < without.verification.accuracy


async def test_each_group_has_its_own_errors() -> None:
    """Ben is alone in his, so nobody can be taken for him; who is in none, or unknown, is said."""
    groups = [("ann", "left"), ("eve", "left"), ("ben", "right"), ("zoe", "right")]
    found = await evaluator()(InMemoryLabelledPhotos(PEOPLE, groups), Subject.CENTRAL)
    assert found.grouping == Grouping(
        {"left": frozenset({"ann", "eve"}), "right": frozenset({"ben"})}, ("zoe",), ("ivo",)
    )
    left, right = found.groups
    assert (left.group, left.people, left.photographs, left.not_acquired) == ("left", 2, 4, Proportion(0, 4))
    assert (left.false_positive, left.false_negative) == (Proportion(1, 1), Proportion(0, 2))
    assert (right.group, right.people, right.photographs) == ("right", 1, 2)
    assert (right.false_positive, right.false_negative) == (Proportion(0, 0), Proportion(1, 1))
    assert (left.distance, left.false_match) == (None, Proportion(0, 0))


async def test_groups_are_compared_at_one_distance() -> None:
    """That of all people together: of 30, the half that stand close together are confused more often."""
    crowd, evaluate = a_crowd(30, 2)
    groups = [(person, "near" if number < 15 else "all over") for number, person in enumerate(crowd)]
    found = await evaluate(InMemoryLabelledPhotos(crowd, groups), Subject.ONE)
    everywhere, near = found.groups
    assert everywhere.distance == near.distance == found.points[0].distance
    assert (near.false_match.total, near.false_non_match) == (15 * 14 // 2, Proportion(0, 15))
    assert near.false_match == everywhere.false_match


async def test_without_groups_none_are_reported() -> None:
    """And it can be told from a collection in which nobody is in any."""
    found = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    nobody = await evaluator()(InMemoryLabelledPhotos(PEOPLE, []), Subject.CENTRAL)
    assert (found.groups, found.grouping) == ((), None)
    assert nobody.grouping == Grouping({}, (), ("ann", "ben", "eve", "ivo"))


async def test_refusing_small_faces_is_weighed() -> None:
    """Where faces differ in size, but not in score, the one quality is reported and the other is not."""
    crowd, evaluate = a_crowd(30, 2)
    script = evaluate.read.reader.pipeline.readings  # type: ignore[attr-defined]  # the scripted reader's
    for number, (content, reading) in enumerate(list(script.items())):
        [face] = reading.faces
        larger = BoundingBox(40 - number / 4, 40 - number / 4, 60, 60)
        script[content] = attrs.evolve(reading, faces=(attrs.evolve(face, box=larger),))
    found = await evaluate(InMemoryLabelledPhotos(crowd), Subject.ONE)
    [curve] = found.discards
    assert curve.quality == "face size"
    assert [point.discarded.count for point in curve.points] == [0, 1, 3, 6, 12, 18, 30]
    assert [point.not_acquired for point in curve.points][-1] == Proportion(30, 60)


async def test_nobody_to_compare_is_no_error() -> None:
    """Of one photograph there is nothing to say but whether it shows a face."""
    found = await evaluator()(InMemoryLabelledPhotos({"ann": {"1": b"ann 1"}}, [("ann", "tall")]), Subject.ONE)
    assert (found.verification, found.points, found.galleries, found.largest) == (None, (), (), None)
    assert (found.curve, found.histogram, found.discards) == ((), None, ())
    assert found.acquisition.failure_to_acquire == Proportion(0, 1)
    assert found.groups[0].false_negative == Proportion(0, 0)
