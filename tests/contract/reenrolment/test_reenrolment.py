"""What any re-enrolment prepares, and whose template it replaces."""

from collections.abc import Callable
from uuid import UUID, uuid4

import attrs
import pytest

from application.ports.reenrolment import Outdated, Reenrolment
from domain.decision import Candidate
from domain.errors import DatabaseUnavailableError, GalleryNotReadyError
from domain.faces import FaceEmbedding
from tests.contract.reenrolment.conftest import Subject
from tests.tables import Tables

OLD = FaceEmbedding("old@1", (1.0, 0.0, 0.0, 0.0))
NEW = FaceEmbedding("new@1", (0.0, 1.0, 0.0, 0.0))
REFS = ("minio://images/one.jpg", "minio://images/two, with a comma.jpg")
DIGESTS = (bytes(range(32)), bytes(32))

CHANGES = pytest.mark.parametrize(
    "change",
    [
        lambda tables, user: tables.write_embedding(user, OLD.model, (0.0, 0.0, 0.0, 1.0)),
        lambda tables, user: tables.write_embedding(user, NEW.model, (0.0, 0.0, 0.0, 1.0)),
        lambda tables, user: tables.write_embedding(user, None, None),
        lambda tables, user: tables.mark_user(user, deleted=True),
        lambda tables, user: tables.delete_user(user),
    ],
    ids=["enrolled anew", "enrolled with this one", "withdrawn", "marked as deleted", "deleted"],
)


async def outdated(subject: Subject) -> list[Outdated]:
    """Return everybody whose template is not of the new embedder."""
    return list(await subject.reenrolment.outdated(NEW.model, after=None, limit=100))


async def enrolled(subject: Subject, template: FaceEmbedding = OLD) -> UUID:
    """Make a user who was enrolled from two photographs."""
    user = subject.tables.add_user(uuid4())
    assert await subject.enrolment.save_template(user, template, photographs=2, image_refs=REFS, image_digests=DIGESTS)
    return user


async def prepared(subject: Subject) -> UUID:
    """Make a user for whom a template is prepared, of the same photographs."""
    user = await enrolled(subject)
    [found] = [each for each in await outdated(subject) if each.user_id == user]
    await subject.reenrolment.prepare(found, NEW, photographs=2)
    return user


async def switched(subject: Subject) -> int:
    """Switch everybody in one go; return how many were."""
    return await subject.reenrolment.switch(NEW.model, await ready(subject))


async def ready(subject: Subject) -> list[UUID]:
    """Return everybody who has a template prepared."""
    return list(await subject.reenrolment.prepared(NEW.model, after=None, limit=100))


async def found(subject: Subject, probe: FaceEmbedding) -> list[Candidate]:
    """Return whom a search finds."""
    return list((await subject.gallery.search(probe, limit=9)).nearest)


def test_it_is_a_reenrolment(subject: Subject) -> None:
    """The adapter satisfies the port."""
    reenrolment: Reenrolment = subject.reenrolment
    assert reenrolment is subject.reenrolment


async def test_who_has_a_template_of_another_embedder_is_outdated(subject: Subject) -> None:
    """Of an unknown one too, and who is blocked; not who has none, is deleted, or is enrolled with this one."""
    tables = subject.tables
    known, written, unknown, blocked = await enrolled(subject), uuid4(), uuid4(), uuid4()
    tables.add_user(written, OLD)
    tables.add_user(unknown)
    tables.write_embedding(unknown, None, OLD.vector)
    tables.add_user(blocked, OLD, blocked=True)
    tables.add_user(uuid4())
    tables.add_user(uuid4(), OLD, deleted=True)
    tables.add_user(uuid4(), NEW)
    people = await outdated(subject)
    assert [user.user_id for user in people] == sorted([known, written, unknown, blocked])
    assert {user.user_id: user.image_refs for user in people} == {known: REFS, written: (), unknown: (), blocked: ()}
    assert {user.image_digests for user in people if user.image_refs} == {DIGESTS}
    assert not any(user.is_prepared for user in people)
    assert await subject.reenrolment.count(NEW.model) == 4


async def test_they_come_page_by_page(subject: Subject) -> None:
    """Each once, in the order of their ids, those who are prepared too."""
    users = sorted([await prepared(subject), *[subject.tables.add_user(uuid4(), OLD) for _ in range(4)]])
    pages, after = list[list[UUID]](), None
    while page := await subject.reenrolment.outdated(NEW.model, after=after, limit=2):
        pages.append([user.user_id for user in page])
        after = page[-1].user_id
    assert pages == [users[:2], users[2:4], users[4:]]


async def test_what_is_prepared_is_in_nobodys_way(subject: Subject) -> None:
    """The old template goes on to be found; who looks for the new one is told that it is not its turn yet."""
    user = await prepared(subject)
    assert [each.is_prepared for each in await outdated(subject)] == [True]
    assert await found(subject, OLD) == [Candidate(user, 0.0, photographs=2)]
    with pytest.raises(GalleryNotReadyError):
        await found(subject, NEW)


async def test_it_takes_the_place_of_the_old_one(subject: Subject) -> None:
    """It is known of which photographs it is, so that the next embedder finds them; and it is prepared no more."""
    user = await prepared(subject)
    assert await switched(subject) == 1
    assert await found(subject, OLD) == []
    assert await found(subject, NEW) == [Candidate(user, 0.0, photographs=2)]
    [back] = await subject.reenrolment.outdated(OLD.model, after=None, limit=9)
    assert back == Outdated(user, back.template, REFS, DIGESTS, is_prepared=False)
    assert await subject.reenrolment.discard() == 0


