"""What any catalogue of photos does."""

from uuid import UUID, uuid4

import attrs
import pytest

from application.ports.photo_catalogue import (
    ANY_OR_NONE,
    NO_OUTCOME,
    CataloguedPhoto,
    CataloguePage,
    LastOutcome,
    PhotoCatalogue,
)
from domain.errors import DatabaseUnavailableError
from domain.outcomes import OutcomeKind, Reason
from domain.records import Failed, Skipped
from tests.contract.ledger.jobs import TEMPLATE, accepted, header, later, record, unknown
from tests.contract.photo_catalogue.conftest import Subject
from tests.fakes.database import InMemoryDatabase
from tests.tables import PostgresTables


async def found(subject: Subject, last_outcome: LastOutcome = NO_OUTCOME, *, limit: int = 100) -> list[UUID]:
    """Go through the whole catalogue and return the photos that are told."""
    photos: list[UUID] = []
    last = None
    while True:
        page = await subject.catalogue.unmatched(last_outcome, after=last, limit=limit)
        photos += [photo.id for photo in page.photos]
        last = page.last
        if last is None:
            return photos


async def test_it_is_a_photo_catalogue(subject: Subject) -> None:
    """The adapter satisfies the port; of nothing there is nothing to tell."""
    catalogue: PhotoCatalogue = subject.catalogue
    assert await catalogue.unmatched(NO_OUTCOME, after=None, limit=10) == CataloguePage([], 0, None)
    assert await catalogue.estimate() >= 0


async def test_photos_come_in_the_order_of_their_ids_with_their_references(subject: Subject) -> None:
    """Whatever the reference is; the smallest and the largest id are among them."""
    references = [None, "", "minio://images/é \U0001f600 100%.jpg", "%s {brace} 'quoted'"]
    photos = [UUID(int=0), *sorted(uuid4() for _ in range(2)), UUID(int=2**128 - 1)]
    for photo, reference in reversed(list(zip(photos, references, strict=True))):
        subject.add_photo(photo, reference)
    expected = [CataloguedPhoto(photo, reference) for photo, reference in zip(photos, references, strict=True)]
    assert await subject.catalogue.unmatched(NO_OUTCOME, after=None, limit=10) == CataloguePage(expected, 4, None)


@pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
async def test_pages_leave_nothing_out(subject: Subject, limit: int) -> None:
    """However long they are, each photo is on one of them."""
    photos = sorted(subject.add_photo(uuid4()) for _ in range(10))
    assert await found(subject, limit=limit) == photos


async def test_a_page_tells_how_many_photos_it_looked_at(subject: Subject) -> None:
    """Also of those that are not told; the next page begins behind them."""
    photos = sorted(subject.add_photo(uuid4()) for _ in range(5))
    for photo in photos[:3]:
        await subject.ledger.conclude(record(photo_id=photo))
    first = await subject.catalogue.unmatched(NO_OUTCOME, after=None, limit=2)
    second = await subject.catalogue.unmatched(NO_OUTCOME, after=first.last, limit=2)
    assert (first, second) == (
        CataloguePage([], 2, photos[1]),
        CataloguePage([CataloguedPhoto(photos[3], None)], 2, photos[3]),
    )


@pytest.mark.parametrize("outcome", [Skipped(Reason.NO_FACE), Failed(Reason.EMBEDDER_CRASHED)], ids=lambda o: o.kind)
async def test_any_outcome_is_an_answer(subject: Subject, outcome: Skipped | Failed) -> None:
    """Of this photo, and of no other."""
    answered, other = subject.add_photo(uuid4()), subject.add_photo(uuid4())
    await subject.ledger.conclude(record(outcome, photo_id=answered))
    await subject.ledger.conclude(record(outcome, photo_id=uuid4()))
    assert await found(subject) == [other]


async def test_a_match_by_anybody_is_an_answer(subject: Subject) -> None:
    """A match counts without any outcome in the ledger, whatever the face's index."""
    photo, user = subject.add_photo(uuid4()), subject.tables.add_user(uuid4())
    other = subject.add_photo(uuid4())
    for each in (photo, other):
        await subject.ledger.conclude_face(header(each, face_index=7), unknown())
    [face] = [face for face in subject.tables.faces() if face.photo_id == photo]
    subject.tables.add_match(face.id, user)
    await forget_outcomes(subject)
    assert await found(subject) == [other]


async def test_a_photo_that_was_matched_is_answered(subject: Subject) -> None:
    """As the service itself writes it."""
    photo = subject.add_photo(uuid4())
    user = subject.tables.add_user(uuid4(), TEMPLATE)
    await subject.ledger.conclude_face(header(photo), accepted(user))
    assert await found(subject) == []


@pytest.mark.parametrize(
    ("last_outcome", "expected"),
    [
        (ANY_OR_NONE, ["no face", "no match", "failed", "nothing"]),
        (NO_OUTCOME, ["nothing"]),
        (LastOutcome(), []),
        (LastOutcome(frozenset({OutcomeKind.SKIPPED})), ["no face", "no match"]),
        (LastOutcome(frozenset({OutcomeKind.FAILED}), frozenset({Reason.NO_FACE})), ["no face", "failed"]),
        (LastOutcome(reasons=frozenset({Reason.NO_MATCH}), none=True), ["no match", "nothing"]),
        (LastOutcome(frozenset({OutcomeKind.MATCHED})), []),
    ],
)
async def test_photos_are_meant_by_their_last_outcome(
    subject: Subject, last_outcome: LastOutcome, expected: list[str]
) -> None:
    """By its kind, by its reason, or because there is none; in any case without those that have a match."""
    names = {subject.add_photo(UUID(int=number)): name for number, name in enumerate(("no face", "no match"), start=1)}
    names |= {subject.add_photo(UUID(int=number)): name for number, name in enumerate(("failed", "nothing"), start=3)}
    user = subject.tables.add_user(uuid4(), TEMPLATE)
    await subject.ledger.conclude_face(header(subject.add_photo(UUID(int=5))), accepted(user))
    no_face, no_match, failed, _ = names
    await subject.ledger.conclude(record(Skipped(Reason.NO_FACE), photo_id=no_face))
    await subject.ledger.conclude_face(header(no_match), unknown())
    await subject.ledger.conclude(record(Failed(Reason.EMBEDDER_CRASHED), photo_id=failed))
    assert [names[photo] for photo in await found(subject, last_outcome)] == expected


async def test_the_last_outcome_is_that_of_the_newest_job(subject: Subject) -> None:
    """By the time at which it ended; of two that ended at once, the one that was published later."""
    by_time, by_number = subject.add_photo(UUID(int=1)), subject.add_photo(UUID(int=2))
    await subject.ledger.conclude(record(Skipped(Reason.NO_FACE), photo_id=by_time, occurred_at=later(1)))
    await subject.ledger.conclude(record(Failed(Reason.INTERNAL_ERROR), photo_id=by_time))
    await subject.ledger.conclude(record(Failed(Reason.INTERNAL_ERROR), photo_id=by_number))
    await subject.ledger.conclude(record(Skipped(Reason.NO_FACE), photo_id=by_number))
    assert await found(subject, LastOutcome(frozenset({OutcomeKind.SKIPPED}))) == [by_time, by_number]
    assert await found(subject, LastOutcome(frozenset({OutcomeKind.FAILED}))) == []


async def test_what_was_recorded_since_is_not_meant(subject: Subject) -> None:
    """By the ledger's clock, whatever a worker took the time to be; photos without an outcome are older than all."""
    before, after, never = (subject.add_photo(UUID(int=number)) for number in (1, 2, 3))
    await subject.ledger.conclude(record(photo_id=before, occurred_at=later(10**9)))
    subject.let_time_pass()
    moment = await subject.catalogue.now()
    subject.let_time_pass()
    await subject.ledger.conclude(record(photo_id=after, occurred_at=later(-(10**9))))
    assert await found(subject, attrs.evolve(ANY_OR_NONE, before=moment)) == [before, never]
    assert await found(subject, ANY_OR_NONE) == [before, after, never]


async def test_without_a_database_nothing_is_told(subject: Subject) -> None:
    """Who asks hears of it."""
    await subject.stop()
    with pytest.raises(DatabaseUnavailableError):
        await subject.catalogue.unmatched(NO_OUTCOME, after=None, limit=10)
    with pytest.raises(DatabaseUnavailableError):
        await subject.catalogue.estimate()
    with pytest.raises(DatabaseUnavailableError):
        await subject.catalogue.now()


async def forget_outcomes(subject: Subject) -> None:
    """Empty the ledger."""
    if isinstance(subject.tables, PostgresTables):
        subject.tables.run("TRUNCATE facematch.outcomes")
    elif isinstance(subject.tables, InMemoryDatabase):
        subject.tables.outcomes.clear()