async def test_prepared_again_the_last_one_counts(subject: Subject) -> None:
    """With what it was made of."""
    user = await prepared(subject)
    [again] = await outdated(subject)
    better = FaceEmbedding(NEW.model, (0.0, 0.0, 1.0, 0.0))
    other = attrs.evolve(again, image_refs=(), image_digests=())
    await subject.reenrolment.prepare(other, better, photographs=5)
    assert await switched(subject) == 1
    assert await found(subject, better) == [Candidate(user, 0.0, photographs=5)]
    [back] = await subject.reenrolment.outdated(OLD.model, after=None, limit=9)
    assert (back.image_refs, back.image_digests) == ((), ())


async def test_users_are_switched_some_at_a_time(subject: Subject) -> None:
    """They come page by page, and those who are named are switched; who is not prepared is not."""
    reenrolment = subject.reenrolment
    users = sorted([await prepared(subject) for _ in range(3)])
    assert await reenrolment.prepared(NEW.model, after=None, limit=2) == users[:2]
    assert await reenrolment.prepared(NEW.model, after=users[1], limit=2) == users[2:]
    assert await reenrolment.switch(NEW.model, [users[0], users[2], uuid4(), await enrolled(subject)]) == 2
    assert await ready(subject) == [users[1]]


async def test_asking_whether_a_user_can_be_switched_changes_nothing(subject: Subject) -> None:
    """It tells whether a user can be switched, who is then switched all the same."""
    user = await prepared(subject)
    assert await subject.reenrolment.can_switch(NEW.model, user) is True
    assert await subject.reenrolment.can_switch(NEW.model, await enrolled(subject)) is False
    assert len(await found(subject, OLD)) == 2
    assert await switched(subject) == 1


@CHANGES
async def test_who_changed_meanwhile_keeps_what_is_there(
    subject: Subject, change: Callable[[Tables, UUID], object]
) -> None:
    """What was prepared is of an older state of things: nobody gets back a face that they took away."""
    user, other = await prepared(subject), await prepared(subject)
    change(subject.tables, user)
    assert not any(each.is_prepared for each in await outdated(subject) if each.user_id == user)
    assert await switched(subject) == 1
    assert await found(subject, NEW) != []
    assert all(candidate.user_id == other or candidate.distance > 0.5 for candidate in await found(subject, NEW))


@CHANGES
async def test_for_who_changed_before_nothing_is_prepared(
    subject: Subject, change: Callable[[Tables, UUID], object]
) -> None:
    """Between the look and the write, for as long as photographs take."""
    user = await enrolled(subject)
    [seen] = await outdated(subject)
    change(subject.tables, user)
    assert await subject.reenrolment.prepare(seen, NEW, photographs=2) is False
    assert await subject.reenrolment.discard() == 0


async def test_a_blocked_user_is_switched_and_stays_blocked(subject: Subject) -> None:
    """Nobody is named who may not be, and who may be again is not forgotten."""
    user = await prepared(subject)
    subject.tables.mark_user(user, blocked=True)
    assert await switched(subject) == 1
    assert await found(subject, NEW) == []
    subject.tables.mark_user(user)
    assert await found(subject, NEW) == [Candidate(user, 0.0, photographs=2)]


async def test_what_is_of_no_use_is_tidied_up(subject: Subject) -> None:
    """Nothing biometric is kept of who is gone, has withdrawn, or has another template by now; the rest stays."""
    gone, withdrawn, marked, by_now, anew, waits = [await prepared(subject) for _ in range(6)]
    subject.tables.delete_user(gone)
    subject.tables.write_embedding(withdrawn, None, None)
    subject.tables.mark_user(marked, deleted=True)
    await subject.enrolment.save_template(by_now, NEW, photographs=1)
    subject.tables.write_embedding(anew, OLD.model, (0.0, 0.0, 0.0, 1.0))
    await subject.reenrolment.tidy()
    assert [user.user_id for user in await outdated(subject) if user.is_prepared] == [waits]
    assert await subject.reenrolment.discard() == 1


async def test_everything_prepared_can_be_discarded(subject: Subject) -> None:
    """For every embedder; nobody's own template changes."""
    user = await prepared(subject)
    [again] = await outdated(subject)
    await subject.reenrolment.prepare(again, FaceEmbedding("third@1", NEW.vector), photographs=2)
    assert await subject.reenrolment.discard() == 2
    assert await switched(subject) == 0
    assert await found(subject, OLD) == [Candidate(user, 0.0, photographs=2)]


async def test_without_its_database_every_method_says_so(subject: Subject) -> None:
    """The one error of the port, from each of them."""
    await prepared(subject)
    [user] = await outdated(subject)
    await subject.stop()
    reenrolment = subject.reenrolment
    for call in (
        reenrolment.half_done(),
        reenrolment.begin(NEW.model),
        reenrolment.prepared(NEW.model, after=None, limit=1),
        reenrolment.can_switch(NEW.model, user.user_id),
        reenrolment.switch(NEW.model, [user.user_id]),
        reenrolment.finish(NEW.model),
        reenrolment.count(NEW.model),
        outdated(subject),
        reenrolment.prepare(user, NEW, photographs=1),
        reenrolment.tidy(),
        reenrolment.discard(),
    ):
        with pytest.raises(DatabaseUnavailableError):
            await call
